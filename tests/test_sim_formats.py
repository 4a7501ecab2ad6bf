"""Every pair of narrow formats with every pair of codes, and samples of wide ones, against plain Python integers."""

from fractions import Fraction
from itertools import product as every
from random import Random

import icarus
import numpy as np
import oracle
import pytest
from simulation import SIMULATORS, missing, replay_streams, verilog

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import operands
from sim.replay import build_bench

NARROW = [f"{kind}{width}" for kind in ("int", "uint") for width in (1, 2, 3, 4)] + ["bipolar"]
ROWS, COLS, LANES = 2, 4, 3
NEEDS_ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))


OTHERS = ["sm2", "sm3", "ternary", "pot2", "pot3", "pot4", "apot3", "apot5"]
OTHERS += ["float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"]
PARTNERS = ["int3", "uint2", "bipolar", "sm3", "ternary", "pot3", "float4_e2m1fn"]


def width_of(name):
    return 1 if name == "bipolar" else int(name.removeprefix("u").removeprefix("int"))


def codes_of(name):
    """Every code of a format."""
    if name == "ternary":
        return range(-1, 2)
    if name in VALUES:
        return range(len(VALUES[name]))
    width = width_of(name)
    return range(-(1 << width - 1), 1 << width - 1) if name.startswith("int") else range(1 << width)


def both_signs(values):
    """What codes with a sign bit above a magnitude stand for."""
    return [*values, *(-value for value in values)]


def float_values(exponent_bits, mantissa_bits, numbers=None):
    """Non-negative minifloats in units of the smallest one; the first `numbers` of them, the others being none."""
    steps = 2**mantissa_bits
    values = [f if e == 0 else (steps + f) << e - 1 for e in range(2**exponent_bits) for f in range(steps)]
    return both_signs(values[:numbers])


def additive_values(bits):
    """Sums of a term from 0, 2, 8, 32, ... and one from 0, 1, 4, 16, ..., fields of so many bits each."""
    terms = [0, *(4**e for e in range(2**bits - 1))]
    return both_signs([2 * first + second for first in terms for second in terms])


VALUES = {
    **{f"sm{width}": both_signs(range(2 ** (width - 1))) for width in (2, 3, 8)},
    **{f"pot{width}": both_signs([0, *(2**e for e in range(2 ** (width - 1) - 1))]) for width in (2, 3, 4, 6)},
    **{f"apot{2 * bits + 1}": additive_values(bits) for bits in (1, 2, 3)},
    "float4_e2m1fn": float_values(2, 1),
    "float6_e2m3fn": float_values(2, 3),
    "float6_e3m2fn": float_values(3, 2),
}


def decode_one(name, code):
    if name == "bipolar":
        return 2 * code - 1
    return VALUES[name][code] if name in VALUES else code


def decode(name, codes):
    return np.array([[decode_one(name, code) for code in row] for row in codes.tolist()], object)


def expected(a_name, w_name, a, w):
    """The product by plain Python integers."""
    return oracle.product(decode(a_name, a), decode(w_name, w))


def every_pair(a_name, w_name):
    """Products in which every pair of codes meets: alone, the other lanes being padding; and in each lane."""
    a, w = (np.array(codes_of(name)) for name in (a_name, w_name))
    yield a[:, None], w[None, :]
    yield (
        np.stack([np.roll(a, lane) for lane in range(LANES)], axis=1),
        np.stack([np.roll(w, 2 * lane) for lane in range(LANES)]),
    )


def random_pair(a_name, w_name, k, seed):
    random = Random(seed)
    a, w = ([random.choice(codes_of(name)) for _ in range(5 * k)] for name in (a_name, w_name))
    return np.array(a).reshape(5, k), np.array(w).reshape(k, 5)


def in_icarus(spec, products, folder, text=None, **stalls):
    """Outputs of each product by Icarus alone, of the design or its Verilog changed."""
    return icarus.in_icarus(spec, products, folder, text, **stalls)[0]


def under_cocotb(simulator):
    """Outputs of each product by either simulator, driven by cocotb."""

    def simulate(spec, products, folder):
        return replay_streams(build_bench(spec, verilog(spec), simulator), spec, products, folder)[0]

    return simulate


in_verilator = under_cocotb("verilator")


def check(a_name, w_name, simulate, folder):
    formats = {"activations": parse(a_name), "weights": parse(w_name)}
    spec = Spec(**formats, rows=ROWS, cols=COLS, lanes=LANES, depth=13, name="formats")
    products = [*every_pair(a_name, w_name), *(random_pair(a_name, w_name, k, seed=k) for k in (11, 13))]
    came = simulate(spec, [operands(spec, {"a": a, "w": w}) for a, w in products], folder)
    for number, ((a, w), y) in enumerate(zip(products, came, strict=True)):
        assert y.tolist() == expected(a_name, w_name, a, w), f"{a_name} x {w_name}, product {number}, K = {len(w)}"


