"""Dynamic quantization: activations get their scale from each batch, layers take and give real numbers.

As ONNX has it in DynamicQuantizeLinear, MatMulInteger and what follows them: the array forms exact sums of codes, the
host all else, in float32.
"""

from dataclasses import dataclass, field

import numpy as np

from golden.blocks import float32_values
from golden.spec import Spec
from golden.tensors import Operands, golden, operands

from .dynamic_activations import Taken, taken
from .elementwise import Step, applied
from .float_network import rows_of
from .layers import BOUNDS
from .quantized_weights import QuantizedWeights
from .shapes import Window


@dataclass(frozen=True, eq=False)
class DynamicProduct:
    """A linear layer whose activations are quantized when they come, real numbers in and out:

        y = activation(float32(sum_k a[m, k] * w[k, n]) * float32(a_scale * w_scale[n]) + bias[n])

    each operation rounded to float32. The sum is what an array of `spec` gives: exact, or float32 where activations
    have blocks or the exact sum has more than 64 bits.

    activations : the name of their format (network.dynamic_activations). bias : float32 [N].
    """

    name: str
    spec: Spec
    activations: str
    weights: QuantizedWeights = field(repr=False)
    bias: np.ndarray = field(repr=False)
    activation: str = "none"
    window: Window | None = None

    x = None
    y = None

    @property
    def arrays(self) -> dict:
        """Those of the weights."""
        return self.weights.arrays

    @property
    def complete_arrays(self) -> dict:
        """The same with the zero point of the weights, where the design takes it."""
        zero = {"w_zero_point": self.weights.grid.zero_point} if self.spec.w_zero_point else {}
        return {**zero, **self.arrays}

    def rows(self, values) -> np.ndarray:
        """What windows take of the values, [B, ..., K] or, of a depthwise layer, [B, ..., K, N]; float32."""
        channels = len(self.bias) if self.spec.array == "vector" else None
        return rows_of(np.asarray(values, np.float32), self.window, channels)

    def taken(self, values) -> Taken:
        """The rows in codes, by the range of all values. Raises ValueError for values that are not finite."""
        values = np.asarray(values, np.float32)
        if not np.isfinite(values).all():
            raise ValueError(f"layer {self.name}: activations must be finite")
        rows = self.rows(values)
        inner = rows.shape[-2:] if self.spec.array == "vector" else rows.shape[-1:]
        return taken(self.activations, rows.reshape(-1, *inner), values.min(), values.max())

    def given(self, values) -> Operands:
        """What the array takes for real activations [B, ...]. Raises ValueError for values that are not finite."""
        return operands(self.spec, {**self.complete_arrays, **self.taken(values).arrays})

    def run(self, values) -> np.ndarray:
        """float32 [B, ..., N]. Raises ValueError for values that are not finite."""
        return self.outputs(golden(self.spec, self.given(values)), values)

    def outputs(self, y, values) -> np.ndarray:
        """What becomes of the array's outputs y [M, N] for these activations, float32 [B, ..., N]."""
        sums = self.sums(y).astype(np.float32)
        return self.finished(sums * (self.a_scale(values) * self.w_scale) + self.bias, values)

    def fake(self, values) -> np.ndarray:
        """The same in float64 on the real numbers that codes stand for."""
        return self.finished(self.real_sums(self.taken(values).values, self.weights.real) + self.bias, values)

    def real_sums(self, rows, w) -> np.ndarray:
        """Sums [..., N] of real rows and real weights [K, N], in float64."""
        w = np.asarray(w, np.float64)
        return np.einsum("...kn,kn->...n", rows, w) if self.spec.array == "vector" else rows @ w

    def finished(self, sums, values) -> np.ndarray:
        """The activation of sums [M, N], or [B, ..., N], with their biases, for these activations: [B, ..., N]."""
        y = np.clip(sums, *BOUNDS[self.activation])
        rows = self.rows(values)
        return y.reshape(*rows.shape[: -2 if self.spec.array == "vector" else -1], -1)

    def sums(self, y) -> np.ndarray:
        """The sums that the array's outputs y [M, N] are: integers, or float32."""
        return float32_values(y) if self.spec.is_float_sum else np.asarray(y)

    def a_scale(self, values) -> np.float32:
        """What stands before the activations' part of a sum."""
        scale = self.taken(values).scale
        return scale if self.spec.is_float_sum else np.ldexp(scale, -self.spec.activations.fraction)

    @property
    def w_scale(self) -> np.ndarray:
        """float32: what stands before the weights' part of a sum. Sums in float32 have places and block scales in."""
        if not self.spec.is_float_sum:
            return self.weights.grid.scale
        places = self.spec.weights.fraction + (self.weights.scale_fmt.fraction if self.weights.scale_fmt else 0)
        return np.ldexp(self.weights.grid.scale.astype(np.float64), places).astype(np.float32)


@dataclass(frozen=True)
class RealEntry:
    """The entry of a network that takes real numbers: float32 steps."""

    name: str
    before: tuple[Step, ...] = ()

    y = None

    def run(self, x) -> np.ndarray:
        """float32 [B, ...]"""
        return applied(self.before, x)


@dataclass(frozen=True)
class RealExit:
    """The exit of a network whose last layer gives real numbers: float32 steps."""

    name: str
    after: tuple[Step, ...] = ()

    x = None

    def run(self, x) -> np.ndarray:
        """float32 [B, ...]"""
        return applied(self.after, x)
