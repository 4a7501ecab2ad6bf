"""Integer matrix products for the comparison with other people's binaries, and the names of the packages they need."""

import importlib.util

import numpy as np
import pytest


def need(*packages, how="make oracles"):
    """Skips the calling module where a package is missing."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs {how}: no {', '.join(missing)} here", allow_module_level=True)


KINDS = ("generic", "ties", "near_ties", "large", "above_one")
BIAS = {"generic": 20000, "large": 2**30}


def products(seed, *, a="int8", w="int8", per_channel=False, shape=(256, 48, 64), w_zero_point=False):
    """Arguments of golden.platforms.matmul, without the platform: ten products of 16384 outputs each, 163840 in all.

    generic: scales of any value. ties: scales that are powers of two and small codes. near_ties: the float32 product of
    the scales is y_scale times a power of two, their exact product is not. large: sums up to 2**30. above_one: small
    sums, scaled up.
    """
    draw = np.random.default_rng(seed)
    for k in range(10):
        yield product(draw, a, w, per_channel, shape, w_zero_point, KINDS[k % 5])


def product(draw, a, w, per_channel, shape, w_zero_point, kind):
    m, depth, n = shape
    z_a, z_w = int(_codes(draw, a, ())), int(_codes(draw, w, ())) if w_zero_point else 0
    z_a = 0 if a == "int16" else z_a
    near = {"generic": None, "large": None, "above_one": 1}.get(kind, 3)
    codes_a, codes_w = _codes(draw, a, (m, depth), z_a, near), _codes(draw, w, (depth, n), z_w, near)
    bound = BIAS.get(kind, 50)
    bias = draw.integers(-bound, bound, n)
    top = np.abs((codes_a.astype(float) - z_a) @ (codes_w - z_w) + bias).max()
    count = (n,) if per_channel else ()
    a_scale, w_scale = np.float32(draw.uniform(0.01, 0.1)), np.float32(draw.uniform(0.001, 0.01, count))
    if kind in ("generic", "large", "above_one"):
        y_codes = {"above_one": 2.5 * top}.get(kind, 32000 if a == "int16" else 100)
        y_scale = np.float32(a_scale * np.mean(w_scale) * top / y_codes / draw.uniform(0.8, 1.6))
    elif kind == "ties":
        a_scale, w_scale = np.float32(2**-5), np.float32(2.0 ** draw.integers(-9, -4, count))
        y_scale = np.float32(2**-7)
    else:
        y_scale = np.float32(a_scale * w_scale.flat[0]) * np.float32(8)
        w_scale = np.broadcast_to(w_scale.flat[0], count).astype(np.float32)
    return {
        "a": codes_a,
        "w": codes_w,
        "a_scale": a_scale,
        "w_scale": w_scale,
        "y_scale": y_scale,
        "a_zero_point": z_a,
        "w_zero_point": z_w,
        "y_zero_point": 0 if a == "int16" else int(_codes(draw, a, ())) // 4,
        "bias": bias,
    }


RANGES = {"int8": (-128, 128), "uint8": (0, 256), "int16": (-32768, 32768)}


def _codes(draw, name, shape, centre=0, near=None):
    lo, hi = RANGES[name]
    if near is not None:
        lo, hi = max(lo, centre - near), min(hi, centre + near + 1)
    return draw.integers(lo, hi, shape)


def differing(pairs):
    """(differing, all) outputs of (golden, other) pairs."""
    different = total = 0
    for golden, other in pairs:
        assert golden.shape == other.shape
        different += int((golden != other).sum())
        total += golden.size
    return different, total