@NEEDS_ICARUS
@pytest.mark.parametrize("w_name", NARROW)
@pytest.mark.parametrize("a_name", NARROW)
def test_every_pair_of_codes(a_name, w_name, tmp_path):
    check(a_name, w_name, in_icarus, tmp_path)


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_name", "w_name"), sorted({*every(OTHERS, PARTNERS), *every(PARTNERS, OTHERS)}))
def test_every_pair_of_codes_of_other_formats(a_name, w_name, tmp_path):
    check(a_name, w_name, in_icarus, tmp_path)


EIGHT_BITS = {"float8_e4m3fn": (4, 3, 127), "float8_e5m2": (5, 2, 124), "float8_e4m3fnuz": (4, 3, 128)}


@NEEDS_ICARUS
@pytest.mark.parametrize(
    ("a_name", "w_name"), [("int3", "apot7"), ("apot7", "uint2"), ("apot5", "apot5"), ("pot4", "apot5")]
)
def test_every_pair_of_codes_of_additive_powers_of_two(a_name, w_name, tmp_path):
    check(a_name, w_name, in_icarus, tmp_path)


@NEEDS_ICARUS
@pytest.mark.parametrize("w_name", [*EIGHT_BITS, "int8"])
@pytest.mark.parametrize("a_name", EIGHT_BITS)
def test_eight_bit_floats(a_name, w_name, tmp_path):
    check_eight_bits(a_name, w_name, in_icarus, tmp_path)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_eight_bit_floats_under_cocotb(simulator, tmp_path):
    check_eight_bits("float8_e4m3fn", "float8_e5m2", under_cocotb(simulator), tmp_path)


def check_eight_bits(a_name, w_name, simulate, folder):
    """Every number of both signs meets extremes and random partners; what is left of the exact sum fits 64 bits."""
    spec = Spec(
        activations=parse(a_name), weights=parse(w_name), rows=4, cols=3, lanes=2, depth=5, output=parse("int64")
    )
    random = Random(f"{a_name} {w_name}")

    def numbers(name):
        return sorted(EIGHT_NUMBERS.get(name, range(-128, 128)))

    a = np.array([code for code in numbers(a_name) for _ in range(2)])[:, None] * [1, 0, 0, 0, 0]
    a[:, 1:] = [[random.choice(numbers(a_name)[:40]) for _ in range(4)] for _ in a]
    w = np.array([[random.choice(numbers(w_name)) for _ in range(6)] for _ in range(5)])
    w[0, :2] = numbers(w_name)[0], numbers(w_name)[-1]
    (y,) = simulate(spec, [operands(spec, {"a": a, "w": w})], folder)
    rows = [[decode_eight(a_name, code) for code in row] for row in a.tolist()]
    columns = np.array([[decode_eight(w_name, code) for code in row] for row in w.tolist()], object)
    exact = oracle.product(np.array(rows, object), columns)
    assert y.tolist() == [[oracle.clamp(total, -(2**63), 2**63 - 1) for total in row] for row in exact]


EIGHT_NUMBERS = {
    name: [code + sign for sign in (0, 128) for code in range(numbers) if (code + sign, name[-2:]) != (128, "uz")]
    for name, (_, _, numbers) in EIGHT_BITS.items()
}


def decode_eight(name, code):
    if name not in EIGHT_BITS:
        return code
    exponent_bits, mantissa_bits, _ = EIGHT_BITS[name]
    return float_values(exponent_bits, mantissa_bits)[code]


def test_what_is_no_number_is_refused():
    spec = Spec(activations=parse("int3"), weights=parse("float8_e4m3fn"), name="formats")
    with pytest.raises(ValueError) as error:
        operands(spec, {"a": np.zeros((1, 2), int), "w": np.array([[0, 0], [126, 127]])})
    assert str(error.value) == "w[1, 1] is 127, which is no number in float8_e4m3fn"


SAMPLE = {
    *(("int3", "sm3"), ("ternary", "pot4"), ("uint4", "apot5"), ("float4_e2m1fn", "float6_e3m2fn")),
    *(("int4", "uint3"), ("uint1", "int1"), ("bipolar", "bipolar"), ("bipolar", "int4"), ("uint4", "bipolar")),
}
EVERY_PAIR = sorted({*every(NARROW, NARROW), *every(OTHERS, PARTNERS), *every(PARTNERS, OTHERS)} | SAMPLE)


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
@pytest.mark.parametrize(
    ("a_name", "w_name"),
    [pytest.param(*pair, marks=[] if pair in SAMPLE else [pytest.mark.long]) for pair in EVERY_PAIR],
)
def test_every_pair_of_codes_in_verilator(a_name, w_name, tmp_path):
    check(a_name, w_name, in_verilator, tmp_path)


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_name", "w_name"), sorted(SAMPLE))
def test_every_pair_of_codes_in_icarus_under_cocotb(a_name, w_name, tmp_path):
    check(a_name, w_name, under_cocotb("icarus"), tmp_path)


