"""The layer of a matrix-vector unit: what it may be, and its weights as the words that the unit's memory holds."""

import numpy as np

from .checks_matrix_vector import MATRIX_VECTOR
from .sparsity import check_pattern, compressed


def stored_arrays(spec):
    """The arrays that the design itself holds, by name: w where its weights are stored."""
    return {} if spec.stored_weights is None else {"w": np.array(spec.stored_weights, np.int64)}


def layer_size(spec, k, n):
    """K and N of a layer that the design takes: those given, as far as a matrix-vector unit has room, or its own."""
    if spec.stored_weights is not None:
        return len(spec.stored_weights), len(spec.stored_weights[0])
    return k, min(n, spec.outputs) if spec.array == MATRIX_VECTOR else n


def check_layer(spec, w):
    """Raises ValueError for weights w [K, N] that a matrix-vector unit does not take; other arrays take any."""
    if spec.array != MATRIX_VECTOR:
        return
    if w.shape[1] > spec.outputs:
        raise ValueError(f"w has N = {w.shape[1]} columns; this design's outputs are {spec.outputs}")
    if spec.sparsity != "none":
        check_pattern("w", spec.weights.decode(w))
    if spec.stored_weights is None:
        return
    stored = stored_arrays(spec)["w"]
    if stored.shape != w.shape:
        raise ValueError(f"w must be the stored weights, of shape {list(stored.shape)}, not {list(w.shape)}")
    if (stored != w).any():
        k, n = (int(i) for i in np.argwhere(stored != w)[0])
        raise ValueError(f"w must be the stored weights: w[{k}, {n}] is {w[k, n]} where {stored[k, n]} is stored")


def folded(spec, w, zero_point=0):
    """The words of a layer w [K, N], fold after fold: codes [folds * beats, cols, beat_depth].

    Word beat of fold f holds w[beat * beat_depth + i, f * cols + c] at [c, i]. Columns without a weight, and products
    beyond K, have the zero point; two bipolar operands have no zero, and products beyond K alternate -1, +1.
    """
    k, n = w.shape
    beats, folds = spec.beats(k), -(-n // spec.cols)
    whole = np.full((beats * spec.beat_depth, folds * spec.cols), zero_point, np.int64)
    whole[:k, :n] = w
    if spec.is_binary:
        whole[k:] = (np.arange(len(whole) - k) % 2)[:, None]
    words = whole.reshape(beats, spec.beat_depth, folds, spec.cols).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(words).reshape(-1, spec.cols, spec.beat_depth)


def sparse_words(spec, words):
    """(kept codes, positions) of words of 2:4 sparse weights, both [words, cols, lanes]."""
    return compressed(words, spec.weights.decode(words) == 0)
