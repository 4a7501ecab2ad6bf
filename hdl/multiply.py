"""Products of operand pairs, one multiplier per kind of pairing, all behind `dot_product`.

Each kind gives the words whose sum is the dot product of one beat; a tree with a register after each level adds them.
"""

from amaranth.hdl import Module, Mux, Value

from golden.formats import Bipolar
from golden.spec import Spec

from .words import Word, add_tree, register, tree_levels

GROUP = 3


class IntegerDot:
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
    return IntegerDot(spec)
