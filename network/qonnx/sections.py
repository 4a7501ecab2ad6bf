"""A QONNX or FINN model cut at its products: what happens between one and the next."""

from dataclasses import dataclass, field

import onnx

from ..elementwise import Step
from ..onnx.graph import Graph, Node
from ..unsupported import printable
from .ends import batch_size, check_label, is_label, is_softmax, softmax
from .moves import Move, Pooled, is_move, moved
from .products import ReadProduct, is_im2col, is_product, read_im2col, read_product
from .quantizers import Quantizer, is_quantizer, quantizer
from .steps import is_elementwise, steps_of
from .tensor import STANDARD, Tensor


@dataclass(frozen=True, eq=False)
class Applied:
    """Float32 steps of one node."""

    node: Node
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Section:
    """What follows the input or a product, up to the next product or the end, where the tensor is `tensor`.

    The last quantizer makes the codes; those before it are float operations as others are. Without a quantizer the
    codes are the sums. Moves take place on codes, wherever the model has them.
    """

    events: tuple[Applied | Quantizer | Move, ...] = field(repr=False)
    tensor: Tensor

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
    def moves(self) -> tuple[Move, ...]:
        """Raises Unsupported for a pool where something falls on the way to the codes, which makes it a minimum."""
        for place, move in enumerate(self.events):
            if isinstance(move, Pooled):
                first, last = sorted((place, self._place))
                if any(_falls(step) for step in _steps(self.events[first + 1 : last])):
                    raise move.node.refused("no negative factor may stand between it and the codes")
        return tuple(one for one in self.events if not isinstance(one, Applied | Quantizer))


def _steps(events):
    found = []
    for one in events:
        if isinstance(one, Applied | Quantizer):
            found += one.steps if isinstance(one, Applied) else one.fake
    return tuple(found)


def _falls(step):
    return step.operation in ("mul", "div") and (step.operands[0] < 0).any()


def sections(graph: Graph, model: onnx.ModelProto) -> tuple[Section, list[tuple[ReadProduct, Section]]]:
    """What follows the input, and each product with what follows it. Raises Unsupported for nodes that are not read."""
    walks = [_Walk(graph, batch_size(graph, model), Tensor((1, *graph.shape), 1))]
    products = []
    for node in graph.chain():
        walk = walks[-1]
        walk.check_follows(node)
        if is_product(node):
            products.append(read_product(graph, node, walk.tensor, walk.window))
            walks.append(_Walk(graph, walk.batch, products[-1].tensor, products[-1]))
        else:
            walk.take(node)
    walks[-1].check_complete()
    first, *rest = (walk.section() for walk in walks)
    return first, list(zip(products, rest, strict=True))


class _Walk:
    """What has been read since the input or the last product."""

    def __init__(self, graph: Graph, batch: int, tensor: Tensor, product: ReadProduct | None = None):
        self.graph, self.batch, self.tensor = graph, batch, tensor
        self.events: list[Applied | Quantizer | Move] = []
        if product is not None:
            self.events.append(Applied(product.node, product.bias))
        self.end = self.im2col = self.window = None

    def section(self):
        return Section(tuple(self.events), self.tensor)

    def check_complete(self):
        if self.im2col is not None:
            raise self.im2col.refused("must be followed by a MatMul")

    def check_follows(self, node):
        if self.end is not None:
            raise node.refused(f"follows {self.end}, which must come last")
        if self.im2col is not None and not is_product(node):
            raise self.im2col.refused(f"must be followed by a MatMul, not by {node}")

    def take(self, node):
        """A node that is no product."""
        if is_quantizer(node):
            self.events.append(quantizer(self.graph, node, self.tensor))
        elif is_move(node):
            self.tensor, move = moved(self.graph, node, self.tensor, self.batch)
            self.events.append(move)
        elif is_elementwise(node):
            self.events.append(Applied(node, steps_of(self.graph, node, self.tensor)))
        elif is_im2col(node):
            self.im2col = node
            self.window, self.tensor = read_im2col(node, self.tensor)
        else:
            self._take_end(node)

    def _take_end(self, node):
        if is_softmax(node):
            self.events.append(Applied(node, softmax(node, self.tensor)))
        elif is_label(node):
            check_label(self.graph, node, self.tensor)
        elif node.domain in STANDARD:
            raise node.refused("is not read in QONNX networks")
        else:
            raise node.refused(f"of domain {printable(node.domain)} is not read in QONNX networks")
        self.end = node
