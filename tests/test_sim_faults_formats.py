"""Misread operands of each kind of format: planted, found and named; and stimulus that would show them."""

import numpy as np
import pytest

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import golden, operands
from sim.diagnose import diagnose
from sim.faults_formats import misreadings
from sim.hypotheses import hypotheses
from sim.machine import Machine
from sim.stimulus import random_arrays, separates

PAIRS = [
    *(("int8", "sm4"), ("sm5", "int4"), ("uint8", "ternary"), ("int8", "pot4"), ("pot3", "sm3"), ("bipolar", "pot5")),
    *(("float4_e2m1fn", "float6_e2m3fn"), ("float8_e4m3fn", "float8_e5m2"), ("float6_e3m2fn", "int8")),
    *(("int8", "apot5"), ("apot3", "int4"), ("apot7", "apot3")),
]
EACH = pytest.mark.parametrize(("activations", "weights"), PAIRS)


def product(activations, weights):
    fields = {"requantize": "shift", "bias": parse("int32"), "output": parse("int8")}
    spec = Spec(activations=parse(activations), weights=parse(weights), rows=4, cols=3, lanes=2, depth=9, **fields)
    return spec, operands(spec, random_arrays(spec, m=13, k=9, n=11, seed=2))


@EACH
def test_each_misreading_is_named(activations, weights):
    spec, given = product(activations, weights)
    machine, planted = Machine(spec, given), 0
    for hypothesis in hypotheses(machine):
        y = hypothesis.y(machine.window())
        if hypothesis.step != "decode" or np.array_equal(y, golden(spec, given)):
            continue
        found = diagnose(spec, given, y)
        assert found.step == "decode" and hypothesis.cause in (found.cause, *found.alternatives)
        assert found.explained == y.size
        planted += 1
    assert planted >= 4


@EACH
def test_the_stimulus_shows_every_misreading(activations, weights):
    spec, given = product(activations, weights)
    arrays = {"a": given.a, "w": given.w, **given.parameters}
    causes = {
        cause
        for name, fmt in (("activations", spec.activations), ("weights", spec.weights))
        for _, cause, _ in misreadings(name, fmt)
    }
    assert causes and not causes & set(separates(spec, arrays))


@pytest.mark.parametrize("name", ["sm4", "pot4", "apot5", "apot7", "float4_e2m1fn", "float8_e4m3fn", "float8_e5m2"])
def test_misreadings_misread(name):
    """Each fault gives other integers for some code; nothing is named twice."""
    fmt = parse(name)
    codes = np.arange(1 << fmt.width)
    codes = codes[fmt.is_number(codes)] if name.startswith("float") else codes
    faults = [(cause, decode(codes, 0)) for _, cause, decode in misreadings("weights", fmt)]
    assert all((integers != fmt.decode(codes)).any() for _, integers in faults)
    assert len({cause for cause, _ in faults}) == len({tuple(integers) for _, integers in faults}) == len(faults)


def test_minifloats_by_hand():
    """float4_e2m1fn in halves: code 1 is a subnormal 1, code 3 is 3, code 11 is -3."""
    faults = {cause: decode for _, cause, decode in misreadings("weights", parse("float4_e2m1fn"))}
    codes = np.array([0, 1, 3, 5, 11])
    assert faults["exponents of weights are one too large"](codes, 0).tolist() == [0, 2, 6, 12, -6]
    assert faults["subnormal weights count as zero"](codes, 0).tolist() == [0, 0, 3, 6, -3]
    assert faults["subnormal weights are read as normal numbers"](codes, 0).tolist() == [2, 3, 3, 6, -3]
    assert faults["mantissas of weights lack their leading one"](codes, 0).tolist() == [0, 1, 1, 2, -1]
