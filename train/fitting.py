"""Training of a classifier: cross entropy, Adam, a rate that falls as a half cosine."""

from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F

from .network import QuantNetwork

PENALTY = 1e-3


def fit(module: QuantNetwork, x, labels, *, epochs: int, batch: int, rate: float, seed: int) -> QuantNetwork:
    """The module, trained in place on real x [B, *shape] and labels [B], in random order; then in evaluation.

    On one thread, so that a seed gives the same parameters again. Raises ValueError for fewer examples than a batch.
    """
    if not 1 <= batch <= len(x):
        raise ValueError(f"batch must be 1 to {len(x)}, the number of examples, not {batch}")
    x, labels = np.asarray(x, np.float32), torch.from_numpy(np.asarray(labels, np.int64))
    order, adam = np.random.default_rng(seed), torch.optim.Adam(module.parameters(), lr=rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * (len(x) // batch))
    module.train()
    with one_thread():
        for chosen in _batches(order, len(x), epochs, batch):
            adam.zero_grad()
            loss = F.cross_entropy(module(x[chosen]), labels[chosen]) + PENALTY * module.penalty()
            loss.backward()
            adam.step()
            falling.step()
    return module.eval()


def _batches(order, count, epochs, batch):
    for _ in range(epochs):
        shuffled = order.permutation(count)
        yield from (shuffled[start : start + batch] for start in range(0, count - batch + 1, batch))


@contextmanager
def one_thread():
    """PyTorch on one thread, on which its sums are the same every time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
