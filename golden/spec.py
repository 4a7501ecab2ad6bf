"""What to build: one frozen, validated description that the model, the hardware and the comparison share.

Derived quantities (ranges, widths) are properties, computed here and nowhere else. docs/arithmetic.md numbers the
equations.
"""

from dataclasses import dataclass, replace

from .checks import LOGIC_BITS, MAX_SHIFT, check
from .formats import Bipolar, Codebook, Format, Integer
from .ops import int_bits
from .rules import RULES, SHIFT_BITS
from .scale_formats import PowerScale
from .sparsity import GROUP, KEPT, most_products


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A quantized MAC array of rows x cols processing elements with `lanes` lanes each.

        y[m, n] = requantize(sum_k (a[m, k] - a_zero_point) * (w[k, n] - w_zero_point))

    for a reduction depth K of at most `depth`. See docs/arithmetic.md for each term.

    Parameters
    ----------
    activations, weights : operand formats, at most 32 bits.
    array : the kind of array, one of golden.checks.ARRAYS: what stays put and what moves. It changes the order of sums,
        which only a saturating accumulator can tell, and no other result.
        "bit_serial" multiplies bit planes: the precision of each tile is chosen at run time, up to that of the formats.
        "scalable" forms one, two, four or sixteen products per lane, of 8x8, 8x4, 4x4 or 2x2 bits, as each tile says.
    rows, cols, lanes : the array: rows outputs of M, cols outputs of N, `lanes` products per cycle and element. The
        vector unit has one row, of cols channels that may each have activations of their own: a[m, k, n]. Where weights
        are stationary, rows * lanes steps of K.
    depth : largest K that a tile may have.
    outputs : largest N of a layer on a matrix-vector unit, which keeps all its weights; 1 to 65536. Other arrays ignore
        it.
    stored_weights : codes of a layer [K][N] that a matrix-vector unit holds from the start, or None: they come over a
        stream.
    sparsity : "none", or "2:4": of each 4 consecutive weights along K at most 2 are other than zero, and a
        matrix-vector unit multiplies only 2, so that a beat brings twice `lanes` activations.
    pass_rows : largest M of one pass of a weight-stationary array, which has so many accumulators for each column;
        1 to 65536. Other arrays ignore it.
    block : elements along K, a multiple of lanes, that share scales and zero points, or 0; the last block may be short.
    a_block_scale, w_block_scale : formats of the scales that each block of a row of A, of a column of W, has at run
        time: float8_e8m0fnu, a small float, float16, bfloat16 or an unsigned integer; or None (equation 10.1).
    w_block_zero_point : whether each block of a column of W has a zero point, a code of the weights' format.
    scale_range : (lo, hi) that codes of float8_e8m0fnu scales are promised to lie in, which bounds exact sums, or None.
    block_sum : how block sums are scaled and added: "exact", or "float32" in order of k, each step rounded; with
        "float32" and no block, the sums of beats are so added. The output is then float32.
    residual, residual_of : bits by which a second code of each of the "weights" or "activations" is finer than the
        first, 1 to 16, the value being their sum: first * 2**residual + second. The array takes K twice, once per code.
        0: one code.
    accumulator : accumulator width in bits (two's complement); None derives the exact width.
    accumulator_overflow : "wrap" or "saturate"; needed where the accumulator is narrower than exact. A saturating
        accumulator clips after each beat, that is after each `beat_depth` products in order of k, whose sum is exact.
    accumulator_range : (lo, hi) that every partial sum is promised to stay in, from the real weights, or None.
    bias : format of the bias added to the accumulator, or None.
    requantize : "none" (no scaling), "shift" (divide by 2**shift), "multiplier" (times multiplier / 2**shift),
        "thresholds" (counts the thresholds that the sum reaches), "dynamic" (golden.dynamic: to uint8, with scale and
        zero point from the range of the sums of a tile), or a rule of golden.rules, which has its own rounding and
        takes multiplier and shift as TFLite encodes them, or a floating-point scale.
    threshold_search : how thresholds are counted, which changes area and latency but no result: "binary" (one
        comparison per output bit, thresholds in memory) or "parallel" (all at once, thresholds in registers).
    dynamic_scale : the tile whose range requantize "dynamic" scales a tile by: "same_tile", or "next_tile": that of
        each tile scales the next one, the first after reset having scale 1 and zero point 0.
    multiplier_bits : width of the unsigned multiplier, 8 to 32, of requantize "multiplier".
    rounding, overflow : rule names of golden.rounding.
    zero_point_order : whether y_zero_point is added "after_rounding" or "before_rounding", which decides other ties.
    activation : "relu" puts a lower bound of zero (that is, of the output's zero point) on the scaled value; "relu6"
        an upper bound too, the code y_max that each column takes at run time.
    clip : (lo, hi) in output codes (with a table: in those of table_input), or None for the whole range.
    table, table_input : output codes for all codes of the format table_input, from the smallest on: any function of
        one operand, applied last. The requantizer then gives codes of table_input, zero points included. Or None.
    output : output format; None means the exact width, for requantize "none" only.
    a_zero_point, w_zero_point, y_zero_point : whether the design takes such a zero point at run time (a code of the
        format it belongs to).
    platform : the platform of golden.platforms whose rule this is, for deriving parameters from real scales, or None.
    w_packing : how weights lie in a beat: "codes" (side by side) or "trits" (ternary ones, five in each byte).
    multiplier_style : how integer products are made, which changes area and latency but no result: "logic" (adders of
        bit planes), "dsp" (a multiplication that synthesis maps to DSP blocks), "auto": logic up to 4 bits.

    Raises
    ------
    TypeError for a wrong kind, ValueError for a wrong value. The message names the field, the rule and the value.
    """

    activations: Format
    weights: Format
    array: str = "output_stationary"
    rows: int = 8
    cols: int = 8
    lanes: int = 1
    depth: int = 512
    outputs: int = 64
    stored_weights: tuple[tuple[int, ...], ...] | None = None
    sparsity: str = "none"
    pass_rows: int = 256
    block: int = 0
    a_block_scale: Format | None = None
    w_block_scale: Format | None = None
    w_block_zero_point: bool = False
    scale_range: tuple[int, int] | None = None
    block_sum: str = "exact"
    residual: int = 0
    residual_of: str = "weights"
    accumulator: int | None = None
    accumulator_overflow: str | None = None
    accumulator_range: tuple[int, int] | None = None
    bias: Format | None = None
    requantize: str = "none"
    threshold_search: str = "binary"
    dynamic_scale: str = "same_tile"
    multiplier_bits: int = 31
    rounding: str = "half_even"
    overflow: str = "saturate"
    zero_point_order: str = "after_rounding"
    activation: str = "none"
    clip: tuple[int, int] | None = None
    table: tuple[int, ...] | None = None
    table_input: Format | None = None
    output: Format | None = None
    a_zero_point: bool = False
    w_zero_point: bool = False
    y_zero_point: bool = False
    platform: str | None = None
    w_packing: str = "codes"
    multiplier_style: str = "auto"
    name: str = "mac_array"

    def __post_init__(self):
        check(self)

    @property
    def a_range(self):
        """Interval of a decoded activation less its zero point."""
        return _operand_range(self.activations, self.a_zero_point)

    @property
    def w_range(self):
        """Interval of a decoded weight less its zero point."""
        return _operand_range(self.weights, self.w_zero_point or self.w_block_zero_point)

    @property
    def a_value_range(self):
        """Interval of an activation with its residual code (equation 2.8), of the activation where it has none."""
        return _with_residual(self.a_range, self.residual if self.residual_of == "activations" else 0)

    @property
    def w_value_range(self):
        """Interval of a weight, likewise."""
        return _with_residual(self.w_range, self.residual if self.residual_of == "weights" else 0)

    @property
    def product_range(self):
        """Interval of one product of codes (equation 2.1)."""
        return product_interval(self.a_range, self.w_range)

    @property
    def beat_range(self):
        """Interval of the sum of one beat's `lanes` products, missing products counting as zero."""
        return scale_interval(self.product_range, self.lanes)

    @property
    def most_products(self):
        """Products of one sum that can be other than zero: `depth`, or those that the sparsity leaves of them."""
        return self.depth if self.sparsity == "none" else most_products(self.depth)

    @property
    def sum_range_of_formats(self):
        """Interval of every partial sum of up to `depth` products (equation 2.2), scaled (10.2)."""
        values = product_interval(self.a_value_range, self.w_value_range)
        return scale_interval(product_interval(values, self.scales_range), self.most_products)

    @property
    def is_float_sum(self):
        """Whether sums are formed in float32, so that accumulators and outputs are its bit patterns."""
        return self.block_sum == "float32"

    @property
    def scale_formats(self):
        """Formats of the block scales that the design takes, by name, with the codes promised by `scale_range`."""
        formats = {"a_block_scale": self.a_block_scale, "w_block_scale": self.w_block_scale}
        promised = PowerScale(*self.scale_range or ())
        return {
            name: promised if isinstance(fmt, PowerScale) else fmt for name, fmt in formats.items() if fmt is not None
        }

    @property
    def scales_range(self):
        """Interval of the product of a block's decoded scales; (1, 1) without scales."""
        interval = (1, 1)
        for fmt in self.scale_formats.values():
            interval = product_interval(interval, fmt.decoded_range)
        return interval

    @property
    def block_depth(self):
        """Products whose sum is exact before it is scaled, or rounded to float32: those of a block, or of a beat."""
        return self.block or self.beat_depth

    @property
    def block_range(self):
        """Interval of one such sum, and of its parts, before the scales."""
        return scale_interval(self.product_range, min(self.block_depth, self.depth))

    @property
    def sum_range(self):
        """Interval of the exact sum, by the promise in `accumulator_range` where there is one."""
        return self.accumulator_range or self.sum_range_of_formats

    @property
    def exact_accumulator_width(self):
        """Bits (two's complement) that hold every partial sum (equation 2.3)."""
        return int_bits(*self.sum_range)

    @property
    def accumulator_width(self):
        """Bits of the accumulator, two's complement; of a float32, its own."""
        if self.is_float_sum:
            return 32
        return self.exact_accumulator_width if self.accumulator is None else self.accumulator

    @property
    def accumulator_is_exact(self):
        return self.is_float_sum or self.accumulator_width >= self.exact_accumulator_width

    @property
    def acc_range(self):
        """Interval of the value that leaves the accumulator; of the pattern where it is a float32."""
        if self.is_float_sum:
            return 0, (1 << 32) - 1
        if self.accumulator_is_exact:
            return self.sum_range
        return -(1 << self.accumulator_width - 1), (1 << self.accumulator_width - 1) - 1

    @property
    def biased_range(self):
        """Interval of accumulator plus bias."""
        lo, hi = self.bias.code_range if self.bias else (0, 0)
        return self.acc_range[0] + lo, self.acc_range[1] + hi

    @property
    def rule(self):
        """The rule of golden.rules that requantizes, or None."""
        return RULES.get(self.requantize)

    @property
    def scaled_range(self):
        """Interval of (accumulator + bias) * multiplier, before the shift; for floating-point scales, any int64."""
        if self.rule is not None and self.rule.is_float:
            return -(1 << 63), (1 << 63) - 1
        if self.rule is not None:
            value = (-(1 << 31), (1 << 31) - 1) if self.rule.wraps else self.biased_range
            return product_interval(value, (0, (1 << self.rule.multiplier_bits) - 1))
        if self.requantize == "multiplier":
            return product_interval(self.biased_range, (0, (1 << self.multiplier_bits) - 1))
        return self.biased_range

    @property
    def y(self):
        """The output format."""
        return self.output or Integer(int_bits(*self.biased_range), signed=True)

    @property
    def code(self):
        """The format of what the requantizer gives: the table's input where there is a table, else the output."""
        return self.table_input or self.y

    @property
    def clip_range(self):
        """Smallest and largest requantized code."""
        return self.clip or self.code.code_range

    @property
    def threshold_count(self):
        """Thresholds of a column: one less than there are output codes; 0 without thresholds."""
        lo, hi = self.clip_range
        return hi - lo if self.requantize == "thresholds" else 0

    @property
    def threshold_format(self):
        """Format of a threshold, which holds one more than the largest sum: a threshold that none reaches."""
        lo, hi = self.acc_range
        return Integer(int_bits(lo, hi + 1), signed=True)

    @property
    def accumulator_fraction(self):
        """Fraction bits of the accumulator's grid: those of activations, of weights and of block scales."""
        scales = (fmt.fraction for fmt in self.scale_formats.values())
        return self.activations.fraction + self.weights.fraction + sum(scales)

    @property
    def grid_shift(self):
        """The shift that takes the accumulator's grid to the output's: the default where no shift is given."""
        return max(self.accumulator_fraction - self.code.fraction, 0)

    @property
    def parameters(self):
        """Names of the run-time parameters that each column takes, in order."""
        return tuple(self.parameter_formats)

    @property
    def parameter_formats(self):
        """Format of each run-time parameter, by name; of `thresholds`, that of each of them."""
        if self.requantize == "thresholds":
            return {"thresholds": self.threshold_format}
        formats = {"bias": self.bias} if self.bias else {}
        if self.rule is not None:
            formats = {**formats, **self.rule.parameters}
        if self.requantize == "multiplier":
            formats["multiplier"] = Integer(self.multiplier_bits, signed=False)
        if self.requantize in ("multiplier", "shift"):
            formats["shift"] = Integer(SHIFT_BITS, signed=False)
        if self.y_zero_point:
            formats["y_zero_point"] = self.code
        if self.activation == "relu6":
            formats["y_max"] = self.code
        return formats

    @property
    def zero_point_first(self):
        """Whether an output zero point is added before rounding."""
        return self.y_zero_point and self.zero_point_order == "before_rounding"

    @property
    def shift_range(self):
        """Smallest and largest shift: to the right, but to the left where a rule of golden.rules requantizes."""
        return self.rule.shifts if self.rule else (0, MAX_SHIFT)

    @property
    def is_binary(self):
        """Both operands bipolar: no code pair multiplies to zero."""
        return isinstance(self.activations, Bipolar) and isinstance(self.weights, Bipolar)

    @property
    def multiply(self):
        """How integer products are made: "logic" or "dsp"."""
        if self.multiplier_style != "auto":
            return self.multiplier_style
        weights = self.weights.entry if isinstance(self.weights, Codebook) else self.weights
        return "logic" if min(self.activations.width, weights.width) <= LOGIC_BITS else "dsp"

    @property
    def raise_bits(self):
        """Places by which a beat marked `raise` moves the accumulator up first; 0 where no beat has that mark."""
        return 1 if self.array == "bit_serial" else self.residual

    @property
    def passes(self):
        """How often a sum takes all of K: once for each code of an operand."""
        return 2 if self.residual else 1

    @property
    def beat_depth(self):
        """Products of one sum that one beat brings, zeros of sparse weights included.

        Of a weight-stationary array those of a whole column.
        """
        if self.array == "weight_stationary":
            return self.rows * self.lanes
        return self.lanes if self.sparsity == "none" else self.lanes * GROUP // KEPT

    def beats(self, k):
        """Beats that a sum of k products takes: ceil(k / beat_depth) in each pass."""
        return -(-k // self.beat_depth) * self.passes

    def blocks(self, k):
        """Blocks that a sum of k products has; 0 where the design has none."""
        return -(-k // self.block) if self.block else 0

    def with_(self, **changes):
        """A copy with some fields changed, validated again."""
        return replace(self, **changes)


def _operand_range(fmt, zero_point):
    lo, hi = fmt.decoded_range
    return (lo - hi, hi - lo) if zero_point else (lo, hi)


def _with_residual(interval, bits):
    lo, hi = interval
    return ((lo << bits) + lo, (hi << bits) + hi) if bits else interval


def product_interval(a, b):
    """Interval of x * y for x in a, y in b."""
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def scale_interval(interval, count):
    """Interval of every sum of at most `count` terms, each in `interval`."""
    lo, hi = interval
    return min(0, count * lo), max(0, count * hi)
