"""How a float network is to be quantized: formats, granularity, ranges, corrections, platform."""

from dataclasses import dataclass, field, replace

from golden.block_formats import NAMED_BLOCKS
from golden.formats import parse
from golden.platform_table import PLATFORMS
from golden.ranges import METHODS

from ..arrays import KINDS, Array

GRANULARITIES = ("tensor", "channel", "group")
CORRECTIONS = ("equalize", "adaround", "bias")
SCHEMES = ("tflite", "onnxruntime", "torch")
SCALES = ("real", "power_of_two")
EXACT = "exact"
DYNAMIC = "dynamic"
MOST_BINS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class LayerFormats:
    """Formats of one layer where they are not the recipe's: of its weights, and of the activations that go into it."""

    weights: str | None = None
    activations: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What post-training quantization is to do.

    weights, activations : names of formats (golden.formats.parse; weights also golden.block_formats.NAMED_BLOCKS, and
        activations too where they are dynamic).
    output : format of the last layer's outputs, or "exact": its sums, which leave as they are.
    layers : other formats for some layers, by name.
    granularity : what shares a scale of the weights: a "tensor", a "channel" (column of w), or a "group" of `group`
        weights along K in each column. Named blocks bring their own; fixed-point formats have one scale, 2**-fraction.
    group_scale : format of the scales of groups: an unsigned integer, beside a real scale for each channel; or
        float16, float8_e8m0fnu, another small float. None: uint8 for signed integers, float8_e8m0fnu for small floats,
        float16 for others.
    weight_range : a name of golden.ranges.METHODS but "moving_average": how much of the weights the scale covers.
        Powers of two, ternary and bipolar weights, codebooks and named blocks have rules of their own instead.
    activation_range : a name of golden.ranges.METHODS: how much of the calibration data it covers. Or "dynamic": each
        batch is quantized by its own range, and layers give real numbers (network.dynamic); output does not matter.
    percent, bins : of "percentile" and "entropy": the percentage that is covered, and the bins of histograms.
    scheme : a row of golden.calibrate.SCHEMES, how activations get scale and zero point from a range; None: "tflite"
        on the platforms of TFLite's kin (TFLite, LiteRT, CMSIS-NN, TOSA), elsewhere "onnxruntime".
    scales : "real", or "power_of_two": the next powers of two above, so that requantization is a shift.
    symmetric : whether activations of signed formats have zero point 0. Weights always have, but in groups with zero
        points (formats of unsigned integers).
    corrections : names of CORRECTIONS, each applied at most once, in their order there.
    platform : a name of golden.platforms.PLATFORMS, whose rules the hardware follows, or None.
    array, rows, cols, lanes : the array that all layers run on (network.arrays.Array).
    seed : of what is drawn at random (adaptive rounding).

    Raises ValueError naming field, rule and value.
    """

    weights: str = "int8"
    activations: str = "uint8"
    output: str = "int8"
    layers: dict[str, LayerFormats] = field(default_factory=dict)
    granularity: str = "channel"
    group: int = 32
    group_scale: str | None = None
    weight_range: str = "minmax"
    activation_range: str = "minmax"
    percent: float = 99.999
    bins: int = 2048
    scheme: str | None = None
    scales: str = "real"
    symmetric: bool = False
    corrections: tuple[str, ...] = ()
    platform: str | None = None
    array: str = "output_stationary"
    rows: int = 8
    cols: int = 8
    lanes: int = 4
    seed: int = 1

    def __post_init__(self):
        _check("granularity", self.granularity, GRANULARITIES)
        _check("weight_range", self.weight_range, tuple(name for name in METHODS if name != "moving_average"))
        _check("activation_range", self.activation_range, (*METHODS, DYNAMIC))
        _check("scales", self.scales, SCALES)
        _check("array", self.array, KINDS)
        if self.platform is not None:
            _check("platform", self.platform, tuple(PLATFORMS))
        if self.scheme is not None:
            _check("scheme", self.scheme, SCHEMES)
        for one in self.corrections:
            _check("corrections", one, CORRECTIONS)
        if self.is_dynamic and self.platform is not None:
            raise ValueError(f"platform must be left out with activation_range dynamic, not {self.platform!r}")
        if not 1 <= self.group <= 1 << 16:
            raise ValueError(f"group must be 1 to {1 << 16}, not {self.group}")
        if not 0 < self.percent <= 100:
            raise ValueError(f"percent must be above 0 and at most 100, not {self.percent}")
        if not 128 <= self.bins <= MOST_BINS:
            raise ValueError(f"bins must be 128 to {MOST_BINS}, not {self.bins}")
        if self.group_scale is not None:
            _parsed("group_scale", self.group_scale)
        for name, own in {"": LayerFormats(weights=self.weights, activations=self.activations), **self.layers}.items():
            _check_formats(f"layer {name}: " if name else "", own, NAMED_BLOCKS if self.is_dynamic else {})
        if self.output != EXACT:
            _parsed("output", self.output)

    @property
    def is_dynamic(self) -> bool:
        """Whether activations are quantized as they come, each batch by its own range."""
        return self.activation_range == DYNAMIC

    @property
    def placement(self) -> Array:
        """The array that all layers run on."""
        return Array(kind=self.array, rows=self.rows, cols=self.cols, lanes=self.lanes)

    def formats(self, layer: str) -> tuple[str, str]:
        """(weights, activations) of a layer."""
        own = self.layers.get(layer, LayerFormats())
        return own.weights or self.weights, own.activations or self.activations

    def with_(self, **changes) -> "Recipe":
        """A copy with some fields changed, validated again."""
        return replace(self, **changes)


def _check(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


def _check_formats(where, own, blocks):
    if own.weights is not None and own.weights not in NAMED_BLOCKS:
        _parsed(f"{where}weights", own.weights)
    if own.activations is not None and own.activations not in blocks:
        _parsed(f"{where}activations", own.activations)


def _parsed(name, value):
    try:
        return parse(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
