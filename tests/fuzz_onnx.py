"""Damaged ONNX models: `python tests/fuzz_onnx.py --seconds 60 --seed 1` reads them until the time is over.

Each is a sound model with the changes that its seed says, of its fields or of its bytes, so a model and a seed name a
file. Reading must give a network or a ValueError of one line, soon and in little memory; a network must run and be
written, or refuse to in one line. What onnx's own evaluator runs too must come out the same. Anything else is printed,
and the exit code is 1.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]
from fuzzing import check_line, hunt  # noqa: E402
from onnx_cases import models  # noqa: E402
from onnx_models import reference  # noqa: E402

from network.dynamic import RealEntry  # noqa: E402
from network.float_network import FloatNetwork  # noqa: E402
from network.onnx.flavour import flavour  # noqa: E402
from network.onnx.read_dynamic import read_dynamic  # noqa: E402
from network.onnx.read_float import read_float  # noqa: E402
from network.onnx.read_qdq import read_qdq  # noqa: E402
from network.onnx.read_qoperator import read_qoperator  # noqa: E402
from network.qdq.write import qdq  # noqa: E402
from network.qdq.write_dynamic import dynamic_onnx  # noqa: E402
from network.qonnx.read import read_qonnx  # noqa: E402

READERS = {
    **{"float": read_float, "qdq": read_qdq, "qoperator": read_qoperator, "qonnx": read_qonnx},
    "dynamic": read_dynamic,
}
RUN_ELEMENTS = 1 << 16
TOLERANCE = 0.1
COMPARABLE = (1e-6, 1e6)
LONGEST_BIAS = 1 << 30
INTEGERS = (-(1 << 63), -(1 << 31), -129, -2, -1, 0, 1, 2, 3, 4, 5, 8, 127, 255, 1 << 16, 1 << 31, (1 << 63) - 1)
REALS = (0.0, -0.0, -1.0, 0.5, 1.0, 3e38, 1e-45, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "y\n", "../../a", "a'b\"c", "\u202e", "Conv", "Relu", "Reshape", "Identity", "Constant", "If")
TEXTS += ("NOTSET", "SAME_LOWER", "VALID", "ai.onnx", "com.microsoft")


def mutated(content: bytes, seed: int) -> bytes:
    """The file after one change of its fields, or few; in one of seven cases of its bytes as well."""
    draw = np.random.default_rng(seed)
    model = onnx.ModelProto.FromString(content)
    for _ in range(int(draw.geometric(0.7))):
        CHANGES[int(draw.integers(len(CHANGES)))](draw, model)
    data = bytearray(model.SerializeToString())
    if draw.random() < 0.15:
        for _ in range(int(draw.integers(1, 5))):
            data[int(draw.integers(len(data)))] ^= 1 << int(draw.integers(8))
        if draw.random() < 0.2:
            del data[int(draw.integers(len(data))) :]
    return bytes(data)


def _one(draw, values):
    values = list(values)
    return values[int(draw.integers(len(values)))] if values else None


def _any_field(draw, model):
    """A field anywhere, set to another value of its type, or left out."""
    message = _one(draw, _messages(model))
    fields = [field for field in message.DESCRIPTOR.fields if field.cpp_type != field.CPPTYPE_MESSAGE]
    field = _one(draw, fields)
    if field is None:
        return
    value = _value(draw, field)
    if not field.is_repeated:
        setattr(message, field.name, value)
        return
    values = getattr(message, field.name)
    if len(values) and draw.random() < 0.8:
        values[int(draw.integers(len(values)))] = value
    else:
        values.append(value)


def _messages(message):
    """All messages within a model."""
    yield message
    for field, value in message.ListFields():
        if field.cpp_type == field.CPPTYPE_MESSAGE:
            for one in value if field.is_repeated else [value]:
                yield from _messages(one)


def _value(draw, field):
    kind = field.cpp_type
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return float(_one(draw, REALS))
    if kind == field.CPPTYPE_STRING:
        return _one(draw, TEXTS) if field.type == field.TYPE_STRING else _one(draw, TEXTS).encode()
    if kind == field.CPPTYPE_ENUM:
        return _one(draw, field.enum_type.values).number
    value = int(_one(draw, INTEGERS))
    narrow = {field.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1), field.CPPTYPE_UINT64: (0, (1 << 64) - 1)}.get(kind)
    return value if narrow is None else min(max(value, narrow[0]), narrow[1])


def _attribute(draw, model):
    """Another number or text in an attribute of a node, or an attribute of another node."""
    node = _one(draw, model.graph.node)
    attribute = _one(draw, node.attribute)
    if attribute is None or draw.random() < 0.2:
        other = _one(draw, _one(draw, model.graph.node).attribute)
        if other is not None:
            node.attribute.append(other)
    elif attribute.type == attribute.INT:
        attribute.i = int(_one(draw, INTEGERS[4:14]))
    elif attribute.type == attribute.INTS:
        place = int(draw.integers(len(attribute.ints))) if attribute.ints else 0
        attribute.ints[place : place + 1] = [int(_one(draw, INTEGERS[4:14]))]
    elif attribute.type == attribute.FLOAT:
        attribute.f = float(_one(draw, REALS))
    else:
        attribute.s = _one(draw, TEXTS).encode()


def _operator(draw, model):
    one, other = _one(draw, model.graph.node), _one(draw, model.graph.node)
    one.op_type = other.op_type if draw.random() < 0.7 else _one(draw, TEXTS)


def _input(draw, model):
    """An input read from elsewhere, left out or added."""
    node, other = _one(draw, model.graph.node), _one(draw, model.graph.node)
    names = [*other.input, *other.output, *node.output, "", "x"]
    if not node.input or draw.random() < 0.3:
        node.input.append(_one(draw, names))
    elif draw.random() < 0.2:
        del node.input[-1]
    else:
        node.input[int(draw.integers(len(node.input)))] = _one(draw, names)


def _order(draw, model):
    """A node left out, twice, or elsewhere."""
    nodes = list(model.graph.node)
    place, target = (int(draw.integers(len(nodes))) for _ in range(2))
    taken = nodes.pop(place) if draw.random() < 0.7 else nodes[place]
    if draw.random() < 0.7:
        nodes.insert(target, taken)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _constant(draw, model):
    """A constant of another shape or type, damaged, of other numbers, or of those of another."""
    tensor, other = _one(draw, model.graph.initializer), _one(draw, model.graph.initializer)
    what = int(draw.integers(5))
    if what == 0 and tensor.dims:
        tensor.dims[int(draw.integers(len(tensor.dims)))] = int(_one(draw, INTEGERS))
    elif what == 1:
        tensor.data_type = int(_one(draw, TensorProto.DataType.values()))
    elif what == 2:
        tensor.raw_data = tensor.raw_data[: int(draw.integers(len(tensor.raw_data) + 1))]
    elif what == 3 and len(tensor.raw_data) > 3 and tensor.data_type == TensorProto.FLOAT:
        data = np.frombuffer(tensor.raw_data[: len(tensor.raw_data) // 4 * 4], np.float32).copy()
        data[int(draw.integers(len(data)))] = np.float32(_one(draw, REALS))
        tensor.raw_data = data.tobytes()
    else:
        name = tensor.name
        tensor.CopyFrom(other)
        tensor.name = name


CHANGES = (_any_field, _any_field, _attribute, _attribute, _operator, _input, _input, _order, _constant, _constant)


def outcome(name: str, content: bytes, seed: int) -> str:
    """What became of a damaged file. Raises AssertionError for several lines, and whatever else is raised."""
    try:
        model = onnx.ModelProto.FromString(mutated(content, seed))
    except DecodeError:
        return "no model"
    kind = flavour(model)
    how = {"platform": "onnx-reference"} if kind == "qoperator" and name.startswith("reference") else {}
    try:
        network = READERS[kind](model, **how)
    except ValueError as error:
        check_line(error)
        return "refused"
    return check_runs(network, model, exact=bool(how))


def check_runs(network, model, exact) -> str:
    """Three examples, if small, go through as they do in the evaluator, if it takes them; else in one line."""
    products = network.linears if isinstance(network, FloatNetwork) else network.on_arrays
    weights = [layer.w if isinstance(network, FloatNetwork) else layer.arrays["w"] for layer in products]
    if int(np.prod(network.shape)) > RUN_ELEMENTS or sum(w.size for w in weights) > RUN_ELEMENTS:
        return "read, large"
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 3
    x = np.random.default_rng(1).normal(0, 2, (min(max(batch, 1), 9), *network.shape)).astype(np.float32)
    try:
        with np.errstate(all="ignore"):
            found = network.run(x)
        if not isinstance(network, FloatNetwork):
            (dynamic_onnx if isinstance(network.entry, RealEntry) else qdq)(network)
    except ValueError as error:
        check_line(error)
        return "read, refused to run"
    return check_equal(network, model, x, found, exact)


def check_equal(network, model, x, found, exact) -> str:
    """Equal codes where both have one rule; else near, as rounding and a platform's additions are told apart.

    The evaluator casts quotients beyond 32 bits to other codes than saturated ones, and its sums do not wrap: extreme
    scales and biases are left out.
    """
    if not exact and any(_is_extreme(tensor) for tensor in model.graph.initializer):
        return "read, extreme"
    try:
        expected = reference(model, x)
    except Exception:  # the evaluator has no rules for what it raises
        return "read"
    if not np.isfinite(expected).all() or not np.isfinite(found).all():
        return "read, not finite"
    assert found.shape == expected.shape, f"shape {found.shape}, the evaluator's is {expected.shape}"
    if isinstance(network, FloatNetwork):
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max()), "other numbers"
    elif exact:
        assert found.tolist() == expected.tolist(), "other codes"
    else:
        assert (np.abs(found - expected) > TOLERANCE * np.ptp(expected)).mean() < 0.2, "other numbers"
    return "read, equal"


def _is_extreme(tensor):
    if tensor.data_type == TensorProto.INT32:
        return bool((np.abs(onnx.numpy_helper.to_array(tensor).astype(np.int64)) > LONGEST_BIAS).any())
    if tensor.data_type != TensorProto.FLOAT:
        return False
    values = np.abs(onnx.numpy_helper.to_array(tensor))
    lo, hi = COMPARABLE
    return bool(((values > hi) | ((values < lo) & (values > 0))).any())


def main():
    return hunt(__doc__, {name: model.SerializeToString() for name, model in models().items()}, outcome)


if __name__ == "__main__":
    sys.exit(main())
