"""A chain of quantized ONNX operators on its way to a Network: entry, layers and exit, made of what flows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from golden.platforms import platform as platform_of

from ..elementwise import Step, applied
from ..grid import Grid
from ..layers import AveragePool, Dequantize, Product
from ..network import Network
from ..shapes import MaxPool, Reshape, Transpose
from ..unsupported import Unsupported, refusing
from .flow import ALONG, Flow
from .graph import Graph
from .grids import BYTES, CODE_DOMAINS, code_format, input_format
from .node import Node
from .path import Path
from .platform_product import Bounds
from .waiting import Function, Waiting, WaitingProduct, codes_of, intersection, numbers_of, within


@dataclass(eq=False)
class Codes(Flow):
    """The flow, and what nodes make of it: layers, steps, and in the end the network."""

    _last: tuple[Waiting, Bounds] | None = None
    _sums: WaitingProduct | None = None

    @classmethod
    def of(cls, model: onnx.ModelProto, platform: str) -> "Codes":
        """At the input of a model. Raises ValueError for a platform that is none, Unsupported for the model."""
        platform_of(platform)
        graph = Graph(model)
        fmt = input_format(graph)
        return cls(graph, platform, Path(graph.shape), fmt is None, fmt or BYTES)

    def network(self, operators: Mapping[str, Callable[["Codes", Node], None]]) -> Network:
        """The network, by a function for each operator. Raises Unsupported."""
        for node in self.graph.chain_of_firsts():
            if node.domain not in CODE_DOMAINS or node.operator not in operators:
                raise node.refused("is not supported in quantized networks")
            with refusing(node), np.errstate(all="ignore"):  # factors beyond float32 are refused
                operators[node.operator](self, node)
        return self._finished()

    def _finished(self) -> Network:
        if self.waiting is not None:
            self.to_sums()
        if self.pending is not None:
            raise Unsupported("the model's outputs are sums of codes that no quantizer follows")
        if self.entry is None or self.grid is None:
            raise Unsupported("the model has no quantizer")
        if not any(isinstance(layer, Product) for layer in self.path.layers):
            raise Unsupported("the model has no products")
        if self.after is None:
            self.after = [] if self.real else codes_of(self.grid)
        self._settle()
        exit = Dequantize(self.path.names.name("output"), self.grid, tuple(self.after))
        name = self.path.names.name(self.graph.name)
        return Network(name, self.graph.shape, self.entry, tuple(self.path.layers), exit)

    def quantize(self, node: Node, grid: Grid):
        """Codes on a grid, of the real numbers that flow."""
        if not self.real:
            raise node.refused("quantizes codes")
        if self.entry is None:
            self._enter(node, grid, self.before)
        elif self.pending is not None:
            pending, self.pending = self.pending, None
            self.compose(*pending, grid)
        elif self.after is not None:
            self._quantize_steps(grid)
        elif self.waiting is not None:
            self.finish(self.waiting, grid)
        elif self.grid is None or grid.fmt != self.kind or not grid.same_steps(self.grid):
            self.after = []
            self._quantize_steps(grid)
        self.real, self.kind = False, grid.fmt

    def _quantize_steps(self, grid):
        """Codes of what steps make: by the product right before them, or as steps too where none is."""
        steps, start = self.after or [], self.grid
        assert start is not None
        if any(step.operation in ALONG for step in steps) or self._taker(steps) is None:
            self.after = [*steps, *codes_of(grid)]
            return
        self.after = None
        if self._sums is not None:
            self._put(self._sums.after_sums(steps), steps, grid)
        else:
            self.compose(lambda codes, y: y.codes(applied([*numbers_of(start), *steps], codes)), steps, grid)

    def _taker(self, steps) -> int | None:
        """Which layer is a product that may take steps in: functions that do not fall pass by what moves elements.

        Those that differ from channel to channel pass by pools alone.
        """
        passed = MaxPool if any(one.ndim for step in steps for one in step.operands) else MaxPool | Reshape | Transpose
        index = len(self.path.layers) - 1
        while index >= 0 and isinstance(self.path.layers[index], passed):
            index -= 1
        found = index >= 0 and isinstance(self.path.layers[index], Product) and self._product is not None
        return index if found else None

    @property
    def _product(self) -> WaitingProduct | None:
        """The last product, as it waited."""
        if self._sums is not None:
            return self._sums
        waiting = None if self._last is None else self._last[0]
        return waiting if isinstance(waiting, WaitingProduct) else None

    def compose(self, function: Function, steps: list[Step], y: Grid):
        """Codes on grid y that are a function of those on the grid before, put into the product right before.

        function : from codes and grid y. steps : the same on real numbers. Raises ValueError where no product is there.
        """
        if self._sums is not None or self._taker(steps) is None:
            raise ValueError("stands elsewhere than behind a product, which could take it in")
        assert self._last is not None and self._product is not None and self.grid is not None
        self._put(self._product.then(self.grid, self._last[1], function, steps), steps, y)

    def _put(self, waiting, steps, y):
        """Another layer in place of the product that takes steps in."""
        index = self._taker(steps)
        assert index is not None
        self.path.layers[index] = waiting
        self.finish(waiting, y)

    def dequantize(self, node: Node):
        """What codes stand for; inputs of the node say their grid."""
        if self.after is None:
            self.take_codes(node, 1, 2)
        elif self.real:
            raise node.refused("takes codes, but comes behind real numbers")
        else:
            self.after += numbers_of(self.grid_of(node, 1, 2))
        self.real = True

    def wait(self, waiting: Waiting, shape: tuple[int, ...]):
        """A layer whose outputs are real numbers until a quantizer says their grid."""
        self.path.add(waiting, shape)
        self.waiting, self.real = waiting, True

    def finish_waiting(self, grid: Grid):
        """The layer that waits now, with codes on a grid."""
        assert self.waiting is not None
        self.finish(self.waiting, grid)

    def finish(self, waiting: Waiting, grid: Grid, bounds: tuple[int, int] | None = None):
        """The layer that waits, with codes on a grid and within bounds."""
        clip = intersection(waiting.clip(grid), bounds)
        clip = None if clip is None else within(clip, grid.fmt.code_range)
        self._replace(waiting, waiting.made(grid, clip))
        self._last, self._sums, self.waiting, self.real = (waiting, clip), None, None, False
        self.grid, self.kind = grid, grid.fmt

    def _replace(self, waiting, layer):
        self.path.layers = [layer if one is waiting else one for one in self.path.layers]

    def replace(self, waiting: Waiting):
        """Another one that waits in its place."""
        self._replace(self.waiting, waiting)
        self.waiting = waiting

    def to_sums(self):
        """The product that waits gives its exact sums, and steps on real numbers follow."""
        waiting = self.waiting
        assert waiting is not None
        if not isinstance(waiting, WaitingProduct):
            raise waiting.node.refused("has no quantizer for its outputs")
        layer, self.after = waiting.sums()
        if layer.y.scale.ndim and self.path.layers[-1] is not waiting:
            raise waiting.node.refused("has a scale for each channel, and its sums are moved before they are quantized")
        self._replace(waiting, layer)
        self._sums, self.waiting, self.grid = waiting, None, layer.y

    def bound_codes(self, node: Node, lo: int, hi: int):
        """Codes within bounds, right behind what made them; a format as narrow as the bounds takes their place."""
        grid = self.grid
        if self.real or grid is None or self.after is not None:
            raise node.refused("bounds codes that no quantizer gives")
        lo, hi = max(lo, grid.fmt.code_range[0]), min(hi, grid.fmt.code_range[1])
        if (lo, hi) == grid.fmt.code_range:
            return
        if not lo < hi or not lo <= grid.zero_point <= hi:
            raise node.refused(f"bounds codes to [{lo}, {hi}], which must hold the zero point and another code")
        fmt = code_format(lo, hi)
        narrow = Grid(fmt if fmt.width < grid.fmt.width else grid.fmt, grid.scale, grid.zero_point)
        bounds = None if (lo, hi) == narrow.fmt.code_range else (lo, hi)
        if self._last is None and not self.path.layers:
            self._narrow_entry(node, narrow, bounds)
        elif self._last is not None and isinstance(self.path.layers[-1], Product | AveragePool):
            waiting, clip = self._last
            self.path.layers[-1], kind = waiting, self.kind
            self.finish(waiting, narrow, intersection(clip, bounds))
            self.kind = kind
        else:
            raise node.refused("bounds codes elsewhere than right behind their quantizer")

    def _narrow_entry(self, node, grid, bounds):
        assert self.entry is not None
        entry = replace(self.entry, y=grid, narrow=bounds is not None)
        if bounds not in (None, entry.bounds):
            raise node.refused(f"bounds the network's input to {list(bounds)}, which is no format of integers")
        self.entry, self.grid = entry, grid

    # steps on real numbers

    def bound(self, node: Node, step: Step):
        """A bound on real numbers: of a product that waits for its quantizer; else a step."""
        if self.waiting is not None:
            self.replace(replace(self.waiting, steps=(*self.waiting.steps, step)))
        else:
            self.step(node, step)

    def step(self, node: Node, step: Step):
        """An operation on real numbers, before the first quantizer or behind everything."""
        if self.entry is None and self.real:
            if self.path.layers:
                raise node.refused("follows moved inputs that are not quantized")
            self.before.append(step)
            return
        if self.waiting is not None:
            self.to_sums()
        if not self.real or self.pending:
            raise node.refused("takes real numbers that no DequantizeLinear gives")
        self.after = self.after or []
        if step.operation in ALONG:
            self._settle()
        self.after.append(step)

    def _settle(self):
        """Makes the real numbers lie as ONNX has them, and what steps do to each channel with them."""
        assert self.after is not None and self.grid is not None
        behind = self.path.behind
        self.path.plain()
        if behind and self.grid.scale.ndim:
            raise Unsupported("the model's outputs are maps of real sums with a scale for each channel")
        self.after = [step.ahead_of(behind) for step in self.after]
