"""Whole products that other libraries computed, through generated Verilog in Verilator: every byte the library's.

`make oracles` writes the products (tests/oracle_products.py), in an environment of its own. The designs name a platform
and take the real scales; nothing else is told.
"""

from pathlib import Path

import numpy as np
import pytest
from simulation import missing, replay_streams, verilog

from golden.formats import parse
from golden.spec import Spec
from golden.tensors import operands
from sim.replay import build_bench

FOLDER = Path(__file__).resolve().parent.parent / "build" / "oracles"
PRODUCTS, OUTPUTS = 10, 30720
pytestmark = pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))


def design(a, w, platform=None, requantize="none", **fields):
    """The array for products of up to 48 pairs."""
    output = parse(a if platform else "int32")
    zero_points = {"a_zero_point": True, "y_zero_point": requantize not in ("none", "thresholds")}
    named = {"platform": platform, "requantize": requantize, "output": output, "name": "product"}
    shape = {"rows": 4, "cols": 4, "lanes": 4, "depth": 48}
    return Spec(activations=parse(a), weights=parse(w), **shape, **zero_points | named | fields)


INT8, BIAS, W_ZERO = ("int8", "int8"), {"bias": parse("int32")}, {"w_zero_point": True}
FLOAT = {"platform": "onnxruntime", "requantize": "float32"}
MICRO = {"platform": "tflite-micro", "requantize": "tflite"}
DESIGNS = {
    "onnxruntime QLinearMatMul int8": design(*INT8, **FLOAT),
    "onnxruntime QLinearMatMul uint8 int8": design("uint8", "int8", **FLOAT),
    "onnxruntime QLinearMatMul uint8": design("uint8", "uint8", **W_ZERO, **FLOAT),
    "onnxruntime QLinearConv int8": design(*INT8, **BIAS, **FLOAT),
    "onnxruntime MatMulInteger int8": design(*INT8, **W_ZERO),
    "onnxruntime MatMulInteger uint8": design("uint8", "uint8", **W_ZERO),
    "tflite-micro FULLY_CONNECTED": design(*INT8, **BIAS, **MICRO),
    "tflite-micro FULLY_CONNECTED per column": design(*INT8, **BIAS, **MICRO),
    "tflite-micro FULLY_CONNECTED relu": design(*INT8, **BIAS, **MICRO, activation="relu"),
    "tflite-micro FULLY_CONNECTED relu6": design(*INT8, **BIAS, **MICRO, activation="relu6"),
    "litert-reference FULLY_CONNECTED": design(*INT8, platform="litert-reference", requantize="thresholds"),
    "litert-ruy FULLY_CONNECTED": design(*INT8, **BIAS, platform="litert-ruy-x86", requantize="double_half_up"),
    "litert-xnnpack FULLY_CONNECTED": design(*INT8, **BIAS, platform="litert-xnnpack", requantize="float32"),
}


def load(name):
    """(arrays without y, y) of each product."""
    if not (files := sorted((FOLDER / name).glob("*.npz"))):
        pytest.skip(f"needs make oracles: no products of {name} in build/oracles")
    for file in files:
        with np.load(file) as data:
            yield {key: data[key] for key in data.files if key != "y"}, data["y"]


@pytest.mark.parametrize("name", DESIGNS)
def test_hardware_gives_the_bytes_of(name, tmp_path):
    spec = DESIGNS[name]
    products = list(load(name))
    given = [operands(spec, arrays) for arrays, _ in products]
    came = replay_streams(build_bench(spec, verilog(spec), "verilator"), spec, given, tmp_path)
    different = [int((mine != its).sum()) for mine, (_, its) in zip(came[0], products, strict=True)]
    assert len(products) == PRODUCTS and sum(its.size for _, its in products) == OUTPUTS
    assert different == [0] * PRODUCTS
