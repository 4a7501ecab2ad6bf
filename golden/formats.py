"""Number formats: how a code stands for an exact number on a known grid.

A *code* is the raw content of one operand, written as an integer. Each format decodes a code to an exact integer
(`decode`); the number it stands for is that integer times `2 ** -fraction`. Two's complement codes are written with
their sign (`int4`: -8..7), bipolar codes as 0 and 1.
"""

import re
from dataclasses import dataclass

import numpy as np

from .minifloat import MINIFLOATS, MiniFloat
from .ops import Exact, where
from .scale_formats import SCALE_FORMATS, PowerScale
from .signed_formats import AdditivePowersOfTwo, PowerOfTwo, SignedField, SignMagnitude

MAX_WIDTH = 64  # so that every code is an int64
CODEBOOK_WIDTH = 8


@dataclass(frozen=True)
class Integer:
    """`width`-bit integer, two's complement or unsigned, `fraction` of its bits behind the binary point.

    value = code * 2**-fraction; decode(code) = code.
    """

    width: int
    signed: bool
    fraction: int = 0

    def __post_init__(self):
        widest = MAX_WIDTH if self.signed else MAX_WIDTH - 1
        if not 1 <= self.width <= widest:
            raise ValueError(f"width of {self._prefix} must be 1 to {widest}, not {self.width}")
        if not 0 <= self.fraction <= self.width:
            raise ValueError(f"fraction bits must be 0 to {self.width}, not {self.fraction}")

    @property
    def _prefix(self):
        return "int" if self.signed else "uint"

    @property
    def name(self):
        if self.fraction:
            return f"{'' if self.signed else 'u'}q{self.width - self.fraction}.{self.fraction}"
        return f"{self._prefix}{self.width}"

    @property
    def code_range(self):
        """Smallest and largest code."""
        if self.signed:
            return -(1 << self.width - 1), (1 << self.width - 1) - 1
        return 0, (1 << self.width) - 1

    @property
    def decoded_range(self):
        """Smallest and largest decoded integer."""
        return self.code_range

    @property
    def extreme_codes(self):
        """Codes of the smallest and the largest decoded integer."""
        return self.code_range

    def decode(self, code):
        """The exact integer, in units of `2**-fraction`, that a code stands for."""
        return code

    def saturate(self, value):
        """The code nearest to an integer on this format's grid."""
        lo, hi = self.code_range
        return where(value < lo, lo, where(value > hi, hi, value))

    def wrap(self, value):
        """The code with the same low `width` bits as an integer on this format's grid."""
        lo, _ = self.code_range
        return ((value - lo) & ((1 << self.width) - 1)) + lo

    def __str__(self):
        return self.name


DEFAULT_ENTRY = Integer(8, signed=True)


@dataclass(frozen=True)
class Bipolar:
    """One bit that stands for -1 (code 0) or +1 (code 1). No code stands for zero."""

    width = 1
    signed = False
    fraction = 0
    name = "bipolar"
    code_range = (0, 1)
    extreme_codes = (0, 1)
    decoded_range = (-1, 1)

    def decode(self, code):
        """`2 * code - 1`."""
        return code + code - 1

    def saturate(self, value):
        """The sign as a code: 1 where `value >= 0`, as QONNX BipolarQuant has it."""
        return where(value >= 0, 1, 0)

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class Ternary:
    """-1, 0 or +1 as a two's complement code of two bits; the spare code -2 is no operand, and zero in hardware."""

    width = 2
    signed = True
    fraction = 0
    name = "ternary"
    code_range = (-1, 1)
    extreme_codes = (-1, 1)
    decoded_range = (-1, 1)
    spare = -2

    def decode(self, code: Exact) -> Exact:
        """The code itself; zero for the spare code."""
        return where(code == self.spare, 0, code)

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class AnyTernary(Ternary):
    """Ternary whose spare code is taken: what arrays may hold that hardware was given."""

    code_range = (-2, 1)


