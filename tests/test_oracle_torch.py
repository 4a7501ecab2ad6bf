"""golden.quantize and golden.calibrate against torch."""

import numpy as np
import pytest
from oracle_cases import differing, need

from golden.calibrate import choose
from golden.quantize import quantize_as

need("torch")
pytestmark = pytest.mark.filterwarnings("ignore")


def reals(seed):
    draw = np.random.default_rng(seed)
    for k in range(6):
        scale = np.float32(2.0 ** draw.integers(-6, 2) if k % 2 else draw.uniform(0.001, 2))
        x = np.concatenate([draw.normal(0, 60 * scale, 10000), (np.arange(-5000, 5001) / 2) * scale])
        yield x.astype(np.float32), scale, int(draw.integers(-100, 100))


def test_quantize_per_tensor():
    import torch

    pairs = []
    for x, scale, zero_point in reals(51):
        other = torch.quantize_per_tensor(torch.from_numpy(x), float(scale), zero_point, torch.qint8).int_repr()
        pairs.append((quantize_as("torch", x, scale, zero_point), other.numpy().astype(np.int64)))
    assert differing(pairs) == (0, 6 * 20001)


def test_fake_quantize():
    import torch

    pairs = []
    for x, scale, zero_point in reals(52):
        dequantized = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), float(scale), zero_point, -128, 127)
        other = np.rint(dequantized.numpy() / np.float64(scale)).astype(np.int64) + zero_point
        pairs.append((quantize_as("torch-fake", x, scale, zero_point), other))
    assert differing(pairs) == (0, 6 * 20001)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("fmt", ["quint8", "qint8"])
def test_choice(fmt, symmetric):
    import torch
    from torch.ao.quantization.observer import MinMaxObserver

    scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
    draw = np.random.default_rng(53)
    for _ in range(1000):
        ends = np.sort(draw.normal(draw.normal(0, 1), 1, 2) * 10.0 ** draw.integers(-3, 3)).astype(np.float32)
        observer = MinMaxObserver(dtype=getattr(torch, fmt), qscheme=scheme)
        observer(torch.from_numpy(ends))
        scale, zero_point = observer.calculate_qparams()
        codes = "uint8" if fmt == "quint8" else "int8"
        assert choose("torch", *ends, codes, symmetric=symmetric) == (float(scale), int(zero_point))
