"""Weights of ONNX's products as matrices w [K, N], as layers have them; the same for codes and for real numbers."""

from dataclasses import dataclass

import numpy as np

from ..shapes import Window
from .node import Node
from .path import Path, told
from .windows import ATTRIBUTES, pooled, window

CONV_ATTRIBUTES = (*ATTRIBUTES, "group")
GEMM_ATTRIBUTES = ("alpha", "beta", "transA", "transB")


@dataclass(frozen=True, eq=False)
class Weights:
    """w [K, N], with a window where they are a convolution's, and the shape of one output example as ONNX has it."""

    w: np.ndarray
    shape: tuple[int, ...]
    window: Window | None = None
    depthwise: bool = False

    @property
    def columns(self) -> int:
        return self.w.shape[1]


def convolution(node: Node, path: Path, w: np.ndarray) -> Weights:
    """Of w [N, C / group, KH, KW], or [N, C, K] of signals: K runs over the places, and fastest over the channels.

    The path is made a map. Raises Unsupported for groups that are neither one nor as many as channels, and for shapes
    that do not fit.
    """
    path.map(node)
    channels = path.shape[0]
    if w.ndim != len(path.shape) + 1 or 0 in w.shape:
        raise node.refused(f"has weights {list(w.shape)} for {told(path.shape)}")
    group = node.integer("group", 1)
    if group not in (1, channels):
        raise node.refused(f"attribute group must be 1 or the {channels} channels, not {group}")
    if w.shape[1] * group != channels or w.shape[0] % group:
        raise node.refused(f"has weights {list(w.shape)} in {group} groups for {told(path.shape)}")
    kernel = node.integers("kernel_shape", w.shape[2:], least=1)
    if kernel != w.shape[2:]:
        own = list(w.shape[2:])
        raise node.refused(f"attribute kernel_shape must be that of its weights, {own}, not {list(kernel)}")
    found = window(node, path, kernel)
    taken = np.moveaxis(w.reshape(*w.shape[:2], -1), (2, 1, 0), (0, 1, 2)).reshape(-1, len(w))
    return Weights(taken, (len(w), *pooled(path, found)[1:]), found, depthwise=group > 1)


def dense(node: Node, path: Path, w: np.ndarray) -> Weights:
    """Of w [K, N], which the last axis meets."""
    path.plain()
    if w.ndim != 2 or 0 in w.shape or w.shape[0] != path.shape[-1]:
        raise node.refused(f"has weights {list(w.shape)} for {told(path.shape)}")
    return Weights(w, (*path.shape[:-1], w.shape[1]))


def gemm(node: Node, path: Path, w: np.ndarray) -> Weights:
    """Of w [K, N], or [N, K] where transB says so. Raises Unsupported where the activations are transposed."""
    node.attribute("transA", 0, only=(0,))
    if len(path.shape) != 1:
        raise node.refused(f"takes [B, K], not {told(path.shape)}")
    turned = node.attribute("transB", 0, only=(0, 1))
    return dense(node, path, w.T if turned else w)


def column_axis(node: Node) -> int:
    """Along which axis of its weights a product has its columns, by operator and transB."""
    first = "Conv" in node.operator or ("Gemm" in node.operator and node.integer("transB", 0))
    return 0 if first else 1


def row(node: Node, value: np.ndarray, columns: int) -> np.ndarray:
    """A bias as [N]: of N elements or one, all its axes but the last of size 1."""
    value = np.asarray(value)
    if value.ndim > 2 or value.size not in (1, columns) or value.shape[-1:] not in ((), (1,), (columns,)):
        raise node.refused(f"has a bias {list(value.shape)} for {columns} columns")
    return np.broadcast_to(value.reshape(-1), (columns,))
