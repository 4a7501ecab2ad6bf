"""Layers that post-training quantization makes, through generated Verilog in Icarus: the codes of golden.

Sample: one layer of each way that weights, scales and sums are kept; a network 13-5, five rows.
"""

import numpy as np
import pytest
import small_networks
from icarus import in_icarus
from simulation import missing

from golden.tensors import golden
from network.dynamic import DynamicProduct
from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))

RECIPES = {
    "int4 in groups of two levels": Recipe(weights="int4", granularity="group", group=4),
    "uint4 in groups with zero points": Recipe(weights="uint4", granularity="group", group=8),
    "mxfp4": Recipe(weights="mxfp4"),
    "codebook3": Recipe(weights="codebook3"),
    "ternary, shifts": Recipe(weights="ternary", scales="power_of_two", activations="int8", symmetric=True),
    "pot4 on bipolar outputs": Recipe(weights="pot4", activations="uint4", output="bipolar"),
    "thresholds of qonnx": Recipe(platform="qonnx", activations="int4", weights="int4", output="int4"),
    "tflite": Recipe(platform="tflite-micro", activations="int8"),
    "dynamic": Recipe(activation_range="dynamic", weights="uint6"),
    "weight stationary": Recipe(array="weight_stationary", weights="int4"),
    "matrix-vector, thresholds": Recipe(
        array="matrix_vector", platform="qonnx", activations="uint3", weights="int3", output="uint3"
    ),
    "bit planes": Recipe(array="bit_serial", activations="uint5", weights="int3"),
    "scalable": Recipe(array="scalable", activations="int8", symmetric=True, weights="int4"),
    "dynamic, weight stationary": Recipe(activation_range="dynamic", array="weight_stationary"),
    "mxfp8 by mxfp8": Recipe(activation_range="dynamic", activations="mxfp8_e4m3", weights="mxfp8_e4m3"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_hardware_gives_the_codes_of_golden(name, tmp_path):
    rng = np.random.default_rng(1)
    network = small_networks.mlp(rng, (13, 5))
    x = small_networks.inputs(rng, network, 40)
    quantized = quantize(network, [x], RECIPES[name].with_(rows=2, cols=3, lanes=2))
    layer, values = quantized.layers[0], quantized.entry.run(x[:5])
    given = layer.given(values)
    (y,), _ = in_icarus(layer.spec, [given], tmp_path)
    assert y.tolist() == golden(layer.spec, given).tolist()
    outputs = layer.outputs(y, values) if isinstance(layer, DynamicProduct) else y
    assert outputs.tolist() == layer.run(values).tolist()
    assert len(np.unique(y)) > 4 or "bipolar" in name
