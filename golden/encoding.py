"""What each side of a comparison scales by: a design its own numbers, a platform those it makes of the same scales."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from . import fixed_point, platforms
from .chain import frexp_exact
from .effective import EFFECTIVE
from .fixed_point import FIXED
from .platform_table import PLATFORMS, Platform

MOST_SHIFT = 62


@dataclass(frozen=True)
class Factor:
    """What scales a column: its exact value, TFLite's shift, and how it is written.

    divisor : what products formed before are divided by at the end. addend : Deeploy's, in output steps.
    """

    value: Fraction
    shift: int
    text: str
    divisor: Fraction = Fraction(1)
    addend: Fraction = Fraction(0)


def numbers(p: Platform, case, columns) -> dict:
    """What the platform stores for some columns (indices), as platforms.requantize takes it.

    From the real scales of the case, as the platform combines them; else from the exact factors of the design, each
    encoded as the platform encodes one. Raises ValueError for factors that it cannot hold.
    """
    if p.scaling is None:
        raise ValueError(f"no rule: published only as {p.source.partition(': ')[2]}")
    if case.scales:
        if p.effective is None:
            raise ValueError("no rule from real scales to its integers: the model brings them along")
        w_scale = np.asarray(case.scales["w_scale"])
        return platforms.derive(p, **{**case.scales, "w_scale": w_scale[columns] if w_scale.ndim else w_scale})
    if p.name == case.spec.platform and p.effective is None:  # the design holds the platform's own integers
        own = {name: np.asarray(value) for name, value in case.numbers.items()}
        return {name: value[columns] if value.ndim else value for name, value in own.items()}
    chosen = columns if case.per_channel else columns[:1]
    each = [encoded(p, case.factors[n].value) for n in chosen]
    stacked = {name: np.array([one[name] for one in each]) for name in each[0]}
    if case.per_channel:
        return {**stacked, **({"y_scale": stacked["y_scale"][0]} if "y_scale" in stacked else {})}
    return {name: value[0] for name, value in stacked.items()}


def encoded(p: Platform, factor: Fraction) -> dict:
    """One exact factor in the numbers of a platform. Raises ValueError for those that it cannot hold."""
    if factor <= 0:
        raise ValueError(f"{p.name} has no number for a scale of {factor}")
    if p.scaling in FIXED:
        return dict(zip(("multiplier", "shift"), fixed_point.encode(p, float(factor)), strict=True))
    if p.scaling == "shift_add":
        return _dyadic(p, factor)
    if p.effective == "product":
        return {"product_scale": np.float32(float(factor)), "y_scale": np.float32(1)}
    return {"scale": np.float64(float(factor)) if p.scaling == "float64" else np.float32(float(factor))}


def _dyadic(p, factor):
    shift = factor.denominator.bit_length() - 1
    if factor.denominator != 1 << shift or shift > MOST_SHIFT or factor.numerator >> 31:
        raise ValueError(f"{p.name} has no multiplier of 31 bits and shift for this scale")
    return {"multiplier": factor.numerator, "shift": shift}


def factor(p: Platform, stored: dict) -> Factor:
    """What the numbers stored for one column come to."""
    if "product_scale" in stored:
        product, divisor = (Fraction(float(stored[name])) for name in ("product_scale", "y_scale"))
        value = product / divisor
        text = f"{float(product):.9g} / {float(divisor):.9g}"
        return Factor(value, frexp_exact(value), text, divisor)
    if "scale" in stored:
        value = Fraction(float(stored["scale"]))
        return Factor(value, frexp_exact(value), _power(value))
    multiplier, shift = int(stored["multiplier"]), int(stored["shift"])
    if p.scaling == "shift_add":
        return right(multiplier, shift, addend=int(stored.get("add", 0)))
    return left(multiplier, shift, fixed_point.bits(p))


def column_factor(p: Platform, case, column) -> Factor:
    """What a platform scales one column of a case by. Raises ValueError where it has no numbers for it."""
    stored = numbers(p, case, np.array([column]))
    return factor(p, {name: value[0] if np.ndim(value) else value for name, value in stored.items()})


def left(multiplier, shift, width) -> Factor:
    """multiplier * 2**(shift - width), as TFLite writes it."""
    exponent = shift - width
    return Factor(multiplier * Fraction(2) ** exponent, shift, _product(multiplier, exponent))


def right(multiplier, shift, *, addend=0) -> Factor:
    """(x * multiplier + addend) / 2**shift."""
    value = Fraction(multiplier, 1 << shift)
    place = frexp_exact(value) if value else 0
    return Factor(value, place, _product(multiplier, -shift), addend=Fraction(addend, 1 << shift))


def _product(multiplier, exponent):
    twos = multiplier.bit_length() - 1
    shown = f"2^{twos}" if multiplier == 1 << max(twos, 0) and twos > 0 else str(multiplier)
    return f"{shown} * 2^{exponent}"


def _power(value):
    """A float as an odd integer times a power of two."""
    exponent = (value.numerator & -value.numerator).bit_length() - value.denominator.bit_length()
    odd = value / Fraction(2) ** exponent
    return f"2^{exponent}" if odd == 1 else f"{odd} * 2^{exponent}"


def own_factors(case) -> list[Factor]:
    """What the design scales each column by. Raises ValueError for thresholds whose rule is not known."""
    spec, columns = case.spec, range(case.sums.shape[1])
    if spec.requantize == "thresholds":
        p = PLATFORMS[spec.platform]
        stored = numbers(p, case, np.arange(len(columns))) if case.scales else case.numbers
        return [factor(p, {name: _at(value, n) for name, value in stored.items()}) for n in columns]
    given = case.parameters
    if spec.requantize == "none":
        return [right(1, 0) for _ in columns]
    if "scale" in given:
        reals = spec.parameter_formats["scale"].decode(given["scale"])
        return [factor(PLATFORMS["onnxruntime"], {"scale": real}) for real in reals]
    if spec.rule is not None:
        width = spec.rule.multiplier_bits
        return [left(int(given["multiplier"][n]), int(given["shift"][n]), width) for n in columns]
    ones = np.ones(len(columns), np.int64)
    return [right(int(given.get("multiplier", ones)[n]), int(given["shift"][n])) for n in columns]


def _at(value, n):
    return np.asarray(value)[n] if np.ndim(value) else value


def formed(effective, scales, column) -> Fraction:
    """The quotient of three scales as one side forms it, before it is encoded."""
    w_scale = _at(scales["w_scale"], column)
    a, w, y = (np.float32(value) for value in (scales["a_scale"], w_scale, scales["y_scale"]))
    if effective == "product":
        return Fraction(float(a * w)) / Fraction(float(y))
    return Fraction(float(EFFECTIVE[effective](a, w, y)))
