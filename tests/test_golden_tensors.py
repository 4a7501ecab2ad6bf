"""golden.tensors: each message as a whole, defaults, and the whole model against Python integers."""

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.formats import parse
from golden.rounding import ROUNDINGS
from golden.spec import Spec
from golden.tensors import accumulators, golden, operands

INT8 = parse("int8")


def full(**changes):
    """A spec that takes every array."""
    fields = {
        "activations": parse("uint4"),
        "weights": parse("int4"),
        "depth": 8,
        "bias": parse("int8"),
        "requantize": "multiplier",
        "multiplier_bits": 8,
        "output": INT8,
        "a_zero_point": True,
        "w_zero_point": True,
        "y_zero_point": True,
    }
    return Spec(**{**fields, **changes})


def plain(**changes):
    """A spec that takes only a and w."""
    return Spec(**{"activations": parse("uint4"), "weights": parse("int4"), "depth": 8, **changes})


def arrays(**changes):
    """Arrays for `full`, K = 3 and N = 2; a change to None leaves one out."""
    given = {
        "a": np.array([[0, 15, 3], [1, 2, 14]]),
        "w": np.array([[-8, 7], [0, 1], [5, -3]]),
        "bias": np.array([-128, 127]),
        "multiplier": np.array([255, 1]),
        "shift": np.array([3, 62]),
        "y_zero_point": np.array([-7, 4]),
        "a_zero_point": 9,
        "w_zero_point": -2,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def only(a=((1, 2), (3, 4)), w=((1, -2), (3, -4)), **more):
    return {"a": np.array(a), "w": np.array(w), **more}


TAKES_ALL = (
    "it takes a, a_scale, a_zero_point, bias, multiplier, shift, w, w_scale, w_zero_point, y_scale, y_zero_point"
)
SHAPE = "must be a matrix with at least one element, not of shape"

ERRORS = [
    (plain(), {}, "a: array missing"),
    (plain(), {"a": np.eye(2, dtype=int)}, "w: array missing"),
    (plain(), {"w": np.eye(2, dtype=int)}, "a: array missing"),
    (full(), arrays(multiplier=None), "multiplier: array missing"),
    (full(), arrays(scale=1), f"scale: this design takes no such array; {TAKES_ALL}"),
    (plain(), only(z=1, b=1), "b: this design takes no such array; it takes a, w"),
    (plain(), only(bias=0), "bias: this design takes no such array; it takes a, w"),
    (plain(), only(a_zero_point=0), "a_zero_point: this design takes no such array; it takes a, w"),
    (plain(), only(a=3), f"a {SHAPE} []"),
    (plain(), only(a=[1, 2]), f"a {SHAPE} [2]"),
    (plain(), only(w=[[[1]]]), f"w {SHAPE} [1, 1, 1]"),
    (plain(), only(a=np.zeros((0, 2), int)), f"a {SHAPE} [0, 2]"),
    (plain(), only(w=np.zeros((2, 0), int)), f"w {SHAPE} [2, 0]"),
    (plain(), only(a=[[1.0, 2.0]]), "a must hold integer codes, not float64"),
    (plain(), only(a=[[np.nan, 2.0]]), "a must hold integer codes, not float64"),
    (plain(), only(w=np.ones((2, 2), np.float32)), "w must hold integer codes, not float32"),
    (plain(), only(a=[[True, False]]), "a must hold integer codes, not bool"),
    (plain(), only(a=np.array([[1, 2]], object)), "a must hold integer codes, not object"),
    (plain(), only(a=[["1", "2"]]), "a must hold integer codes, not <U1"),
    (plain(), only(a=[[0, 1], [2, 16]]), "a[1, 1] is 16, outside uint4 [0, 15]"),
    (plain(), only(a=[[0, -1], [99, 16]]), "a[0, 1] is -1, outside uint4 [0, 15]"),
    (plain(), only(w=[[0, 1], [-9, 8]]), "w[1, 0] is -9, outside int4 [-8, 7]"),
    (plain(), only(a=np.array([[1, 2**64 - 1]], np.uint64)), "a[0, 1] is 18446744073709551615, outside uint4 [0, 15]"),
    (plain(weights=parse("bipolar")), only(w=[[1, -1], [0, 0]]), "w[0, 1] is -1, outside bipolar [0, 1]"),
    (plain(activations=parse("q1.3")), only(a=[[8, 0]]), "a[0, 0] is 8, outside q1.3 [-8, 7]"),
    (plain(), only(a=[[1, 2, 3]]), "a has K = 3 columns and w has K = 2 rows; they must be equal"),
    (plain(), only(a=[[1] * 9], w=[[1]] * 9), "a has K = 9; this design's depth is 8"),
    (full(), arrays(bias=[1, 2, 3]), "bias must be a scalar or have shape [2], not [3]"),
    (full(), arrays(bias=[[1, 2]]), "bias must be a scalar or have shape [2], not [1, 2]"),
    (full(), arrays(shift=[1]), "shift must be a scalar or have shape [2], not [1]"),
    (full(), arrays(bias=[0, 128]), "bias[1] is 128, outside int8 [-128, 127]"),
    (full(), arrays(bias=-129), "bias is -129, outside int8 [-128, 127]"),
    (full(), arrays(bias=0.5), "bias must hold integer codes, not float64"),
    (full(), arrays(multiplier=[1, 256]), "multiplier[1] is 256, outside uint8 [0, 255]"),
    (full(), arrays(multiplier=-1), "multiplier is -1, outside uint8 [0, 255]"),
    (full(), arrays(shift=[0, 63]), "shift[1] is 63, outside uint6 [0, 62]"),
    (full(), arrays(shift=63), "shift is 63, outside uint6 [0, 62]"),
    (full(), arrays(y_zero_point=[0, -129]), "y_zero_point[1] is -129, outside int8 [-128, 127]"),
    (full(), arrays(a_zero_point=16), "a_zero_point is 16, outside uint4 [0, 15]"),
    (full(), arrays(w_zero_point=[-9]), "w_zero_point is -9, outside int4 [-8, 7]"),
    (full(), arrays(w_zero_point=[1, 2]), "w_zero_point must be a scalar, not of shape [2]"),
    (full(), arrays(a_zero_point=1.5), "a_zero_point must hold integer codes, not float64"),
    (
        plain(accumulator_range=(-30, 45)),
        only(w=[[1, -2], [3, -1]]),
        "w can sum to -45..60, outside the accumulator_range [-30, 45] this design was built for",
    ),
]


@pytest.mark.parametrize(("spec", "given", "message"), ERRORS)
def test_errors(spec, given, message):
    with pytest.raises(ValueError) as error:
        operands(spec, given)
    assert str(error.value) == message


def test_a_promise_is_kept_at_its_bounds():
    for lo, hi in ((-45, 60), (-46, 61)):
        assert operands(plain(accumulator_range=(lo, hi)), only(w=[[1, -2], [3, -1]])).shape == (2, 2, 2)
    for lo, hi in ((-44, 60), (-45, 59)):
        with pytest.raises(ValueError, match="w can sum to -45..60"):
            operands(plain(accumulator_range=(lo, hi)), only(w=[[1, -2], [3, -1]]))


def test_a_promise_counts_the_zero_point_of_the_weights():
    spec = plain(accumulator_range=(0, 45), w_zero_point=True)
    assert operands(spec, only(w=[[-2], [-1]], w_zero_point=-3)).w_zero_point == -3
    with pytest.raises(ValueError) as error:
        operands(spec, only(w=[[-2], [-1]], w_zero_point=-4))
    assert str(error.value) == ("w can sum to 0..75, outside the accumulator_range [0, 45] this design was built for")


def test_arrays_as_given():
    given = operands(full(), arrays())
    assert given.shape == (2, 3, 2)
    assert (given.a_zero_point, given.w_zero_point) == (9, -2)
    assert {name: value.tolist() for name, value in given.parameters.items()} == {
        "bias": [-128, 127],
        "multiplier": [255, 1],
        "shift": [3, 62],
        "y_zero_point": [-7, 4],
    }
    assert {value.dtype for value in (given.a, given.w, *given.parameters.values())} == {np.dtype(np.int64)}


def test_defaults():
    given = operands(full(), arrays(bias=None, shift=None, y_zero_point=None, a_zero_point=None, w_zero_point=None))
    assert (given.a_zero_point, given.w_zero_point) == (0, 0)
    assert {name: value.tolist() for name, value in given.parameters.items()} == {
        "bias": [0, 0],
        "multiplier": [255, 1],
        "shift": [0, 0],
        "y_zero_point": [0, 0],
    }
    assert operands(plain(), only()).parameters == {}


def test_a_missing_shift_is_that_of_the_grids():
    spec = plain(activations=parse("uq2.2"), weights=parse("q1.3"), requantize="shift", output=parse("q6.2"))
    assert operands(spec, only()).parameters["shift"].tolist() == [3, 3]
    assert operands(spec, only(shift=1)).parameters["shift"].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, int])
