"""Names of layers, which become names of folders and of Verilog modules, from names of any kind."""

import re

from golden.keywords import VERILOG_KEYWORDS

LONGEST = 63
_TAKEN = ("bench",)


class Names:
    """Names that are each given out once: a letter, then letters, digits and underscores, at most 63 in all."""

    def __init__(self):
        self._taken = {*VERILOG_KEYWORDS, *_TAKEN}

    def new(self, wanted, otherwise="layer") -> str:
        """A name as near to the wanted one as can be; `otherwise` where nothing of it can be kept.

        Names that differ in capital letters only would be one folder on some systems, so they are told apart too.
        """
        stem = _plain(wanted) or _plain(otherwise) or "layer"
        name, number = stem, 1
        while name.lower() in self._taken:
            number += 1
            end = f"_{number}"
            name = stem[: LONGEST - len(end)] + end
        self._taken.add(name.lower())
        return name


def _plain(text):
    plain = re.sub(r"[^A-Za-z0-9]+", "_", str(text)).strip("_")
    plain = re.sub(r"^([0-9])", r"n\1", plain)
    return plain[:LONGEST].rstrip("_")
