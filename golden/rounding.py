"""Rounding and overflow: the one place where a tie is decided (docs/arithmetic.md, section 4).

Everything is written from the definition: floor quotient, remainder, and the remainder compared with one half.
"""

from .ops import where

ROUNDINGS = ("floor", "ceil", "toward_zero", "half_up", "half_down", "half_away", "half_even", "dpu")
OVERFLOWS = ("wrap", "saturate")


def round_shift(value, shift, rounding, offset=0):
    """`value / 2**shift + offset`, rounded to an integer by the named rule, element by element.

    The offset is an integer, so it matters only to rules that look at the sign or at even and odd.

    `shift >= 0`; at most 62 where the value or the shift is an int64 array.

    Raises ValueError for an unknown rounding.
    """
    floor = value >> shift
    remainder = value - (floor << shift)
    quotient = floor + offset
    return where(_rounds_up(quotient, remainder + remainder, 1 << shift, rounding), quotient + 1, quotient)


def _rounds_up(quotient, twice, one, rounding):
    """Whether the floor quotient is one too small; `twice / one` is twice the dropped fraction, in [0, 2)."""
    match rounding:
        case "floor":
            return twice < 0
        case "ceil":
            return twice > 0
        case "toward_zero":
            return (quotient < 0) & (twice > 0)
        case "half_up":
            return twice >= one
        case "half_down":
            return twice > one
        case "half_away":
            return (twice > one) | ((twice == one) & (quotient >= 0))
        case "half_even":
            return (twice > one) | ((twice == one) & (quotient & 1 == 1))
        case "dpu":
            return (twice > one) | ((twice == one) & ((quotient & 1 == 1) | (quotient < 0)))
    raise ValueError(f"unknown rounding {rounding!r}; known are {', '.join(ROUNDINGS)}")


def overflow(value, fmt, rule):
    """Brings an integer on the grid of `fmt` into its range, by `wrap` or `saturate`. Raises ValueError otherwise."""
    match rule:
        case "wrap":
            return fmt.wrap(value)
        case "saturate":
            return fmt.saturate(value)
    raise ValueError(f"unknown overflow {rule!r}; known are {', '.join(OVERFLOWS)}")
