"""The digit classifier, trained in float32, quantized after training to many formats: how many digits stay right.

Run as `python -m examples.digits.post_training`. Activations are uint8, scales one for each channel; calibrated on
training images. Columns: as it is, with what the recipe names.
"""

import numpy as np

from network.quantizing.post_training import quantize
from network.quantizing.recipe import Recipe

from .data import held_out, training
from .float_networks import float_network, inputs

FORMATS = (
    *("int8", "int6", "int4", "int3", "int2", "uint4", "q2.6", "sm4", "ternary", "bipolar", "pot4", "apot5"),
    *("codebook4", "codebook2", "float8_e4m3fn", "float6_e2m3fn", "float4_e2m1fn"),
    *("mxint8", "mxfp8_e4m3", "mxfp6_e2m3", "mxfp4", "nvfp4"),
)
COLUMNS = {
    "as it is": {},
    "mse": {"weight_range": "mse"},
    "bias": {"corrections": ("bias",)},
    "equalize, bias": {"corrections": ("equalize", "bias")},
    "adaround": {"corrections": ("adaround",)},
    "mse, adaround, bias": {"weight_range": "mse", "corrections": ("adaround", "bias")},
}
CALIBRATED_ON = 512


def right(network, images, labels) -> int:
    """How many digits it tells."""
    return int((network.run(inputs(images)).argmax(axis=1) == labels).sum())


def calibration():
    """Batches of training images."""
    return np.array_split(inputs(training()[0][:CALIBRATED_ON]), 4)


def row(name, network, images, labels) -> list[int]:
    """Digits told with weights of a format, for each of COLUMNS."""
    recipes = [Recipe(weights=name, **fields) for fields in COLUMNS.values()]
    return [right(quantize(network, calibration(), recipe), images, labels) for recipe in recipes]


def main():
    network, (images, labels) = float_network("mlp"), held_out()
    print(f"float32: {right(network, images, labels)} of {len(images)} right\n")
    print(f"| weights | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * len(COLUMNS)}")
    for name in FORMATS:
        print(f"| {name} | {' | '.join(map(str, row(name, network, images, labels)))} |", flush=True)


if __name__ == "__main__":
    main()
