"""How three real scales become one number: a_scale * w_scale / y_scale, with each platform's own roundings."""

import numpy as np


def checked(label, value) -> np.ndarray:
    """A scale as float32 (float16 where it is one). Raises ValueError unless it is positive and finite there."""
    given = np.asarray(value)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"{label}_scale must hold real numbers, not {given.dtype}")
    with np.errstate(over="ignore", under="ignore"):
        value = given if given.dtype == np.float16 else given.astype(np.float32)
    wrong = ~(np.isfinite(value) & (value > 0))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f"{label}_scale{list(index) if index else ''}"
        raise ValueError(f"{place} must be positive and finite in float32, not {given[index]}")
    return value


def f32_chain(a, w, y):
    """a * w / y, rounded to the type of the scales (float32, or float16) after each step."""
    return a * w / y


def f32_product(a, w, y):
    """float64(float32(a * w)) / y."""
    return np.float64(a * w) / np.float64(y)


def f64(a, w, y):
    """a * w / y in float64."""
    return np.float64(a) * np.float64(w) / np.float64(y)


EFFECTIVE = {"f32_chain": f32_chain, "f32_product": f32_product, "f64": f64}
