"""Dot product of two bit planes: what an element of the bit-serial array forms in one cycle."""

from amaranth.hdl import Module, Value

from golden.spec import Spec

from .words import Word, add_tree, groups_of_three, tree_levels


class PlanePairDot:
    """sum_l a[l] & w[l] over `lanes` bits of one plane of A and one of W: counts where both are set.

    Full adders count groups of three, a tree adds the groups. Latency 1 + ceil(log2(ceil(lanes / 3))), throughput 1,
    no overflow.
    """

    coded = ("a", "w")

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def latency(self):
        return 1 + tree_levels(-(-self.spec.lanes // 3))

    def build(self, m: Module, a: list[Value], w: list[Value], steering: Value | None) -> Word:
        both = [x & y for x, y in zip(a, w, strict=True)]
        return add_tree(m, groups_of_three(m, both, "count"), "sum")
