"""The design options that several commands share."""

import functools
import inspect
from pathlib import Path
from typing import Annotated

import typer

from golden.block_formats import NAMED_BLOCKS
from golden.checks import (
    ACTIVATIONS,
    ARRAYS,
    MULTIPLIER_STYLES,
    OPERAND_WIDTH,
    REQUANTIZERS,
    THRESHOLD_SEARCHES,
    ZERO_POINT_ORDERS,
)
from golden.checks_blocks import BLOCK_SUMS, SCALES
from golden.checks_codes import W_PACKINGS
from golden.checks_residual import RESIDUAL_OF
from golden.dynamic import SCALES as DYNAMIC_SCALES
from golden.formats import KNOWN
from golden.platform_table import PLATFORMS
from golden.rounding import OVERFLOWS, ROUNDINGS
from golden.sparsity import SPARSITIES
from golden.spec import Spec

from .design import parse_pair, read_toml, to_spec, with_real_weights, with_stored_weights
from .platform import check_contradictions
from .table import with_table
from .unused import check_used

_FORMATS = f"{KNOWN}; or blocks: {', '.join(NAMED_BLOCKS)}."


def option(name, kind, text, panel) -> inspect.Parameter:
    """A flag without a default: None where it is not given."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, typer.Option(help=text, rich_help_panel=panel, show_default=False)],
    )


_ARRAY, _BLOCK, _SCALE, _ZERO = "Array", "Blocks, and float32 sums", "Requantizer", "Zero points, given at run time"
_DESIGN = inspect.Parameter(
    "design",
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    default=None,
    annotation=Annotated[
        Path | None, typer.Argument(help="Design file (TOML); flags win over it.", show_default=False)
    ],
)
_OPTIONS = [
    option("name", str, "Name of the Verilog top module (default: mac_array).", _ARRAY),
    option("activations", str, f"Format of A, at most {OPERAND_WIDTH} bits: {_FORMATS}", _ARRAY),
    option("weights", str, "Format of W, likewise.", _ARRAY),
    option("array", str, f"Kind of array: {', '.join(ARRAYS)} (default: {ARRAYS[0]}).", _ARRAY),
    option("rows", int, "Rows of processing elements, outputs of M (default: 8).", _ARRAY),
    option("cols", int, "Columns of processing elements, outputs of N (default: 8).", _ARRAY),
    option("lanes", int, "Products per element and cycle (default: 1).", _ARRAY),
    option("depth", int, "Largest K of a tile (default: 512).", _ARRAY),
    option("outputs", int, "Largest N of a layer, of array matrix_vector (default: 64).", _ARRAY),
    option("stored_weights", Path, "Npz with w (K, N), codes that array matrix_vector holds from the start.", _ARRAY),
    option("sparsity", str, f"Zeros among the weights, of array matrix_vector: {', '.join(SPARSITIES)}.", _ARRAY),
    option("pass_rows", int, "Weight stationary: rows of A per pass, accumulators per column (default: 256).", _ARRAY),
    option("block", int, "Elements along K that share scales and zero points (default: 0, none).", _BLOCK),
    option("a_block_scale", str, f"Format of the scales of A's blocks: {SCALES}.", _BLOCK),
    option("w_block_scale", str, "Format of the scales of W's blocks, likewise.", _BLOCK),
    option("w_block_zero_point", bool, "Take a zero point of each block of W.", _BLOCK),
    option("scale_range", str, "Codes LO,HI that float8_e8m0fnu scales are promised to lie in.", _BLOCK),
    option("block_sum", str, f"How scaled sums are added: {', '.join(BLOCK_SUMS)} (default: exact).", _BLOCK),
    option("w_packing", str, f"Weights in a beat: {', '.join(W_PACKINGS)} (default: codes).", _ARRAY),
    option(
        "residual", int, "Bits by which a second code of each weight is finer, 1 to 16 (default: one code).", _ARRAY
    ),
    option("residual_of", str, f"What has second codes: {', '.join(RESIDUAL_OF)} (default: weights).", _ARRAY),
    option("multiplier_style", str, f"Integer products: {', '.join(MULTIPLIER_STYLES)} (default: auto).", _ARRAY),
    option("accumulator", int, "Accumulator width in bits (default: exact; float32 sums: --output float32).", _ARRAY),
    option("accumulator_overflow", str, f"What a narrower accumulator does: {', '.join(OVERFLOWS)}.", _ARRAY),
    option("weights_from", Path, "Npz with the real weights w: derives the accumulator width from them.", _ARRAY),
    option("output", str, "Format of Y; float32 with float32 sums (default: exact, with --requantize none).", _SCALE),
    option("requantize", str, f"Scaling: {', '.join(REQUANTIZERS)} (default: none).", _SCALE),
    option("platform", str, f"The rule of a platform, complete: {', '.join(PLATFORMS)}.", _SCALE),
    option("threshold_search", str, f"Thresholds: {', '.join(THRESHOLD_SEARCHES)} (default: binary).", _SCALE),
    option(
        "dynamic_scale",
        str,
        f"Tile whose range scales a tile, with dynamic: {', '.join(DYNAMIC_SCALES)} (default: same_tile).",
        _SCALE,
    ),
    option("multiplier_bits", int, "Width of the unsigned multiplier, 8 to 32 (default: 31).", _SCALE),
    option("bias", str, "Format of the bias, or none (default: int32 with scaling, else none).", _SCALE),
    option("rounding", str, f"Rounding: {', '.join(ROUNDINGS)} (default: half_even).", _SCALE),
    option("overflow", str, f"Values beyond the output format: {', '.join(OVERFLOWS)} (default: saturate).", _SCALE),
    option(
        "zero_point_order", str, f"Y's zero point: {', '.join(ZERO_POINT_ORDERS)} (default: after_rounding).", _SCALE
    ),
    option("activation", str, f"Activation function: {', '.join(ACTIVATIONS)} (default: none).", _SCALE),
    option("clip", str, "Bounds LO,HI in output codes (ReLU6 and the like) (default: the output format's).", _SCALE),
    option(
        "table", Path, "Npz with a table, as bittrue table writes it: a function of one code, applied last.", _SCALE
    ),
    option("table_input", str, "Format of the table's input (default: as the file of --table says).", _SCALE),
    option("a_zero_point", bool, "Take a zero point of A.", _ZERO),
    option("w_zero_point", bool, "Take a zero point of W.", _ZERO),
    option("y_zero_point", bool, "Take zero points of Y, one per column (default: with scaling).", _ZERO),
]
_NAMES = [option.name for option in _OPTIONS]


def takes_design(command):
    """Gives a command the design argument and options in place of its first parameter, the Spec they make."""

    @functools.wraps(command)
    def wrapped(**given):
        flags = {name: value for name in _NAMES if (value := given.pop(name)) is not None}
        return command(_spec(given.pop("design"), flags), **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    vars(wrapped)["__signature__"] = inspect.Signature([_DESIGN, *_OPTIONS, *own])
    return wrapped


def _spec(design: Path | None, flags: dict) -> Spec:
    weights_from = flags.pop("weights_from", None)
    for pair in ("clip", "scale_range"):
        if pair in flags:
            flags[pair] = parse_pair(flags[pair], pair)
    table, stored = flags.pop("table", None), flags.pop("stored_weights", None)
    given = read_toml(design) if design else {}
    check_contradictions(flags, flags.get("platform", given.get("platform")))
    given |= with_table(flags, table) if table else flags
    given = with_stored_weights(given, stored) if stored else given
    spec = to_spec(with_real_weights(given, weights_from) if weights_from else given)
    check_used(spec)
    return spec
