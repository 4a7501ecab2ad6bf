"""Layers whose activations get their scale from each batch, made of layers of real numbers."""

import numpy as np

from golden.formats import Integer
from golden.scale_formats import FLOAT32
from golden.spec import Spec

from ..dynamic import DynamicProduct
from ..dynamic_activations import spec_fields
from ..float_network import Linear
from ..quantized_weights import QuantizedWeights
from .lowering import array_fields
from .recipe import Recipe

SUM_BITS = 64


def dynamic_product(layer: Linear, weights: QuantizedWeights, recipe: Recipe) -> DynamicProduct:
    """The product of a layer, activations in the recipe's format. Raises ValueError naming the layer."""
    name = recipe.formats(layer.name)[1]
    try:
        spec = _spec(spec_fields(name), array_fields(layer, weights, recipe))
    except ValueError as error:
        raise ValueError(f"layer {layer.name}: {error}") from None
    return DynamicProduct(
        layer.name, spec, name, weights, layer.bias.astype(np.float32), layer.activation, layer.window
    )


def _spec(activations, others) -> Spec:
    """Exact sums where they have at most 64 bits and activations no blocks, else sums in float32."""
    blocks = [fields["block"] for fields in (activations, others) if "block" in fields]
    if len(set(blocks)) > 1:
        raise ValueError(f"blocks of weights must be {blocks[0]} long as those of activations, not {blocks[1]}")
    fields = {**others, **activations}
    if "block" not in activations and _has_short_sums(fields):
        return Spec(**fields)
    fields.pop("scale_range", None)
    return Spec(**fields, block_sum="float32", output=FLOAT32)


def _has_short_sums(fields):
    """Whether exact sums have at most SUM_BITS bits; of scales far apart golden refuses them, as too long."""
    try:
        exact = Spec(**fields, requantize="shift", output=Integer(8, signed=True))
    except ValueError:
        return False
    return exact.exact_accumulator_width <= SUM_BITS
