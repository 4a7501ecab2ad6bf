"""Layers of the recorded QONNX and FINN networks through generated Verilog: the codes that their executor recorded.

Each layer takes the recorded codes of the one before, so that no layer hides behind another.
"""

import numpy as np
import pytest
from icarus import in_icarus
from qonnx_by_hand import evaluate
from qonnx_models import Chain
from qonnx_networks import convolution, hidden, last, norm, real, recorded
from simulation import missing, verilog

from network.qonnx.read import read_qonnx
from sim.replay import build_bench, replay

# samples of the network, and a small array
NETWORKS = {
    "qonnx_tfc_1w1a": (4, {"rows": 1, "cols": 8, "lanes": 28}),
    "qonnx_kws_mlp_w3a3": (2, {"rows": 1, "cols": 8, "lanes": 14}),
    "finn_tfc_w1a1_streamlined": (4, {"rows": 2, "cols": 8, "lanes": 16}),
}
LAYERS = [pytest.param(name, k, id=f"{name}-{k}") for name in NETWORKS for k in range(4)]
icarus = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))
verilator = pytest.mark.skipif(bool(missing("verilator")), reason=missing("verilator"))


def codes_of(grid, values):
    """Codes for what the corpus records: codes, or signs."""
    values = values.astype(np.int64)
    return (values + 1) // 2 if str(grid.fmt) == "bipolar" else values


def layer_of(name, k):
    """The design of a layer, its operands, and the recorded outputs."""
    network, data = recorded(name)
    samples, array = NETWORKS[name]
    layer = network.products[k]
    given = layer.given(codes_of(layer.x, data[f"q{k}"][:samples]))
    if k < 3:
        return layer.spec.with_(**array), given, codes_of(layer.y, data[f"q{k + 1}"][:samples])
    sums = data["mm3"][:samples] / layer.y.scale.astype(np.float64)
    return layer.spec.with_(**array), given, np.rint(sums).astype(np.int64)


@icarus
@pytest.mark.parametrize(("name", "k"), LAYERS)
def test_recorded_layers_in_icarus(name, k, tmp_path):
    spec, given, expected = layer_of(name, k)
    ((y,), _) = in_icarus(spec, [given], tmp_path)
    assert y.tolist() == expected.tolist()


@icarus
def test_a_network_in_icarus(tmp_path):
    """Zero points, columns that fall or are flat, a depthwise layer: real outputs as evaluated node by node."""
    rng = np.random.default_rng(1)
    chain = Chain().quant(0.25, 5, 9, signed=0)
    norm(convolution(chain, rng, 2, 6, (2, 2), pads=[1, 0, 0, 1]), rng, 6).then("Relu").quant(0.5, 3, 1, signed=0)
    norm(convolution(chain, rng, 6, 6, (2, 2), group=6, pads=[0, 1, 0, 0]), rng, 6).bipolar().then("Flatten")
    last(norm(hidden(chain, rng, 72, 5), rng, 5).quant(0.5, 2), rng, 5)
    x = real(rng, 3, 2, 4, 4)
    model = chain.model(x.shape)
    network = read_qonnx(model)
    codes = network.entry.run(x)
    for k, layer in enumerate(network.layers):
        if layer not in network.products:
            codes = layer.run(codes)
            continue
        spec = layer.spec.with_(rows=1, cols=3, lanes=4)
        (tmp_path / str(k)).mkdir()
        ((y,), _) = in_icarus(spec, [layer.given(codes)], tmp_path / str(k))
        codes = layer.shaped(y, codes)
    assert len(network.products) == 4
    assert network.exit.run(codes).tolist() == evaluate(model, x)[chain.x].tolist()


@verilator
def test_a_recorded_layer_in_verilator(tmp_path):
    spec, given, expected = layer_of("qonnx_kws_mlp_w3a3", 2)
    built = build_bench(spec, verilog(spec), "verilator")
    assert replay(built, spec, given, tmp_path).y.tolist() == expected.tolist()
