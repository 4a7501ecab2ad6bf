"""Networks that Brevitas exports, read, against Brevitas itself and against QONNX's executor."""

import numpy as np
import pytest
from oracle_cases import need

need("torch", "brevitas", "qonnx", "onnx", "onnxruntime", "onnxoptimizer", "onnxscript")

from test_oracle_network_qonnx import executed, wrapped  # noqa: E402

from network.qonnx.read import read_qonnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


def convolutional():
    """8-bit input, 4-bit weights by channel, a pool, biases."""
    import brevitas.nn as qnn
    import torch
    from brevitas.quant import Int8ActPerTensorFloat

    return torch.nn.Sequential(
        qnn.QuantIdentity(bit_width=8, act_quant=Int8ActPerTensorFloat),
        qnn.QuantConv2d(2, 6, 3, bias=False, weight_bit_width=4, weight_scaling_per_output_channel=True),
        torch.nn.BatchNorm2d(6),
        qnn.QuantReLU(bit_width=4),
        torch.nn.MaxPool2d(2),
        qnn.QuantConv2d(6, 6, 2, groups=6, bias=True, weight_bit_width=3),
        qnn.QuantReLU(bit_width=3),
        torch.nn.Flatten(),
        qnn.QuantLinear(24, 10, bias=True, weight_bit_width=3),
        torch.nn.BatchNorm1d(10),
        qnn.QuantIdentity(bit_width=2),
        qnn.QuantLinear(10, 4, bias=True, weight_bit_width=2),
    )


def zero_points():
    """Asymmetric activations, quantized once more at the input of the layer."""
    import brevitas.nn as qnn
    import torch
    from brevitas.quant import ShiftedUint8ActPerTensorFloat

    return torch.nn.Sequential(
        torch.nn.Flatten(),
        qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat),
        qnn.QuantLinear(128, 16, bias=True, weight_bit_width=4),
        qnn.QuantHardTanh(bit_width=5, min_val=-1.0, max_val=1.0),
        qnn.QuantLinear(16, 6, bias=False, input_quant=ShiftedUint8ActPerTensorFloat, input_bit_width=4),
    )


def bipolar():
    """Weights and activations of one bit, as FINN's examples have them."""
    import brevitas.nn as qnn
    import torch
    from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst

    sign = {"act_quant": SignedBinaryActPerTensorConst, "bit_width": 1}
    return torch.nn.Sequential(
        torch.nn.Flatten(),
        qnn.QuantIdentity(**sign),
        qnn.QuantLinear(128, 16, bias=False, weight_quant=SignedBinaryWeightPerTensorConst),
        torch.nn.BatchNorm1d(16),
        qnn.QuantIdentity(**sign),
        qnn.QuantLinear(16, 6, bias=False, weight_quant=SignedBinaryWeightPerTensorConst),
    )


def unsettled(network):
    """Batch norms with statistics of data and factors of both signs; the network, trained no further."""
    import torch

    torch.manual_seed(1)
    for _ in range(20):
        network(torch.randn(32, 2, 8, 8))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.weight.data = torch.randn_like(module.weight)
            module.bias.data = torch.randn_like(module.bias) / 2
    return network.eval()


@pytest.mark.parametrize("make", [convolutional, zero_points, bipolar])
def test_exported(make, tmp_path):
    import torch
    from brevitas.export import export_qonnx

    torch.manual_seed(0)
    trained = unsettled(make())
    export_qonnx(trained, args=torch.randn(1, 2, 8, 8), export_path=str(tmp_path / "model.onnx"), opset_version=18)
    model = wrapped(str(tmp_path / "model.onnx"))
    network = read_qonnx(model.model)
    x = torch.randn(100, 2, 8, 8)
    y = network.run(x.numpy())
    result = model.graph.output[0].name
    expected = np.concatenate([executed(model, one[None])[result] for one in x.numpy()[:50]])
    assert np.abs(y[:50] - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(y - trained(x).detach().numpy()).max() < 1e-5 * np.abs(y).max()
    assert np.abs(network.fake(x.numpy()) - y).max() < 1e-5 * np.abs(y).max()
