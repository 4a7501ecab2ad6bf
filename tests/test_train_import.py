"""Training without PyTorch says how to get it."""

import importlib
import sys

import pytest


def test_without_torch_one_line_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "train"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"^training needs PyTorch: pip install 'bittrue\[train\]'$"):
        importlib.import_module("train")
