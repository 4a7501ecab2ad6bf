"""One matrix product, or some sums alone, and what a design made of them: the ground that platforms are compared on."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import platforms
from .derive import SCALES
from .encoding import own_factors
from .extras import axis_sizes, extras
from .mac import matmul
from .platform_table import PLATFORMS
from .requantize import requantize_array
from .spec import Spec
from .tensors import Operands, accumulators, decoded_activations, decoded_weights, operands


@dataclass(frozen=True)
class Case:
    """Sums [M, N] before bias, and the codes that a design made of them.

    sums : exact. held : as the design's accumulator holds them. y : the codes to compare. own : those of the model.
    parameters : of golden.requantize, each [N]; bias and y_zero_point whether the design takes them or not.
    scales : the real a_scale, w_scale and y_scale, or None where the design's own numbers are all there is.
    numbers : multiplier, shift, scale and add as given. operands : for platforms that look at single products.
    """

    spec: Spec = field(repr=False)
    sums: np.ndarray = field(repr=False)
    held: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    own: np.ndarray = field(repr=False)
    parameters: dict = field(repr=False)
    scales: dict | None = field(repr=False, default=None)
    numbers: dict = field(repr=False, default_factory=dict)
    operands: Operands | None = field(repr=False, default=None)

    @property
    def per_channel(self):
        """Whether each column has a scale of its own."""
        given = [self.scales["w_scale"]] if self.scales else self.numbers.values()
        return any(np.ndim(value) == 1 for value in given)

    @cached_property
    def factors(self):
        """What the design scales each column by: a list of golden.encoding.Factor."""
        return own_factors(self)

    @cached_property
    def bounds(self):
        """Least and largest code of each column, before the table: two arrays [N]."""
        lo, hi = self.spec.clip_range
        zero_points = self.parameters["y_zero_point"]
        low = np.maximum(zero_points, lo) if self.spec.activation != "none" else np.full_like(zero_points, lo)
        high = np.minimum(self.parameters.get("y_max", np.full_like(low, hi)), hi)
        return low, np.maximum(high, low)


def product_case(spec: Spec, arrays: dict, y=None) -> Case:
    """The case of a product, for arrays as golden.tensors.operands takes them; y: what hardware gave, else golden's.

    Raises ValueError for wrong arrays, for requantize "dynamic", and for thresholds without the numbers they were made
    from.
    """
    _check_rule(spec, arrays)
    given = operands(spec, arrays)
    a, w = decoded_activations(spec, given), decoded_weights(spec, given)
    return _case(spec, arrays, given.parameters, matmul(a, w), accumulators(spec, given), y=y, operands=given)


def sums_case(spec: Spec, sums, arrays: dict) -> Case:
    """The case of exact sums [M, N] before bias, for arrays as golden.tensors.operands takes them beside a and w.

    A saturating accumulator is taken to saturate once, at the end. Raises ValueError as `product_case` does.
    """
    _check_rule(spec, arrays)
    nothing = {"a": np.zeros((1, 1), np.int64), "w": np.zeros((1, sums.shape[1]), np.int64)}
    sizes = axis_sizes(spec, 1, *nothing["w"].shape)
    for name, extra in extras(spec).items():
        nothing[name] = np.full([sizes[axis] for axis in extra.axes], extra.pad, np.int64)
    parameters = operands(spec, {**arrays, **nothing}).parameters
    return _case(spec, arrays, parameters, sums, _held(spec, sums))


def _held(spec, sums):
    if spec.accumulator_is_exact:
        return sums
    lo, hi = spec.acc_range
    if spec.accumulator_overflow == "saturate":
        return np.clip(sums, lo, hi)
    return (sums - lo & hi - lo) + lo


def _case(spec, arrays, parameters, sums, held, y=None, operands=None):
    _check_rule(spec, arrays)
    own = requantize_array(held, spec, **parameters)
    if y is not None and (np.shape(y) != own.shape or np.asarray(y).dtype.kind not in "iu"):
        raise ValueError(f"y must be integers of shape {list(own.shape)}")
    return Case(
        spec=spec,
        sums=sums,
        held=held,
        y=own if y is None else np.asarray(y).astype(np.int64),
        own=own,
        parameters=_complete(spec, parameters, arrays, own.shape[1]),
        scales={name: arrays[name] for name in SCALES} if all(name in arrays for name in SCALES) else None,
        numbers={name: arrays[name] for name in ("multiplier", "shift", "scale", "add") if name in arrays},
        operands=operands,
    )


def _check_rule(spec, arrays):
    if spec.requantize == "dynamic":
        raise ValueError("requantize 'dynamic' scales by the range of its own sums, which no platform here does")
    if spec.block:
        raise ValueError(f"block is {spec.block}: no platform here scales the sums of blocks")
    if spec.block_sum == "float32":
        raise ValueError("block_sum is float32: no platform here adds in float32")
    known = spec.requantize != "thresholds" or (
        spec.platform is not None
        and (all(name in arrays for name in SCALES) or (_takes_integers(spec) and "multiplier" in arrays))
    )
    if not known:
        raise ValueError("the rule behind thresholds is not known; give a platform and a_scale, w_scale and y_scale")


def _takes_integers(spec):
    return PLATFORMS[spec.platform].effective is None


def _complete(spec, parameters, arrays, columns):
    """The parameters with bias and y_zero_point, and those that thresholds hold within."""
    zero = np.zeros(columns, np.int64)
    inside = {}
    if spec.requantize == "thresholds":
        inside = {name: zero + np.asarray(arrays.get(name, 0), np.int64) for name in ("bias", "y_zero_point")}
        if spec.activation == "relu6":
            inside["y_max"] = platforms.activation_code(6, arrays["y_scale"], inside["y_zero_point"])
    return {"bias": zero, "y_zero_point": zero, **parameters, **inside}
