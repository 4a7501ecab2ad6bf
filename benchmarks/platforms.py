"""Tables of docs/platforms.md: what each platform does, and how often the outputs of two of them differ.

    python -m benchmarks.platforms            prints them
    python -m benchmarks.platforms --write    and puts them between the marks `<!-- NAME -->` and `<!-- end -->`

Deterministic: the seed is fixed.
"""

import re
import sys
from pathlib import Path

import numpy as np

from golden import platforms
from golden.formats import Integer
from golden.platforms import PLATFORMS
from golden.requantize import requantize_array
from golden.rules import RULES
from golden.spec import Spec
from golden.tensors import operands

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "platforms.md"
SEED = 1
INT8 = Integer(8, signed=True)
SCALES, SUMS = 1000, 1000
STEPS = 35  # standard deviation of the outputs
Y_ZERO_POINT = 1  # odd, so that rounding before and after it differ
COMPARED = (
    *("tflite-micro", "cmsis-nn", "litert-ruy-x86", "tosa", "litert-xnnpack-arm", "litert-reference"),
    *("litert-xnnpack", "onnx-reference", "qonnx", "tflite-micro-int16"),
)
EFFECTIVE = {
    "f64": "float64",
    "f32_product": "float32 product, float64 quotient",
    "f32_chain": "float32",
    "product": "float32 product; the quotient is taken of the output",
    None: "from the model",
}
ENCODING = {
    "mult16": "16 bits, shift",
    "float32": "float32",
    "float64": "float64",
    "float32_division": "float32, twice",
}
ENCODING |= {"rndnu": "24 bits, shift", "thresholds": "thresholds", "shift_add": "integer, shift", None: "unpublished"}
ROUNDING = {
    "tflite": "twice: up, then ties away",
    "double_half_up": "twice, ties up",
    "tflite_single": "ties up",
    "mult16": "ties up",
    "rndnu": "ties up",
    "thresholds": "ties up",
    "shift_add": "ties up",
    None: "ties to even",
}
NAMED = {"half_away": "ties away", "half_even": "ties to even"}
POOLS = {
    None: "",
    "codes": "codes, ties away",
    "values": "values, ties away",
    "float32": "float32",
    "shift": "sum, shifted",
}
ADDS = {
    None: "",
    "tflite": "three scalings",
    "ruy": "three scalings, one rounding each",
    "tosa": "three scalings",
    "xnnpack": "21-bit factors",
    "onnxruntime": "float32, fused",
}
ACCUMULATORS = {
    "int32": "32 bits, wraps",
    "int64": "64 bits",
    "required32": "32 bits, must fit",
    "required48": "48 bits, must fit",
    "pairs16": "pairs saturate to 16 bits",
}


def rules():
    """Rows of the table of rules, the header first."""
    yield "platform", "scale", "kept as", "rounding", "zero point", "sum", "average pool", "add"
    yield ("---",) * 8
    for p in PLATFORMS.values():
        yield (
            p.name,
            _both(EFFECTIVE[p.effective], p.effective_per_channel and EFFECTIVE[p.effective_per_channel]),
            _both(_kept(p.scaling), p.scaling_per_channel and _kept(p.scaling_per_channel)),
            _rounding(p),
            f"{p.zero_point} rounding" if p.scaling else "none",
            ACCUMULATORS[p.accumulator] if p.scaling else "unpublished",
            POOLS[p.pool],
            ADDS[p.add],
        )


def _both(per_tensor, per_channel):
    return f"{per_tensor}; per channel {per_channel}" if per_channel else per_tensor


def _kept(scaling):
    return ENCODING.get(scaling, "31 bits, shift")


def _rounding(p):
    if p.scaling_per_channel:
        return _both(ROUNDING[p.scaling], NAMED[p.rounding])
    return NAMED[p.rounding] if p.rounding else ROUNDING[p.scaling]


