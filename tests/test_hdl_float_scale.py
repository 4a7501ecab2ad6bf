"""The float32 requantizer, relu6 and tables in hardware, cycle by cycle against golden."""

from random import Random

import numpy as np
import pytest
from test_hdl_requantize import check, design, every_acc

from golden.formats import parse
from golden.ieee import FLOAT32
from golden.requantize import requantize
from hdl.requantize import require_hardware

VECTORS = 1500


def vectors(spec, seed):
    """Sums of every size with scales that are powers of two (ties), any number, or extreme."""
    random, bits = Random(seed), spec.accumulator_width
    found = []
    for _ in range(VECTORS):
        acc = random.randrange(-(1 << bits - 1), 1 << bits - 1) >> random.randrange(bits)
        acc = random.choice([acc, acc, acc, every_acc(spec)[0], every_acc(spec)[-1]])
        scale = random.choice(
            [2.0 ** random.uniform(-bits, 8), 2.0 ** random.randrange(-bits, 9), 3 * 2.0 ** random.randrange(-bits, 9)]
        )
        extreme = random.random() < 0.05
        pattern = random.choice(FLOAT32.code_range) if extreme else int(FLOAT32.encode(np.float32(scale)))
        others = {
            "bias": random.randrange(-32, 32),
            "y_zero_point": random.randint(*spec.y.code_range) // 4,
            "y_max": random.randrange(1 << spec.y.width - 1),
        }
        found.append((acc, {"scale": pattern} | {k: v for k, v in others.items() if k in spec.parameters}))
    return found


@pytest.mark.parametrize("output", ["int8", "uint8", "int16", "int3"])
@pytest.mark.parametrize("accumulator", [3, 7, 23, 24, 25, 26, 31, 32, 33, 40])
def test_float32(accumulator, output):
    """Sums below, at and above 24 bits, which need no first cut, and above 32, which wrap."""
    spec = design(accumulator, requantize="float32", bias="int6", output=output, y_zero_point=True)
    check(spec, vectors(spec, accumulator))


def inner_ties():
    """Sums, and products, halfway between two float32 numbers, of which the even one ends in a tie of its own.

    Ties to even twice give an even q; a first tie that goes up makes it q + 1.
    """
    for q in range(0, 120, 2):
        places = next(j for j in range(30) if (2 * q + 1) << j >= 1 << 24)
        odd = ((2 * q + 1) << places) + 1
        for sign in (1, -1):
            yield sign * odd, np.float32(2.0 ** -(places + 1)), sign * q
            for factor in (3, 5, 7, 11, 13):
                if odd % factor == 0:
                    yield sign * factor, np.float32(odd // factor * 2.0 ** -(places + 1)), sign * q


def test_ties_within():
    spec = design(28, requantize="float32", output="int8")
    cases = list(inner_ties())
    assert {abs(acc) < 16 for acc, _, _ in cases} == {True, False}
    assert all(requantize(acc, spec, scale=int(FLOAT32.encode(scale))) == code for acc, scale, code in cases)
    check(spec, [(acc, {"scale": int(FLOAT32.encode(scale))}) for acc, scale, _ in cases])


@pytest.mark.parametrize("requantizer", ["float32", "shift"])
def test_relu6(requantizer):
    spec = design(20, requantize=requantizer, bias="int6", output="int8", y_zero_point=True, activation="relu6")
    cases = vectors(spec, 2)
    if requantizer == "shift":
        cases = [(acc, {"shift": p["scale"] % 20} | {k: p[k] for k in p if k != "scale"}) for acc, p in cases]
    check(spec, cases, stall=0.2)


def test_dut_without_bias_or_zero_point_and_held():
    spec = design(28, requantize="float32", output="int8", clip=(-100, 50))
    check(spec, vectors(spec, 3), stall=0.4)


@pytest.mark.parametrize(
    ("inner", "output"), [("int8", "uint8"), ("uint4", "int6"), ("int10", "int12"), ("int3", "bipolar")]
)
def test_tables(inner, output):
    """Every entry is read, through a clip and a zero point, with pauses."""
    random, fmt, inner = Random(4), parse(output), parse(inner)
    table = tuple(random.randint(*fmt.code_range) for _ in range(1 << inner.width))
    fields = {"table": table, "table_input": inner, "output": output, "y_zero_point": True}
    spec = design(12, requantize="shift", **fields)
    zero_points = range(*inner.code_range)
    check(spec, [(acc, {"shift": 0, "y_zero_point": random.choice(zero_points)}) for acc in every_acc(spec)], stall=0.1)


def test_a_large_table():
    """65536 entries: constants, not that many cases."""
    table = tuple(code * 7919 % 256 for code in range(1 << 16))
    spec = design(18, requantize="none", table=table, table_input=parse("int16"), output="uint8")
    random = Random(5)
    check(spec, [(random.randrange(-(1 << 17), 1 << 17), {}) for _ in range(500)])


def test_float64_has_no_hardware_and_says_what_has():
    spec = design(20, requantize="float64_away", output="int8")
    with pytest.raises(ValueError) as error:
        require_hardware(spec)
    assert str(error.value) == (
        "requantize 'float64_away' is golden only; the nearest rule that hardware has is multiplier with "
        "multiplier_bits 32 and rounding half_away"
    )
