"""How operands may be misread: (step, cause, from codes and zero point to integers), for each kind of format."""

import numpy as np

from golden.formats import AdditivePowersOfTwo, Bipolar, Codebook, Format, Integer, PowerOfTwo, SignedField, Ternary
from golden.minifloat import MiniFloat


def misreadings(name: str, fmt: Format):
    """Faults of decoding one operand; `name` says which."""
    match fmt:
        case Bipolar():
            yield "decode", f"bipolar {name} are inverted", lambda codes, zero: 1 - 2 * codes
            yield "decode", f"bipolar {name} count as 0 and 1", lambda codes, zero: codes
        case SignedField() | MiniFloat():
            for cause, decode in _signed(name, fmt):
                yield "decode", cause, lambda codes, zero, decode=decode: decode(codes)
        case Codebook():  # sim.faults_codebook
            return
        case _:
            yield from _integers(name, fmt)


def spare_misreadings(name: str):
    """Faults that only the spare code of ternary shows: (step, cause, from codes and zero point to integers)."""
    for integer in (-1, -2):
        cause = f"the spare ternary code of {name} counts as {integer}"
        yield "decode", cause, lambda codes, zero, integer=integer: np.where(codes == Ternary.spare, integer, codes)


def _integers(name, fmt):
    other = Integer(fmt.width, signed=not fmt.signed)
    lost = f"sign extension of {name} is lost" if fmt.signed else f"unsigned {name} are sign-extended"
    cause = f"{lost}: {fmt} read as {other}"
    yield "decode", cause, lambda codes, zero: other.wrap(codes) - zero
    yield "decode", f"{cause}, zero point too", lambda codes, zero: other.wrap(codes) - other.wrap(zero)


def _signed(name, fmt):
    """Faults of formats with a sign bit above a magnitude: (cause, from codes to integers)."""
    wrong = Integer(fmt.width, signed=True)
    yield f"the sign of {name} is lost", lambda codes: np.abs(fmt.decode(codes))
    yield f"{name} are read as two's complement: {fmt} read as {wrong}", wrong.wrap
    if isinstance(fmt, PowerOfTwo):
        yield f"exponents of {name} are one too large", lambda codes: 2 * fmt.decode(codes)
        yield f"exponents of {name} are one too small", lambda codes: _halved(fmt.decode(codes))
        yield f"code zero of {name} counts as one", lambda codes: np.where(fmt.decode(codes) == 0, 1, fmt.decode(codes))
    if isinstance(fmt, AdditivePowersOfTwo):
        yield from _additive(name, fmt)
    if isinstance(fmt, MiniFloat):
        yield f"exponents of {name} are one too large", lambda codes: 2 * fmt.decode(codes)
        bias = f"the exponent bias of {name} is one too"
        yield f"{bias} small: normal numbers count double", lambda codes: _rebiased(fmt, codes, 1)
        yield f"{bias} large: normal numbers count half", lambda codes: _rebiased(fmt, codes, -1)
        yield f"subnormal {name} count as zero", lambda codes: np.where(_subnormal(fmt, codes), 0, fmt.decode(codes))
        yield f"subnormal {name} are read as normal numbers", lambda codes: _all_normal(fmt, codes)
        yield f"mantissas of {name} lack their leading one", lambda codes: _without_leading_one(fmt, codes)


def _additive(name, fmt):
    bits = fmt.field_bits
    low, high = (1 << bits) - 1, (1 << bits) - 1 << bits
    yield f"the first terms of {name} are ignored", lambda codes: fmt.decode(codes & ~high)
    yield f"the second terms of {name} are ignored", lambda codes: fmt.decode(codes & ~low)
    yield f"the two exponents of {name} are swapped", lambda codes: fmt.decode(_swapped(codes, bits))
    yield f"exponents of {name} are one too large", lambda codes: 4 * fmt.decode(codes)
    if bits > 1:
        yield f"the exponents of {name} count in steps of one bit", lambda codes: _steps_of_one(fmt, codes)


def _swapped(codes, bits):
    low = (1 << bits) - 1
    return (codes & ~((1 << 2 * bits) - 1)) | (codes & low) << bits | (codes >> bits) & low


def _steps_of_one(fmt, codes):
    """Both fields taken for exponents of powers of two that follow each other, as those of potN are."""
    first, second = codes >> fmt.field_bits & (1 << fmt.field_bits) - 1, codes & (1 << fmt.field_bits) - 1
    magnitude = 2 * ((1 << first) >> 1) + ((1 << second) >> 1)
    return np.where(codes >> fmt.width - 1 == 1, -magnitude, magnitude)


def _halved(values):
    return np.sign(values) * (np.abs(values) >> 1)


def _subnormal(fmt, codes):
    return (codes & (1 << fmt.width - 1) - 1) >> fmt.mantissa_bits == 0


def _rebiased(fmt, codes, step):
    """Normal numbers with another bias; halves of the smallest ones are not on the grid, and these stay as they are."""
    field, values = (codes & (1 << fmt.width - 1) - 1) >> fmt.mantissa_bits, fmt.decode(codes)
    return np.where(field == 0, values, 2 * values) if step > 0 else np.where(field > 1, _halved(values), values)


def _all_normal(fmt, codes):
    """Exponent field 0 with a leading one, at the place where exponent field 1 has its own."""
    one = np.where(codes >> fmt.width - 1 == 1, -1, 1) << fmt.mantissa_bits
    return fmt.decode(codes) + np.where(_subnormal(fmt, codes), one, 0)


def _without_leading_one(fmt, codes):
    field = (codes & (1 << fmt.width - 1) - 1) >> fmt.mantissa_bits
    one = np.where(codes >> fmt.width - 1 == 1, -1, 1) << np.maximum(field - 1, 0) + fmt.mantissa_bits
    return fmt.decode(codes) - np.where(field > 0, one, 0)