def test_scalars_and_kinds_of_integers(dtype):
    given = operands(full(), arrays(bias=dtype(5), multiplier=dtype(9), shift=[dtype(2)] * 2, a_zero_point=[dtype(3)]))
    assert given.parameters["bias"].tolist() == [5, 5]
    assert given.parameters["multiplier"].tolist() == [9, 9]
    assert given.a_zero_point == 3


def test_a_parameter_array_is_not_shared():
    bias = np.array([1, 2])
    given = operands(full(), arrays(bias=bias))
    given.parameters["bias"][0] = 99
    assert bias.tolist() == [1, 2]


def test_an_npz_file(tmp_path):
    np.savez(tmp_path / "inputs.npz", **arrays())
    with np.load(tmp_path / "inputs.npz") as stored:
        from_file = operands(full(), stored)
    assert golden(full(), from_file).tolist() == golden(full(), operands(full(), arrays())).tolist()


def decode(codes, fmt):
    return 2 * codes - 1 if fmt == parse("bipolar") else codes


def plain_model(spec, given):
    """Accumulators and output codes in Python integers, from the arrays as a user gives them."""
    a = decode(given["a"], spec.activations) - given.get("a_zero_point", 0)
    w = decode(given["w"], spec.weights) - given.get("w_zero_point", 0)
    width, rule = (spec.accumulator, spec.accumulator_overflow) if spec.accumulator else (200, "wrap")
    totals = oracle.accumulate(a, w, spec.lanes, width, rule)
    names = {"bias": "bias", "multiplier": "multiplier", "shift": "shift", "y_zero_point": "zero_point"}
    columns = [
        {theirs: int(given[ours][n]) for ours, theirs in names.items() if ours in given} for n in range(w.shape[1])
    ]
    words = {
        "rounding": spec.rounding,
        "overflow": spec.overflow,
        "width": None if spec.output == parse("bipolar") else spec.output.width,
        "signed": spec.output.signed,
        "relu": spec.activation == "relu",
        "clip": spec.clip,
    }
    codes = [
        [oracle.requantize(acc, **words, **column) for acc, column in zip(line, columns, strict=True)]
        for line in totals
    ]
    return totals, codes


