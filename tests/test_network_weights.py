"""Weights in codes: the real numbers that they stand for, by the definition of each format in plain loops."""

import numpy as np
import pytest
import weights_by_hand as hand

from golden import ranges
from golden.codebook import codebook_for
from golden.formats import parse
from golden.spec import Spec
from network.grid import Grid
from network.layers import Product
from network.quantizing.recipe import Recipe
from network.quantizing.weight_range import clipped, levels
from network.quantizing.weights import quantized_weights
from network.quantizing.weights_levels import nearest_codes

K, N, GROUP = 37, 5, 8
E4M3, E2M3, E2M1 = (
    hand.minifloat_numbers(4, 3, 7, 1),
    hand.minifloat_numbers(2, 3, 1),
    hand.minifloat_numbers(2, 1, 1),
)
INT8_OF_64THS = [code / 64 for code in range(128)]


def weights(seed=1):
    """Odd sizes, a short last group; some weights, one group and one column are zero."""
    w = np.random.default_rng(seed).normal(0, 0.1, (K, N)).astype(np.float32)
    w[:, 2], w[8:16, 1], w[::7, 0] = 0, 0, 0
    return w


def real(found):
    """What a product on an array takes the weights for; QuantizedWeights.real says the same."""
    spec = Spec(
        activations=parse("uint8"), depth=K, lanes=4, requantize="multiplier", output=parse("int8"),
        w_zero_point=found.grid.zero_point != 0, **found.spec_fields,
    )  # fmt: skip
    arrays = {**found.arrays, "multiplier": 1, "shift": 0}
    product = Product("p", spec, arrays, Grid(spec.activations), found.grid, Grid(spec.y))
    assert product.real_weights.tolist() == found.real.tolist()
    return found.real


def parts(w, granularity, length=GROUP):
    """(index, plain numbers) of what shares a scale."""
    if granularity == "tensor":
        yield np.s_[:, :], w.reshape(-1).tolist()
    for n in range(w.shape[1] if granularity != "tensor" else 0):
        step = length if granularity == "group" else len(w)
        for k in range(0, len(w), step):
            yield np.s_[k : k + step, n], w[k : k + step, n].tolist()


def by_hand(w, granularity, rule, length=GROUP):
    found = np.zeros(w.shape)
    for index, part in parts(w, granularity, length):
        found[index] = np.reshape(rule(part)[1], found[index].shape)
    return found


