"""Float networks that PyTorch exports as ONNX models, read and run against PyTorch."""

import io

import numpy as np
import onnx
import pytest
from oracle_cases import need

need("onnx", "torch")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from network.onnx.read_float import read_float  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Digits(nn.Module):
    """As written by hand: functions between layers."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.other = nn.Conv2d(8, 16, 3, stride=2, groups=8, bias=False), nn.BatchNorm2d(16)
        self.dense, self.dropout = nn.Linear(144, 10), nn.Dropout(0.5)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = nn.functional.max_pool2d(nn.functional.relu6(self.other(self.second(x))), 2)
        return nn.functional.log_softmax(self.dense(self.dropout(torch.flatten(x, 1))), dim=1)


def separable():
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8, padding=1)
    return nn.Sequential(*layers, nn.BatchNorm2d(8), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


def signals():
    layers = nn.Conv1d(2, 6, 5, stride=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(42, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4), nn.Softmax(dim=-1))


NETWORKS = {"digits": (Digits, (1, 14, 14)), "separable": (separable, (3, 12, 12)), "signals": (signals, (2, 32))}
PLAIN = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}


@pytest.mark.parametrize("options", [{}, PLAIN], ids=["folded", "plain"])
@pytest.mark.parametrize("name", NETWORKS)
def test_exported_networks(name, options):
    """With batch norms folded by the exporter, and as they are."""
    torch.manual_seed(1)
    make, shape = NETWORKS[name]
    net, x = make().eval(), torch.randn(50, *shape)
    for one in net.modules():
        if isinstance(one, nn.BatchNorm1d | nn.BatchNorm2d):
            one.running_mean.normal_()
            one.running_var.uniform_(0.5, 2)
    content = io.BytesIO()
    named = {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}, "dynamo": False}
    torch.onnx.export(net, (x[:1],), content, **named, **options)
    found = read_float(onnx.load_from_string(content.getvalue())).run(x.numpy())
    assert np.allclose(found, net(x).detach().numpy(), rtol=1e-4, atol=1e-5)
