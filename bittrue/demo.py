"""The digits demonstration: three quantized networks, every layer through generated Verilog."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.digits import network

from . import flows
from .errors import InputError
from .progress import Progress

ARRAY = {"rows": 8, "cols": 8, "lanes": 4, "depth": 64}
SIMULATION = {"stall": 0.0, "seed": 1, "waves": False}


@dataclass(frozen=True)
class Demonstrated:
    """One network: images classified right in float, golden and hardware, and what the hardware did."""

    version: str
    images: int
    correct: tuple[int, ...]
    outputs: int
    mismatches: int
    cycles: int
    utilization: float

    @property
    def agrees(self):
        return self.mismatches == 0 and self.outputs > 0


def run_demo(out: Path, simulator: str, progress: Progress) -> list[Demonstrated]:
    """All held-out images through all layers of all versions. Raises InputError."""
    try:
        images, labels = network.held_out()
    except ImportError as error:
        raise InputError(f"the demo needs scikit-learn for its images: pip install scikit-learn ({error})") from error
    return [_demonstrate(version, images, labels, out / version, simulator, progress) for version in network.VERSIONS]


def _demonstrate(version, images, labels, out, simulator, progress):
    net = network.load(version)
    codes = net.encode(images)
    mismatches = outputs = cycles = macs = 0
    for layer, (_, expected) in zip(net.layers, net.golden(images), strict=True):
        folder = flows.generate(layer.spec(**ARRAY, name="digits"), out / layer.name, progress)
        arrays = {**layer.arrays, "a": codes}
        result = flows.simulate(folder, simulator, arrays, progress, **SIMULATION)
        codes = result.y
        mismatches += int((codes != expected).sum())
        outputs += codes.size
        cycles += result.cycles
        macs += arrays["a"].size * codes.shape[1]
    correct = (
        (np.argmax(net.float_logits(images), axis=1) == labels).sum(),
        (net.classify(expected) == labels).sum(),
        (net.classify(codes) == labels).sum(),
    )
    elements = ARRAY["rows"] * ARRAY["cols"] * ARRAY["lanes"]
    return Demonstrated(
        version=version,
        images=len(images),
        correct=tuple(int(count) for count in correct),
        outputs=outputs,
        mismatches=mismatches,
        cycles=cycles,
        utilization=macs / (elements * cycles),
    )
