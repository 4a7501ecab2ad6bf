"""What a QONNX or FINN model does between one product and the next."""

from dataclasses import dataclass, field

import numpy as np

from ..elementwise import Step
from ..grid import Grid
from ..onnx.graph import Node
from ..onnx.path import Path
from ..unsupported import Unsupported
from .quantizers import Quantizer
from .threshold_product import Linear


@dataclass(frozen=True, eq=False)
class Multiplied:
    """A product of the model, of activations on grid x; `name` is that of its layer."""

    node: Node
    name: str
    x: Grid
    linear: Linear


@dataclass(frozen=True, eq=False)
class Applied:
    """Float32 steps of one node."""

    node: Node
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Pooled:
    """The largest of each window: it takes place on codes, wherever the model has it."""

    node: Node


@dataclass(frozen=True, eq=False)
class Section:
    """What follows the input (None) or a product, up to the next product or the end.

    The last quantizer makes the codes; those before it are float operations as others are. Without a quantizer the
    codes are the sums.
    """

    product: Multiplied | None
    events: list[Applied | Quantizer | Pooled] = field(default_factory=list, repr=False)

    @property
    def _place(self) -> int:
        """Where in the events the codes are made; -1 where they are the sums."""
        return max((i for i, one in enumerate(self.events) if isinstance(one, Quantizer)), default=-1)

    @property
    def quantizer(self) -> Quantizer | None:
        """The one that makes the codes."""
        return next((one for one in self.events[::-1] if isinstance(one, Quantizer)), None)

    @property
    def before(self) -> tuple[Step, ...]:
        """Float32 steps up to the quantizer that makes the codes."""
        return _steps(self.events[: max(self._place, 0)])

    @property
    def after(self) -> tuple[Applied, ...]:
        """Float32 steps on the values of codes."""
        return tuple(one for one in self.events[self._place + 1 :] if isinstance(one, Applied))

    @property
    def factor(self) -> float:
        """What the values of codes are multiplied by. Raises Unsupported where anything else happens to them."""
        factor = 1.0
        for applied in self.after:
            for step in applied.steps:
                operand = step.operands[0] if step.operation in ("mul", "div") else np.zeros(())
                if operand.ndim or not operand > 0:
                    raise applied.node.refused("only one positive factor may stand between a quantizer and a product")
                factor = factor * float(operand) if step.operation == "mul" else factor / float(operand)
        return factor

    def steps_at_the_end(self, path: Path, grid: Grid) -> tuple[Step, ...]:
        """Float32 steps on the values of codes on a grid, as the model has these when it ends with the section.

        Raises Unsupported where it cannot tell which channel a place of the path's tensor belongs to.
        """
        if grid.scale.ndim and path.columns != len(path.shape) - 1:
            raise Unsupported("sums whose columns have scales of their own must end with the columns as the last axis")
        for applied in self.after:
            if path.columns is None and any(one.size > 1 for step in applied.steps for one in step.operands):
                raise applied.node.refused("has numbers for each channel; the network ends with channels mixed")
        behind = 0 if path.columns is None else len(path.shape) - 1 - path.columns
        return tuple(step.ahead_of(behind) for applied in self.after for step in applied.steps)

    def check_pools(self):
        """Raises Unsupported for a pool where something falls on the way to the codes, which makes it a minimum."""
        for place, pool in enumerate(self.events):
            if isinstance(pool, Pooled):
                first, last = sorted((place, self._place))
                if any(_falls(step) for step in _steps(self.events[first + 1 : last])):
                    raise pool.node.refused("no negative factor may stand between it and the codes")


def _steps(events):
    found = []
    for one in events:
        if not isinstance(one, Pooled):
            found += one.steps if isinstance(one, Applied) else one.fake
    return tuple(found)


def _falls(step):
    return step.operation in ("mul", "div") and (step.operands[0] < 0).any()
