"""Which kind of network an ONNX model holds, and its reader."""

import onnx

FLAVOURS = ("float", "qdq", "qoperator", "dynamic", "qonnx")
_QONNX = ("Quant", "BipolarQuant", "MultiThreshold", "Trunc", "FloatQuant", "IntQuant")
_DYNAMIC = "DynamicQuantizeLinear"
_INTEGER = ("QGemm", "MatMulInteger", "ConvInteger")
_LINEAR = ("QuantizeLinear", "DequantizeLinear")


def flavour(model: onnx.ModelProto) -> str:
    """One of FLAVOURS, by the operators that are there.

    "qonnx" with quantizers of QONNX or thresholds, else "dynamic" with DynamicQuantizeLinear, else "qoperator" with
    operators on codes, else "qdq" with QuantizeLinear or DequantizeLinear, else "float".
    """
    operators = {str(node.op_type) for node in model.graph.node}
    if operators & set(_QONNX):
        return "qonnx"
    if _DYNAMIC in operators:
        return "dynamic"
    if operators & set(_INTEGER) or any(name.startswith("QLinear") for name in operators):
        return "qoperator"
    return "qdq" if operators & set(_LINEAR) else "float"
