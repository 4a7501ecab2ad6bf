"""Steps on real numbers as nodes of an ONNX model."""

import numpy as np

from ..elementwise import Step
from .building import Building

_ONE_OPERAND = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
_NO_OPERAND = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "round_half_even": "Round",
    "round_floor": "Floor",
    "round_ceil": "Ceil",
}
_ALONG = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}


def add_steps(building: Building, steps, name: str, channels_behind: int = 0):
    """Nodes for steps; what differs from channel to channel has so many axes behind the channels'.

    Raises ValueError for steps that ONNX has no operator for.
    """
    for step in steps:
        _add(building, step.ahead_of(channels_behind), f"{name}_{step.operation}")


def _add(building, step, name):
    operation, operands = step.operation, step.operands
    if operation in _ONE_OPERAND:
        building.add(_ONE_OPERAND[operation], building.constant(operands[0], f"{name}_by"), name=name)
    elif operation in _NO_OPERAND:
        building.add(_NO_OPERAND[operation], name=name)
    elif operation in _ALONG:
        building.add(_ALONG[operation], name=name, axis=-1)
    elif operation == "clip":
        _clip(building, operands, name)
    elif operation == "batch_norm":
        gamma, beta, mean, variance, epsilon = operands
        last = ("div", np.sqrt(variance + epsilon)), ("add", beta)
        for each, operand in (("sub", mean), ("mul", gamma), *last):
            _add(building, Step(each, (operand,)), f"{name}_{each}")
    else:
        raise ValueError(f"{name}: step {operation} has no operator in ONNX")


def _clip(building, bounds, name):
    """Clip where both bounds are scalars; else Max and Min, which broadcast."""
    if all(one.size == 1 for one in bounds):
        given = [
            building.constant(one.reshape(()), f"{name}_{end}") for one, end in zip(bounds, ("min", "max"), strict=True)
        ]
        building.add("Clip", *given, name=name)
        return
    for operator, bound in (("Max", bounds[0]), ("Min", bounds[1])):
        building.add(
            operator, building.constant(bound, f"{name}_{operator.lower()}"), name=f"{name}_{operator.lower()}"
        )
