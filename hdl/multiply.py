"""Products of operand pairs, one multiplier per kind of pairing, all behind `dot_product`.

Each kind gives the words whose sum is the dot product of one beat; a tree with a register after each level adds them.
`coded` says which operands it takes as codes ("a", "w"); the others come decoded, less their zero points.
benchmarks/luts.py counts what each costs.
"""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from golden.formats import AdditivePowersOfTwo, Bipolar, PowerOfTwo
from golden.minifloat import MiniFloat
from golden.spec import Spec, scale_interval

from .bricks import BrickDot
from .decode import exponent_fields, float_parts, power_of_four, with_sign
from .planes import PlanePairDot
from .words import (
    Word,
    add_shifted,
    add_tree,
    gate,
    groups_of_three,
    negative,
    register,
    shape_of,
    shift_left,
    tree_levels,
)


class DspDot:
    """sum_l a[l] * w[l] for integer operands. Latency 1 + ceil(log2(lanes)), throughput 1, no overflow.

    The products are registered on their own, so that synthesis maps each to a DSP block or to its own multiplier
    instead of merging products and sums.
    """

    coded = ()

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def latency(self):
        return 1 + tree_levels(self.spec.lanes)

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        products = [
            register(m, Word(x * y, *self.spec.product_range), f"product_{lane}")
            for lane, (x, y) in enumerate(zip(a, w, strict=True))
        ]
        return add_tree(m, products, "sum")


class PlaneDot:
    """sum_l x[l] * y[l] for integer operands, without multipliers, y being the narrower operand.

    = sum_j 2**j * plane[j], plane[j] = sum_l x[l] * bit j of y[l]; the top plane of a signed y counts negative. Lanes
    are summed plane by plane, then planes two by two, whose low bits pass by the adder.
    Latency max(1, ceil(log2(lanes)) + ceil(log2(bits of y))), throughput 1, no overflow.
    """

    coded = ()

    def __init__(self, spec: Spec):
        self.spec = spec
        shapes = {"a": shape_of(*spec.a_range), "w": shape_of(*spec.w_range)}
        self.narrow = min(shapes, key=lambda name: (shapes[name].width, name == "a"))
        self.wide_range = spec.w_range if self.narrow == "a" else spec.a_range
        self.bits = shapes[self.narrow]

    @property
    def latency(self):
        return max(1, tree_levels(self.spec.lanes) + tree_levels(self.bits.width))

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        x, y = (w, a) if self.narrow == "a" else (a, w)
        planes = [add_tree(m, self._rows(x, y, bit), f"plane_{bit}") for bit in range(self.bits.width)]
        if self.bits.signed:
            planes[-1] = negative(planes[-1])
        if len(planes) == 1 and self.spec.lanes == 1:
            return register(m, planes[0], "sum")
        for level in range(tree_levels(len(planes))):
            pairs = [planes[i : i + 2] for i in range(0, len(planes), 2)]
            planes = [
                register(m, add_shifted(*pair, 1 << level) if len(pair) == 2 else pair[0], f"sum_{level}_{i}")
                for i, pair in enumerate(pairs)
            ]
        return planes[0]

    def _rows(self, x, y, bit):
        lo, hi = scale_interval(self.wide_range, 1)
        return [Word(gate(wide, narrow[bit]), lo, hi) for wide, narrow in zip(x, y, strict=True)]


class SignDot:
    """sum_l +-x[l], signs by the bipolar operand. Latency 1 + ceil(log2(lanes)), throughput 1, no overflow."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.weights_are_signs = isinstance(spec.weights, Bipolar)
        self.coded = ("w",) if self.weights_are_signs else ("a",)

    @property
    def latency(self):
        return 1 + tree_levels(self.spec.lanes)

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        values, signs = (a, w) if self.weights_are_signs else (w, a)
        products = [
            register(m, Word(Mux(sign, x, -x), *self.spec.product_range), f"product_{lane}")
            for lane, (x, sign) in enumerate(zip(values, signs, strict=True))
        ]
        return add_tree(m, products, "sum")


class BinaryDot:
    """sum_l a[l] * w[l] for bipolar operands, = lanes - pad - 2 * mismatches: XOR, count, one subtraction.

    With `pad` the last lane counts as no pair at all. Latency 2 + ceil(log2(ceil(lanes / 3))), throughput 1.
    """

    coded = ("a", "w")

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def _groups(self):
        return -(-self.spec.lanes // 3)

    @property
    def latency(self):
        return 2 + tree_levels(self._groups)

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        lanes = self.spec.lanes
        differs = [x ^ y for x, y in zip(a, w, strict=True)]
        paired = Word(lanes, lanes, lanes)
        if pad is not None:
            differs[-1] = differs[-1] & ~pad
            paired = Word(lanes - pad, lanes - 1, lanes)
        mismatches = add_tree(m, groups_of_three(m, differs, "count"), "mismatches")
        for stage in range(self.latency - 1 if pad is not None else 0):
            paired = register(m, paired, f"paired_{stage}")
        return register(m, Word(paired.value - 2 * mismatches.value, *self.spec.beat_range), "sum")


class ShiftDot:
    """sum_l +-(x[l] << e[l]) for an operand that is a signed power of two: no multiplier.

    Latency 2 + ceil(log2(lanes)), throughput 1, no overflow.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        self.coded = ("w",) if isinstance(spec.weights, PowerOfTwo) else ("a",)

    @property
    def latency(self):
        return 2 + tree_levels(self.spec.lanes)

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        values, codes = (a, w) if self.coded == ("w",) else (w, a)
        pairs = enumerate(zip(values, codes, strict=True))
        return add_tree(m, [self._product(m, x, code, f"{lane}") for lane, (x, code) in pairs], "sum")

    def _product(self, m, x, code, lane):
        lo, hi = self.spec.product_range
        top = max(-lo, hi)
        field, nothing = code[:-1], code[:-1] == 0
        wide = x if x.shape().signed else Cat(x, Const(0, 1)).as_signed()
        moved = shift_left(wide, field)[1:].as_signed()  # 2**e, halved
        shifted = register(m, Word(moved, -top, top), f"shifted_{lane}")
        negative_now = register(m, Word(code[-1], 0, 1), f"negative_{lane}").value
        zero = register(m, Word(nothing, 0, 1), f"zero_{lane}").value
        signed_product = Mux(zero, 0, with_sign(negative_now, shifted.value))
        return register(m, Word(signed_product, lo, hi), f"product_{lane}")


