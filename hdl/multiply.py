"""Products of operand pairs, one multiplier per kind of pairing, all behind `dot_product`.

Each kind gives the words whose sum is the dot product of one beat; a tree with a register after each level adds them.
benchmarks/luts.py counts what each costs.
"""

from amaranth.hdl import Module, Mux, Value

from golden.formats import Bipolar
from golden.spec import Spec, scale_interval

from .words import Word, add_shifted, add_tree, gate, negative, register, shape_of, tree_levels

GROUP = 3


class DspDot:
    """sum_l a[l] * w[l] for integer operands. Latency 1 + ceil(log2(lanes)), throughput 1, no overflow.

    The products are registered on their own, so that synthesis maps each to a DSP block or to its own multiplier
    instead of merging products and sums.
    """

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

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def _groups(self):
        return -(-self.spec.lanes // GROUP)

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
        groups = [differs[i : i + GROUP] for i in range(0, lanes, GROUP)]
        counts = [
            register(m, Word(sum(group[1:], start=group[0]), 0, len(group)), f"count_{i}")
            for i, group in enumerate(groups)
        ]
        mismatches = add_tree(m, counts, "mismatches")
        for stage in range(self.latency - 1 if pad is not None else 0):
            paired = register(m, paired, f"paired_{stage}")
        return register(m, Word(paired.value - 2 * mismatches.value, *self.spec.beat_range), "sum")


def dot_product(spec: Spec):
    """The dot product that suits the spec's pair of formats."""
    if spec.is_binary:
        return BinaryDot(spec)
    if isinstance(spec.activations, Bipolar) or isinstance(spec.weights, Bipolar):
        return SignDot(spec)
    return PlaneDot(spec) if spec.multiply == "logic" else DspDot(spec)
