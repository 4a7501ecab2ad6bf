"""Quantization-aware training in PyTorch: the forward pass is golden's own, so that what is trained is built."""

import importlib.util

if importlib.util.find_spec("torch") is None:
    raise ImportError("training needs PyTorch: pip install 'bittrue[train]'")
