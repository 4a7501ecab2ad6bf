"""Chains of float32 operations on each element, as networks have them around their quantizers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.float_scale import round_real


def _batch_norm(x, gamma, beta, mean, variance, epsilon):
    """Source: onnx/onnx, BatchNormalization, inference."""
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def _softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _reached(x, levels):
    """How many of the levels [..., T], which broadcast with x [..., 1], each element reaches."""
    return sum((x >= level for level in np.moveaxis(levels, -1, 0)), start=np.zeros(x.shape, np.int32))


def _rounding(rule):
    return lambda x: round_real(x, rule)


def _log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def _sigmoid(x):
    return np.float32(1) / (np.float32(1) + np.exp(-x))


ROUNDING_STEPS = {
    "round_half_even": "half_even",
    "round_half_away": "half_away",
    "round_half_to_zero": ("half_down", "half_up"),
    "round_away": ("ceil", "floor"),
    "round_toward_zero": "toward_zero",
    "round_ceil": "ceil",
    "round_floor": "floor",
}
OPERATIONS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "clip": np.clip,
    "batch_norm": _batch_norm,
    "softmax": _softmax,
    "reached": _reached,
    **{name: _rounding(rule) for name, rule in ROUNDING_STEPS.items()},
    "log_softmax": _log_softmax,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of OPERATIONS on x [..., C]: its other operands, float32, scalars or [C], or what broadcasts so.

    "reached" counts levels, [C, T] or [1, T].
    """

    operation: str
    operands: tuple[Any, ...] = ()

    def __post_init__(self):
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}, not {self.operation!r}")
        object.__setattr__(self, "operands", tuple(np.asarray(one, np.float32) for one in self.operands))

    def __call__(self, x) -> np.ndarray:
        """The operation on float32 x, each rounded to float32."""
        with np.errstate(all="ignore"):
            return np.asarray(OPERATIONS[self.operation](np.asarray(x, np.float32), *self.operands), np.float32)

    def ahead_of(self, axes: int) -> "Step":
        """The same on x [..., C, ...] with so many axes behind the channels."""
        return Step(self.operation, tuple(self._ahead(one, axes) for one in self.operands))

    def _ahead(self, operand, axes):
        if operand.ndim < 1 or len(operand) == 1:
            return operand
        return operand.reshape(len(operand), *(1,) * axes, *operand.shape[1:])


def is_rising(step: Step) -> bool:
    """Whether a step never falls as x rises, and looks at nothing but x."""
    if step.operation in ("mul", "div"):
        return bool((step.operands[0] >= 0).all())
    return step.operation in ("add", "sub", "relu", "clip", "sigmoid", "tanh", *ROUNDING_STEPS)


def applied(steps, x) -> np.ndarray:
    """x after all steps, one after the other, float32; what that does not hold is infinite."""
    with np.errstate(over="ignore"):
        x = np.asarray(x, np.float32)
    for step in steps:
        x = step(x)
    return x
