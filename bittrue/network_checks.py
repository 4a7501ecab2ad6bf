"""Whether the parts of a network fit together, found on one example of zeros, without computing any product."""

import numpy as np

from network.dynamic import DynamicProduct
from network.example_shapes import example_shapes
from network.layers import Product
from network.network import Network


def check_network(network: Network):
    """Raises ValueError, naming the layer, for what would fail on every example."""
    shapes = example_shapes(network)
    x = np.zeros((1, *network.shape), np.float32)
    for step, grid in zip(network.steps, (None, *network.grids), strict=True):
        try:
            if isinstance(step, Product | DynamicProduct):
                _check_product(step)
            else:
                _check_steps(step, x.shape)
                step.run(x)
        except Exception as error:  # whatever numpy and golden make of numbers that nobody wrote
            raise ValueError(f"layer {step.name}: {error}") from error
        if step is not network.exit:
            x = _zeros(shapes[step.name], getattr(step, "y", grid))


def _zeros(shape, grid):
    zero = np.float32(0) if grid is None else np.int64(grid.zero_point)
    return np.full((1, *shape), zero)


def _check_product(layer):
    columns = np.shape(layer.arrays["w"])[1]
    grids = {"w": layer.w, "y": layer.y} if isinstance(layer, Product) else {"w": layer.weights.grid}
    for name, grid in grids.items():
        if grid.scale.shape not in ((), (columns,)):
            raise ValueError(f"{name} must have one scale or {columns}, not {len(grid.scale)}")
    if isinstance(layer, DynamicProduct):
        if layer.bias.shape != (columns,):
            raise ValueError(f"bias must have {columns} numbers, not shape {list(layer.bias.shape)}")
        layer.taken(np.zeros((1, *_inputs(layer)), np.float32))
    elif layer.real is not None:
        _check_steps(layer.real, (1, columns))
        layer.real.run(np.zeros((1, columns)))


def _inputs(layer):
    """The shape of the smallest example that the layer takes."""
    depth = len(layer.arrays["w"])
    if layer.window is None:
        return (depth,)
    reach = [(size - 1) * step + 1 for size, step in zip(layer.window.kernel, layer.window.dilation, strict=True)]
    channels = 1 if layer.spec.array == "vector" else depth // int(np.prod(layer.window.kernel))
    return (*reach, channels)


def _check_steps(layer, shape):
    """Raises ValueError for operands that would make more of an example than it is."""
    for step in (*getattr(layer, "before", ()), *getattr(layer, "after", ())):
        for operand in step.operands:
            own = operand.shape[:-1] if step.operation == "reached" else operand.shape
            if np.broadcast_shapes(own, shape) != shape:
                raise ValueError(f"{step.operation} takes no operand of shape {list(operand.shape)} here")
