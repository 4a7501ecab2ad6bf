"""Gradients through quantizers: numbers on a grid, found by golden, in the place of real ones.

Each function takes what golden gave and computes none of it. Levels are codes less their zero point, decoded: the value
is step * level.
"""

from typing import Any

import torch
from torch.autograd import Function


def lsq(levels, position, lo, hi):
    """How the value moves with the step: level - position inside (lo, hi), the level itself beyond.

    Source: Esser et al., "Learned Step Size Quantization" (ICLR 2020), equation 3.
    """
    return torch.where((lo < position) & (position < hi), levels - position, levels)


def pact(levels, position, lo, hi):
    """The step moves the upper clip only: the level where the position is at hi or beyond, else 0.

    Source: Choi et al., "PACT: Parameterized Clipping Activation" (2018), equation 3, for the clip step * hi.
    """
    return torch.where(position >= hi, levels, torch.zeros_like(levels))


STEP_GRADIENTS = {"lsq": lsq, "pact": pact}


def lsq_gain(count, hi) -> float:
    """1 / sqrt(count * hi), by which gradients of a step shared by `count` numbers are scaled (LSQ, section 2.2)."""
    return float(1 / (count * max(hi, 1)) ** 0.5)


class OnGrid(Function):
    """apply(x, step, levels, lo, hi, gain, gradient) = step * levels, for golden's levels of x.

    x, levels [..., C]; step a scalar or [C]; lo, hi in steps. The gradient of x passes where lo < x / step < hi; that
    of the step is the sum of grad * gradient(levels, x / step, lo, hi), a function of STEP_GRADIENTS, times gain.
    """

    @staticmethod
    def forward(ctx, x, step, levels, lo, hi, gain, gradient):
        ctx.save_for_backward(x, step, levels)
        ctx.bounds, ctx.gain, ctx.gradient = (lo, hi), gain, gradient
        return levels * step

    @staticmethod
    def backward(ctx: Any, *grads):
        x, step, levels = ctx.saved_tensors
        (grad,), (lo, hi) = grads, ctx.bounds
        position = x / step
        each = grad * ctx.gradient(levels, position, lo, hi)
        of_step = each.sum_to_size(step.shape) * ctx.gain
        return grad * ((lo < position) & (position < hi)), of_step, None, None, None, None, None


class Sign(Function):
    """apply(x, step, levels, clip) = step * levels, for the signs of x: -1 and +1, of ternary weights 0 too.

    The gradient of x passes where |x| <= clip, whatever the step. Source: Hubara et al., "Binarized Neural Networks"
    (2016), equation 4.
    """

    @staticmethod
    def forward(ctx, x, step, levels, clip):
        ctx.save_for_backward(x, step, levels)
        ctx.clip = clip
        return levels * step

    @staticmethod
    def backward(ctx: Any, *grads):
        (grad,), (x, step, levels) = grads, ctx.saved_tensors
        return grad * (x.abs() <= ctx.clip), (grad * levels).sum_to_size(step.shape), None, None


class Replaced(Function):
    """apply(x, values) = values in the place of x; the gradient goes to x as it comes."""

    @staticmethod
    def forward(ctx, x, values):
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads):
        return grads[0], None


class LookedUp(Function):
    """apply(x, tables, codes, values) = values [T, L], where tables [T, entries] are what codes [T, L] point into.

    The gradient goes to x as it comes, and to each entry as the sum over those that point to it. Source: Han, Mao,
    Dally, "Deep Compression" (ICLR 2016), equation 3.
    """

    @staticmethod
    def forward(ctx, x, tables, codes, values):
        ctx.save_for_backward(tables, codes)
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads):
        (grad,), (tables, codes) = grads, ctx.saved_tensors
        return grad, torch.zeros_like(tables).scatter_add(1, codes, grad), None, None
