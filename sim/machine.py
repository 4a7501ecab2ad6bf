"""Golden, cut open: the outputs of one window of a product, with any stage on the way replaced by a broken one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from golden.blocks import block_sums, spread
from golden.checks import MAX_SHIFT
from golden.dynamic import Dynamic, dynamic
from golden.extras import extras
from golden.mac import accumulate, columns_of, matmul
from golden.ops import exact_dtype
from golden.requantize import requantize_as
from golden.spec import Spec
from golden.tensors import Operands, decoded_activations, decoded_weights, padded

from .streams import tiling

_FLOAT64_EXACT = 1 << 53
_ZERO = np.zeros(1, np.int64)


class Machine:
    """One product on one design, as golden has it, padded to whole tiles. Arrays are computed once, when asked for."""

    def __init__(self, spec: Spec, operands: Operands):
        self.spec = _plain(spec)
        self.operands = operands
        self.tiling = tiling(spec, operands)
        self.padded = padded(spec, operands, *self.tiling.padded_shape)

    @cached_property
    def a(self):
        """Decoded activations [padded M, K] or [padded M, K, padded N], less their zero point."""
        return decoded_activations(self.spec, self.padded)

    @cached_property
    def w(self):
        """Decoded weights [K, padded N], less their zero point."""
        return decoded_weights(self.spec, self.padded)

    @property
    def parameters(self):
        """Parameters [padded N] by name, zero for columns that do not exist."""
        return self.padded.parameters

    @cached_property
    def accumulators(self):
        return sums(self.spec, self.a, self.w, self.padded.extras)

    @cached_property
    def codes(self):
        """Output codes of all tiles, pads too."""
        return requantized(self.accumulators, self.spec, self.parameters)

    @cached_property
    def dynamic(self) -> Dynamic:
        """What golden.dynamic makes of all tiles, where requantize is "dynamic"."""
        return dynamic(self.accumulators, self.spec)

    def window(self, rows=None, cols=None):
        """The outputs of some rows and columns (ascending indices), of all by default."""
        return Window(
            self,
            np.arange(self.tiling.m) if rows is None else rows,
            np.arange(self.tiling.n) if cols is None else cols,
        )


@dataclass(frozen=True)
class Window:
    """The outputs [rows, cols] of a machine: what a hypothesis is evaluated on."""

    machine: Machine
    rows: np.ndarray
    cols: np.ndarray

    @property
    def spec(self):
        return self.machine.spec

    @property
    def operands(self):
        return self.machine.operands

    @cached_property
    def a_codes(self):
        return self.pick_operand("a", self.operands.a)

    @cached_property
    def w_codes(self):
        return self.pick_operand("w", self.operands.w)

    @cached_property
    def a(self):
        """Decoded activations [rows, K] or [rows, K, cols], less their zero point."""
        return columns_of(self.machine.a[self.rows], self.cols)

    @cached_property
    def w(self):
        """Decoded weights [K, cols], less their zero point."""
        return self.machine.w[:, self.cols]

    @cached_property
    def extras(self):
        """The arrays of golden.extras by name, of these rows and columns alone."""
        result = dict(self.operands.extras)
        for name, extra in extras(self.spec).items():
            for axis, chosen in (("m", self.rows), ("n", self.cols)):
                if axis in extra.axes:
                    result[name] = result[name].take(chosen, axis=extra.axes.index(axis))
        return result

    @cached_property
    def w_zero_points(self):
        """The zero point of weights: one integer, or those of the blocks, [K, cols]."""
        if not self.spec.w_block_zero_point:
            return self.operands.w_zero_point
        return spread(self.extras["w_block_zero_point"], self.spec.block, len(self.w))

    @cached_property
    def exact(self):
        """Accumulators of unlimited width."""
        return self.accumulators if self.spec.accumulator_is_exact else matmul(self.a, self.w)

    @property
    def codebooks(self):
        """The table of each column [cols, entries]."""
        return self.operands.extras["w_codebook"][self.cols]

    @property
    def accumulators(self):
        return self.pick(self.machine.accumulators)

    @property
    def golden(self):
        return self.pick(self.machine.codes)

    @property
    def parameters(self):
        """Parameters [cols] by name."""
        return {name: value[self.cols] for name, value in self.operands.parameters.items()}

    @cached_property
    def passes(self):
        """Decoded activations and weights of each pass over K, the coarser codes first."""
        once = [self.a, self.w]
        if not self.spec.residual:
            return [tuple(once)]
        name = self.spec.residual_of[0]
        fmt: Any = self.spec.activations if name == "a" else self.spec.weights
        fine = self.pick_operand(name, self.operands.extras[f"{name}_residual"])
        coarse = self.pick_operand(name, getattr(self.operands, name))
        place = "aw".index(name)
        return [tuple(fmt.decode(codes) if i == place else x for i, x in enumerate(once)) for codes in (coarse, fine)]

    def pick_operand(self, name, codes):
        """This window's rows of an array of A, or its columns of one of W."""
        return columns_of(codes[self.rows], self.cols) if name == "a" else codes[:, self.cols]

    def pick(self, outputs):
        """This window of an array of all outputs."""
        return outputs[np.ix_(self.rows, self.cols)]

    def accumulate(self, a, w, *, wide=False, **changed):
        """Accumulators of other decoded operands, in the design's register; or, `wide`, in one that loses nothing.

        `changed` are other arrays of golden.extras than the product's own, by name.
        """
        if self.spec.block or self.spec.is_float_sum:
            return block_sums(self.spec, a, w, {**self.extras, **changed})
        if self.spec.accumulator_overflow == "saturate" and not self.spec.accumulator_is_exact:
            return saturated(a, w, self.spec.beat_depth, self.spec.accumulator_width)
        exact = matmul(a, w)
        return exact if wide else wrapped(exact, self.spec.accumulator_width)

    @property
    def rounded(self):
        """Values scaled and rounded by the design's rule of golden.rules, before activation and zero point."""
        assert self.spec.rule is not None
        return self.spec.rule.scale(self.accumulators + self.parameters.get("bias", 0), self.parameters)

    def finished(self, rounded, **changes):
        """Output codes for values that are scaled and rounded, with other rules after that than the design's."""
        spec = self.spec.with_(requantize="none", bias=None, zero_point_order="after_rounding", **changes)
        return self.codes(rounded, spec=spec, bias=_ZERO, multiplier=_ZERO + 1, shift=_ZERO)

    def codes(self, accumulators=None, *, spec=None, **parameters):
        """Output codes with other accumulators, rules or parameters than the design's."""
        accumulators = self.accumulators if accumulators is None else accumulators
        return requantized(accumulators, spec or self.spec, {**self.parameters, **parameters})


