"""The handwritten digits of scikit-learn, split once for every network of this example."""

import numpy as np

HELD_OUT_EVERY = 4
VALIDATION_EVERY = 5


def digits():
    """All images, float64 [1797, 64] with pixels 0..16, and their labels 0..9, int64 [1797].

    Raises ImportError, with the way to get it, where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as missing:
        raise ImportError("the digits come with scikit-learn: pip install scikit-learn") from missing
    images, labels = load_digits(return_X_y=True)
    return images, labels.astype(np.int64)


def held_out():
    """Images [450, 64] and labels [450] that no training, calibration or choice has seen: numbers 0, 4, 8, ..."""
    images, labels = digits()
    return images[::HELD_OUT_EVERY], labels[::HELD_OUT_EVERY]


def training():
    """The other images [1347, 64] and labels [1347]."""
    images, labels = digits()
    seen = np.arange(len(images)) % HELD_OUT_EVERY != 0
    return images[seen], labels[seen]


def validation_split():
    """(images, labels) for fitting and (images, labels) for comparing hyperparameters, both out of `training()`."""
    images, labels = training()
    compared = np.arange(len(images)) % VALIDATION_EVERY == 0
    return (images[~compared], labels[~compared]), (images[compared], labels[compared])
