"""Made-up TFLite networks with all that is read, and what each operator gives, by loops and golden.platforms."""

import numpy as np
from tflite_models import FUSED, Step, Tensor, chain

from golden import platforms

RANGES = {"int8": (-128, 127), "int16": (-32768, 32767), "uint8": (0, 255)}
SPREAD = {"int8": (74, 40), "int16": (19000, 9000), "uint8": (74, 40)}
ABOUT = {"int8": 2.0**-5, "int16": 2.0**-12, "uint8": 2.0**-5}
PLATFORM = {"int8": "tflite-micro", "int16": "tflite-micro-int16", "uint8": "tflite-micro"}


class Maker:
    """A chain that grows: each method appends one operator with weights drawn at random.

    Scales are any numbers, or powers of two, which make ties, and leave the outputs within their range.
    """

    def __init__(self, seed, shape, kind="int8", ties=False):
        self.draw = np.random.default_rng(seed)
        self.ties = ties
        self.x = self._tensor((1, *shape), kind, ABOUT[kind])
        self.steps = []

    @property
    def last(self):
        return self.steps[-1].output if self.steps else self.x

    @property
    def content(self):
        return chain(self.x, *self.steps)

    def inputs(self, count):
        """Codes, or real numbers, of `count` examples."""
        if self.x.kind == "float32":
            return self.draw.normal(0, 1, (count, *self.x.shape[1:])).astype(np.float32)
        lo, hi = RANGES[self.x.kind]
        return self.draw.integers(lo, hi, (count, *self.x.shape[1:]), endpoint=True)

    def _scale(self, about):
        return np.float32(2.0 ** np.round(np.log2(about)) if self.ties else about * self.draw.uniform(0.7, 1.4))

    def _tensor(self, shape, kind, about):
        lo, hi = RANGES[kind]
        zero_point = 0 if kind == "int16" else int(self.draw.integers(lo // 2, hi // 2))
        return Tensor(shape, kind, self._scale(about), zero_point)

    def _weights(self, shape, depth, count, axis, per_channel, bias):
        """Weights, bias and the scale of the outputs."""
        x = self.last
        w = self.draw.integers(-127, 128, shape)
        about = np.full(count if per_channel else (), 0.004)
        scale = np.float32([self._scale(one) for one in np.atleast_1d(about)]) if per_channel else self._scale(0.004)
        given, wanted = SPREAD[x.kind]
        top = given * 74 * np.sqrt(depth)
        constants = [Tensor(shape, "int8", scale, axis=axis, data=w)]
        if bias:
            values = self.draw.integers(-int(top), int(top), count)
            kind = "int64" if x.kind == "int16" else "int32"
            constants.append(Tensor((count,), kind, x.scale * np.atleast_1d(scale), data=values))
        return constants, float(x.scale) * 0.004 * top / wanted

    def dense(self, count, activation="none", per_channel=False, bias=True, keep=False):
        x = self.last
        depth = x.shape[-1] if keep else int(np.prod(x.shape[1:]))
        constants, about = self._weights((count, depth), depth, count, 0, per_channel, bias)
        y = self._tensor((*(x.shape[:-1] if keep else x.shape[:1]), count), x.kind, about)
        options = {"FusedActivationFunction": FUSED[activation], "KeepNumDims": keep}
        return self._add("FULLY_CONNECTED", y, constants, options)

    def conv(self, count, kernel, padding="SAME", stride=(1, 1), dilation=(1, 1), **more):
        shape = (count, *kernel, self.last.shape[3])
        return self._window("CONV_2D", shape, count, 0, kernel, padding, stride, dilation, **more)

    def depthwise(self, multiplier, kernel, padding="SAME", stride=(1, 1), dilation=(1, 1), **more):
        count = self.last.shape[3] * multiplier
        options = {"DepthMultiplier": multiplier}
        shape = (1, *kernel, count)
        return self._window("DEPTHWISE_CONV_2D", shape, count, 3, kernel, padding, stride, dilation, options, **more)

    def _window(
        self, kind, shape, count, axis, kernel, padding, stride, dilation, options=(), activation="none",
        per_channel=True, bias=True,
    ):  # fmt: skip
        depth = int(np.prod(shape)) // count
        constants, about = self._weights(shape, depth, count, axis, per_channel, bias)
        sizes = output_size(self.last.shape[1:3], kernel, stride, dilation, padding)
        y = self._tensor((1, *sizes, count), self.last.kind, about)
        named = {"Padding": ("SAME", "VALID").index(padding), "StrideH": stride[0], "StrideW": stride[1]}
        named |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
        return self._add(kind, y, constants, {**named, "FusedActivationFunction": FUSED[activation], **dict(options)})

    def pool(self, kind, kernel, padding="VALID", stride=(1, 1), activation="none"):
        x = self.last
        sizes = output_size(x.shape[1:3], kernel, stride, (1, 1), padding)
        named = {"Padding": ("SAME", "VALID").index(padding), "StrideH": stride[0], "StrideW": stride[1]}
        named |= {"FilterHeight": kernel[0], "FilterWidth": kernel[1], "FusedActivationFunction": FUSED[activation]}
        y = Tensor((1, *sizes, x.shape[3]), x.kind, x.scale, x.zero_point)
        return self._add(f"{kind}_POOL_2D", y, [], named)

    def reshape(self, *shape, given=None):
        x = self.last
        constants = [] if given is None else [Tensor((len(given),), "int32", data=np.array(given))]
        return self._add("RESHAPE", Tensor(shape, x.kind, x.scale, x.zero_point), constants)

    def quantize(self, kind, about=2.0**-5):
        return self._add("QUANTIZE", self._tensor(self.last.shape, kind, about))

    def dequantize(self):
        return self._add("DEQUANTIZE", Tensor(self.last.shape, "float32"))

    def softmax(self, beta=1.0):
        x = self.last
        ends = (1 / 32768, 0) if x.kind == "int16" else (1 / 256, -128)
        return self._add("SOFTMAX", Tensor(x.shape, x.kind, *ends), options={"Beta": beta})

    def logistic(self):
        return self._add("LOGISTIC", Tensor(self.last.shape, "int8", 1 / 256, -128))

    def _add(self, kind, y, constants=(), options=()):
        self.steps.append(Step(kind, y, list(constants), dict(options)))
        return self


def output_size(size, kernel, stride, dilation, padding):
    """TFLite's sizes: ceil(size / stride) of SAME, ceil((size - reach + 1) / stride) of VALID."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    whole = size if padding == "SAME" else [n - r + 1 for n, r in zip(size, reach, strict=True)]
    return tuple(-(-n // s) for n, s in zip(whole, stride, strict=True))


CASES = {
    "dense": Maker(1, (9,)).dense(7, "relu").dense(6, "relu6").dense(5, bias=False).dense(4, per_channel=True),
    "ties": Maker(2, (9,), ties=True).dense(7, "relu_n1_to_1").dense(6, "relu6", per_channel=True).dense(5, bias=False),
    "one of each": Maker(3, (1,)).dense(1, per_channel=True).dense(3, per_channel=True).dense(1),
    "rows": Maker(4, (3, 5)).dense(4, keep=True).dense(6, "relu").softmax(0.5),
    "convolutions": Maker(5, (7, 6, 3))
    .conv(4, (2, 4), stride=(2, 2), activation="relu6")
    .conv(3, (2, 1), "VALID", dilation=(2, 1))
    .conv(5, (3, 3), per_channel=False, activation="relu"),
    "strides": Maker(6, (8, 7, 2), ties=True)
    .conv(3, (3, 2), stride=(2, 3))
    .conv(2, (1, 1), stride=(2, 2))
    .conv(4, (3, 4), dilation=(2, 3)),
    "channels": Maker(7, (7, 6, 3))
    .depthwise(2, (4, 3), stride=(2, 2), activation="relu")
    .depthwise(1, (2, 2), "VALID", dilation=(2, 2))
    .depthwise(3, (1, 2), per_channel=False),
    "pools": Maker(8, (9, 8, 3))
    .pool("MAX", (2, 3), "SAME", (2, 2))
    .conv(4, (1, 1))
    .pool("AVERAGE", (3, 2), "SAME", (2, 1))
    .pool("MAX", (2, 2))
    .reshape(1, 4, 6, given=(1, -1, 6))
    .reshape(1, 24, given=(1, 24))
    .dense(6)
    .softmax(),
    "int16": Maker(9, (6,), "int16")
    .dense(5, "relu")
    .dense(7, per_channel=True)
    .dense(4, "relu6", bias=False)
    .softmax(),
    "int16 ties": Maker(10, (6,), "int16", ties=True).dense(5).dense(7, "relu_n1_to_1", per_channel=True).softmax(2.0),
    "int16 maps": Maker(11, (7, 6, 2), "int16")
    .conv(4, (2, 3), stride=(2, 1))
    .depthwise(2, (3, 2), activation="relu")
    .pool("MAX", (2, 2))
    .pool("AVERAGE", (2, 3), "SAME", (1, 2))
    .dense(3),
    "no bias": Maker(15, (5, 4, 2))
    .conv(3, (2, 2), bias=False)
    .depthwise(2, (3, 3), bias=False)
    .reshape(1, 120)
    .dense(4),
    "uint8 ends": Maker(12, (5,), "uint8").quantize("int8").dense(4, "relu").quantize("uint8", 2.0**-4),
    "logistic": Maker(16, (7,)).dense(5).logistic(),
    "widths": Maker(13, (5,), "int16").dense(6).quantize("int8", 0.2).dense(4).quantize("int16", 2.0**-13).dense(3),
}


def real_ends():
    """A network from float32 to float32."""
    maker = Maker(14, (8,))
    maker.x = Tensor((1, 8), "float32")
    return maker.quantize("int8").dense(5, "relu").dense(4).dequantize()


def expected(maker, codes, family=None):
    """int64 codes [B, ...] that each operator gives, in order, for codes of the input.

    Of TFLite Micro, or by the platforms for dense layers and for convolutions that a family names.
    """
    x = np.asarray(codes)
    for before, step in zip([maker.x, *(one.output for one in maker.steps)], maker.steps, strict=False):
        platform = PLATFORM[before.kind]
        if family is not None:
            platform = family.convolution if "CONV" in step.kind else family.dense
        x = OPERATORS[step.kind](platform, before, step, x)
        yield x


def _requantized(platform, x, step, sums, w_scale):
    y = step.output
    bias = step.constants[1].data if len(step.constants) > 1 else 0
    activation = {number: name for name, number in FUSED.items()}[step.options["FusedActivationFunction"]]
    return platforms.requantize(
        platform,
        sums,
        platforms.derive(platform, a_scale=x.scale, w_scale=w_scale, y_scale=y.scale),
        bias=bias,
        y_zero_point=y.zero_point,
        y_format=y.kind,
        activation=None if activation == "none" else activation,
        y_scale=y.scale,
    )


def _dense(platform, x, step, codes):
    w = step.constants[0]
    rows = codes.reshape(*(codes.shape[:-1] if step.options["KeepNumDims"] else codes.shape[:1]), w.shape[1])
    sums = np.zeros((*rows.shape[:-1], w.shape[0]), np.int64)
    for place in np.ndindex(sums.shape):
        sums[place] = sum(
            (int(a) - x.zero_point) * int(b) for a, b in zip(rows[place[:-1]], w.data[place[-1]], strict=True)
        )
    return _requantized(platform, x, step, sums, w.scale)


def _before(size, kernel, stride, dilation, same):
    """Rows of padding in front."""
    if not same:
        return 0
    return max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2


def _places(x, step, kernel, dilation):
    """For each output place (i, j): the places of the kernel and of the map, of those that lie in the map."""
    stride = step.options["StrideH"], step.options["StrideW"]
    same = step.options["Padding"] == 0
    front = [_before(*side, same) for side in zip(x.shape[1:3], kernel, stride, dilation, strict=True)]
    for i, j in np.ndindex(*step.output.shape[1:3]):
        inside = []
        for u, v in np.ndindex(*kernel):
            row, column = i * stride[0] + u * dilation[0] - front[0], j * stride[1] + v * dilation[1] - front[1]
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                inside.append((u, v, row, column))
        yield i, j, inside


def _dilation(step):
    return step.options["DilationHFactor"], step.options["DilationWFactor"]


def _conv(platform, x, step, codes):
    w, values = step.constants[0], codes - x.zero_point
    sums = np.zeros((len(codes), *step.output.shape[1:]), np.int64)
    for i, j, inside in _places(x, step, w.shape[1:3], _dilation(step)):
        for u, v, row, column in inside:
            for n in range(w.shape[0]):
                sums[:, i, j, n] += (values[:, row, column] * w.data[n, u, v]).sum(axis=-1)
    return _requantized(platform, x, step, sums, np.broadcast_to(w.scale, w.shape[:1]))


def _depthwise(platform, x, step, codes):
    w, values = step.constants[0], codes - x.zero_point
    sums = np.zeros((len(codes), *step.output.shape[1:]), np.int64)
    for i, j, inside in _places(x, step, w.shape[1:3], _dilation(step)):
        for u, v, row, column in inside:
            for n in range(w.shape[3]):
                sums[:, i, j, n] += values[:, row, column, n // step.options["DepthMultiplier"]] * w.data[0, u, v, n]
    return _requantized(platform, x, step, sums, np.broadcast_to(w.scale, w.shape[3:]))


def _pool(platform, x, step, codes):
    y = np.zeros((len(codes), *step.output.shape[1:]), np.int64)
    kernel = step.options["FilterHeight"], step.options["FilterWidth"]
    for i, j, inside in _places(x, step, kernel, (1, 1)):
        taken = np.stack([codes[:, row, column] for _, _, row, column in inside], axis=-1)
        grid = {"x_scale": x.scale, "y_scale": x.scale, "x_zero_point": x.zero_point, "y_zero_point": x.zero_point}
        average = platforms.average_pool(platform, taken, x_format=x.kind, y_format=x.kind, **grid)
        y[:, i, j] = taken.max(axis=-1) if step.kind.startswith("MAX") else average
    return y


def _rescale(platform, x, step, codes):
    y = step.output
    where = {"x_scale": x.scale, "x_zero_point": x.zero_point, "y_scale": y.scale, "y_zero_point": y.zero_point}
    return platforms.rescale(platform, codes, y_format=y.kind, **where)


OPERATORS = {
    "FULLY_CONNECTED": _dense,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "RESHAPE": lambda platform, x, step, codes: codes.reshape(len(codes), *step.output.shape[1:]),
    "QUANTIZE": _rescale,
    "SOFTMAX": lambda platform, x, step, codes: platforms.softmax(
        platform, codes, x_scale=x.scale, beta=step.options["Beta"], x_format=x.kind
    ),
    "LOGISTIC": lambda platform, x, step, codes: platforms.logistic(
        platform, codes, x_scale=x.scale, x_zero_point=x.zero_point
    ),
}
