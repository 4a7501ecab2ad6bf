"""The one error of models that are not read, and text of a model made fit for its line."""


class Unsupported(ValueError):
    """A model that is not read: the message names operator, node and what about them."""


def printable(text, most=80) -> str:
    """Text of a model as one line of harmless characters."""
    line = "".join(one if one.isprintable() else "?" for one in str(text))
    return line if len(line) <= most else f"{line[:most]}.."
