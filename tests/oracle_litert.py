"""One-operation TFLite models, made with LiteRT's own schema, and the interpreters that run them."""

from dataclasses import dataclass

import numpy as np

TYPES = {"float32": "FLOAT32", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8"}
RESOLVERS = {"ref": "BUILTIN_REF", "ruy": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "BUILTIN"}


@dataclass
class Tensor:
    """A tensor of the model; a constant if it has data. scale and zero_point are scalars or lists along `axis`."""

    shape: tuple
    kind: str
    scale: object = None
    zero_point: object = 0
    axis: int = 0
    data: np.ndarray | None = None


def model(operator, options, inputs, output):
    """The bytes of a model of one operator, by its schema names, such as "ADD" and schema.AddOptionsT(), or None."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    net = schema.ModelT()
    net.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, operator)
    code.deprecatedBuiltinCode = code.builtinCode
    code.version = 1
    net.operatorCodes, net.buffers = [code], [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(schema, net, k, tensor) for k, tensor in enumerate([*inputs, output])]
    op = schema.OperatorT()
    op.inputs, op.outputs = list(range(len(inputs))), [len(inputs)]
    if options is not None:
        kind = type(options).__name__.removesuffix("T")
        op.builtinOptionsType, op.builtinOptions = getattr(schema.BuiltinOptions, kind), options
    graph.operators = [op]
    graph.inputs, graph.outputs = [k for k, t in enumerate(inputs) if t.data is None], [len(inputs)]
    net.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(net.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema, net, index, tensor):
    made = schema.TensorT()
    made.name, made.shape = f"t{index}", list(tensor.shape)
    made.type = getattr(schema.TensorType, TYPES[tensor.kind])
    if tensor.scale is not None:
        quantization = schema.QuantizationParametersT()
        scales = np.atleast_1d(np.float32(tensor.scale))
        quantization.scale = scales.tolist()
        quantization.zeroPoint = np.broadcast_to(tensor.zero_point, scales.shape).tolist()
        quantization.quantizedDimension = tensor.axis
        made.quantization = quantization
    if tensor.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
        net.buffers.append(buffer)
        made.buffer = len(net.buffers) - 1
    return made


def run(content, inputs, resolver):
    """Output of a model in LiteRT: int64, or float32."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = getattr(OpResolverType, RESOLVERS[resolver])
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value.astype(detail["dtype"]))
    interpreter.invoke()
    return _widened(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def run_micro(content, inputs):
    """Output of a model in TFLite Micro: int64, or float32."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(content, arena_size=64 << 20)
    for k, value in enumerate(inputs):
        interpreter.set_input(value.astype(interpreter.get_input_details(k)["dtype"]), k)
    interpreter.invoke()
    return _widened(np.array(interpreter.get_output(0)))


def _widened(y):
    return y if y.dtype == np.float32 else y.astype(np.int64)


ACTIVATIONS = {None: "NONE", "relu": "RELU", "relu6": "RELU6", "relu_n1_to_1": "RELU_N1_TO_1"}


def fully_connected(case, kind="int8", bias_kind="int32", activation=None):
    """Model of a case of `oracle_cases.products`, per tensor (or per channel where w_scale is [N])."""
    from ai_edge_litert import schema_py_generated as schema

    m, depth = case["a"].shape
    n = case["w"].shape[1]
    inputs = [
        Tensor((m, depth), kind, case["a_scale"], case["a_zero_point"]),
        Tensor((n, depth), "int8", case["w_scale"], data=case["w"].T.astype(np.int8)),
        Tensor((n,), bias_kind, case["a_scale"] * case["w_scale"], data=case["bias"].astype(bias_kind)),
    ]
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = False
    options.fusedActivationFunction = getattr(schema.ActivationFunctionType, ACTIVATIONS[activation])
    return model("FULLY_CONNECTED", options, inputs, Tensor((m, n), kind, case["y_scale"], case["y_zero_point"]))


def convolution(case, kind="int8", bias_kind="int32"):
    """The same product as a 1x1 convolution of an image of one column, weights per channel or per tensor."""
    from ai_edge_litert import schema_py_generated as schema

    m, depth = case["a"].shape
    n = case["w"].shape[1]
    inputs = [
        Tensor((1, m, 1, depth), kind, case["a_scale"], case["a_zero_point"]),
        Tensor((n, 1, 1, depth), "int8", case["w_scale"], data=case["w"].T.astype(np.int8)),
        Tensor((n,), bias_kind, case["a_scale"] * case["w_scale"], data=case["bias"].astype(bias_kind)),
    ]
    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 1, 1
    options.dilationHFactor = options.dilationWFactor = 1
    return model("CONV_2D", options, inputs, Tensor((1, m, 1, n), kind, case["y_scale"], case["y_zero_point"]))


def addition(count, scales, zero_points):
    """x1 + x2, int8 [1, count] each; scales and zero points of x1, x2 and y."""
    from ai_edge_litert import schema_py_generated as schema

    x1, x2, y = (Tensor((1, count), "int8", s, z) for s, z in zip(scales, zero_points, strict=True))
    return model("ADD", schema.AddOptionsT(), [x1, x2], y)


def pooling(shape, window, scale, zero_point):
    """Average of windows that do not overlap, int8 [N, H, W, C]."""
    from ai_edge_litert import schema_py_generated as schema

    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.filterHeight, options.filterWidth = options.strideH, options.strideW = window
    n, height, width, channels = shape
    y = Tensor((n, height // window[0], width // window[1], channels), "int8", scale, zero_point)
    return model("AVERAGE_POOL_2D", options, [Tensor(shape, "int8", scale, zero_point)], y)


def quantization(count, scale, zero_point, x_scale=None, x_zero_point=0):
    """float32 [1, count] to int8, or int8 to int8 with an x_scale."""
    from ai_edge_litert import schema_py_generated as schema

    x = Tensor((1, count), "float32" if x_scale is None else "int8", x_scale, x_zero_point)
    y = Tensor((1, count), "int8", scale, zero_point)
    return model("QUANTIZE", schema.QuantizeOptionsT(), [x], y)


def softmax(shape, kind, scale, zero_point, beta):
    """Of the last axis, int8 or int16."""
    from ai_edge_litert import schema_py_generated as schema

    options = schema.SoftmaxOptionsT()
    options.beta = beta
    y = Tensor(shape, kind, *((1 / 256, -128) if kind == "int8" else (1 / 32768, 0)))
    return model("SOFTMAX", options, [Tensor(shape, kind, scale, zero_point)], y)


def logistic(shape, scale, zero_point):
    """Of int8 codes."""
    return model("LOGISTIC", None, [Tensor(shape, "int8", scale, zero_point)], Tensor(shape, "int8", 1 / 256, -128))