def generic(draw):
    """(scales, sums) with scales of any value."""
    for _ in range(SCALES):
        a, w = np.float32(draw.uniform(0.01, 0.1)), np.float32(draw.uniform(0.001, 0.01))
        spread = 2.0 ** draw.uniform(10, 20)
        scales = {"a_scale": a, "w_scale": w, "y_scale": np.float32(a * w * spread / STEPS)}
        yield scales, np.rint(draw.normal(0, spread, SUMS)).astype(np.int64)


def ties(draw):
    """(scales, sums) with quotients 1/2 to 1/256 of scales that are powers of two."""
    for k in range(SCALES):
        bits = 1 + k % 8
        scales = {"a_scale": 0.25, "w_scale": 0.125, "y_scale": 2.0 ** (bits - 5)}
        yield scales, np.rint(draw.normal(0, STEPS * 2.0**bits, SUMS)).astype(np.int64)


def outputs(name, cases):
    codes = [
        platforms.requantize(name, acc[:, None], platforms.derive(name, **scales), y_zero_point=Y_ZERO_POINT)
        for scales, acc in cases
    ]
    return np.concatenate(codes).astype(np.int16)


def differences(draw_cases):
    """Rows of the table of differing outputs per million, the header first."""
    cases = list(draw_cases(np.random.default_rng(SEED)))
    codes = {name: outputs(name, cases) for name in COMPARED}
    yield "", *COMPARED[1:]
    yield ("---",) * len(COMPARED)
    for k, one in enumerate(COMPARED[:-1]):
        counts = [int(1e6 * (codes[one] != codes[other]).mean() + 0.5) for other in COMPARED[k + 1 :]]
        yield one, *([""] * k), *counts


def designs():
    """Column head -> the spec of a requantizer that hardware has."""
    common = {"activations": INT8, "weights": INT8, "accumulator": 32, "output": INT8, "y_zero_point": True}
    for rounding in ("half_even", "half_up", "half_away"):
        yield f"multiplier, {rounding}", Spec(**common, requantize="multiplier", rounding=rounding)
    yield "the same, zero point first", Spec(**common, requantize="multiplier", zero_point_order="before_rounding")
    for name, rule in RULES.items():
        if not rule.nearest:
            yield name, Spec(**common, requantize=name)


def requantized(spec, cases):
    """Outputs of a design for the same cases."""
    codes = []
    for scales, acc in cases:
        given = {"a": np.zeros((1, 1), int), "w": np.zeros((1, 1), int), "y_zero_point": Y_ZERO_POINT}
        parameters = operands(spec, given | {name: np.float32(scale) for name, scale in scales.items()}).parameters
        codes.append(requantize_array(acc[:, None], spec, **parameters))
    return np.concatenate(codes).astype(np.int16)


def against_hardware(draw_cases):
    """Rows of the table of requantizers: outputs per million that differ from each platform's, the header first."""
    cases = list(draw_cases(np.random.default_rng(SEED)))
    hardware = {head: requantized(spec, cases) for head, spec in designs()}
    yield "", *hardware
    yield ("---",) * (len(hardware) + 1)
    for name, p in PLATFORMS.items():
        if p.effective is not None and p.scaling != "thresholds":  # finn has no zero points
            codes = outputs(name, cases)
            yield name, *(int(1e6 * (codes != other).mean() + 0.5) for other in hardware.values())


TABLES = {
    "rules": rules,
    "generic": lambda: differences(generic),
    "ties": lambda: differences(ties),
    "hardware generic": lambda: against_hardware(generic),
    "hardware ties": lambda: against_hardware(ties),
}


def table(name):
    """A table of TABLES as Markdown."""
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in TABLES[name]())


def main(*, write):
    for name in TABLES:
        text = table(name)
        print(f"\n{text}")
        if write:
            marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            document = DOCUMENT.read_text(encoding="utf-8")
            DOCUMENT.write_text(marked.sub(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", document))


if __name__ == "__main__":
    main(write="--write" in sys.argv[1:])
