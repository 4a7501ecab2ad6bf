"""Parts of ONNX models in QDQ format: names that are there once, types that hold codes, steps as operators."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from golden.formats import parse
from network.elementwise import Step, applied
from network.qdq.building import Building
from network.qdq.step_nodes import add_steps
from network.qdq.types import holding, is_numbers, stored


def test_names_are_there_once_though_numbered_ones_are_taken():
    building = Building("x")
    assert [building.name(one) for one in ("a", "a_2", "a", "x", "a")] == ["a", "a_2", "a_2_2", "x_2", "a_3"]


def test_the_narrowest_type_that_holds_all_values():
    ends = {(0, 0): 4, (-8, 7): 4, (-9, 0): 8, (0, 8): 8, (-128, 127): 8, (-129, 0): 16, (0, 128): 16}
    ends |= {(-(2**15), 2**15 - 1): 16, (0, 2**15): 32, (-(2**31), 2**31 - 1): 32, (3, 5): 4, (-3, -2): 4}
    for pair, width in ends.items():
        assert holding(pair) == (parse(f"int{width}"), getattr(TensorProto, f"INT{width}")), pair
    with pytest.raises(ValueError, match="^ONNX has no integers of 33 bits for codes$"):
        holding([1 << 31])
    assert stored(5, signed=False, widths=(8, 16)) == (parse("uint8"), TensorProto.UINT8)
    assert stored(4, signed=False) == (parse("uint4"), TensorProto.UINT4)
    names = ("bipolar", "ternary", "sm4", "int4", "pot4", "codebook2", "float8_e5m2")
    assert [name for name in names if is_numbers(parse(name))] == ["bipolar", "ternary", "sm4"]


X = np.random.default_rng(1).normal(0, 2, (4, 3)).astype(np.float32)
CHANNELS = np.float32([0.5, -1, 2])
STEPS = {
    **{name: (CHANNELS,) for name in ("add", "sub", "mul", "div")},
    **{name: () for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")},
    **{name: () for name in ("round_half_even", "round_floor", "round_ceil")},
    "clip": (-1.0, 0.5),
    "batch_norm": (CHANNELS, CHANNELS + 1, CHANNELS * 2, np.float32([0.5, 1, 4]), 1e-3),
}


def run(steps, x, behind=0):
    building = Building("x")
    add_steps(building, steps, "s", behind)
    model = building.model("m", ("x", x.shape[1:]), ("y", x.shape[1:]), {"platform": "none"})
    onnx.checker.check_model(model)
    return ReferenceEvaluator(model).run(None, {"x": x})[0], model


@pytest.mark.parametrize("name", STEPS)
def test_each_step_as_operators(name):
    step = Step(name, STEPS[name])
    assert run((step,), X)[0] == pytest.approx(applied((step,), X), rel=1e-5, abs=1e-6)


def test_clips_of_channels_and_channels_with_axes_behind():
    clip, add = Step("clip", ([-1.0, -0.5, 0], [0.25, 1, 2])), Step("add", (CHANNELS,))
    found, model = run((clip,), X)
    assert found.tolist() == applied((clip,), X).tolist()
    assert [node.op_type for node in model.graph.node] == ["Max", "Min", "Identity"]
    assert [node.op_type for node in run((Step("clip", (0.0, [1.0])),), X)[1].graph.node] == ["Clip", "Identity"]
    maps = np.random.default_rng(2).normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
    expected = np.moveaxis(applied((clip, add), np.moveaxis(maps, 1, -1)), -1, 1)
    assert run((clip, add), maps, 2)[0].tolist() == expected.tolist()


def test_the_model_says_what_it_is():
    model = run((Step("mul", (np.float64(0.1),)),), X)[1]
    assert (model.producer_name, model.ir_version, model.opset_import[0].version) == ("bittrue", 10, 21)
    assert {one.key: one.value for one in model.metadata_props} == {"platform": "none"}
    for end in (model.graph.input[0], model.graph.output[0]):
        dims = end.type.tensor_type.shape.dim
        assert (dims[0].dim_param, dims[1].dim_value) == ("batch", 3)
    assert numpy_helper.to_array(model.graph.initializer[0]).dtype == np.float32


def test_steps_without_an_operator_are_refused():
    with pytest.raises(ValueError, match="^.*_round_half_away: step round_half_away has no operator in ONNX$"):
        run((Step("round_half_away"),), X)
