"""The spare code of ternary: no operand, zero in hardware; a decoder that counts it is found and named."""

import json

import numpy as np
import oracle
import pytest
from commands import command, done, refusal
from icarus import in_icarus
from simulation import missing

from golden.formats import Ternary, parse
from golden.spec import Spec
from golden.tensors import golden, operands, received, spare_codes
from hdl import decode
from hdl.verilog import to_verilog
from sim.diagnose import diagnose

NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
SHAPES = {
    "output_stationary": {"rows": 2, "cols": 3, "lanes": 2},
    "weight_stationary": {"rows": 2, "cols": 3, "lanes": 2, "pass_rows": 4},
    "vector": {"rows": 1, "cols": 3, "lanes": 2},
    "matrix_vector": {"rows": 1, "cols": 3, "lanes": 2},
}
PAIRS = {"weights": ("int4", "ternary"), "activations": ("ternary", "int3"), "both": ("ternary", "ternary")}
AS_INTEGER = decode.as_integer


def design(array="output_stationary", pair="weights", **fields):
    formats = dict(zip(("activations", "weights"), map(parse, PAIRS[pair]), strict=True))
    return Spec(**formats, array=array, depth=9, name="spare", **SHAPES[array], **fields)


def codes(fmt, shape, seed):
    """Random codes, the spare one among those of ternary."""
    lo, hi = fmt.code_range
    return np.random.default_rng(seed).integers(-2 if isinstance(fmt, Ternary) else lo, hi, shape, endpoint=True)


def arrays_of(spec):
    return {"a": codes(spec.activations, (5, 9), 1), "w": codes(spec.weights, (9, 7), 2)}


def plant(monkeypatch, integer):
    """A decoder that looks at the sign bit alone (-1), or at none (-2)."""

    def planted(code, fmt):
        if not isinstance(fmt, Ternary):
            return AS_INTEGER(code, fmt)
        return code[1:].as_signed() | code[0] if integer == -1 else code.as_signed()

    monkeypatch.setattr(decode, "as_integer", planted)


def by_hand(spec, arrays, integer):
    """The product in plain Python, the spare code counting as told."""
    values = []
    for name, fmt in (("a", spec.activations), ("w", spec.weights)):
        spare = -2 if isinstance(fmt, Ternary) else None
        rows = [[integer if code == spare else code for code in row] for row in arrays[name].tolist()]
        values.append(np.array(rows, object))
    return oracle.product(*values)


@NEEDS_ICARUS
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("array", SHAPES)
def test_hardware_takes_it_for_zero(array, pair, tmp_path):
    spec = design(array, pair)
    arrays = arrays_of(spec)
    given = received(spec, arrays)
    assert golden(spec, given).tolist() == by_hand(spec, arrays, 0)
    (y,), _ = in_icarus(spec, [given], tmp_path, to_verilog(spec))
    assert y.tolist() == by_hand(spec, arrays, 0)
    assert diagnose(spec, given, y).count == 0


@NEEDS_ICARUS
@pytest.mark.parametrize("integer", [-1, -2])
@pytest.mark.parametrize("pair", ["weights", "activations"])
@pytest.mark.parametrize("array", SHAPES)
def test_a_decoder_that_counts_it_is_named(array, pair, integer, tmp_path, monkeypatch):
    spec = design(array, pair, accumulator=16, output=parse("int16"))  # for sums of -2, which no ternary reaches
    arrays = arrays_of(spec)
    plant(monkeypatch, integer)
    given = received(spec, arrays)
    (y,), _ = in_icarus(spec, [given], tmp_path, to_verilog(spec))
    assert y.tolist() == by_hand(spec, arrays, integer)
    found = diagnose(spec, given, y)
    assert (found.step, found.cause) == ("decode", f"the spare ternary code of {pair} counts as {integer}")
    assert found.explained == found.compared == y.size


def test_the_place_of_each():
    spec = design(pair="both", residual=2, residual_of="activations")
    arrays = {name: np.zeros(shape, int) for name, shape in (("a", (2, 3)), ("a_residual", (2, 3)), ("w", (3, 2)))}
    arrays["a_residual"][1, 2] = arrays["w"][0, 1] = arrays["w"][2, 0] = -2
    places = spare_codes(spec, received(spec, arrays))
    assert {name: found.tolist() for name, found in places.items()} == {"w": [[0, 1], [2, 0]], "a_residual": [[1, 2]]}
    assert spare_codes(spec, operands(spec, {name: 0 * array for name, array in arrays.items()})) == {}


def test_of_residual_codes_too():
    spec = design(residual=2)
    arrays = {**arrays_of(spec), "w_residual": codes(spec.weights, (9, 7), 3)}
    w = [np.where(arrays[name] == -2, -1, arrays[name]) for name in ("w", "w_residual")]
    found = diagnose(spec, received(spec, arrays), arrays["a"] @ (4 * w[0] + w[1]))
    assert found.cause == "the spare ternary code of weights counts as -1"


@pytest.mark.parametrize("w_packing", ["codes", "trits"])
def test_it_is_no_operand(w_packing):
    spec = design(w_packing=w_packing)
    arrays = arrays_of(spec) | {"w": np.full((9, 7), -2)}
    with pytest.raises(ValueError, match=r"^w\[0, 0\] is -2, outside ternary \[-1, 1\]$"):
        operands(spec, arrays)
    if w_packing == "trits":
        with pytest.raises(ValueError, match=r"^w\[0, 0\] is -2, outside ternary \[-1, 1\]$"):
            received(spec, arrays)


def test_what_lies_beyond_two_bits_is_refused_as_ever():
    spec = design()
    with pytest.raises(ValueError, match=r"^w\[0, 0\] is -3, outside ternary \[-2, 1\]$"):
        received(spec, arrays_of(spec) | {"w": np.full((9, 7), -3)})


def test_a_dump_that_holds_it(tmp_path, monkeypatch):
    """Refused where operands are given; a board's own dump is explained."""
    monkeypatch.chdir(tmp_path)
    spec = design()
    arrays = arrays_of(spec)
    flags = ("--activations", "int4", "--weights", "ternary", "--rows", 2, "--cols", 3, "--lanes", 2, "--depth", 9)
    done("generate", *flags, "--out", "x")
    np.savez("layer.npz", **arrays)
    index = np.argwhere(arrays["w"] == -2)[0].tolist()
    refused = refusal(tmp_path, "simulate", "x", "--inputs", "layer.npz")
    assert refused == f"layer.npz: w{index} is -2, outside ternary [-1, 1]"
    for integer, code in ((0, 0), (-1, 1)):
        np.savez("dump.npz", y=np.array(by_hand(spec, arrays, integer), np.int64), **arrays)
        told = command("compare", "x", "--hardware", "dump.npz")
        assert told.code == code
        spares = int((arrays["w"] == -2).sum())
        assert f"dump.npz: {spares} spare codes of ternary in w, first w{index}: hardware takes it for 0" in told.out
        assert ("decode: the spare ternary code of weights counts as -1" in told.out) == bool(code)
    (result,) = json.loads(command("compare", "x", "--hardware", "dump.npz", "--json").out)["results"]
    assert result["spare_codes"] == {"w": spares}
