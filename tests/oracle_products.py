"""Whole products as other libraries compute them: `python tests/oracle_products.py FOLDER`, part of `make oracles`.

Writes FOLDER/NAME/0.npz, 1.npz, ... of each library and operator: the arrays that a design takes (codes, zero points,
bias, real scales, nothing derived from them) and `y`, what the library gave. tests/test_sim_products.py puts them
through hardware. Nothing of this project's arithmetic is used here.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import oracle_litert as litert
import oracle_onnx
from oracle_cases import products

SHAPE = (64, 48, 48)
SCALES = ("a_scale", "w_scale", "y_scale")
RUN = {
    "micro": litert.run_micro,
    "ref": partial(litert.run, resolver="ref"),
    "ruy": partial(litert.run, resolver="ruy"),
    "xnnpack": partial(litert.run, resolver="xnnpack"),
}


def qlinear_matmul(case, a, w):
    inputs = oracle_onnx.matmul_inputs(case, a, w, a)
    y = oracle_onnx.runtime(oracle_onnx.graph("QLinearMatMul", inputs, a.upper()), inputs[0])
    return without(case, "bias") | {"y": y}


def qlinear_convolution(case, a, w):
    """1x1, on an image of one row: the same product with a bias."""
    inputs = oracle_onnx.convolution_inputs(case, a, w, a)
    y = oracle_onnx.runtime(oracle_onnx.graph("QLinearConv", inputs, a.upper()), inputs[0])[0, :, 0].T
    return case | {"y": y}


def matmul_integer(case, a, w):
    inputs = [case["a"].astype(a), case["w"].astype(w)]
    inputs += [np.array(case["a_zero_point"], a), np.array(case["w_zero_point"], w)]
    y = oracle_onnx.runtime(oracle_onnx.graph("MatMulInteger", inputs, "INT32"), inputs[0])
    return without(case, "bias", "y_zero_point", *SCALES) | {"y": y}


def fully_connected(case, runner, activation=None):
    y = RUN[runner](litert.fully_connected(case, activation=activation), [case["a"]])
    return without(case, "w_zero_point") | {"y": y}


def without(case, *names):
    return {name: value for name, value in case.items() if name not in names}


def of_onnx(function, a, w, per_column=True):
    zero_point = w == "uint8" or not per_column
    cases = products(71, a=a, w=w, per_channel=per_column, w_zero_point=zero_point, shape=SHAPE)
    return (without(function(case, a, w), *([] if zero_point else ["w_zero_point"])) for case in cases)


def of_litert(runner, activation=None, per_column=False):
    return (fully_connected(case, runner, activation) for case in products(72, per_channel=per_column, shape=SHAPE))


LIBRARIES = {
    "onnxruntime QLinearMatMul int8": lambda: of_onnx(qlinear_matmul, "int8", "int8"),
    "onnxruntime QLinearMatMul uint8 int8": lambda: of_onnx(qlinear_matmul, "uint8", "int8"),
    "onnxruntime QLinearMatMul uint8": lambda: of_onnx(qlinear_matmul, "uint8", "uint8"),
    "onnxruntime QLinearConv int8": lambda: of_onnx(qlinear_convolution, "int8", "int8"),
    "onnxruntime MatMulInteger int8": lambda: of_onnx(matmul_integer, "int8", "int8", per_column=False),
    "onnxruntime MatMulInteger uint8": lambda: of_onnx(matmul_integer, "uint8", "uint8", per_column=False),
    "tflite-micro FULLY_CONNECTED": lambda: of_litert("micro"),
    "tflite-micro FULLY_CONNECTED per column": lambda: of_litert("micro", per_column=True),
    "tflite-micro FULLY_CONNECTED relu": lambda: of_litert("micro", "relu"),
    "tflite-micro FULLY_CONNECTED relu6": lambda: of_litert("micro", "relu6"),
    "litert-reference FULLY_CONNECTED": lambda: of_litert("ref"),
    "litert-ruy FULLY_CONNECTED": lambda: of_litert("ruy"),
    "litert-xnnpack FULLY_CONNECTED": lambda: of_litert("xnnpack", per_column=True),
}


def main(folder):
    for name, made in LIBRARIES.items():
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        for number, arrays in enumerate(made()):
            np.savez(target / f"{number}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