def test_one_example_by_hand():
    spec = full(rounding="half_up")
    given = arrays(a=np.array([[10, 8, 9]]), bias=np.array([1, 1]), multiplier=np.array([3, 1]), shift=np.array([1, 0]))
    assert accumulators(spec, operands(spec, given)).tolist() == [[-6 - 2, 9 - 3]]
    assert golden(spec, operands(spec, given)).tolist() == [[-10 - 7, 7 + 4]]


ENDS = [("uint8", "int8"), ("int4", "bipolar"), ("bipolar", "bipolar"), ("q2.3", "uint5"), ("int32", "uint32")]


@settings(derandomize=True, deadline=None, max_examples=250, database=None)
@given(
    st.data(), st.sampled_from(ENDS), st.sampled_from(ROUNDINGS), st.sampled_from(["int8", "uint5", "int40", "bipolar"])
)
def test_the_whole_model(data, formats, rounding, output):
    a_format, w_format = map(parse, formats)
    bipolar = output == "bipolar"
    spec = Spec(
        activations=a_format,
        weights=w_format,
        depth=12,
        lanes=data.draw(st.integers(1, 5)),
        accumulator=data.draw(st.sampled_from([None, 6, 14, 40])),
        accumulator_overflow=data.draw(st.sampled_from(["wrap", "saturate"])),
        bias=parse("int16"),
        requantize="multiplier",
        rounding=rounding,
        overflow="saturate" if bipolar else data.draw(st.sampled_from(["wrap", "saturate"])),
        activation="none" if bipolar else data.draw(st.sampled_from(["none", "relu"])),
        output=parse(output),
        a_zero_point=formats[0] != "bipolar",
        w_zero_point=formats[1] != "bipolar",
        y_zero_point=not bipolar,
    )
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    depth = data.draw(st.integers(1, 12))

    def codes(fmt, shape, top=None):
        return generator.integers(fmt.code_range[0], (fmt.code_range[1] if top is None else top) + 1, shape)

    given = {"a": codes(a_format, (2, depth)), "w": codes(w_format, (depth, 2))}
    given |= {name: codes(fmt, 2, 62 if name == "shift" else None) for name, fmt in spec.parameter_formats.items()}
    given["shift"] = generator.integers(0, 63, 2)
    zeros = {"a_zero_point": a_format, "w_zero_point": w_format}
    given |= {name: int(codes(fmt, ())) for name, fmt in zeros.items() if getattr(spec, name)}
    totals, expected = plain_model(spec, given)
    checked = operands(spec, given)
    assert accumulators(spec, checked).tolist() == totals
    assert golden(spec, checked).tolist() == expected
