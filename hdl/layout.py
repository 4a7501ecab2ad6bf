"""Which bit of which beat holds what: the one description that the hardware, the testbench and the manifest read.

Fields follow each other without gaps from bit 0 upwards; AXI4-Stream pads the beat to whole bytes.
"""

from dataclasses import dataclass
from math import prod

from golden.formats import Codebook, Format, Integer
from golden.ieee import FLOAT32
from golden.spec import Spec
from golden.trits import packed_bytes

BIT = Integer(1, signed=False)
WORD = Integer(32, signed=False)
MODE = Integer(2, signed=False)
_ABOUT = {"bit_serial": "bits, one of each code's planes,", "scalable": "words of codes, the first lowest,"}
RESIDUAL_PASSES = (
    "; all of K with the first codes, then again with the residual codes, raise on the first beat of these"
)


@dataclass(frozen=True)
class Field:
    """`prod(shape)` codes of one format from bit `offset`, in row-major order, the first code in the lowest bits.

    `packing` "codes" puts them side by side, "trits" five in each byte (golden.trits), the last one filled with zeros.
    """

    name: str
    fmt: Format
    shape: tuple[int, ...]
    offset: int
    packing: str = "codes"

    @property
    def width(self):
        if self.packing == "trits":
            return 8 * packed_bytes(prod(self.shape))
        return self.fmt.width * prod(self.shape)


