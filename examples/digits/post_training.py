"""The digit classifier, trained in float32, quantized after training to many formats: how many digits stay right.

Run as `python -m examples.digits.post_training`. Calibrated on training images; no held-out one is seen before the end.
"""

import numpy as np

from network.elementwise import Step
from network.float_network import FloatNetwork, Linear
from network.post_training import quantize
from network.recipe import Recipe

from . import mlp
from .data import held_out, training
from .network import load

FORMATS = (
    *("int8", "int6", "int4", "int3", "int2", "uint4", "q2.6", "sm4", "ternary", "bipolar", "pot4", "apot5"),
    *("codebook4", "codebook2", "float8_e4m3fn", "float6_e2m3fn", "float4_e2m1fn"),
    *("mxint8", "mxfp8_e4m3", "mxfp6_e2m3", "mxfp4", "nvfp4"),
)
CORRECTIONS = ((), ("bias",), ("equalize", "bias"), ("adaround",), ("equalize", "adaround", "bias"))
CALIBRATED_ON = 512


def float_network(parameters) -> FloatNetwork:
    """The trained float network, from pixels 0..16."""
    layers = tuple(
        Linear(name, parameters[f"{name}.w"], parameters[f"{name}.b"], "relu" if name != mlp.LAYERS[-1] else "none")
        for name in mlp.LAYERS
    )
    return FloatNetwork("digits", (mlp.SIZES[0],), layers, before=(Step("div", (np.array(16),)),))


def right(network, images, labels) -> int:
    """How many digits it tells."""
    return int((network.run(images).argmax(axis=1) == labels).sum())


def main():
    network, (images, labels) = float_network(load("int8").float_parameters), held_out()
    batches = np.array_split(training()[0][:CALIBRATED_ON], 4)
    print(f"float32: {right(network, images, labels)} of {len(images)} right\n")
    names = ["+".join(one) or "as it is" for one in CORRECTIONS]
    print(f"| weights, activations uint8 | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name in FORMATS:
        recipes = [Recipe(weights=name, granularity="channel", corrections=one) for one in CORRECTIONS]
        counts = [str(right(quantize(network, batches, recipe), images, labels)) for recipe in recipes]
        print(f"| {name} | {' | '.join(counts)} |", flush=True)


if __name__ == "__main__":
    main()
