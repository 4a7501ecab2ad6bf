"""The binary network 64-48-32-10: weights and hidden activations are -1 or +1.

    hidden = sign(gamma * (x @ sign(w) - mean) / deviation + beta)      sign(0) = +1
    logits = LOGIT_SCALE * (hidden @ sign(w)) + b

Training keeps latent float weights and sends gradients through sign as if it had the slope max(0, 1 - |x| / 2).
"""

import numpy as np

from .fitting import cross_entropy_gradient
from .mlp import LAYERS, SIZES

HIDDEN, LAST = LAYERS[:-1], LAYERS[-1]
LOGIT_SCALE = 0.2
EPSILON = 1e-3


def sign(x):
    return np.where(x >= 0, 1.0, -1.0)


def initial(rng):
    """Latent weights and batch norm to start from; gamma has either sign, so that folding meets both."""
    parameters = {}
    for name, fan_in, fan_out in zip(LAYERS, SIZES[:-1], SIZES[1:], strict=True):
        parameters[f"{name}.w"] = rng.uniform(-0.5, 0.5, (fan_in, fan_out))
        if name in HIDDEN:
            parameters[f"{name}.gamma"] = rng.choice([-1.0, 1.0], fan_out)
            parameters[f"{name}.beta"] = np.zeros(fan_out)
    parameters[f"{LAST}.b"] = np.zeros(SIZES[-1])
    return parameters


def _statistics(acc):
    return acc.mean(axis=0), np.sqrt(acc.var(axis=0) + EPSILON)


def gradients(parameters, images, labels):
    """Gradients of the cross entropy, by parameter name; batch norm takes its statistics from the batch."""
    entering, saved = images, {}
    for name in HIDDEN:
        acc = entering @ sign(parameters[f"{name}.w"])
        mean, deviation = _statistics(acc)
        unit = (acc - mean) / deviation
        normal = unit * parameters[f"{name}.gamma"] + parameters[f"{name}.beta"]
        saved[name] = entering, unit, deviation, normal
        entering = sign(normal)
    weights = sign(parameters[f"{LAST}.w"])
    back = cross_entropy_gradient(LOGIT_SCALE * (entering @ weights) + parameters[f"{LAST}.b"], labels)
    result = {f"{LAST}.b": back.sum(axis=0), f"{LAST}.w": LOGIT_SCALE * (entering.T @ back)}
    back = LOGIT_SCALE * (back @ weights.T)
    for name in reversed(HIDDEN):
        back = _hidden_gradients(result, name, parameters, back, *saved[name])
    return result


def _hidden_gradients(result, name, parameters, back, entering, unit, deviation, normal):
    """Puts the gradients of one hidden layer into `result`; returns the gradient for the layer before it."""
    back = back * np.maximum(0, 1 - np.abs(normal) / 2)
    result[f"{name}.beta"] = back.sum(axis=0)
    result[f"{name}.gamma"] = (back * unit).sum(axis=0)
    back = back * parameters[f"{name}.gamma"]
    back = (back - back.mean(axis=0) - unit * (back * unit).mean(axis=0)) / deviation
    result[f"{name}.w"] = entering.T @ back
    return back @ sign(parameters[f"{name}.w"]).T


def constrain(parameters):
    """Latent weights stay in [-1, 1], where a gradient can still turn them over."""
    for name in LAYERS:
        np.clip(parameters[f"{name}.w"], -1, 1, out=parameters[f"{name}.w"])


def freeze(parameters, images):
    """The network as it is stored: weights -1 and +1 (int8), batch norm with the statistics of all `images`."""
    result, entering = {}, images
    for name in HIDDEN:
        result[f"{name}.w"] = sign(parameters[f"{name}.w"]).astype(np.int8)
        result[f"{name}.mean"], result[f"{name}.deviation"] = _statistics(entering @ result[f"{name}.w"])
        result[f"{name}.gamma"], result[f"{name}.beta"] = parameters[f"{name}.gamma"], parameters[f"{name}.beta"]
        entering = sign(batch_norm(result, name, entering @ result[f"{name}.w"]))
    result[f"{LAST}.w"] = sign(parameters[f"{LAST}.w"]).astype(np.int8)
    result[f"{LAST}.b"] = parameters[f"{LAST}.b"]
    return result


def batch_norm(parameters, name, acc):
    """gamma * (acc - mean) / deviation + beta in float64. Monotonic in acc, column by column, after rounding too."""
    unit = (acc - parameters[f"{name}.mean"]) / parameters[f"{name}.deviation"]
    return unit * parameters[f"{name}.gamma"] + parameters[f"{name}.beta"]


def logits(parameters, images):
    """Logits [M, 10], float64, of the frozen network."""
    hidden = images
    for name in HIDDEN:
        hidden = sign(batch_norm(parameters, name, hidden @ parameters[f"{name}.w"].astype(np.float64)))
    return LOGIT_SCALE * (hidden @ parameters[f"{LAST}.w"].astype(np.float64)) + parameters[f"{LAST}.b"]
