"""Every pair of kinds of formats on every kind of array: a design, or one line that says why there is none."""

from itertools import product

import pytest

from golden.checks import ARRAYS
from golden.formats import parse
from golden.minifloat import MINIFLOATS
from golden.spec import Spec
from hdl.kinds import kind_of
from hdl.multiply import dot_product
from hdl.requantize import require_hardware

NAMES = ["int1", "int4", "int8", "int32", "int33", "uint1", "uint8", "q3.4", "uq0.8", "bipolar", "ternary"]
NAMES += ["sm2", "sm4", "sm32", "pot2", "pot4", "pot6", "apot3", "apot5", "apot7"]
NAMES += ["codebook1", "codebook4", "codebook2_uint4", "codebook8_int33", *MINIFLOATS]


def design_of(array, activations, weights, lanes, rows):
    """The spec, checked for hardware. Raises ValueError."""
    fields = {"rows": rows, "cols": 2, "lanes": lanes, "depth": 4, "output": parse("int8"), "requantize": "shift"}
    spec = Spec(activations=parse(activations), weights=parse(weights), array=array, **fields)
    require_hardware(spec)
    return spec


def refusal(array, activations, weights, lanes, rows):
    """What is said of a pair that has no design; empty for one that has."""
    try:
        spec = design_of(array, activations, weights, lanes, rows)
    except ValueError as error:
        return str(error)
    assert "a" in set(kind_of(spec).inputs(spec)) and dot_product(spec).latency >= 1
    return ""


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("array", ARRAYS)
def test_each_pair_is_a_design_or_has_a_reason(array, lanes):
    rows = next(rows for rows in (2, 1) if not refusal(array, "int8", "int8", lanes, rows))
    refused = {(a, w): line for a, w in product(NAMES, NAMES) if (line := refusal(array, a, w, lanes, rows))}
    for pair, line in refused.items():
        assert "\n" not in line and 20 < len(line) < 200 and line[0].islower(), pair
        assert any(name in line for name in pair), "the line names the format"
    if array == ARRAYS[0]:
        no_design = {"int33", "codebook8_int33"}
        expected = {
            (a, w)
            for a, w in product(NAMES, NAMES)
            if a.startswith("codebook") or {a, w} & no_design or (lanes > 1 and a == "bipolar" and w[:8] == "codebook")
        }
        assert set(refused) == expected
