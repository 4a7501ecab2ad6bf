"""Names of block formats and defaults of float32 sums, written out as the fields of a design."""

from golden.block_formats import NAMED_BLOCKS

from .errors import InputError

FLOAT32 = "float32"


def with_blocks(given: dict) -> dict:
    """The fields with "mxfp4", "nvfp4" and the like replaced by element format, block and scale format.

    An output of float32 and block_sum float32 bring each other. Raises InputError for contradictions.
    """
    given = dict(given)
    named = [field for field in ("activations", "weights") if given.get(field) in NAMED_BLOCKS]
    for field in named:
        _expand(given, field, named)
    if given.get("output") == FLOAT32:
        given.setdefault("block_sum", FLOAT32)
    if given.get("block_sum") == FLOAT32:
        given.setdefault("output", FLOAT32)
    return given


def _expand(given, field, named):
    fmt = NAMED_BLOCKS[given[field]]
    block = given.get("block", fmt.block)
    if block != fmt.block:
        other = f"{named[0]} has" if field != named[0] else "block is"
        raise InputError(f"{field} {fmt.name} has blocks of {fmt.block}; {other} {block}, and both must be equal")
    scale = f"{field[0]}_block_scale"
    if given.get(scale, str(fmt.scale)) != str(fmt.scale):
        raise InputError(f"{scale} is part of {field} {fmt.name}; leave it out, not {given[scale]!r}")
    given |= {field: str(fmt.element), "block": fmt.block, scale: str(fmt.scale)}