RULES = {
    **{f"int{n}": lambda part, n=n: hand.symmetric(part, 2 ** (n - 1) - 1) for n in (2, 3, 4, 8, 12)},
    **{f"sm{n}": lambda part, n=n: hand.symmetric(part, 2 ** (n - 1) - 1) for n in (2, 5)},
    "q1.7": lambda part: hand.fixed(part, 8, 7),
    "ternary": hand.ternary,
    "float8_e4m3fn": lambda part: hand.minifloat(part, E4M3),
    "float6_e2m3fn": lambda part: hand.minifloat(part, E2M3),
    "float4_e2m1fn": lambda part: hand.minifloat(part, E2M1),
}


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("name", RULES)
def test_a_scale_for_each_tensor_or_channel(name, granularity):
    w = weights()
    found = real(quantized_weights(w, name, Recipe(granularity=granularity)))
    assert found == pytest.approx(by_hand(w, granularity, RULES[name]), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_bipolar_weights(granularity):
    w = weights()
    found = real(quantized_weights(w, "bipolar", Recipe(granularity=granularity)))
    expected = by_hand(w, granularity, hand.bipolar)
    if granularity == "channel":  # a column of zeros has no code for zero: next to nothing stands there
        assert 0 < found[:, 2].max() < 1e-6
        found, expected = np.delete(found, 2, 1), np.delete(expected, 2, 1)
    assert found == pytest.approx(expected, rel=1e-6)


def test_ties_go_to_the_even_code():
    w = np.array([[7, 0.5, 1.5, -0.5, -2.5, 3.5, -7]], np.float32).T
    codes = {name: quantized_weights(w, name, Recipe()).arrays["w"][:, 0].tolist() for name in ("int4", "sm4", "uint4")}
    even = [7, 0, 2, 0, -2, 4, -7]
    assert codes == {"int4": even, "sm4": [7, 0, 2, 0, 10, 4, 15], "uint4": [code + 8 for code in even]}
    # of powers of two the one nearer to zero
    fixed = quantized_weights(np.array([[0.25], [0.75], [1.25], [-0.75]]), "q3.1", Recipe())
    assert fixed.arrays["w"][:, 0].tolist() == [0, 2, 2, -2]
    assert on_levels(np.array([[3.0], [-3.0], [1.5]]), parse("pot3"), 1.0) == [2, -2, 1]


def on_levels(w, fmt, step):
    return fmt.decode(nearest_codes(w, fmt, step, Recipe()))[:, 0].tolist()


def test_unsigned_weights_have_a_zero_point():
    w = weights()
    tensor = quantized_weights(w, "uint4", Recipe(granularity="tensor"))
    assert real(tensor) == pytest.approx(by_hand(w, "tensor", lambda part: hand.asymmetric(part, 15)), rel=1e-6)
    channel = quantized_weights(w, "uint4", Recipe())
    assert channel.grid.zero_point == 8
    assert real(channel) == pytest.approx(by_hand(w, "channel", lambda part: hand.middle(part, 4)), rel=1e-6)


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize(
    ("name", "numbers"),
    [("pot3", hand.pot_numbers(3)), ("pot4", hand.pot_numbers(4)), ("apot5", hand.apot_numbers(5))],
)
def test_powers_of_two_are_the_nearest_on_the_best_step(name, numbers, granularity):
    w = weights()
    found = quantized_weights(w, name, Recipe(granularity=granularity))
    values = real(found)
    for index, part in parts(w, granularity):
        n = index[1] if granularity == "channel" else None
        step = float(found.grid.scale if n is None else found.grid.scale[n])
        assert values[index].reshape(-1) == pytest.approx(hand.on_levels(part, step, numbers), rel=1e-6)
        if not any(part):
            continue
        most = max(map(abs, part)) / numbers[-1]
        tried = [hand.on_levels(part, most * 2 ** (i / 60), numbers) for i in range(-120, 61)]
        best = min(hand.lost(part, one) for one in tried)
        assert hand.lost(part, values[index].reshape(-1)) <= best * 1.001


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("name", ["codebook2", "codebook4", "codebook3_int5"])
def test_codebooks_point_to_the_nearest_entry(name, granularity):
    w = weights()
    found = quantized_weights(w, name, Recipe(granularity=granularity))
    tables, scales = np.asarray(found.arrays["w_codebook"]), np.asarray(found.grid.scale)
    values = real(found)
    for n in range(N):
        table, scale = (tables, scales) if granularity == "tensor" else (tables[n], scales[n])
        for x, y in zip(w[:, n].tolist(), values[:, n].tolist(), strict=True):
            entries = [float(scale) * entry for entry in table.tolist()]
            assert abs(x - y) == pytest.approx(min(abs(x - entry) for entry in entries), rel=1e-5, abs=1e-9)
    if granularity == "channel":
        fmt = parse(name)
        codes, tables_again, _ = codebook_for(w, fmt.width, fmt.entry)
        assert (codes.tolist(), tables_again.tolist()) == (found.arrays["w"].tolist(), tables.tolist())


BLOCKS = {
    "mxint8": (32, lambda part: hand.microscaling(part, INT8_OF_64THS)),
    "mxfp8_e4m3": (32, lambda part: hand.microscaling(part, E4M3)),
    "mxfp6_e2m3": (32, lambda part: hand.microscaling(part, E2M3)),
    "mxfp4": (32, lambda part: hand.microscaling(part, E2M1)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_microscaling(name):
    w = weights()
    w[:, 3] *= 2.0**-20  # exponents far apart
    found = quantized_weights(w, name, Recipe())
    length, rule = BLOCKS[name]
    assert real(found).tolist() == by_hand(w, "group", rule, length).tolist()
    codes = found.arrays["w_block_scale"]
    assert found.spec_fields["scale_range"] == (codes.min(), codes.max())
    assert codes.max() - codes.min() < 30, "blocks of zeros must not make sums wide"


def test_nvfp4():
    w = weights()
    found = quantized_weights(w, "nvfp4", Recipe())
    largest = hand.float32(float(np.abs(w).max()) / (448 * 6))

    def rule(part):
        wanted = max(map(abs, part)) / 6 / largest
        step = largest * max(hand.nearest_number(wanted, E4M3), 2.0**-6)
        return step, [step * hand.nearest_number(min(x / step, 6) if x > 0 else max(x / step, -6), E2M1) for x in part]

    assert real(found) == pytest.approx(by_hand(w, "group", rule, 16), rel=1e-6, abs=1e-12)


def test_groups_of_integers_with_integer_scales():
    """VS-Quant: scales of groups are integers beside a real scale of the column."""
    w = weights()
    found = quantized_weights(w, "int4", Recipe(granularity="group", group=GROUP, group_scale="uint6"))
    values = real(found)
    for n in range(N):
        steps = [hand.float32(max(map(abs, w[k : k + GROUP, n].tolist())) / 7) for k in range(0, K, GROUP)]
        unit = hand.float32(max(steps) / 63) or 1.0
        for block, step in enumerate(steps):
            scale = unit * round(hand.float32(step / unit))
            for k in range(block * GROUP, min(block * GROUP + GROUP, K)):
                code = round(hand.float32(float(w[k, n]) / step)) if step else 0
                assert values[k, n] == pytest.approx(scale * code, rel=1e-6)


def test_groups_of_integers_with_float16_scales():
    w = weights()
    found = quantized_weights(w, "int4", Recipe(granularity="group", group=GROUP, group_scale="float16"))

    def rule(part):
        step = hand.float32(max(map(abs, part)) / 7) or 1.0
        return step, [hand.float16(step) * round(hand.float32(x / step)) for x in part]

    assert real(found) == pytest.approx(by_hand(w, "group", rule), rel=1e-9)


def test_groups_with_zero_points():
    w = weights() + np.float32(0.05)
    found = quantized_weights(w, "uint4", Recipe(granularity="group", group=GROUP))

    def rule(part):
        lo, hi = min(0.0, *part), max(0.0, *part)
        step = hand.float32(hand.float32(hi - lo) / 15)
        zero = round(hand.float32(-lo / step))
        codes = [max(0, min(15, round(hand.float32(x / step)) + zero)) for x in part]
        return step, [hand.float16(step) * (code - zero) for code in codes]

    assert real(found) == pytest.approx(by_hand(w, "group", rule), rel=1e-9)


@pytest.mark.parametrize("name", ["sm5", "ternary", "pot3", "apot5", "bipolar", "float4_e2m1fn", "int4"])
@pytest.mark.parametrize("scale", ["float16", "float8_e4m3fn", "float8_e8m0fnu"])
def test_groups_of_other_levels_are_near_those_of_a_scale_of_any_value(name, scale):
    """Each group comes as near as it does with a real scale of its own, but for what its scale loses."""
    w = weights()
    if name == "bipolar" and scale == "float8_e8m0fnu":
        w[8:16, 1], w[:, 2] = 0.1, 0.1
    found = real(quantized_weights(w, name, Recipe(granularity="group", group=GROUP, group_scale=scale)))
    apart = np.zeros(w.shape)
    for n in range(N):
        for k in range(0, K, GROUP):
            part = w[k : k + GROUP, n : n + 1]
            apart[k : k + GROUP, n : n + 1] = quantized_weights(part, name, Recipe(granularity="tensor")).real
    zero = w == 0 if name != "bipolar" else np.zeros(w.shape, bool)
    assert (found[zero] == 0).all()
    worst = {"float16": 1.01, "float8_e4m3fn": 1.25, "float8_e8m0fnu": 2.1}[scale]
    there = np.abs(w).reshape(K, N) > 0
    assert np.abs(found - w)[there].sum() <= np.abs(apart - w)[there].sum() * worst + 1e-9


@pytest.mark.parametrize("name", ["ternary", "bipolar"])
def test_means_of_short_groups_are_of_what_they_hold(name):
    """The last group has 5 weights: what fills it does not count."""
    w = weights() + np.float32(0.01)
    found = real(quantized_weights(w, name, Recipe(granularity="group", group=GROUP)))
    expected = by_hand(w, "group", {"ternary": hand.ternary, "bipolar": hand.bipolar}[name])
    assert found == pytest.approx(expected, rel=2.0**-10)


def test_errors_shrink_with_width_and_with_finer_parts():
    w = np.random.default_rng(3).normal(0, 0.1, (64, 12)).astype(np.float32)
    w *= np.random.default_rng(4).uniform(0.1, 2, (1, 12)).astype(np.float32)

    def error(name, **fields):
        return float(((quantized_weights(w, name, Recipe(**fields)).real - w) ** 2).sum())

    for names in (
        [f"int{n}" for n in range(2, 17)],
        [f"uint{n}" for n in range(2, 10)],
        [f"codebook{n}" for n in range(1, 7)],
        ["mxfp4", "mxfp6_e2m3", "mxint8"],
        ["float4_e2m1fn", "float6_e2m3fn", "float8_e4m3fn"],
    ):
        errors = [error(name) for name in names]
        assert errors == sorted(errors, reverse=True), names
    for name in ("int4", "uint3", "ternary", "float4_e2m1fn", "sm4", "bipolar"):
        errors = [
            error(name, granularity=one, group=16, group_scale="float16") for one in ("tensor", "channel", "group")
        ]
        assert errors == sorted(errors, reverse=True), name
    for name in ("int3", "uint3", "sm3", "float4_e2m1fn"):
        for granularity in ("tensor", "channel", "group"):
            where = {"granularity": granularity, "group": 16, "group_scale": "float16" if "u" in name else None}
            pair = [error(name, weight_range=one, **where) for one in ("minmax", "mse")]
            same = granularity == "group" and name.startswith("float")  # powers of two are coarser than 1/100
            assert pair[1] <= pair[0] if same else pair[1] < pair[0], (name, granularity)


@pytest.mark.parametrize("method", ["mse", "percentile", "entropy"])
def test_ranges_are_those_of_golden(method):
    w = np.random.default_rng(5).standard_t(3, (64, 4)).astype(np.float32)
    found = quantized_weights(w, "int4", Recipe(weight_range=method, percent=95.0, bins=256))
    for n in range(4):
        if method == "mse":
            lo, hi = ranges.mean_square_error([w[:, n]], "int4", symmetric=True, narrow=True)
        elif method == "percentile":
            lo, hi = ranges.percentile([w[:, n]], 95.0, 256, symmetric=True)
        else:
            lo, hi = ranges.entropy([w[:, n]], 256, 8)
        assert found.grid.scale[n] == np.float32(np.float32(max(-lo, hi)) / np.float32(7))
        assert (method == "entropy") or max(-lo, hi) < np.abs(w[:, n]).max()
    assert (found.arrays["w"].min(), found.arrays["w"].max()) == (-7, 7)


def test_symmetric_ranges_reach_as_far_on_both_sides():
    """Tails of other lengths: golden's range of each column, its larger magnitude on both sides."""
    w = np.random.default_rng(8).standard_t(3, (64, 12)).astype(np.float32)
    w, differing = np.where(w < 0, 3 * w, w), 0
    found = clipped(w, Recipe(weight_range="entropy", bins=128), None, symmetric=True, width=4)
    for n in range(12):
        lo, hi = ranges.entropy([w[:, n]], 128, 8)
        most = np.float32(max(-lo, hi))
        assert found[:, n].tolist() == np.clip(w[:, n], -most, most).tolist()
        differing += (np.clip(w[:, n], lo, hi) != found[:, n]).any()
    assert differing


def test_what_fills_a_short_group_does_not_count_in_its_range():
    w = np.random.default_rng(9).normal(0, 1, (11, 2)).astype(np.float32)
    recipe = Recipe(weight_range="percentile", percent=70.0, bins=128, granularity="group", group=8)
    found = clipped(w, recipe, None, symmetric=False, width=4)
    for start, end in ((0, 8), (8, 11)):
        for n in range(2):
            lo, hi = ranges.percentile([w[start:end, n]], 70.0, 128)
            assert found[start:end, n].tolist() == np.clip(w[start:end, n], np.float32(lo), np.float32(hi)).tolist()


def test_blocks_and_groups_have_powers_of_two_beside_their_scales_where_wanted():
    w = weights()
    for name, fields in (("nvfp4", {}), ("sm5", {"granularity": "group", "group": 8, "group_scale": "float8_e4m3fn"})):
        plain, power = (quantized_weights(w, name, Recipe(scales=one, **fields)) for one in ("real", "power_of_two"))
        assert (np.frexp(plain.grid.scale)[0], np.frexp(power.grid.scale)[0]) != (0.5, 0.5)
        assert np.frexp(power.grid.scale)[0] == 0.5 and 1 <= power.grid.scale / plain.grid.scale < 2


def test_entropy_compares_two_levels_at_least_and_128_at_most():
    assert [levels(width) for width in (1, 2, 3, 7, 8, 9, 16)] == [2, 2, 4, 64, 128, 128, 128]


def test_scales_that_are_powers_of_two():
    w = weights()
    for name in ("int8", "uint4", "sm5", "ternary", "bipolar", "pot4", "float8_e4m3fn"):
        for granularity in ("tensor", "channel"):
            plain, power = (
                quantized_weights(w, name, Recipe(granularity=granularity, scales=scales))
                for scales in ("real", "power_of_two")
            )
            assert (np.frexp(power.grid.scale)[0] == 0.5).all()
            ratio = np.atleast_1d(power.grid.scale.astype(float) / plain.grid.scale)
            ratio = ratio[: 2 if name == "bipolar" else None]  # the column of zeros has none
            nearest = name in ("ternary", "bipolar", "pot4")
            assert ((ratio >= (2**-0.5001 if nearest else 1)) & (ratio < (2**0.5001 if nearest else 2))).all()
            real(power)


def test_a_least_scale_holds():
    w = weights()
    w[:, 3] *= 1e-6
    least = np.array([0, 0, 0.25, 0.125, 0])
    for name in ("int8", "uint4", "sm5", "float8_e4m3fn", "pot4", "ternary"):
        found = quantized_weights(w, name, Recipe(), least_scale=least)
        assert (found.grid.scale >= least).all() and found.grid.scale[3] == 0.125
        assert not real(found)[:, [2, 3]].any()


CONSTANT = np.full((K, N), -0.3, np.float32)
SAME = {"zeros": np.zeros((K, N), np.float32), "constant": CONSTANT, "single": CONSTANT[:1, :1]}
FEW = ("int2", "int8", "uint4", "q1.7", "sm2", "ternary", "bipolar", "pot4", "apot3", "codebook2", "float4_e2m1fn")


@pytest.mark.parametrize("w", SAME.values(), ids=SAME)
@pytest.mark.parametrize("name", [*FEW, "mxint8", "mxfp4", "nvfp4"])
def test_weights_that_are_all_the_same(w, name):
    for granularity in ("tensor", "channel"):
        for method in ("minmax", "mse", "percentile", "entropy"):
            found = quantized_weights(w, name, Recipe(granularity=granularity, weight_range=method)).real
            near = {"q1.7": 2**-8, "mxint8": 2**-9, "mxfp4": 0.0501, "nvfp4": 0.01}.get(name, 1e-5)
            assert found == pytest.approx(np.broadcast_to(w, found.shape), abs=near)


ERRORS = {
    "weights must be a matrix of finite numbers, not of shape [5]": (np.zeros(5), "int8", {}),
    "weights must be a matrix of finite numbers, not of shape [0, 3]": (np.zeros((0, 3)), "int8", {}),
    "weights must be a matrix of finite numbers, not of shape [1, 1]": (np.array([[np.nan]]), "int8", {}),
    "weights of int1 have no symmetric grid; take bipolar or ternary": (weights(), "int1", {}),
    "weights of q1.7 have one scale, 2**-7, and none for each group": (weights(), "q1.7", {"granularity": "group"}),
    "weights of codebook4 have a table for each tensor or channel, not for each group": (
        weights(), "codebook4", {"granularity": "group"},
    ),
    "weights of codebook4 have the scale that their table fits, no power of two": (
        weights(), "codebook4", {"scales": "power_of_two"},
    ),
    "weights of uq1.3 cannot be negative, and -0.5 is": (np.full((2, 2), -0.5), "uq1.3", {}),
    "weights must be a format of operands, not float8_e8m0fnu": (weights(), "float8_e8m0fnu", {}),
    "groups of uint4 have zero points and need group_scale float16 or bfloat16": (
        weights(), "uint4", {"granularity": "group", "group_scale": "uint8"},
    ),
    "group_scale must be an unsigned integer or a float, not int8": (
        weights(), "int4", {"granularity": "group", "group_scale": "int8"},
    ),
    "group_scale must be an unsigned integer or a float, not uq4.4": (
        weights(), "int4", {"granularity": "group", "group_scale": "uq4.4"},
    ),
    "groups of uint3 have zero points and need group_scale float16 or bfloat16": (
        weights(), "uint3", {"granularity": "group", "group_scale": "float8_e4m3fn"},
    ),
    "group_scale must be float16, bfloat16, float8_e8m0fnu or another small float, not uint8": (
        weights(), "ternary", {"granularity": "group", "group_scale": "uint8"},
    ),
    "group_scale uint8 needs a real scale for each channel, no power of two; take float16": (
        weights(), "int4", {"granularity": "group", "scales": "power_of_two"},
    ),
    "a group of zeros needs a scale of zero with bipolar weights, and float8_e8m0fnu has none": (
        weights(), "bipolar", {"granularity": "group", "group": GROUP, "group_scale": "e8m0"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", ERRORS)
def test_what_is_refused(message):
    w, name, fields = ERRORS[message]
    with pytest.raises(ValueError) as error:
        quantized_weights(w, name, Recipe(**fields))
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["int25", "int26", "int31", "int32", "uint26", "uint32", "sm27", "sm32", "q2.30"])
@pytest.mark.parametrize("granularity", ["tensor", "channel"])
def test_codes_beyond_the_digits_of_float32(name, granularity):
    """Largest codes such as 2**31 - 1 are no float32 numbers; codes keep to their format, and near the weights."""
    w = np.random.default_rng(4).normal(0, 0.1, (K, N)).astype(np.float32)
    w[3] = np.float32([1, -1, 1, -1, 1]) * np.abs(w).max()
    found = quantized_weights(w, name, Recipe(weights=name, granularity=granularity))
    least, most = found.grid.fmt.code_range
    assert least <= found.arrays["w"].min() and found.arrays["w"].max() <= most
    steps = np.abs(found.real - w) / np.float64(found.grid.scale)
    assert steps.max() <= 1 + 2.0 ** (found.grid.fmt.width - 24)