@dataclass(frozen=True)
class Beat:
    """The fields of one transfer of a stream, and what a user must know about its order and its end."""

    fields: tuple[Field, ...]
    about: str = ""

    @property
    def width(self):
        return sum(field.width for field in self.fields)

    @property
    def bytes(self):
        """Bytes of tdata."""
        return -(-self.width // 8)

    def split(self, bits):
        """The bits of each field, by name, from the bits of the beat."""
        return {field.name: bits[field.offset : field.offset + field.width] for field in self.fields}


def beat_of(*members, about):
    """A beat of (name, format, shape) members, one behind the other; the packing may follow as a fourth."""
    fields, offset = [], 0
    for name, fmt, shape, *packing in members:
        fields.append(Field(name, fmt, shape, offset, *packing))
        offset += fields[-1].width
    return Beat(tuple(fields), about)


def lane_formats(spec: Spec):
    """Formats of what one lane brings in a beat of A and in one of W: a code each, one bit of a code, or a word of
    codes."""
    return {"bit_serial": (BIT, BIT), "scalable": (WORD, WORD)}.get(spec.array, (spec.activations, spec.weights))


def zero_points(spec: Spec):
    """Names of the zero points that beats carry. Of bit planes they are taken off before the codes are cut."""
    if spec.array == "bit_serial":
        return ()
    return tuple(name for name in ("a_zero_point", "w_zero_point") if getattr(spec, name))


def has_pad_mark(spec: Spec):
    """Whether A beats carry a `pad` bit: both operands bipolar, so that no pair of codes multiplies to zero.

    `pad` says that the last of the `beat_depth` pairs of each sum is none; others without a pair cancel two by two.
    """
    return spec.is_binary and spec.beat_depth > 1


def steering(spec: Spec):
    """(name, format) of what follows the codes of an A beat and goes with each row's into the dot products, if any."""
    if spec.array == "scalable":
        return "mode", MODE
    return ("pad", BIT) if has_pad_mark(spec) else None


def steering_width(spec: Spec):
    """Bits of `steering`."""
    extra = steering(spec)
    return extra[1].width if extra else 0


def marks(spec: Spec):
    """Names of the bits of an A beat that say what the accumulators do with it: they follow its codes and `steering`.

    `raise` : they are multiplied by 2**raise_bits before the beat's products are added; nothing in a tile's first beat.
    `negative` : the beat's products are subtracted.
    """
    return (*(("raise",) if spec.raise_bits else ()), *(("negative",) if spec.array == "bit_serial" else ()))


def a_beat(spec: Spec):
    """One beat of s_axis_a: `lanes` codes for each row; then `pad` or `mode`, marks, zero point, as the design has.

    Behind that, with scales of blocks, the scale code of each row's block.
    """
    members = [("a", lane_formats(spec)[0], (spec.rows, spec.lanes))]
    members += [(*extra, (1,))] if (extra := steering(spec)) else []
    members += [(name, BIT, (1,)) for name in marks(spec)]
    members += [("a_zero_point", spec.activations, (1,))] if "a_zero_point" in zero_points(spec) else []
    members += [("a_block_scale", spec.a_block_scale, (spec.rows,))] if spec.a_block_scale else []
    about = f"lanes {_ABOUT.get(spec.array, 'codes')} of each row; the beat with tlast ends a tile"
    about += RESIDUAL_PASSES if spec.residual else ""
    return beat_of(*members, about=about + _of_blocks(spec, bool(spec.a_block_scale), False))


def w_beat(spec: Spec):
    """One beat of s_axis_w: `lanes` codes for each column; then the zero point where the design has one.

    Behind that, with blocks, the scale code and the zero point of each column's block.
    """
    members: list[tuple] = [("w", lane_formats(spec)[1], (spec.cols, spec.lanes), spec.w_packing)]
    members += [("w_zero_point", spec.weights, (1,))] if "w_zero_point" in zero_points(spec) else []
    members += [("w_block_scale", spec.w_block_scale, (spec.cols,))] if spec.w_block_scale else []
    members += [("w_block_zero_point", spec.weights, (spec.cols,))] if spec.w_block_zero_point else []
    about = f"lanes {_ABOUT.get(spec.array, 'codes')} of each column, in step with s_axis_a; tlast on the same beat"
    if spec.w_packing == "trits":
        about += "; five codes t in a byte, sum of (t[i] + 1) * 3**i; bytes above 242 count as zeros"
    return beat_of(*members, about=about + _of_blocks(spec, bool(spec.w_block_scale), spec.w_block_zero_point))


def _of_blocks(spec, scales, zero_points):
    """What a user must know of scales and zero points of blocks."""
    beats = spec.block // spec.lanes
    said = f"; a block is {beats} beats, less at the end of a tile" if scales or zero_points else ""
    said += "; scales count on the last beat of their block" if scales else ""
    return said + ("; zero points on each beat of theirs" if zero_points else "")


def c_beats(spec: Spec):
    """Beats of one whole set of tables: an entry of every column each; none where weights have no codebook."""
    return spec.weights.entries if isinstance(spec.weights, Codebook) else 0


def c_beat(spec: Spec):
    """One beat of s_axis_c: beat i of a set holds entry i of each column's table."""
    assert isinstance(spec.weights, Codebook)
    return beat_of(
        ("w_codebook", spec.weights.entry, (spec.cols,)),
        about=f"one set of {c_beats(spec)} beats per tile, ended by tlast; beat i holds entry i of each "
        "column's table; a set of one beat goes on with the tables in use",
    )


def p_columns(spec: Spec):
    """Columns whose parameters share one beat: as many as let a set load within `rows` cycles, a tile's shortest.

    All of them where the parameters are thresholds, one of each per beat.
    """
    return spec.cols if spec.threshold_count else -(-spec.cols // spec.rows)


def p_beats(spec: Spec):
    """Beats of one whole parameter set; none where the design takes no parameters."""
    if spec.threshold_count:
        return spec.threshold_count
    return -(-spec.cols // p_columns(spec)) if spec.parameters else 0


def p_beat(spec: Spec):
    """One beat of s_axis_p: all parameters of one column, then those of the next.

    Beat i of a set starts at column i * p_columns. Columns past the last one are ignored. Of thresholds, beat i has the
    i-th of every column, in rising order; a set of one beat goes on with the thresholds in use.
    """
    return beat_of(
        *(
            (f"{name}[{column}]", fmt, (1,))
            for column in range(p_columns(spec))
            for name, fmt in spec.parameter_formats.items()
        ),
        about=f"one set of {p_beats(spec)} beats per tile, ended by tlast; beat i begins at column "
        f"{p_columns(spec)} * i",
    )


def y_beat(spec: Spec):
    """One beat of m_axis_y: one output of each column. A tile takes `rows` beats, the last row first."""
    about = f"{spec.rows} beats per tile, the last row first; tlast on the final one"
    return beat_of(("y", spec.y, (spec.cols,)), about=about)


def q_beat(spec: Spec):
    """The one beat per tile of m_axis_q: scale and zero point of the tile's codes, where requantize is "dynamic"."""
    about = (
        "one beat per tile, with the tile's first on m_axis_y: value = y_scale * (y - y_zero_point) accumulator units"
    )
    return beat_of(("y_scale", FLOAT32, (1,)), ("y_zero_point", spec.y, (1,)), about=about)


def input_beats(spec: Spec):
    """The beats of the input streams of an output-stationary array, by short name."""
    beats = {"a": a_beat(spec), "w": w_beat(spec)} | ({"p": p_beat(spec)} if spec.parameters else {})
    return beats | ({"c": c_beat(spec)} if c_beats(spec) else {})


def output_beats(spec: Spec):
    """The beats of its output streams."""
    return {"y": y_beat(spec)} | ({"q": q_beat(spec)} if spec.requantize == "dynamic" else {})