WIDE = [
    *(
        ("int8", "int8"),
        ("uint8", "int8"),
        ("int8", "uint8"),
        ("uint8", "uint8"),
        ("int5", "uint7"),
        ("uint6", "int13"),
    ),
    *(("int16", "int16"), ("uint16", "int16"), ("uint16", "uint16"), ("int11", "uint16"), ("bipolar", "int16")),
    *(("int32", "int2"), ("uint3", "int32"), ("int32", "uint24"), ("uint32", "bipolar"), ("uint31", "int24")),
]


def wide_codes(random, name, shape):
    """The extremes, their neighbours, zero and one, then random codes, in random order."""
    codes, count = codes_of(name), shape[0] * shape[1]
    some = [code for code in (codes[0], codes[-1], codes[0] + 1, codes[-1] - 1, 0, 1, -1) if code in codes]
    some += [random.choice(codes) for _ in range(count - len(some))]
    random.shuffle(some)
    return np.array(some).reshape(shape)


def check_wide(a_name, w_name, simulate, folder):
    spec = Spec(activations=parse(a_name), weights=parse(w_name), rows=2, cols=3, lanes=2, depth=5, name="formats")
    random = Random(f"{a_name} {w_name}")
    a, w = wide_codes(random, a_name, (6, 5)), wide_codes(random, w_name, (5, 7))
    (y,) = simulate(spec, [operands(spec, {"a": a, "w": w})], folder)
    assert y.tolist() == expected(a_name, w_name, a, w)


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_name", "w_name"), WIDE)
def test_wide_formats(a_name, w_name, tmp_path):
    check_wide(a_name, w_name, in_icarus, tmp_path)


@pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
def test_wide_formats_in_verilator(tmp_path):
    check_wide("uint31", "int24", in_verilator, tmp_path)


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_name", "w_name"), [("int32", "int32"), ("uint32", "uint32"), ("uint32", "int32")])
def test_widest_formats_scaled_down(a_name, w_name, tmp_path):
    fields = {"requantize": "shift", "rounding": "half_even", "output": parse("int60"), "name": "formats"}
    spec = Spec(activations=parse(a_name), weights=parse(w_name), rows=2, cols=3, lanes=2, depth=5, **fields)
    random = Random(f"{a_name} {w_name}")
    a, w = wide_codes(random, a_name, (6, 5)), wide_codes(random, w_name, (5, 7))
    shift = [0, 1, 6, 7, 8, 31, 62]
    given = operands(spec, {"a": a, "w": w, "shift": np.array(shift)})
    (y,) = in_icarus(spec, [given], tmp_path)
    rules = {"rounding": "half_even", "overflow": "saturate", "width": 60, "signed": True}
    assert y.tolist() == [
        [oracle.requantize(total, shift=bits, **rules) for total, bits in zip(row, shift, strict=True)]
        for row in expected(a_name, w_name, a, w)
    ]


FIXED_POINT = [
    *(("q3.4", "q2.3", "q6.2", "half_even"), ("uq2.4", "q1.5", "q3.3", "half_up"), ("q1.7", "uq0.4", "uq1.5", "floor")),
    *(
        ("uq4.0", "q2.2", "q5.2", "half_away"),
        ("bipolar", "q2.3", "q4.1", "toward_zero"),
        ("q2.2", "int3", "q4.1", "ceil"),
    ),
]


def value(name, code):
    """What a code of a fixed-point format stands for."""
    fraction = int(name.partition(".")[2] or 0)
    return Fraction(2 * code - 1 if name == "bipolar" else code, 1 << fraction)


@NEEDS_ICARUS
@pytest.mark.parametrize(("a_name", "w_name", "y_name", "rounding"), FIXED_POINT)
def test_fixed_point_values(a_name, w_name, y_name, rounding, tmp_path):
    """The real product, rounded to the grid of the output: no shift is given, the formats say it."""
    formats = {"activations": parse(a_name), "weights": parse(w_name), "output": parse(y_name)}
    spec = Spec(**formats, rows=2, cols=3, lanes=2, depth=3, requantize="shift", rounding=rounding, name="formats")
    random = Random(f"{a_name} {w_name}")
    a, w = (
        np.array([random.randint(*formats[name].code_range) for _ in range(3 * count)]).reshape(shape)
        for name, count, shape in (("activations", 12, (12, 3)), ("weights", 10, (3, 10)))
    )
    (y,) = in_icarus(spec, [operands(spec, {"a": a, "w": w})], tmp_path)
    lo, hi = formats["output"].code_range
    grid = 1 << int(y_name.partition(".")[2])

    def code(m, n):
        real = sum(value(a_name, int(x)) * value(w_name, int(y)) for x, y in zip(a[m], w[:, n], strict=True))
        return oracle.clamp(oracle.ROUND[rounding](real * grid), lo, hi)

    assert y.tolist() == [[code(m, n) for n in range(10)] for m in range(12)]
