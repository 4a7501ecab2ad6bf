"""Files for the tests of the commands on networks: a small float model, data for it, its hostile relatives."""

import numpy as np
import onnx
from onnx import TensorProto
from onnx_models import Chain

SHAPE, CLASSES = (1, 6, 5), 3


def float_chain() -> Chain:
    """A convolution, a pool and a dense layer on x [B, 1, 6, 5], as PyTorch exports them: conv1, relu1, ..., fc1."""
    rng = np.random.default_rng(1)

    def values(*shape):
        return rng.normal(size=shape).astype(np.float32)

    chain = Chain(SHAPE)
    chain.add("Conv", values(4, 1, 3, 3), values(4), name="conv1", pads=[1, 1, 1, 1]).add("Relu", name="relu1")
    chain.add("MaxPool", name="pool1", kernel_shape=[2, 2], strides=[2, 2]).add("Flatten", name="flat")
    return chain.add("Gemm", values(CLASSES, 24), values(CLASSES), name="fc1", transB=1)


def float_model() -> onnx.ModelProto:
    return float_chain().model(17)


def examples(count=40, seed=2):
    """x [count, *SHAPE] and labels, which the float model gets right in most cases."""
    x = np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype(np.float32)
    return {"x": x, "labels": np.arange(count) % CLASSES}


def write_files(folder):
    """model.onnx and data.npz in a folder."""
    (folder / "model.onnx").write_bytes(float_model().SerializeToString())
    np.savez(folder / "data.npz", **examples())


def with_external(model, index=0, **entries) -> onnx.ModelProto:
    """The model with the data of an initializer elsewhere, as `entries` say."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    tensor = changed.graph.initializer[index]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return changed
