"""golden.platforms against the kernels that other projects recorded: CMSIS-NN's unit tests and ONNX's node cases.

The recordings are data beside this repository, read in place.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from oracle_operators import OPERATORS

from golden import platforms

KERNELS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "kernels"
CMSIS, ONNX = KERNELS / "cmsis_nn", KERNELS / "onnx_node"
FULLY_CONNECTED = (
    *("fully_connected", "fully_connected_int16", "fully_connected_int4", "fully_connected_int4_3"),
    *("fully_connected_int4_5", "fully_connected_mve_1", "fully_connected_out_activation", "fc_int16_slow"),
    "fc_per_ch",
)
CONVOLUTIONS = (
    *("basic", "basic_2_int4", "conv_1_x_n_1", "conv_1_x_n_1_int4", "conv_1_x_n_3", "conv_1_x_n_3_int4"),
    *("conv_1_x_n_5", "conv_1_x_n_5_int4", "conv_1_x_n_7", "conv_2", "conv_2x2_dilation_5x5_input"),
    *("conv_2x2_dilation_5x5_input_int4", "conv_2x3_dilation_int4", "conv_3", "conv_3x2_dilation_int4"),
    *("conv_3x3_dilation_5x5_input", "conv_4_int4", "conv_5", "conv_dilation_golden_int4", "conv_out_activation"),
    *("grouped_conv", "grouped_conv_2", "grouped_conv_4", "in_ch_one_out_ch_larger_one", "int16xint8"),
    *("int16xint8_dilation_2", "int16xint8_spill", "int16xint8xint32_1", "int16xint8xint32_3"),
    *("int16xint8xint32_5", "kernel1x1", "kernel1x1_int4", "kernel1x1_int4_3", "kernel1x1_stride_x_y"),
    *("kernel1x1_stride_x_y_1_int4", "kernel1x1_stride_x_y_2", "kernel1x1_stride_x_y_int4", "requantize_s64"),
    *("stride2pad1", "stride2pad1_int4"),
)
POOLS = ("avgpooling", "avgpooling_2", "avgpooling_4", "avgpooling_int16", "avgpooling_int16_2")
ADDS = ("add", "add_s16")


def load(folder, name):
    """(arrays, meta) of a recorded kernel."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"the recorded kernel {path.name} is not beside this repository (shared/corpus/kernels)")
    with np.load(path) as data:
        arrays = {key: data[key] for key in data.files}
    return arrays, json.loads(bytes(arrays.pop("meta")).decode())


def weights(arrays, c, name, count):
    """Weights as int64; int4 ones are packed, the low half of a byte first."""
    w = arrays["weights"]
    if "int4" not in name:
        return w.astype(np.int64)
    halves = np.stack([w.astype(np.int64) << 60 >> 60, w.astype(np.int64) >> 4], -1)
    return halves.reshape(-1)[:count]


def requantize(name, arrays, c, acc):
    """CMSIS-NN's requantization: 16 bits with a 64-bit bias, by multipliers of 16 bits, everything else by 31 bits."""
    wide = arrays["input"].dtype == np.int16
    platform = "cmsis-nn-int16" if wide and "int32" not in name else "cmsis-nn"
    multiplier = arrays.get("output_mult", np.array(c.get("OUTPUT_MULTIPLIER")))
    shift = arrays.get("output_shift", np.array(c.get("OUTPUT_SHIFT")))
    if platform == "cmsis-nn-int16":
        multiplier = np.vectorize(platforms.scale.reduce_multiplier)(multiplier.astype(np.int64))
    return platforms.requantize(
        platform,
        acc,
        {"multiplier": multiplier, "shift": shift},
        bias=arrays.get("biases", 0),
        y_zero_point=c["OUTPUT_OFFSET"],
        y_format="int16" if wide else "int8",
        clip=(c["OUT_ACTIVATION_MIN"], c["OUT_ACTIVATION_MAX"]),
    )


@pytest.mark.parametrize("name", FULLY_CONNECTED)
def test_fully_connected(name):
    arrays, meta = load(CMSIS, name)
    c = meta["config"]
    depth, n = c["ACCUMULATION_DEPTH"], c["OUT_CH"]
    a = arrays["input"].astype(np.int64).reshape(-1, depth)
    w = weights(arrays, c, name, n * depth).reshape(n, depth).T
    acc = platforms.accumulate("cmsis-nn-int16", a, w, a_zero_point=-c["INPUT_OFFSET"])
    assert requantize(name, arrays, c, acc).reshape(-1).tolist() == arrays["output_ref"].tolist()


