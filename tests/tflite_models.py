"""TFLite models written for tests with the schema's own builders: chains of operators, sound or not."""

from dataclasses import dataclass, field

import flatbuffers
import numpy as np
import oracle_litert
import tflite

OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "SOFTMAX": "SoftmaxOptions",
}
FUSED = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


@dataclass
class Tensor(oracle_litert.Tensor):
    """A tensor as there; `raw` in place of data are bytes of any number."""

    raw: bytes | None = None
    is_variable: bool = False


@dataclass
class Step:
    """An operator of a chain: constants are its inputs but the first, None where one is left out."""

    kind: str
    output: Tensor
    constants: list = field(default_factory=list)
    options: dict = field(default_factory=dict)
    with_options: bool = True


def chain(x: Tensor, *steps: Step, **changes) -> bytes:
    """The bytes of a model in which each step reads what the one before makes.

    `changes` take the place of what a sound model has: `inputs`, `outputs` of the graph, `operators` (input and output
    indices of each), `version`, `graphs`, `identifier`, `old_codes` (only those that old versions of the schema have).
    """
    tensors, operators = [x], []
    current = 0
    for step in steps:
        places = [current]
        for constant in step.constants:
            places.append(-1 if constant is None else len(tensors))
            tensors += [] if constant is None else [constant]
        current = len(tensors)
        tensors.append(step.output)
        operators.append((places, [current]))
    operators = changes.get("operators", operators)
    return _Writer().model(tensors, list(zip(steps, operators, strict=True)), changes, current)


class _Writer:
    def __init__(self):
        self.b = flatbuffers.Builder(1024)

    def model(self, tensors, operators, changes, last):
        b = self.b
        buffers = [self._buffer(None)]
        made = [self._tensor(index, one, buffers) for index, one in enumerate(tensors)]
        kinds = list(dict.fromkeys(step.kind for step, _ in operators))
        codes = [self._code(kind, changes.get("old_codes")) for kind in kinds]
        steps = [self._operator(step, kinds.index(step.kind), *places) for step, places in operators]
        ends = [self._ints(changes.get(name, [own])) for name, own in (("inputs", 0), ("outputs", last))]
        lists = self._tables(made), self._tables(steps)
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, lists[0])
        tflite.SubGraphAddInputs(b, ends[0])
        tflite.SubGraphAddOutputs(b, ends[1])
        tflite.SubGraphAddOperators(b, lists[1])
        graphs = self._tables([tflite.SubGraphEnd(b)] * changes.get("graphs", 1))
        codes, buffers = self._tables(codes), self._tables(buffers)
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, changes.get("version", 3))
        tflite.ModelAddOperatorCodes(b, codes)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), changes.get("identifier", b"TFL3"))
        return bytes(b.Output())

    def _ints(self, values):
        return self.b.CreateNumpyVector(np.array(values, np.int32))

    def _tables(self, offsets):
        self.b.StartVector(4, len(offsets), 4)
        for one in reversed(offsets):
            self.b.PrependUOffsetTRelative(one)
        return self.b.EndVector()

    def _buffer(self, content):
        data = None if content is None else self.b.CreateByteVector(content)
        tflite.BufferStart(self.b)
        if data is not None:
            tflite.BufferAddData(self.b, data)
        return tflite.BufferEnd(self.b)

    def _tensor(self, index, tensor, buffers):
        b = self.b
        content = tensor.raw if tensor.data is None else np.ascontiguousarray(tensor.data).astype(tensor.kind).tobytes()
        if content is not None:
            buffers.append(self._buffer(content))
        number = len(buffers) - 1 if content is not None else 0
        quantization = None if tensor.scale is None else self._quantization(tensor)
        name, shape = b.CreateString(f"t{index}"), self._ints(tensor.shape)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, getattr(tflite.TensorType, oracle_litert.TYPES.get(tensor.kind, tensor.kind)))
        tflite.TensorAddBuffer(b, number)
        tflite.TensorAddName(b, name)
        tflite.TensorAddIsVariable(b, tensor.is_variable)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        return tflite.TensorEnd(b)

    def _quantization(self, tensor):
        b = self.b
        scales = np.atleast_1d(np.float32(tensor.scale))
        points = np.broadcast_to(np.int64(tensor.zero_point), np.shape(tensor.zero_point) or scales.shape)
        vectors = b.CreateNumpyVector(scales), b.CreateNumpyVector(points.copy())
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, vectors[0])
        tflite.QuantizationParametersAddZeroPoint(b, vectors[1])
        tflite.QuantizationParametersAddQuantizedDimension(b, tensor.axis)
        return tflite.QuantizationParametersEnd(b)

    def _code(self, kind, old):
        custom = self.b.CreateString("Own\n'op'") if kind == "CUSTOM" else None
        number = getattr(tflite.BuiltinOperator, kind)
        tflite.OperatorCodeStart(self.b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self.b, min(number, 127))
        if not old:
            tflite.OperatorCodeAddBuiltinCode(self.b, number)
        if custom is not None:
            tflite.OperatorCodeAddCustomCode(self.b, custom)
        return tflite.OperatorCodeEnd(self.b)

    def _operator(self, step, code, inputs, outputs):
        b = self.b
        kind = OPTIONS.get(step.kind) if step.with_options else None
        options = None
        if kind is not None:
            getattr(tflite, f"{kind}Start")(b)
            for name, value in step.options.items():
                getattr(tflite, f"{kind}Add{name}")(b, value)
            options = getattr(tflite, f"{kind}End")(b)
        ends = self._ints(inputs), self._ints(outputs)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, ends[0])
        tflite.OperatorAddOutputs(b, ends[1])
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, kind))
            tflite.OperatorAddBuiltinOptions(b, options)
        return tflite.OperatorEnd(b)
