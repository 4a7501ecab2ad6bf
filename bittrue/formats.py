"""What `bittrue formats` lists: the number formats, and how an element multiplies each pair of them."""

from math import ldexp

from golden.formats import Bipolar, Format, Ternary, parse
from golden.minifloat import MINIFLOATS, MiniFloat
from golden.spec import Spec
from hdl.multiply import BinaryDot, DspDot, FloatDot, PlaneDot, ShiftDot, SignDot, TwoShiftDot, dot_product

LISTED = ("int8", "uint8", "q3.4", "uq0.8", "bipolar", "ternary", "sm4", "pot4", "apot5", *MINIFLOATS)
FAMILIES = {
    "int8": "int1..int32",
    "uint8": "uint1..uint32",
    "q3.4": "qI.F",
    "uq0.8": "uqI.F",
    "sm4": "sm2..sm32",
    "pot4": "pot2..pot6",
    "apot5": "apot3, apot5, apot7",
}
PAIRED = ("int8", "int4", "bipolar", "ternary", "sm4", "pot4", "apot5", "float8_e4m3fn", "float4_e2m1fn")
ELEMENTS = {
    BinaryDot: "xor",
    SignDot: "sign",
    ShiftDot: "shift",
    TwoShiftDot: "shifts",
    FloatDot: "float",
    PlaneDot: "planes",
    DspDot: "multiply",
}
LEGEND = (
    "xor: XOR and a count; sign: added or subtracted; shift: by the power of two; shifts: by both, added; "
    "float: short significands, products shifted to one grid; planes: sums of bit planes; multiply: one * per product, "
    "for DSP blocks"
)


def described(name):
    """(names, example, bits, smallest, largest, step, codes of a special kind) of a format, as text."""
    fmt: Format = parse(name)
    lo, hi = (ldexp(end, -fmt.fraction) for end in fmt.decoded_range)
    step = 2 if isinstance(fmt, Bipolar) else ldexp(1, -fmt.fraction)
    return (
        FAMILIES.get(name, name),
        name,
        str(fmt.width),
        *(f"{number:.17g}" for number in (lo, hi, step)),
        specials(fmt),
    )


def specials(fmt: Format):
    """Codes that are not just a number."""
    if isinstance(fmt, Bipolar):
        return "no zero"
    if isinstance(fmt, Ternary):
        return "spare code -2"
    if isinstance(fmt, MiniFloat):
        return {
            "none": "two zeros",
            "fn": "two zeros, 2 NaN",
            "ieee": "two zeros, 2 infinities, 6 NaN",
            "fnuz": "1 NaN",
        }[fmt.specials]
    zeros = int(fmt.decode(1 << fmt.width - 1) == 0) if fmt.code_range[0] == 0 else 0
    return "two zeros" if zeros else ""


def pairings():
    """Rows of [activations, element with each of PAIRED as weights]."""
    for a in PAIRED:
        specs = [Spec(activations=parse(a), weights=parse(w), output=parse("int8")) for w in PAIRED]
        yield a, *(ELEMENTS[type(dot_product(spec))] for spec in specs)


def listing():
    """All of it as plain data."""
    keys = ("names", "example", "bits", "smallest", "largest", "step", "special")
    rows = [dict(zip(keys, described(name), strict=True)) for name in LISTED]
    return {"formats": rows, "elements": {a: dict(zip(PAIRED, row, strict=True)) for a, *row in pairings()}}
