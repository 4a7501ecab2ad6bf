"""One layer of dynamic quantization from real numbers to golden's, one ingredient exchanged at a time.

As in .exchange each stage is what the layer would give if only the ingredients named so far were golden's.
"""

import numpy as np

from golden.block_formats import NAMED_BLOCKS
from golden.formats import Integer, parse
from golden.tensors import golden

from ..dynamic import DynamicProduct
from ..float_network import FloatAveragePool, Linear
from .exchange import Stages


def taken_stages(layer: DynamicProduct, linear: Linear | None, values) -> Stages:
    """What the layer gives for activations that are quantized, with real weights and biases:

        rounding  each number to the nearest multiple of a step with which as many codes just cover the batch, and zero
        range     to the scale and zero point that are made of this range, which they may be coarser than

    Floats and blocks have no such step, and rounding alone. `linear` is the layer of real numbers, where it is known.
    """
    w, bias = (layer.weights.real, layer.bias) if linear is None else (linear.w, linear.bias)

    def given(rows):
        return layer.finished(layer.real_sums(rows, w) + np.float64(bias), values)

    if isinstance(step := _step(layer.activations, values), float):
        rows = layer.rows(values).astype(np.float64)
        yield "rounding", given(np.rint(rows / step) * step if step else rows)
        yield "range", given(layer.taken(values).values)
    else:
        yield "rounding", given(layer.taken(values).values)


def _step(activations, values) -> float | None:
    fmt = None if activations in NAMED_BLOCKS else parse(activations)
    if not isinstance(fmt, Integer):
        return None
    first, last = fmt.code_range
    return (max(float(np.max(values)), 0.0) - min(float(np.min(values)), 0.0)) / (last - first)


def dynamic_stages(layer: DynamicProduct, linear: Linear | None, values) -> Stages:
    """What it gives for the activations' codes:

    weights      the real numbers that the weights' codes stand for
    bias         the layer's own, which a correction may have changed
    accumulator  sums as the array forms them: exact, or in float32
    rule         scales, bias and activation in float32, each operation rounded
    """
    y = golden(layer.spec, layer.given(values))
    held = layer.sums(y).astype(np.float64) * (np.float64(layer.a_scale(values)) * layer.w_scale)
    exact = layer.real_sums(layer.taken(values).values, layer.weights.real) if layer.spec.is_float_sum else held
    if linear is not None:
        yield "weights", layer.finished(exact + np.float64(linear.bias), values)
    yield "bias", layer.finished(exact + np.float64(layer.bias), values)
    yield "accumulator", layer.finished(held + np.float64(layer.bias), values)
    yield "rule", layer.outputs(y, values).astype(np.float64)


def float_pool_stages(layer: FloatAveragePool, values) -> Stages:
    """Of a mean: rounded to float32."""
    yield "rule", layer.run(np.asarray(values, np.float32)).astype(np.float64)
