"""The ingredients in which two rules differ, in words: what is there (a platform) and what is here (a design)."""

from .encoding import column_factor, encoded, factor, formed
from .fixed_point import FIXED, bits
from .platform_table import PLATFORMS

FLOAT32_EXACT = 24
_FORMED = {
    "f32_chain": "quotient of the scales formed in float32",
    "f32_product": "scales multiplied in float32",
    "f64": "quotient of the scales formed in float64",
    "product": "scales multiplied in float32, the quotient taken of the output",
}
_PRODUCTS = {
    "float32": "product rounded to 24 bits (float32)",
    "float64": "product rounded to 53 bits (float64)",
    "float32_division": "product and quotient rounded to 24 bits (float32)",
    "thresholds": "thresholds rounded to 24 bits (float32)",
}
_OWN_BITS = {"shift": 1, "none": 1, "mult16": 16, "float32": 24, "float64_away": 53}
_NO_TIES = ("floor", "ceil", "toward_zero")


def words(p, case, there, here, name, place) -> str:
    """One ingredient of INGREDIENTS, by name, as it differs in two chains at one output."""
    match name:
        case "sum":
            return _sum(p, case, there, place)
        case "left shift":
            return "the sum shifted left wraps at 32 bits " + ("there" if there.wraps_left else "here")
        case "sum's bits":
            return _sum_bits(there, here)
        case "scale":
            return _scale(p, case, place[1])
        case "roundings":
            return "two roundings there, one here" if there.twice else "one rounding there, two here"
        case "halving":
            return f"scaled sum wraps at 32 bits {'there' if there.halved else 'here'}"
        case "product":
            return _product(there, here)
        case "rounding":
            kind = "rounding" if {there.rounding, here.rounding} & set(_NO_TIES) else "ties"
            return f"{kind}: {here.rounding} here, {there.rounding} there"
        case "order":
            return f"zero point added before rounding {'there' if there.before else 'here'}"
        case "addend":
            return f"addend: {here.addend} here, {there.addend} there"
    return f"outputs {here.overflow} here, {there.overflow} there"


def _sum(p, case, there, place):
    exact = int(case.sums[place]) + int(case.parameters["bias"][place[1]])
    if there.acc != exact:
        return "pairs of products saturate there" if p.accumulator == "pairs16" else "sum wraps at 32 bits there"
    spec = case.spec
    if int(case.held[place]) != int(case.sums[place]):
        verb = {"wrap": "wraps", "saturate": "saturates"}[spec.accumulator_overflow]
        return f"sum {verb} at {spec.accumulator_width} bits here"
    return "sum wraps at 32 bits here"


def _sum_bits(there, here):
    side, bits_kept = ("there", there.sum_bits) if there.sum_bits else ("here", here.sum_bits)
    if there.sum_bits and here.sum_bits and here.sum_bits < there.sum_bits:
        side, bits_kept = "here", here.sum_bits
    kind = "float32" if bits_kept == FLOAT32_EXACT else "float64"
    return f"sum above 2^{bits_kept} loses bits in {kind} {side}"


def _product(there, here):
    sides = [f"{_PRODUCTS[one.product]} {side}" for one, side in ((there, "there"), (here, "here")) if one.product]
    return ", ".join(sides)


def _scale(p, case, column):
    there, here = column_factor(p, case, column), case.factors[column]
    causes = ", ".join(_causes(p, case, there.value, here.value, column))
    numbers = f"scale: {there.text} there, {here.text} here"
    return f"{numbers} ({causes})" if causes else numbers


def _causes(p, case, there, here, column):
    """Why the factors differ: how the quotient is formed, how it is stored, or both."""
    result, reencoded = [], there
    if case.scales:
        reencoded = _stored(p, formed(_own_effective(case), case.scales, column))
        if reencoded != there:
            result.append(f"{_FORMED[_effective(p, case)]} there")
    kept = _bits(p), _own_bits(case.spec)
    if reencoded != here and kept[0] != kept[1]:
        result.append(_kept(*kept))
    return result


def _stored(p, quotient):
    """A quotient as a platform would store it."""
    return quotient if p.effective == "product" else factor(p, encoded(p, quotient)).value


def _effective(p, case):
    return (p.effective_per_channel if case.per_channel else None) or p.effective


def _own_effective(case):
    spec = case.spec
    if spec.platform is not None:
        return _effective(PLATFORMS[spec.platform], case)
    return "f32_chain" if spec.requantize == "float32" else "f64"


def _bits(p):
    """Bits that a platform's factor has; None for quotients of two numbers."""
    if p.scaling in FIXED:
        return 16 if p.scaling == "mult16" else bits(p)
    if p.effective == "product":
        return None
    return {"float64": 53, "shift_add": 31}.get(p.scaling, 24)


def _own_bits(spec):
    if spec.requantize == "thresholds":
        return _bits(PLATFORMS[spec.platform])
    return spec.multiplier_bits if spec.requantize == "multiplier" else _OWN_BITS.get(spec.requantize, 31)


def _kept(there, here):
    if there is None or here is None:
        side, other = ("there", "here") if there is None else ("here", "there")
        return f"quotient of two float32 numbers {side}, multiplier of {there or here} bits {other}"
    return f"multiplier of {there} bits there, {here} here"
