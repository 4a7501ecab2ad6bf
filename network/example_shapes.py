"""Shapes of the tensors of one example, found without computing any of them."""

from math import prod

import numpy as np

from .dynamic import DynamicProduct, RealEntry
from .float_network import FloatAveragePool
from .functions import Logistic, Rescale, Softmax
from .layers import AveragePool, Product, Quantize
from .network import Network
from .shapes import MaxPool, Reshape, Transpose

MOST_ELEMENTS = 1 << 28


def example_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """The shape of one example after the entry and after each layer, by name, the batch left out.

    Raises ValueError, naming the layer, where a layer does not fit what comes to it, or where a tensor or the windows
    that a layer takes from one have more than MOST_ELEMENTS elements.
    """
    shape, found = tuple(network.shape), {}
    for layer in (network.entry, *network.layers):
        try:
            shape = found[layer.name] = _bounded(_after(layer, shape))
        except ValueError as error:
            raise ValueError(f"layer {layer.name}: {error}") from None
    return found


def most_elements(network: Network) -> int:
    """Elements that one example takes at most: of a tensor, or of the windows that a layer takes from one."""
    shapes = example_shapes(network)
    counts, before = [prod(shape) for shape in shapes.values()], shapes[network.entry.name]
    for layer in network.layers:
        after = shapes[layer.name]
        if (window := getattr(layer, "window", None)) is not None:
            taken = (
                after[2] if isinstance(layer, Product | DynamicProduct) and layer.spec.array == "vector" else before[2]
            )
            counts.append(prod(after[:2]) * prod(window.kernel) * taken)
        before = after
    return max(counts)


def rows(layer: Product | DynamicProduct, shape) -> int:
    """Rows M of the product that one example of this shape makes."""
    return prod(shape[:-1]) if layer.window is None else prod(layer.window.places(shape[:2]))


def _after(layer, shape):
    match layer:
        case Quantize() | RealEntry() | Rescale() | Softmax() | Logistic():
            return shape
        case Product() | DynamicProduct():
            return _after_product(layer, shape)
        case MaxPool() | AveragePool() | FloatAveragePool():
            return (*_places(layer.window, shape), shape[2])
        case Transpose():
            if sorted(layer.axes) != list(range(len(shape) + 1)) or layer.axes[0] != 0:
                raise ValueError(f"axes must be 0, then 1 to {len(shape)} in any order, not {list(layer.axes)}")
            return tuple(shape[axis - 1] for axis in layer.axes[1:])
        case Reshape():
            return _reshaped(shape, layer.shape)
    raise ValueError(f"{type(layer).__name__} has no shape")


def _after_product(layer, shape):
    depth, columns = np.shape(layer.arrays["w"])
    if layer.window is None:
        if shape[-1] != depth:
            raise ValueError(f"it takes {depth} values, not {shape[-1]} of shape {list(shape)}")
        return (*shape[:-1], columns)
    places, kernel = _places(layer.window, shape), prod(layer.window.kernel)
    if layer.spec.array == "vector":
        wanted, fits = f"{kernel}, and channels that divide {columns}", columns % shape[2] == 0 and depth == kernel
    else:
        wanted, fits = f"{kernel * shape[2]}", depth == kernel * shape[2]
    if not fits:
        raise ValueError(f"its kernel on {shape[2]} channels needs weights of depth {wanted}, not {depth}")
    return (*places, columns)


def _places(window, shape):
    if len(shape) != 3:
        raise ValueError(f"a window moves over maps [H, W, C], not {list(shape)}")
    sizes = (*window.kernel, *window.stride, *window.dilation)
    if min(sizes) < 1 or min(*window.padding[0], *window.padding[1]) < 0:
        raise ValueError(f"kernel, stride and dilation must be positive and padding not negative, not {window}")
    padded = [size + sum(around) for size, around in zip(shape, window.padding, strict=False)]
    reach = [(size - 1) * step + 1 for size, step in zip(window.kernel, window.dilation, strict=True)]
    if reach[0] > padded[0] or reach[1] > padded[1]:
        raise ValueError(f"a window reaches over {reach}, the padded map over {padded}")
    places = window.places(shape[:2])
    _bounded((*padded, shape[2]))
    _bounded((*places, *window.kernel, shape[2]))
    return places


def _reshaped(shape, wanted):
    count, known = prod(shape), prod(size for size in wanted if size != -1)
    free = wanted.count(-1)
    if free > 1 or min(wanted, default=1) < -1 or known < 1 or (count % known if free else count != known):
        raise ValueError(f"{count} values of shape {list(shape)} cannot take the shape {list(wanted)}")
    return tuple(count // known if size == -1 else size for size in wanted)


def _bounded(shape):
    if not shape or min(shape) < 1 or prod(shape) > MOST_ELEMENTS:
        raise ValueError(f"a tensor must have 1 to {MOST_ELEMENTS} elements, not shape {list(shape)}")
    return tuple(int(size) for size in shape)
