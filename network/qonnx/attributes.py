"""Attributes of ONNX nodes whose kind is checked: models are hostile."""

from ..onnx.graph import Node
from ..unsupported import printable

MOST = 1 << 16


def number(node: Node, name: str, default: float) -> float:
    """An attribute that must be a finite number. Raises Unsupported."""
    value = node.attribute(name, default)
    if not isinstance(value, int | float) or not abs(value) < float("inf"):
        raise node.refused(f"attribute {name} must be a finite number, not {printable(value)}")
    return value


def integers(node: Node, name: str, default, *, count: int, least: int, most: int) -> tuple[int, ...]:
    """An attribute that must be so many integers in [least, most]. Raises Unsupported."""
    value = node.attribute(name, default)
    given = value if isinstance(value, list | tuple) and all(isinstance(one, int) for one in value) else ()
    if len(given) != count or any(not least <= one <= most for one in given):
        raise node.refused(f"attribute {name} must be {count} integers from {least} to {most}, not {printable(value)}")
    return tuple(given)


def pair(node: Node, name: str, default, *, least: int) -> tuple[int, int]:
    """An attribute for (down, across). Raises Unsupported."""
    down, across = integers(node, name, default, count=2, least=least, most=MOST)
    return down, across


def permutation(node: Node, rank: int) -> tuple[int, ...]:
    """The axes of a Transpose. Raises Unsupported where they are no order of all axes."""
    axes = integers(node, "perm", list(range(rank))[::-1], count=rank, least=0, most=rank - 1)
    if len(set(axes)) != rank:
        raise node.refused(f"attribute perm must name each of {rank} axes once, not {list(axes)}")
    return axes
