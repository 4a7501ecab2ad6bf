"""Which processing element a design has."""

from golden.spec import Spec

from .block_element import BlockElement, block_timing
from .flags import EARLY, flags_of, has_blocks
from .mac import ProcessingElement
from .multiply import dot_product


def element(spec: Spec):
    """A processing element."""
    return BlockElement(spec) if has_blocks(spec) else ProcessingElement(spec)


def element_latency(spec: Spec):
    """Cycles from an element's operands to what its accumulator adds."""
    return block_timing(spec).terms if has_blocks(spec) else dot_product(spec).latency


def early_latency(spec: Spec):
    """Cycles from an element's operands to the first of their flags."""
    return dot_product(spec).latency if EARLY[1] in flags_of(spec).members else element_latency(spec)


def marks_late(spec: Spec):
    """How many cycles after their operands an element wants fields of hdl.block_operands.beside, by name."""
    timing = block_timing(spec)
    return {"nan": timing.sums, "scale": timing.scales}
