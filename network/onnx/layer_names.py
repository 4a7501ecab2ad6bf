"""Names of layers made from those in a file: a letter, then letters, digits and underscores; each one once."""

import re

from golden.keywords import VERILOG_KEYWORDS

from .graph import Node

_MOST = 48
_RESERVED = {*VERILOG_KEYWORDS, "bench"}


class LayerNames:
    """Gives safe names, numbered where one is taken."""

    def __init__(self):
        self._taken = set()

    def name(self, text: str) -> str:
        """A name like the text that was not given before."""
        safe = re.sub(r"[^A-Za-z0-9_]+", "_", text)[:_MOST].strip("_")
        if not re.match("[A-Za-z]", safe) or safe.lower() in _RESERVED:
            safe = f"layer_{safe}".rstrip("_")
        found, count = safe, 1
        while found.lower() in self._taken:
            count += 1
            found = f"{safe}_{count}"
        self._taken.add(found.lower())
        return found

    def of(self, node: Node) -> str:
        """A name for what a node of a model becomes."""
        return self.name(node.name or node.operator)
