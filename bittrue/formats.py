"""What `bittrue formats` lists: the number formats, and how an element multiplies each pair of them."""

from math import ldexp, prod

from golden.block_formats import NAMED_BLOCKS
from golden.formats import Bipolar, Codebook, Format, Ternary, parse
from golden.minifloat import MINIFLOATS, MiniFloat
from golden.scale_formats import PowerScale
from golden.spec import Spec
from hdl.multiply import BinaryDot, DspDot, FloatDot, PlaneDot, ShiftDot, SignDot, TwoShiftDot, dot_product
from hdl.requantize import require_hardware

LISTED = (
    "int8",
    "uint8",
    "q3.4",
    "uq0.8",
    "bipolar",
    "ternary",
    "sm4",
    "pot4",
    "apot5",
    "codebook4",
    "codebook4_int12",
    *MINIFLOATS,
)
FAMILIES = {
    "int8": "int1..int32",
    "uint8": "uint1..uint32",
    "q3.4": "qI.F",
    "uq0.8": "uqI.F",
    "sm4": "sm2..sm32",
    "pot4": "pot2..pot6",
    "apot5": "apot3, apot5, apot7",
    "codebook4": "codebook1..codebook8",
    "codebook4_int12": "codebookB_intN",
    "float8_e8m0fnu": "float8_e8m0fnu, e8m0",
}
SCALES = ("float8_e8m0fnu", "float16", "bfloat16", "float32")
BLOCK_KEYS = ("name", "elements", "block", "scale", "bits_per_element", "largest")
PAIRED = ("int8", "int4", "bipolar", "ternary", "sm4", "pot4", "apot5", "float8_e4m3fn", "float4_e2m1fn")
ONLY_WEIGHTS = ("codebook4",)
PAIRED_WEIGHTS = (*PAIRED, *ONLY_WEIGHTS)
LANES = 2
NONE = "-"
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
    "for DSP blocks; -: none, and bittrue generate says why"
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
    if isinstance(fmt, Codebook):
        return f"{fmt.entries} run-time entries"
    if isinstance(fmt, PowerScale):
        return "no zero, 1 NaN"
    if isinstance(fmt, MiniFloat):
        return {
            "none": "two zeros",
            "fn": "two zeros, 2 NaN",
            "ieee": f"two zeros, 2 infinities, {2 * ((1 << fmt.mantissa_bits) - 1)} NaN",
            "fnuz": "1 NaN",
        }[fmt.specials]
    zeros = int(fmt.decode(1 << fmt.width - 1) == 0) if fmt.code_range[0] == 0 else 0
    return "two zeros" if zeros else ""


def pairing(activations, weights):
    """(element, why there is none): the word of ELEMENTS for a pair of formats, or "-" and one line that says why."""
    try:
        spec = Spec(activations=parse(activations), weights=parse(weights), lanes=LANES, output=parse("int8"))
        require_hardware(spec)
    except ValueError as error:
        return NONE, str(error)
    return ELEMENTS[type(dot_product(spec))], ""


def described_block(name):
    """(name, element format, elements that share a scale, scale format, bits per element, largest) as text."""
    fmt = NAMED_BLOCKS[name]
    ends = (ldexp(part.decoded_range[1], -part.fraction) for part in (fmt.element, fmt.scale))
    return name, str(fmt.element), str(fmt.block), str(fmt.scale), f"{fmt.bits:g}", f"{prod(ends):.17g}"


def pairings():
    """Rows of [activations, element with each of PAIRED_WEIGHTS]."""
    for a in PAIRED:
        yield a, *(pairing(a, w)[0] for w in PAIRED_WEIGHTS)


def refused():
    """[activations, weights, why] of every pair listed that no element multiplies."""
    every = ((a, w, pairing(a, w)[1]) for a in (*PAIRED, *ONLY_WEIGHTS) for w in PAIRED_WEIGHTS)
    return [row for row in every if row[2]]


def listing():
    """All of it as plain data."""
    keys = ("names", "example", "bits", "smallest", "largest", "step", "special")
    rows = [dict(zip(keys, described(name), strict=True)) for name in LISTED]
    scales = [dict(zip(keys, described(name), strict=True)) for name in SCALES]
    blocks = [dict(zip(BLOCK_KEYS, described_block(name), strict=True)) for name in NAMED_BLOCKS]
    return {
        "formats": rows,
        "scales": scales,
        "blocks": blocks,
        "elements": {a: dict(zip(PAIRED_WEIGHTS, row, strict=True)) for a, *row in pairings()},
        "refused": [dict(zip(("activations", "weights", "why"), row, strict=True)) for row in refused()],
    }