@dataclass(frozen=True)
class Codebook:
    """Codes of `width` bits that point into a table of 2**width integers of format `entry`, loaded at run time.

    A code has no value without its table, so there is no `decode`: `lookup` takes its place.
    """

    width: int
    entry: Integer

    signed = False

    def __post_init__(self):
        if not 1 <= self.width <= CODEBOOK_WIDTH:
            raise ValueError(f"width of codebook must be 1 to {CODEBOOK_WIDTH}, not {self.width}")

    @property
    def name(self):
        return f"codebook{self.width}" + ("" if self.entry == DEFAULT_ENTRY else f"_{self.entry}")

    @property
    def entries(self):
        """Length of a table."""
        return 1 << self.width

    @property
    def fraction(self):
        """Fraction bits of the entries."""
        return self.entry.fraction

    @property
    def code_range(self):
        """Smallest and largest code."""
        return 0, self.entries - 1

    @property
    def decoded_range(self):
        """Smallest and largest integer that a table may hold."""
        return self.entry.code_range

    def lookup(self, tables, codes):
        """The integers [K, N] that codes [K, N] stand for, with a table for each column: tables [N, entries]."""
        return tables[np.arange(codes.shape[1]), codes]

    def __str__(self):
        return self.name


Format = Integer | Bipolar | Ternary | SignedField | MiniFloat | Codebook | PowerScale
OutputFormat = Integer | Bipolar
SIGNED_FIELDS = {fmt.prefix: fmt for fmt in (SignMagnitude, PowerOfTwo, AdditivePowersOfTwo)}

KNOWN = (
    "int1..int64, uint1..uint63, q3.4 and uq3.4 (integer bits with the sign, fraction bits), bipolar, ternary, "
    "sm2..sm32, pot2..pot6, apot3, apot5, apot7, codebook1..codebook8 (entries of int8), "
    f"codebook4_int12 (other entries), {', '.join(MINIFLOATS)}"
)
BESIDE = "beside operands float8_e8m0fnu (e8m0), float16, bfloat16, float32"


_INTEGER = r"u?int[0-9]{1,6}"


def _integer(name):
    return Integer(int(name.removeprefix("u").removeprefix("int")), signed=name[0] != "u")


def parse(name):
    """The format of that name. Raises ValueError for a name that no format has."""
    if name in ("bipolar", "binary"):
        return Bipolar()
    if name == "ternary":
        return Ternary()
    if name in MINIFLOATS:
        return MINIFLOATS[name]
    if name in SCALE_FORMATS:
        return SCALE_FORMATS[name]
    if match := re.fullmatch(r"(sm|pot|apot)([0-9]{1,6})", name):
        return SIGNED_FIELDS[match[1]](int(match[2]))
    if match := re.fullmatch(rf"codebook([0-9]{{1,6}})(?:_({_INTEGER}))?", name):
        return Codebook(int(match[1]), _integer(match[2]) if match[2] else DEFAULT_ENTRY)
    if re.fullmatch(_INTEGER, name):
        return _integer(name)
    if match := re.fullmatch(r"(u?)q([0-9]{1,6})\.([0-9]{1,6})", name):
        return Integer(int(match[2]) + int(match[3]), signed=not match[1], fraction=int(match[3]))
    raise ValueError(f"unknown format {name!r}; known are {KNOWN}; {BESIDE}")


def to_bits(codes, fmt):
    """The raw `fmt.width` bits of each code as an unsigned integer: numpy uint64, same shape."""
    return np.asarray(codes).astype(np.int64).view(np.uint64) & np.uint64((1 << fmt.width) - 1)


def from_bits(bits, fmt):
    """The codes whose raw bits are the low `fmt.width` bits given: numpy int64, same shape."""
    unused = np.uint64(64 - fmt.width)
    top_aligned = np.asarray(bits, dtype=np.uint64) << unused
    if fmt.signed:
        return top_aligned.view(np.int64) >> unused.astype(np.int64)
    return (top_aligned >> unused).view(np.int64)
