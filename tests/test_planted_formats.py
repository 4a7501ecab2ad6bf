"""Faults planted in what decodes each format, or looks it up: simulated, they are found and named.

Those of ternary are in tests/test_sim_spare_codes.py, those of blocks in tests/test_planted_blocks.py.
"""

import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Mux
from icarus import in_icarus
from planting import planted
from simulation import missing

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from hdl import decode, multiply
from hdl.verilog import to_verilog
from sim.diagnose import diagnose
from sim.stimulus import random_arrays

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
FLOAT_PARTS, SHIFT_LEFT, POWER_OF_FOUR = decode.float_parts, decode.shift_left, decode.power_of_four


def design(activations, weights):
    formats = {"activations": parse(activations), "weights": parse(weights)}
    return Spec(**formats, rows=2, cols=3, lanes=2, depth=12, name="planted")


def stimulus(spec, plant):
    """Random codes; of weights none with the largest exponents where a fault doubles them, so that there is room."""
    arrays = random_arrays(spec, m=5, k=11, n=7, seed=6)
    if plant in (bias_too_small, power_too_large):
        arrays["w"] = arrays["w"] & ~(1 << spec.weights.width - 2)
    return operands(spec, arrays)


def with_bias(spec, monkeypatch, change):
    """Exponents of weights by another bias: from (exponent field, shift) to another shift, for normal numbers."""

    def parts(code, fmt):
        significand, shift = FLOAT_PARTS(code, fmt)
        field = code[fmt.mantissa_bits : -1]
        return significand, change(field, shift) if fmt == spec.weights else shift

    for module in (decode, multiply):
        monkeypatch.setattr(module, "float_parts", parts)
    return to_verilog(spec)


def bias_too_small(spec, monkeypatch):
    return with_bias(spec, monkeypatch, lambda field, shift: field)


def bias_too_large(spec, monkeypatch):
    return with_bias(spec, monkeypatch, lambda field, shift: Mux(field > 1, shift - 1, 0)[: len(field)])


def power_too_large(spec, monkeypatch):
    """The power of two is not halved."""
    monkeypatch.setattr(multiply, "shift_left", lambda value, by: Cat(Const(0, 1), SHIFT_LEFT(value, by)))
    return to_verilog(spec)


def exponents_swapped(spec, monkeypatch):
    def fields(code, fmt):
        return decode.exponent_fields(code, fmt)[::-1]

    monkeypatch.setattr(multiply, "exponent_fields", fields)
    return to_verilog(spec)


def entry_too_high(spec, monkeypatch):
    return planted(spec, "codebook", r"told\[1\], codes(\[.*?\]) \}", r"told[1], codes\1 + 3'd1 }", spec.lanes)


def entry_off_by_one(spec, monkeypatch):
    return planted(spec, "codebook", r"<= told\[12:5\]", "<= told[12:5] + (told[4:2] == 3'd5)", 1)


BIAS = "the exponent bias of weights is one too"
PLANTS = [
    (bias_too_small, "int8 x float6_e2m3fn", f"{BIAS} small: normal numbers count double"),
    (bias_too_large, "int8 x float6_e3m2fn", f"{BIAS} large: normal numbers count half"),
    (bias_too_small, "float4_e2m1fn x float6_e3m2fn", f"{BIAS} small: normal numbers count double"),
    (bias_too_large, "float4_e2m1fn x float6_e2m3fn", f"{BIAS} large: normal numbers count half"),
    (power_too_large, "int8 x pot4", "exponents of weights are one too large"),
    (exponents_swapped, "int8 x apot5", "the two exponents of weights are swapped"),
    (entry_too_high, "int8 x codebook3", "codebooks are read one entry too high"),
    (entry_off_by_one, "int8 x codebook3", "entry 5 of codebooks counts one more"),
]


@pytest.mark.parametrize(("plant", "pair", "cause"), PLANTS, ids=lambda value: getattr(value, "__name__", " "))
def test_a_planted_bug_is_named(plant, pair, cause, tmp_path, monkeypatch):
    spec = design(*pair.split(" x "))
    given = stimulus(spec, plant)
    (right,), _ = in_icarus(spec, [given], tmp_path, to_verilog(spec))
    assert right.tolist() == golden(spec, given).tolist()
    (y,), _ = in_icarus(spec, [given], tmp_path, plant(spec, monkeypatch))
    found = diagnose(spec, given, y)
    assert found.count == np.sum(y != right) > 0
    assert (found.step, found.cause, found.explained) == ("decode", cause, y.size)
