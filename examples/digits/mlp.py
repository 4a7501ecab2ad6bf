"""The float network 64-48-32-10 with ReLU: pixels / 16 in, ten logits out."""

import numpy as np

from .fitting import cross_entropy_gradient

LAYERS = ("fc1", "fc2", "fc3")
SIZES = (64, 48, 32, 10)
WEIGHT_DECAY = 1e-4


def initial(rng):
    parameters = {}
    for name, fan_in, fan_out in zip(LAYERS, SIZES[:-1], SIZES[1:], strict=True):
        parameters[f"{name}.w"] = rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out))
        parameters[f"{name}.b"] = np.zeros(fan_out)
    return parameters


def forward(parameters, images):
    """Input and output of every layer, in order: [M, 64], [M, 48], [M, 32] after ReLU and the logits [M, 10]."""
    values = [images / 16]
    for name in LAYERS:
        linear = values[-1] @ parameters[f"{name}.w"].astype(np.float64) + parameters[f"{name}.b"]
        values.append(linear if name == LAYERS[-1] else np.maximum(linear, 0))
    return values


def logits(parameters, images):
    """Logits [M, 10], float64."""
    return forward(parameters, images)[-1]


def gradients(parameters, images, labels):
    """Gradients of cross entropy and weight decay, by parameter name."""
    values = forward(parameters, images)
    back = cross_entropy_gradient(values[-1], labels)
    result = {}
    for name, entering in zip(reversed(LAYERS), reversed(values[:-1]), strict=True):
        result[f"{name}.w"] = entering.T @ back + WEIGHT_DECAY * parameters[f"{name}.w"]
        result[f"{name}.b"] = back.sum(axis=0)
        back = (back @ parameters[f"{name}.w"].T) * (entering > 0)
    return result


def constrain(parameters):
    """Weights of this network are free."""


def freeze(parameters):
    """The parameters as they are stored: float32."""
    return {name: value.astype(np.float32) for name, value in parameters.items()}
