"""Whole quantized models through onnxruntime, every quantized tensor of them: `python tests/oracle_quantize_static.py`.

Prints how many codes of QDQ models differ from those of the networks read from them, with onnxruntime's fusions and
without (docs/imports.md).
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx_models import Chain, reference

SHAPE = (3, 11, 13)
CODES = ("QuantizeLinear", "QLinearConv", "QLinearMatMul", "QGemm", "QLinearAveragePool", "QLinearGlobalAveragePool")
CODES += ("QLinearAdd", "MaxPool", "Flatten")


def float_model(seed=1):
    """Convolutions, one of them depthwise, pools of three kinds, dense layers with and without a bias of their own."""
    draw = np.random.default_rng(seed)

    def c(*shape):
        return draw.normal(0, 0.5, shape).astype(np.float32)

    chain = Chain(SHAPE).add("Conv", c(8, 3, 3, 2), c(8), strides=[2, 1], pads=[1, 0, 0, 2], name="first").add("Relu")
    chain.add("Conv", c(8, 1, 2, 2), c(8), group=8, name="depthwise").add("Clip", np.float32(0), np.float32(6))
    chain.add("MaxPool", kernel_shape=[2, 2], strides=[1, 2], name="largest").add("Conv", c(6, 8, 1, 2), name="third")
    chain.add("AveragePool", kernel_shape=[2, 2], strides=[1, 1], name="mean").add("Flatten", name="flat")
    k = reference(chain.model(), c(1, *SHAPE)).shape[1]
    chain.add("Gemm", c(16, k), c(16), transB=1, name="dense").add("Relu")
    return chain.add("MatMul", c(16, 10), name="matmul").add("Add", c(10), name="plus").model()


def pooled_model(seed=2):
    """A network that ends in the mean of whole maps."""
    draw = np.random.default_rng(seed)
    c = lambda *shape: draw.normal(0, 0.5, shape).astype(np.float32)  # noqa: E731
    chain = Chain(SHAPE).add("Conv", c(10, 3, 3, 3), c(10), name="first").add("GlobalAveragePool", name="whole")
    return chain.add("Flatten", name="flat").add("Gemm", c(10, 7), c(7), name="dense").model()


def quantized(model, form, *, per_channel, a, w, symmetric=False):
    """The model as onnxruntime's quantize_static makes it of 60 random inputs: form "QDQ" or "QOperator"."""
    import logging

    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    logging.getLogger().setLevel(logging.ERROR)

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.batches = iter([{"x": inputs(20, seed)} for seed in range(3)])

        def get_next(self):
            return next(self.batches, None)

    kinds = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "float.onnx", Path(folder) / "codes.onnx"
        onnx.save(model, one)
        quantize_static(
            one,
            other,
            Reader(),
            quant_format=QuantFormat[form],
            per_channel=per_channel,
            activation_type=kinds[a],
            weight_type=kinds[w],
            extra_options={"ActivationSymmetric": symmetric},
        )
        return onnx.load(other)


def inputs(count, seed):
    return np.random.default_rng(100 + seed).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def session(model, fused=True):
    """onnxruntime with all its fusions, those of int8 activations too, which it leaves out on x86; or with none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if fused:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model, x, fused=True):
    return session(model, fused).run(None, {model.graph.input[0].name: x})[0]


def up_to(model, name):
    """The model that ends at a tensor."""
    made, wanted, nodes = onnx.ModelProto(), {name}, []
    made.CopyFrom(model)
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            nodes.insert(0, node)
            wanted |= set(node.input)
    kept = [one for one in model.graph.initializer if one.name in wanted]
    for field, values in (("node", nodes), ("initializer", kept), ("output", [onnx.ValueInfoProto(name=name)])):
        del getattr(made.graph, field)[:]
        getattr(made.graph, field).extend(values)
    del made.graph.value_info[:]
    return made


def code_tensors(model, layers):
    """{layer: the tensor of its codes}: the last one before the next layer's operator."""
    found, layer = {}, None
    for node in model.graph.node:
        layer = node.name if node.name in layers else layer
        if node.op_type in CODES and layer is not None:
            found[layer] = node.output[0]
    return found


def compared(model, network, x, fused=True):
    """(layer, codes that differ, codes, largest difference) of each layer whose codes the model has too."""
    trace = network.trace(network.entry.run(x))
    for layer, tensor in code_tensors(model, list(trace)).items():
        theirs = run(up_to(model, tensor), x, fused).astype(np.int64)
        ours = np.moveaxis(trace[layer], -1, 1) if trace[layer].ndim > 2 else trace[layer]
        assert ours.shape == theirs.shape, layer
        yield layer, int((ours != theirs).sum()), ours.size, int(np.abs(ours - theirs).max())


KINDS = [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")]
GROUPS = {"convolutions": ("first", "depthwise", "third"), "mean": ("mean",), "behind it": ("dense", "matmul")}


def main():
    from network.onnx.read_qdq import read_qdq

    heads = ["scales of weights", "activations", "weights", "fused, all codes", *(f"unfused, {one}" for one in GROUPS)]
    print("|", " | ".join(heads), "|")
    print("|", " | ".join(["---"] * len(heads)), "|")
    for per_channel, (a, w) in ((one, kinds) for one in (False, True) for kinds in KINDS):
        model = quantized(float_model(), "QDQ", per_channel=per_channel, a=a, w=w)
        network, x = read_qdq(model), inputs(500, 9)
        fused, unfused = ({row[0]: row[1:] for row in compared(model, network, x, one)} for one in (True, False))
        groups = [_differing(unfused[one] for one in layers) for layers in GROUPS.values()]
        cells = [f"per {'channel' if per_channel else 'tensor'}", a, w, _differing(fused.values()), *groups]
        print("|", " | ".join(cells), "|")


def _differing(rows):
    different, codes, _ = map(sum, zip(*rows, strict=True))
    return f"{different} of {codes}"


if __name__ == "__main__":
    main()
