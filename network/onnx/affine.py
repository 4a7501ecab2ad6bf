"""Scaling and shifting channels, as batch normalization does when it does not train, folded into products."""

from dataclasses import dataclass, replace

import numpy as np

from ..elementwise import Step
from ..float_network import Linear


@dataclass(frozen=True, eq=False)
class Affine:
    """x * factor + offset on x [..., C]: float64, scalars or [C]."""

    factor: np.ndarray
    offset: np.ndarray

    def then(self, other: "Affine") -> "Affine":
        """This one, and the other on what it gives."""
        return Affine(self.factor * other.factor, self.offset * other.factor + other.offset)


def of_steps(steps: list[Step]) -> Affine:
    """What operations "add", "sub", "mul" and "div" come to together."""
    one, none = np.ones(()), np.zeros(())
    total = Affine(one, none)
    for step in steps:
        by = step.operands[0].astype(np.float64)
        by = 1 / by if step.operation == "div" else -by if step.operation == "sub" else by
        total = total.then(Affine(by, none) if step.operation in ("mul", "div") else Affine(one, by))
    return total


def batch_norm(gamma, beta, mean, variance, *, epsilon) -> Affine:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, where that root is of positive numbers.

    Source: onnx/onnx, BatchNormalization, inference.
    """
    gamma, beta, mean, variance = (np.asarray(one, np.float64) for one in (gamma, beta, mean, variance))
    factor = gamma / np.sqrt(variance + epsilon)
    return Affine(factor, beta - mean * factor)


def folded_after(linear: Linear, affine: Affine) -> Linear:
    """The product whose sums are those of `linear`, scaled and shifted: in float64, rounded once.

    Raises ValueError behind an activation, which scaling does not pass.
    """
    if linear.activation != "none":
        raise ValueError(f"layer {linear.name}: nothing can be folded in behind its activation {linear.activation}")
    w = linear.w.astype(np.float64) * affine.factor
    bias = linear.bias.astype(np.float64) * affine.factor + affine.offset
    return replace(linear, w=w.astype(np.float32), bias=bias.astype(np.float32))


def folded_before(affine: Affine, linear: Linear) -> Linear:
    """The product that gives of x what `linear` gives of x scaled and shifted: in float64, rounded once.

    Raises ValueError for an offset in front of a padded convolution: padding is zero behind the offset.
    """
    if linear.window is not None and np.any(linear.window.padding) and np.any(affine.offset):
        raise ValueError(f"layer {linear.name}: an offset cannot be folded into a convolution with padding")
    factor, offset = (_along_k(linear, one) for one in (affine.factor, affine.offset))
    w = linear.w.astype(np.float64)
    bias = linear.bias.astype(np.float64) + (w * offset).sum(axis=0)
    return replace(linear, w=(w * factor).astype(np.float32), bias=bias.astype(np.float32))


def _along_k(linear, each):
    """What each weight [K, N], or row of weights [K, 1], meets of a scalar or [C]."""
    each = np.asarray(each)
    if not each.ndim:
        return each
    k, n = linear.w.shape
    if linear.depthwise:
        return np.repeat(each, n // len(each))
    return np.tile(each, k // len(each))[:, None]
