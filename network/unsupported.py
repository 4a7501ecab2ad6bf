"""The one error of models that are not read, and text of a model made fit for its line."""

from contextlib import contextmanager
from typing import Protocol


class Unsupported(ValueError):
    """A model that is not read: the message names operator, node and what about them."""


class Part(Protocol):
    """A part of a model, which can be refused."""

    def refused(self, reason) -> Unsupported:
        """The error for it, to be raised."""
        ...


@contextmanager
def refusing(part: Part):
    """What golden refuses (formats, scales, designs that there are not) is refused for this part of a model."""
    try:
        yield
    except Unsupported:
        raise
    except ValueError as error:
        raise part.refused(printable(error, most=300)) from error


def printable(text, most=80) -> str:
    """Text of a model as one line of harmless characters."""
    line = "".join(one if one.isprintable() else "?" for one in str(text))
    return line if len(line) <= most else f"{line[:most]}.."