@dataclass(frozen=True)
class Hypothesis:
    """One fault: the step it is in, a sentence that names it, and `y`, the codes of a window if that were so.

    `severity` orders faults of one kind: 1 is the one hardest to see. Stimulus is judged by these alone.
    """

    step: str
    cause: str
    y: Callable[[Window], np.ndarray]
    severity: int = 1


def _plain(spec):
    """The spec with its output format written out, and free to change where a platform's would not be."""
    activation = "none" if spec.threshold_count else spec.activation
    return spec.with_(output=spec.y, platform=None, activation=activation)


def sums(spec, a, w, others):
    """Accumulators of decoded operands; `others` are the arrays of golden.extras."""
    if spec.block or spec.is_float_sum:
        return block_sums(spec, a, w, others)
    return accumulate(a, w, spec)


def narrowed(passes, raise_bits, depth, width):
    """Accumulators of `width` bits that saturate after each `depth` products, raised before each pass but the first."""
    total = _ZERO
    for a, w in passes:
        total = saturated(a, w, depth, width, total.astype(object) << raise_bits)
    return total


def wrapped(accumulators, width):
    """Two's complement integers of `width` bits with the same low bits."""
    half = 1 << width - 1
    if width >= 63 and accumulators.dtype != object:
        accumulators = accumulators.astype(object)
    return ((accumulators + half) & (2 * half - 1)) - half


def saturated(a, w, depth, width, start=_ZERO):
    """Accumulators of `width` bits that saturate after each `depth` products, from the value `start`."""
    lo, hi = -(1 << width - 1), (1 << width - 1) - 1
    beat = int(abs(a).max()) * int(abs(w).max()) * depth
    exact = hi + beat < _FLOAT64_EXACT
    total = np.zeros((len(a), w.shape[1]), float if exact else object) + start
    a, w = (x.astype(total.dtype) for x in (np.asfortranarray(a), w))
    for k in range(0, len(w), depth):
        x, y = a[:, k : k + depth], w[k : k + depth]
        total += x @ y if a.ndim == 2 else (x * y).sum(axis=1)
        np.clip(total, lo, hi, out=total)
    return total.astype(np.int64 if exact else object)


def requantized(accumulators, spec, parameters):
    """golden.requantize on arrays whose values may leave the ranges of the spec: int64 where these values allow it.

    With "dynamic", golden.dynamic on all outputs of a product: a part of them would have other ranges.
    """
    if spec.requantize == "dynamic":
        return dynamic(accumulators, spec).y
    if spec.is_float_sum:
        return accumulators
    tops = {name: int(np.abs(value).max()) for name, value in parameters.items()}
    top = (int(abs(accumulators).max()) + tops.get("bias", 0)) * max(tops.get("multiplier", 1), 1)
    bound = 4 * top + tops.get("y_zero_point", 0) + (2 << spec.code.width)
    dtype = exact_dtype(-bound, bound) if tops.get("shift", 0) <= MAX_SHIFT else object
    return requantize_as(dtype, accumulators, spec, parameters)
