"""docs/networks.md on training: its example runs, and gives what it says."""

import re
from pathlib import Path

from oracle_cases import need

need("torch", "sklearn")

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "networks.md").read_text(encoding="utf-8")


def test_the_example_runs():
    section = TEXT[TEXT.index("## Training") : TEXT.index("## Accuracy")]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code is not None
    names = {}
    exec(code[1], names)
    of_module = names["module"].trace(names["x"])
    assert list(of_module)[1:] == list(names["codes"])
    assert all((of_module[name] == codes).all() for name, codes in names["codes"].items())
    right = (names["network"].run(names["x"]).argmax(axis=1) == names["labels"]).mean()
    assert right > 0.95
