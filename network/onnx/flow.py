"""What flows along a chain of quantized ONNX operators: codes, the real numbers that they stand for, or real sums."""

from dataclasses import dataclass, field

import numpy as np

from golden.formats import Format

from ..elementwise import Step, is_rising
from ..grid import Grid
from ..layers import Quantize
from .constants import real
from .graph import Graph
from .grids import activation_grid, zero_points
from .node import Node
from .path import Path
from .scaling import along_channels, as_given, fitting
from .waiting import Function, Waiting, numbers_of

ALONG = ("softmax", "log_softmax")


@dataclass(eq=False)
class Flow:
    """What flows: codes on a grid, the real numbers that they stand for (`real`), or real sums that wait for a grid.

    kind : the type that codes have in the model. entry : None until the first quantizer. pending : a function of codes
    and of the grid of its outputs, which waits for that grid, and the same as steps. after : steps on real numbers
    behind all layers; None while layers follow.
    """

    graph: Graph
    platform: str
    path: Path
    real: bool
    kind: Format
    entry: Quantize | None = None
    grid: Grid | None = None
    waiting: Waiting | None = None
    before: list[Step] = field(default_factory=list)
    after: list[Step] | None = None
    pending: tuple[Function, list[Step]] | None = None

    def take_codes(self, node: Node, scale: int, point: int) -> Grid:
        """For a node that takes codes, its inputs `scale` and `point` saying their grid, which is given back.

        The first such node of a model whose inputs are codes says the grid of these.
        """
        self._check_codes(node)
        given = activation_grid(node, self.graph, node.input(scale), node.input(point), self.kind)
        if given.fmt != self.kind:
            raise node.refused(f"has a zero point of type {given.fmt} for codes of {self.kind}")
        if self.entry is None:
            self._enter(node, given, [*numbers_of(given), *self.before])
        grid = self.grid
        assert grid is not None
        if not grid.same_steps(given):
            told = [f"scale {one.scale}, zero point {one.zero_point}" for one in (given, grid)]
            raise node.refused(f"takes codes of {told[0]}, but those before it have {told[1]}")
        return grid

    def take_unscaled(self, node: Node, point: int) -> Grid:
        """For a node that takes codes without their scale, its input `point` being their zero point: their grid.

        Inputs of the model that are codes have scale 1.
        """
        self._check_codes(node)
        fmt, points = zero_points(node, self.graph, node.input(point), np.ones(()), self.kind)
        if self.entry is None:
            given = Grid(fmt, np.ones((), np.float32), int(points))
            self._enter(node, given, [*numbers_of(given), *self.before])
        grid = self.grid
        assert grid is not None
        if fmt != self.kind or int(points) != grid.zero_point:
            told = f"zero point {int(points)}, those before it {self.kind} with {grid.zero_point}"
            raise node.refused(f"takes codes of {fmt} with {told}")
        return grid

    def _check_codes(self, node):
        if self.after is not None:
            raise node.refused("follows operations on real numbers that no layer takes in")
        if self.real:
            raise node.refused("takes codes, but comes behind real numbers")

    def grid_of(self, node: Node, scale: int, point: int) -> Grid:
        """What inputs of a node say of the codes it makes: of the type that its own codes have, if not said."""
        return activation_grid(node, self.graph, node.input(scale), node.input(point), self.kind)

    def take_real(self, node: Node) -> Grid:
        """For a node that takes real numbers that codes stand for: the grid of the codes."""
        if self.after is not None:
            raise node.refused("follows operations on real numbers that no layer takes in")
        if not self.real or self.grid is None or self.waiting or self.pending:
            raise node.refused("takes real numbers that no DequantizeLinear gives")
        return self.grid

    def take_any(self, node: Node):
        """For a node that moves elements: codes, what they stand for, or sums.

        Steps pass by: all where elements are but moved, those that do not fall where the largest is taken.
        """
        steps = self.after or []
        each = [one for step in steps for one in step.operands if one.ndim]
        per_channel = self.after is not None and (each or (self.grid is not None and self.grid.scale.ndim))
        if self.pending or any(step.operation in ALONG for step in steps):
            raise node.refused("follows operations on real numbers that no layer takes in")
        if node.operator == "MaxPool" and not all(is_rising(step) for step in steps):
            raise node.refused("follows operations on real numbers that fall")
        if node.operator not in ("MaxPool", "Transpose", "Identity", "Dropout") and per_channel:
            raise node.refused("follows operations on real numbers that differ from channel to channel")

    def constant(self, node: Node, index: int, what: str) -> np.ndarray:
        return real(node, self.graph, node.input(index), what)

    def placed(self, node: Node, value: np.ndarray) -> np.ndarray:
        """Before the first quantizer as it broadcasts with the network's input, else a scalar or [C]."""
        if self.entry is None:
            return as_given(self.path, fitting(node, self.path, value))
        return along_channels(node, self.path, value)

    def _enter(self, node, grid, before):
        self.entry = Quantize(self.path.names.name(node.name or "input"), grid, before=tuple(before))
        self.grid, self.kind, self.real = grid, grid.fmt, False
