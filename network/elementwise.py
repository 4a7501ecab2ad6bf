"""Chains of float32 operations on each element, as networks have them around their quantizers."""

from dataclasses import dataclass

import numpy as np


def _batch_norm(x, gamma, beta, mean, variance, epsilon):
    """Source: onnx/onnx, BatchNormalization, inference."""
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def _softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


OPERATIONS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "clip": np.clip,
    "batch_norm": _batch_norm,
    "softmax": _softmax,
}


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of OPERATIONS on x [..., C]: its other operands, float32, scalars or [C]."""

    operation: str
    operands: tuple[np.ndarray, ...] = ()

    def __post_init__(self):
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}, not {self.operation!r}")
        object.__setattr__(self, "operands", tuple(np.asarray(one, np.float32) for one in self.operands))

    def __call__(self, x) -> np.ndarray:
        """The operation on float32 x, each rounded to float32."""
        with np.errstate(all="ignore"):
            return np.asarray(OPERATIONS[self.operation](np.asarray(x, np.float32), *self.operands), np.float32)


def applied(steps, x) -> np.ndarray:
    """x after all steps, one after the other, float32."""
    x = np.asarray(x, np.float32)
    for step in steps:
        x = step(x)
    return x