def columns(x, c, height, width):
    """im2col: [N, OH, OW, FY, FX, C] of x [N, H, W, C], padded with the value that counts as zero."""
    step_y, step_x, pad_y, pad_x = c["STRIDE_Y"], c["STRIDE_X"], c["PAD_Y"], c["PAD_X"]
    room = max(c["FILTER_Y"], c["FILTER_X"]) * max(c["DILATION_X"], c["DILATION_Y"]) + 4 * max(step_y, step_x)
    x = np.pad(x, ((0, 0), (pad_y, room), (pad_x, room), (0, 0)), constant_values=-c["INPUT_OFFSET"])
    rows = np.arange(height)[:, None] * step_y + np.arange(c["FILTER_Y"]) * c["DILATION_Y"]
    across = np.arange(width)[:, None] * step_x + np.arange(c["FILTER_X"]) * c["DILATION_X"]
    return x[:, rows[:, None, :, None], across[None, :, None, :], :]


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name):
    arrays, meta = load(CMSIS, name)
    c = {"DILATION_X": 1, "DILATION_Y": 1, **meta["config"]}
    batch, n, taps = c["INPUT_BATCHES"], c["OUT_CH"], c["FILTER_Y"] * c["FILTER_X"]
    x = arrays["input"].astype(np.int64).reshape(batch, c["INPUT_H"], c["INPUT_W"], c["IN_CH"])
    patches = columns(x, c, c["OUTPUT_H"], c["OUTPUT_W"])
    groups = c["IN_CH"] // c.get("FILTER_CH", c.get("CH_IN_FILTER", c["IN_CH"]))
    per_group = c["IN_CH"] // groups
    w = weights(arrays, c, name, n * taps * per_group).reshape(groups, n // groups, taps * per_group)
    acc = [
        platforms.accumulate(
            "cmsis-nn-int16",
            patches[..., g * per_group : (g + 1) * per_group].reshape(-1, taps * per_group),
            w[g].T,
            a_zero_point=-c["INPUT_OFFSET"],
        )
        for g in range(groups)
    ]
    y = requantize(name, arrays, c, np.concatenate(acc, axis=1))
    assert y.reshape(-1).tolist() == arrays["output_ref"].tolist()


@pytest.mark.parametrize("name", POOLS)
def test_average_pool(name):
    arrays, meta = load(CMSIS, name)
    c = meta["config"]
    height, width, channels = c["INPUT_H"], c["INPUT_W"], c["INPUT_C"]
    x = arrays["input_tensor"].astype(np.int64).reshape(c["BATCH_SIZE"], -1, height, width, channels)
    x = x.reshape(-1, height, width, channels)
    expected = arrays["output"].reshape(len(x), c["OUTPUT_H"], c["OUTPUT_W"], channels)
    for row in range(c["OUTPUT_H"]):
        top = row * c["STRIDE_H"] - c["PADDING_H"]
        for column in range(c["OUTPUT_W"]):
            left = column * c["STRIDE_W"] - c["PADDING_W"]
            part = x[:, max(top, 0) : top + c["FILTER_H"], max(left, 0) : left + c["FILTER_W"]]
            windows = part.reshape(len(x), -1, channels).transpose(0, 2, 1)
            y = platforms.average_pool(
                "cmsis-nn", windows, y_format="int16", clip=(c["ACTIVATION_MIN"], c["ACTIVATION_MAX"])
            )
            assert y.tolist() == expected[:, row, column].tolist()


@pytest.mark.parametrize("name", ADDS)
def test_add(name):
    """Multipliers of one half for both inputs stand for equal scales; y_scale is what gives the recorded output's."""
    arrays, meta = load(CMSIS, name)
    c = meta["config"]
    assert (c["INPUT1_MULT"], c["INPUT1_SHIFT"]) == (c["INPUT2_MULT"], c["INPUT2_SHIFT"]) == (2**30, 0)
    assert c["OUTPUT_MULT"] == 2**30
    y_scale = 2.0 ** (2 - c["LEFT_SHIFT"] - c["OUTPUT_SHIFT"])
    y = platforms.add(
        "cmsis-nn",
        arrays["input1"],
        arrays["input2"],
        x_scales=(1.0, 1.0),
        y_scale=y_scale,
        x_zero_points=(-c["INPUT1_OFFSET"], -c["INPUT2_OFFSET"]),
        y_zero_point=c["OUTPUT_OFFSET"],
        y_format=arrays["output_ref"].dtype.name,
        clip=(c["OUT_ACTIVATION_MIN"], c["OUT_ACTIVATION_MAX"]),
    )
    assert y.tolist() == arrays["output_ref"].tolist()


def onnx_cases():
    return sorted(path.stem for path in ONNX.glob("*.npz"))


@pytest.mark.parametrize("name", onnx_cases() or ["none"])
def test_onnx_node(name):
    arrays, meta = load(ONNX, name)
    if any("__" in key for key in arrays):
        pytest.skip("codes of 2 or 4 bits or of small floats, stored as floats: test_oracle_onnx.py has them")
    inputs = [arrays[f"in0_{k}"] for k in range(sum(key.startswith("in0_") for key in arrays))]
    result = OPERATORS[meta["op"][0]](meta["attrs"][0], *inputs)
    results = result if isinstance(result, tuple) else (result,)
    for k, mine in enumerate(results):
        assert np.array_equal(np.asarray(mine), arrays[f"out0_{k}"].astype(np.asarray(mine).dtype))
