"""Cross-layer equalization: channels between two layers scaled so that the weights on both sides have equal ranges.

Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721,
section 4.1.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..float_network import FloatNetwork, Linear

MOST_ROUNDS = 50
CLOSE = 1e-4


@dataclass(frozen=True, eq=False)
class Pair:
    """Two linear layers with nothing but pools and shapes between them.

    reads : which channel of the first each row of the second's w [K, N] meets, int64 [K]; of a depthwise layer which
        one each column meets, [N]. reason : why the pair is left alone, or None.
    """

    first: str
    second: str
    reads: np.ndarray | None
    reason: str | None = None


def equalized(network: FloatNetwork) -> FloatNetwork:
    """The network with channel i of each pair divided by s[i] in the first layer and multiplied by it in the second.

        s[i] = sqrt(r1[i] * r2[i]) / r2[i]

    for the largest magnitudes r1[i] of column i of the first w and r2[i] of what meets it in the second, so that both
    become sqrt(r1 * r2); 1 where one of them is 0. Repeated over all pairs until no s is further than 1e-4 from 1. The
    function of the network is the same, up to rounding of float32.
    """
    layers = {layer.name: layer for layer in network.linears}
    found = [pair for pair in pairs(network) if pair.reason is None]
    for _ in range(MOST_ROUNDS):
        scales = [_equalize(layers, pair) for pair in found]
        if all(np.abs(one - 1).max() < CLOSE for one in scales):
            break
    return replace(network, layers=tuple(layers.get(layer.name, layer) for layer in network.layers))


def pairs(network: FloatNetwork) -> tuple[Pair, ...]:
    """Every two linear layers that follow each other, with the reason where they cannot be equalized."""
    found, first, channels = [], None, np.zeros(0)
    outputs = network.trace(np.zeros((1, *network.shape), np.float32))
    for layer in network.layers:
        if not isinstance(layer, Linear):
            channels = layer.run(channels) if first is not None else channels
            continue
        if first is not None:
            found.append(_pair(first, layer, channels))
        first, shape = layer, outputs[layer.name].shape
        channels = np.broadcast_to(np.arange(shape[-1], dtype=np.float64), shape)
    return tuple(found)


def _pair(first, second, channels):
    """Channels are the numbers of the first layer's outputs, moved to where the second one reads them."""
    if first.activation == "relu6":
        return Pair(first.name, second.name, None, "relu6 is not the same when its input is scaled")
    last = channels.reshape(-1, channels.shape[-1])
    if (last != last[0]).any():
        return Pair(first.name, second.name, None, "channels are mixed between them")
    one = np.rint(last[0]).astype(np.int64)
    if second.depthwise:
        return Pair(first.name, second.name, np.repeat(one, second.w.shape[1] // len(one)))
    return Pair(first.name, second.name, np.tile(one, len(second.w) // len(one)))


def _equalize(layers, pair):
    """Scales both layers of a pair, in place in the dict; returns s [channels of the first], float64."""
    first, second = layers[pair.first], layers[pair.second]
    axis = 0 if second.depthwise else 1
    met = np.abs(second.w).max(axis=axis).astype(np.float64)
    before, after = np.abs(first.w).max(axis=0).astype(np.float64), np.zeros(first.w.shape[1])
    np.maximum.at(after, pair.reads, met)
    there = (before > 0) & (after > 0)
    s = np.where(there, np.sqrt(before / np.where(there, after, 1)), 1)
    layers[pair.first] = _scaled(first, 1 / s)
    reads = s[pair.reads]
    w = second.w * (reads if second.depthwise else reads[:, None])
    layers[pair.second] = replace(second, w=w.astype(second.w.dtype))
    return s


def _scaled(layer, factors):
    dtype = layer.w.dtype
    return replace(layer, w=(layer.w * factors).astype(dtype), bias=(layer.bias * factors).astype(layer.bias.dtype))
