"""The flags of a beat, from the entry to the elements, and what tells that a design sums in blocks."""

from amaranth.lib import data

from golden.spec import Spec

from .layout import marks

EARLY = ("valid", "begin")


def has_blocks(spec: Spec):
    """Whether sums are formed block by block: with scales or zero points of blocks, or in float32."""
    return bool(spec.block) or spec.is_float_sum


def beats_per_block(spec: Spec):
    """Beats that bring one block; the last block of a tile may be shorter."""
    return spec.block_depth // spec.lanes


def flags_of(spec: Spec):
    """Layout of the flags. `valid`: the beat brings operands; `first`, `last`: it is the first, the last of its tile.

    The marks of a beat (hdl.layout.marks) follow.

    With blocks, `begin` and `end` say the same of its block, and `first` belongs to all beats of a tile's first block;
    `valid` and `begin`, needed only where a block has several beats, reach an element before the others.
    """
    if not has_blocks(spec):
        return data.StructLayout({"valid": 1, "first": 1, "last": 1, **dict.fromkeys(marks(spec), 1)})
    early = dict.fromkeys(EARLY, 1) if beats_per_block(spec) > 1 else {}
    return data.StructLayout({**early, "end": 1, "first": 1, "last": 1})
