"""What weights become in each format, in plain Python: one number after the other, from the papers' definitions."""

import math
from fractions import Fraction


def float32(x):
    """The nearest float32, as a Python float."""
    import struct

    return struct.unpack("f", struct.pack("f", x))[0]


def float16(x):
    import struct

    return struct.unpack("e", struct.pack("e", x))[0]


def nearest_even(x):
    """Python's round of a float: ties to even."""
    return round(x)


def symmetric(part, top):
    """(step, values) of signed integers -top..top: step = max|w| / top in float32, 1 for zeros."""
    step = float32(max(abs(x) for x in part) / top)
    return on_step(part, step or 1.0, top)


def on_step(part, step, top):
    return step, [step * max(-top, min(top, nearest_even(float32(x / step)))) for x in part]


def middle(part, width):
    """Unsigned integers around the middle code: the same numbers as signed ones."""
    return symmetric(part, 2 ** (width - 1) - 1)


def asymmetric(part, levels):
    """Unsigned integers with a zero point: ONNX Runtime's scale and zero point in float64."""
    lo, hi = min(0.0, *part), max(0.0, *part)
    wide = (hi - lo) / levels
    zero, scale = nearest_even(-lo / wide), float32(wide)
    return scale, [scale * (max(0, min(levels, nearest_even(float32(x / scale)) + zero)) - zero) for x in part]


def fixed(part, width, fraction):
    lo, hi = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    return 2.0**-fraction, [max(lo, min(hi, nearest_even(x * 2**fraction))) / 2**fraction for x in part]


def ternary(part):
    """Li and Liu 2016."""
    least = 0.7 * sum(abs(x) for x in part) / len(part)
    kept = [abs(x) for x in part if abs(x) > least]
    step = float32(sum(kept) / len(kept)) if kept else 1.0
    return step, [math.copysign(step, x) if abs(x) > least else 0.0 for x in part]


def bipolar(part):
    """Rastegari et al. 2016."""
    step = float32(sum(abs(x) for x in part) / len(part))
    return step, [step if x >= 0 else -step for x in part]


def minifloat_numbers(exponent_bits, mantissa_bits, bias, left_out=0):
    """All numbers that are not negative, in rising order; `left_out` codes at the top stand for none."""
    numbers = []
    for code in range(2 ** (exponent_bits + mantissa_bits) - left_out):
        e, m = code >> mantissa_bits, code & 2**mantissa_bits - 1
        significand = Fraction(m, 2**mantissa_bits) + (1 if e else 0)
        numbers.append(significand * Fraction(2) ** (max(e, 1) - bias))
    return numbers


def nearest_number(x, numbers):
    """Of numbers in rising order, with both signs; of two the one with the even code."""
    magnitude = abs(Fraction(x))
    best = min(range(len(numbers)), key=lambda code: (abs(numbers[code] - magnitude), code % 2))
    return math.copysign(float(numbers[best]), x) if numbers[best] else 0.0


def minifloat(part, numbers):
    """step = max|w| / largest number in float32."""
    step = float32(max(abs(x) for x in part) / float(numbers[-1])) or 1.0
    return step, [step * nearest_number(x / step, numbers) for x in part]


def microscaling(part, numbers):
    """OCP MX: the shared exponent is that of the largest magnitude less that of the largest number."""
    largest = max(abs(x) for x in part)
    if not largest:
        return 0.0, [0.0] * len(part)
    step = 2.0 ** (math.floor(math.log2(largest)) - math.floor(math.log2(numbers[-1])))
    return step, [step * nearest_number(x / step, numbers) for x in part]


def lost(part, values):
    return sum((x - y) ** 2 for x, y in zip(part, values, strict=True))


def pot_numbers(width):
    return [0, *(2**e for e in range(2 ** (width - 1) - 1))]


def apot_numbers(width):
    half = 2 ** ((width - 1) // 2)
    terms = [0, *(4 ** (e - 1) for e in range(1, half))]
    return sorted({2 * one + other for one in terms for other in terms})


def on_levels(part, step, numbers):
    """The nearest numbers of a rising list and their negatives, times a step; of two the one nearer to zero."""
    found = []
    for x in part:
        best = min(numbers, key=lambda number: (abs(number * step - abs(x)), number))
        found.append(math.copysign(best * step, x) if best else 0.0)
    return found
