"""LUTs and flip-flops of one element (logic, 4 lanes, depth 1024) by format of the weights, after Yosys.

A format that an element takes as it is, beside the integer that it would be decoded to at the edge.
"""

from hdl.cells import WITHOUT_DSP

from .luts import element

ACTIVATIONS = "int8"
LANES = 4
CASES = (("pot4", "int8"), ("apot5", "int7"), ("apot7", "int15"))


def table():
    """Rows of the table, the header first."""
    yield (
        "weights",
        "decoded to",
        *(f"{target} {kind} LUT / FF" for target in WITHOUT_DSP for kind in ("coded", "decoded")),
    )
    yield ("---",) * (2 + 2 * len(WITHOUT_DSP))
    for coded, decoded in CASES:
        yield coded, decoded, *(counted(name, target) for target in WITHOUT_DSP for name in (coded, decoded))


def counted(weights, target):
    """ "LUTs / flip-flops" of an element with these weights."""
    return "{} / {}".format(*element(ACTIVATIONS, weights, LANES, "logic", target))
