"""Networks of TFLite files through generated Verilog, layer after layer, the hardware's outputs feeding the next one.

Sample: of mlperf_ad01_int8 (10 layers) example 0, of tflm_hello_world (3 layers) every 32nd of 256 examples, each
output held against the recorded one; of made-up networks one example each. In Icarus; one layer in Verilator too.
"""

import zlib

import numpy as np
import pytest
from icarus import in_icarus
from simulation import missing, replay_streams, verilog
from test_network_tflite import recorded
from tflite_cases import CASES, expected

from network.arrays import Array
from network.layers import Product
from network.tflite.read import read_tflite
from sim.replay import build_bench

ICARUS = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
VERILATOR = pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))
SAMPLE = {"mlperf_ad01_int8": [0], "tflm_hello_world": list(range(0, 256, 32))}
ARRAY = {"rows": 1, "cols": 4, "lanes": 4}


def through_icarus(network, codes, folder):
    """Codes after each layer, products computed by the hardware."""
    for layer in network.layers:
        if isinstance(layer, Product):
            place = folder / layer.name
            place.mkdir()
            (y,), _ = in_icarus(layer.spec, [layer.given(codes)], place)
            codes = layer.shaped(y, codes)
        else:
            codes = layer.run(codes)
        yield layer.name, codes


@ICARUS
@pytest.mark.parametrize("name", SAMPLE)
def test_recorded_networks(name, tmp_path):
    content, io, _ = recorded(name)
    network = Array(**ARRAY).placed(read_tflite(content))
    assert len(network.products) == len(network.layers) == io["op_crc32"].shape[1]
    sample = SAMPLE[name]
    codes = io["x"][sample].astype(np.int64)
    for index, (_, y) in enumerate(through_icarus(network, codes, tmp_path)):
        found = [zlib.crc32(one.astype(np.int8).tobytes()) for one in y]
        assert found == io["op_crc32"][sample, index].tolist()
    assert y.tolist() == io["y"][sample].tolist()


@ICARUS
@pytest.mark.parametrize("name", ["ties", "convolutions", "channels", "int16"])
def test_made_up_networks(name, tmp_path):
    maker = CASES[name]
    codes = maker.inputs(1)
    network = Array(rows=2, cols=3, lanes=2).placed(read_tflite(maker.content))
    found = [y for layer, y in through_icarus(network, codes, tmp_path) if not layer.startswith("flatten")]
    for y, other in zip(found, expected(maker, codes), strict=True):
        assert y.tolist() == other.tolist()


@VERILATOR
def test_a_layer_in_verilator(tmp_path):
    """Layer 4 of mlperf_ad01_int8, of 128 inputs and 8 outputs, for all 16 examples."""
    content, io, _ = recorded("mlperf_ad01_int8")
    network = Array(rows=4, cols=4, lanes=4).placed(read_tflite(content))
    layer, before = network.layers[4], list(network.trace(io["x"].astype(np.int64)).values())[3]
    build = build_bench(layer.spec, verilog(layer.spec), "verilator")
    (y,), _ = replay_streams(build, layer.spec, [layer.given(before)], tmp_path)
    assert [zlib.crc32(one.astype(np.int8).tobytes()) for one in y] == io["op_crc32"][:, 4].tolist()
