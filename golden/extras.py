"""The arrays of a product beside operand codes, zero points and parameters: what each holds, and along which axes."""

from dataclasses import dataclass

from .formats import Codebook, Format, Integer
from .precision import MODES
from .spec import Spec


@dataclass(frozen=True)
class Extra:
    """Codes of one format along named axes: "m", "k", "n", and others that `axis_sizes` knows.

    An array without the first axes holds for all of them. Where the array may be left out, `default` is the code that
    it is full of; `pad` is the code of rows and columns that do not exist. `specials` says whether codes that are no
    numbers are taken.
    """

    fmt: Format
    axes: tuple[str, ...]
    default: int | None = None
    pad: int = 0
    specials: bool = False


@dataclass(frozen=True)
class ModeCode(Integer):
    """The number of a mode, or -1 for the one of most products that holds a tile's codes."""

    width: int = 3
    signed: bool = True

    @property
    def code_range(self):
        return -1, len(MODES) - 1

    @property
    def name(self):
        return "mode"


def precisions(spec: Spec) -> dict[str, Extra]:
    """What an array whose precision is chosen at run time takes it from; by default each tile has the least it needs.

    a_bits, w_bits : bit planes of all activations, and of all weights; 0 is the default.
    mode : number of one of golden.precision.MODES; -1 is the default.
    """
    if spec.array == "scalable":
        return {"mode": Extra(ModeCode(), (), -1)}
    if spec.array == "bit_serial":
        return dict.fromkeys(("a_bits", "w_bits"), Extra(Integer(6, signed=False), (), 0))
    return {}


def residual_codes(spec: Spec) -> dict[str, Extra]:
    """The second codes of the operand that has such: a_residual [M, K] or w_residual [K, N]."""
    if not spec.residual:
        return {}
    if spec.residual_of == "weights":
        return {"w_residual": Extra(spec.weights, ("k", "n"))}
    return {"a_residual": Extra(spec.activations, ("m", "k"))}


def extras(spec: Spec) -> dict[str, Extra]:
    """The extra arrays that a product on this design takes, by name."""
    axes = {"a_block_scale": ("m", "blocks"), "w_block_scale": ("blocks", "n")}
    taken = precisions(spec) | residual_codes(spec)
    taken |= {
        name: Extra(fmt, axes[name], pad=max(fmt.code_range[0], 0), specials=spec.is_float_sum)
        for name, fmt in spec.scale_formats.items()
    }
    if spec.w_block_zero_point:
        taken["w_block_zero_point"] = Extra(spec.weights, axes["w_block_scale"], default=0)
    if isinstance(spec.weights, Codebook):
        taken["w_codebook"] = Extra(spec.weights.entry, ("n", "entries"))
    return taken


def axis_sizes(spec: Spec, m, k, n) -> dict[str, int]:
    """Length of each axis of the arrays of a product [m, k] x [k, n]; "blocks" counts the blocks along K."""
    entries = spec.weights.entries if isinstance(spec.weights, Codebook) else 0
    return {"m": m, "k": k, "n": n, "entries": entries, "blocks": spec.blocks(k)}
