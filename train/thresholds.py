"""What follows a product as thresholds: a float32 operation, an activation and a quantizer in one (equation 9.2)."""

from dataclasses import replace

import numpy as np

from golden.thresholds import thresholds_for
from network.elementwise import Step as Operation
from network.grid import Grid
from network.layers import Product, Quantize

_ACTIVATIONS = {"none": (), "relu": (Operation("relu"),), "relu6": (Operation("clip", (np.zeros(()), np.array(6))),)}


def real_output(name: str, y: Grid, operation: Operation, activation: str, *, narrow: bool = False) -> Quantize:
    """Codes on grid y of activation(operation(real sum)), the least one left out where narrow."""
    return Quantize(name, y, before=(operation, *_ACTIVATIONS[activation]), narrow=narrow)


def thresholded(exact: Product, real: Quantize) -> Product:
    """The product that gives, for every sum that it can form, the codes of `real` for what leaves the exact product."""
    fields = {"requantize": "thresholds", "output": real.y.fmt, "y_zero_point": False}
    if real.narrow:
        lo, hi = real.y.fmt.code_range
        fields["clip"] = lo + 1, hi
    spec = exact.spec.with_(bias=None, activation="none", **fields)
    found = thresholds_for(
        lambda sums: real.run(exact.y.values(sums)),
        columns=exact.columns,
        acc_range=spec.acc_range,
        codes=spec.clip_range,
    )
    arrays = {name: array for name, array in exact.arrays.items() if name != "bias"}
    return replace(exact, spec=spec, arrays={**arrays, "thresholds": found}, y=real.y, real=real)