class TwoShiftDot:
    """sum_l +-(2 * t(x[l], e0[l]) + t(x[l], e1[l])), t(x, e) = x << 2e - 2, 0 for e = 0, for an operand that is a sum
    of two powers of two: no multiplier.

    The sign goes to x, then both terms are shifted; each kind of term has a tree of its own; the two sums meet last.
    Latency 3 + ceil(log2(lanes)), throughput 1, no overflow.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        of_weights = _two_shifts(spec.weights)
        self.coded = ("w",) if of_weights else ("a",)
        self.fmt: Any = spec.weights if of_weights else spec.activations
        self.top = max(abs(end) for end in (spec.a_range if of_weights else spec.w_range))

    @property
    def latency(self):
        return 3 + tree_levels(self.spec.lanes)

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        values, codes = (a, w) if self.coded == ("w",) else (w, a)
        pairs = enumerate(zip(values, codes, strict=True))
        firsts, seconds = zip(*(self._terms(m, x, code, f"{lane}") for lane, (x, code) in pairs), strict=True)
        first, second = add_tree(m, list(firsts), "first"), add_tree(m, list(seconds), "second")
        return register(m, add_shifted(second, first, 1), "sum")

    def _terms(self, m, x, code, lane):
        """Both terms of a lane, the first one halved."""
        signed_x = register(m, Word(with_sign(code[-1], x), -self.top, self.top), f"signed_{lane}").value
        field = Signal(len(code) - 1, name=f"fields_{lane}", reset_less=True)
        m.d.sync += field.eq(code[:-1])
        most = self.top * self.fmt.decoded_range[1] // 3
        return [
            register(m, Word(power_of_four(signed_x, exponent), -most, most), f"{name}_term_{lane}")
            for name, exponent in zip(("first", "second"), exponent_fields(Cat(field, 0), self.fmt), strict=True)
        ]


class FloatDot:
    """sum_l a[l] * w[l] for two minifloats, exactly: short significands multiplied, products shifted to one grid.

    Latency 2 + ceil(log2(lanes)), throughput 1, no overflow (a Kulisch accumulator).
    """

    coded = ("a", "w")

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def latency(self):
        return 2 + tree_levels(self.spec.lanes)

    def build(self, m: Module, a: list[Value], w: list[Value], pad: Value | None) -> Word:
        pairs = enumerate(zip(a, w, strict=True))
        return add_tree(m, [self._product(m, x, y, f"{lane}") for lane, (x, y) in pairs], "sum")

    def _product(self, m, x, y, lane):
        a, w = self.spec.activations, self.spec.weights
        (fx, ex), (fy, ey) = float_parts(x, a), float_parts(y, w)
        most = (2 << a.mantissa_bits) - 1, (2 << w.mantissa_bits) - 1
        significand = register(m, Word(fx * fy, 0, most[0] * most[1]), f"significand_{lane}")
        shift = Signal(range(_most_shift(a) + _most_shift(w) + 1), name=f"exponent_{lane}", reset_less=True)
        m.d.sync += shift.eq(ex + ey)
        sign = register(m, Word(x[-1] ^ y[-1], 0, 1), f"negative_{lane}").value
        shifted = shift_left(significand.value, shift)
        return register(m, Word(with_sign(sign, shifted), *self.spec.product_range), f"product_{lane}")


def _most_shift(fmt):
    return (1 << fmt.exponent_bits) - 2


def _two_shifts(fmt):
    """Whether two shifts cost less than bit planes of the decoded integer: not for apot3, which has 0 to 3."""
    return isinstance(fmt, AdditivePowersOfTwo) and fmt.field_bits > 1


def dot_product(spec: Spec):
    """The dot product that suits the spec's pair of formats."""
    formats = (spec.activations, spec.weights)
    if spec.array == "bit_serial":
        return PlanePairDot(spec)
    if spec.array == "scalable":
        return BrickDot(spec)
    if spec.is_binary:
        return BinaryDot(spec)
    if any(isinstance(fmt, Bipolar) for fmt in formats):
        return SignDot(spec)
    if all(isinstance(fmt, MiniFloat) for fmt in formats):
        return FloatDot(spec)
    if any(isinstance(fmt, PowerOfTwo) for fmt in formats):
        return ShiftDot(spec)
    if any(_two_shifts(fmt) for fmt in formats):
        return TwoShiftDot(spec)
    return PlaneDot(spec) if spec.multiply == "logic" else DspDot(spec)
