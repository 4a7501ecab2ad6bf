"""Each fault of a slow array in plain Python is found and named, from its outputs alone."""

import re

import numpy as np
import pytest
from broken_array import broken_array
from designs import DESIGNS, MULTIPLIER, PERMUTATION, design

from golden.formats import Bipolar
from golden.rounding import ROUNDINGS
from golden.tensors import golden, operands
from sim.diagnose import Mismatch, diagnose
from sim.hypotheses import STEPS
from sim.stimulus import random_arrays, separates

M, N = 11, 8


def integers(which):
    return lambda spec: not isinstance(getattr(spec, which), Bipolar)


def signed(which):
    return lambda spec: getattr(spec, which).signed


def unsigned(which):
    return lambda spec: integers(which)(spec) and not getattr(spec, which).signed


def bipolar(which):
    return lambda spec: isinstance(getattr(spec, which), Bipolar)


def takes(name):
    return lambda spec: name in spec.parameters or getattr(spec, name, None) is True


def narrow(spec):
    return not spec.accumulator_is_exact


def saturates(spec):
    unclipped = isinstance(spec.code, Bipolar) or spec.requantize in ("none", "thresholds")
    return not unclipped and spec.overflow == "saturate"


def always(spec):
    return True


def signed_products(spec):
    return not isinstance(spec.weights, Bipolar) and not narrow(spec) and spec.product_range[0] < 0


def narrow_and(rule):
    return lambda spec: narrow(spec) and spec.accumulator_overflow == rule


def rounds_otherwise(rounding):
    return lambda spec: spec.requantize not in ("none", "thresholds") and spec.rounding != rounding


def requantizes(name):
    return lambda spec: spec.requantize == name


def long_sums(spec):
    return spec.requantize == "float32" and max(abs(end) for end in spec.biased_range) > 1 << 24


def searches(spec):
    return spec.requantize == "thresholds" and spec.threshold_search == "binary"


def counts(spec):
    return spec.requantize == "thresholds" and not isinstance(spec.y, Bipolar)


def activates(*names):
    return lambda spec: spec.activation in names


def tabulates(spec):
    return spec.table is not None


def bounded_below(spec):
    return saturates(spec) and spec.activation == "none"


def bounded_above(spec):
    return saturates(spec) and spec.activation != "relu6"


def zero_is_a_sign(spec):
    return isinstance(spec.y, Bipolar) and spec.requantize != "thresholds"


def overflows(spec):
    return bounded_above(spec) or spec.overflow == "wrap"


# bug: (step, part of the sentence, where it makes sense)
BUGS = {
    "a unsigned": ("decode", "sign extension of activations is lost", signed("activations")),
    "w unsigned": ("decode", "sign extension of weights is lost", signed("weights")),
    "a signed": ("decode", "unsigned activations are sign-extended", unsigned("activations")),
    "w signed": ("decode", "unsigned weights are sign-extended", unsigned("weights")),
    "a inverted": ("decode", "bipolar activations are inverted", bipolar("activations")),
    "w inverted": ("decode", "bipolar weights are inverted", bipolar("weights")),
    "a as 0 and 1": ("decode", "bipolar activations count as 0 and 1", bipolar("activations")),
    "w as 0 and 1": ("decode", "bipolar weights count as 0 and 1", bipolar("weights")),
    "a zero point ignored": ("zero point", "zero point of activations is ignored", takes("a_zero_point")),
    "a zero point added": ("zero point", "zero point of activations is added", takes("a_zero_point")),
    "w zero point ignored": ("zero point", "zero point of weights is ignored", takes("w_zero_point")),
    "w zero point added": ("zero point", "zero point of weights is added", takes("w_zero_point")),
    "a lanes reversed": ("order", "lanes of A are reversed", lambda spec: spec.lanes > 1),
    "w lanes reversed": ("order", "lanes of W are reversed", lambda spec: spec.lanes > 1),
    "product short": ("product", "products lose their top bit", lambda spec: not spec.is_binary),
    "product unsigned": ("product", "products lose their sign", signed_products),
    "product negated": ("product", "products have the wrong sign", always),
    "last product missing": ("sum", "the last product is missing", always),
    "first product missing": ("sum", "the first product is missing", always),
    "last beat missing": ("sum", "the last (beat|product) is missing", always),
    "first beat missing": ("sum", "the first (beat|product) is missing", always),
    "last beat twice": ("sum", "the last beat counts twice", always),
    "not cleared": ("sum", "not cleared between tiles", always),
    "pad counted": ("sum", "the pad mark is ignored", lambda spec: spec.is_binary),
    "accumulator wraps 1": ("sum", "the accumulator wraps at .* bits, 1 short", always),
    "accumulator wraps 2": ("sum", "the accumulator wraps at .* bits, 2 short", always),
    "accumulator wraps 4": ("sum", "the accumulator wraps at .* bits, 4 short", always),
    "accumulator saturates 1": ("sum", "the accumulator saturates at .* bits, 1 short", always),
    "accumulator saturates 3": ("sum", "the accumulator saturates at .* bits, 3 short", always),
    "accumulator wraps 0": ("sum", "wraps where the design says saturate", narrow_and("saturate")),
    "accumulator saturates 0": ("sum", "saturates where the design says wrap", narrow_and("wrap")),
    "bias missing": ("bias", "bias is missing", takes("bias")),
    "bias subtracted": ("bias", "bias is subtracted", takes("bias")),
    "shift high": ("scale", "shifts by one too many", takes("shift")),
    "shift low": ("scale", "shifts by one too few", takes("shift")),
    "shift missing": ("scale", "does not shift", takes("shift")),
    "multiplier top bit lost": ("scale", "multiplier's top bit is lost", takes("multiplier")),
    "multiplier signed": ("scale", "multiplier is read as signed", takes("multiplier")),
    **{
        f"rounds {rounding}": ("round", f"rounds {rounding} where", rounds_otherwise(rounding))
        for rounding in ROUNDINGS
    },
    "zero point missing": ("zero point", "output's zero point is missing", takes("y_zero_point")),
    "zero point high": ("zero point", "output's zero point is one too high", takes("y_zero_point")),
    "zero point low": ("zero point", "output's zero point is one too low", takes("y_zero_point")),
    "exponent high": ("scale", "the scale's exponent is one too high", requantizes("float32")),
    "exponent low": ("scale", "the scale's exponent is one too low", requantizes("float32")),
    "hidden bit missing": ("scale", "leading one of the scale's significand is missing", requantizes("float32")),
    "sum not cut": ("scale", "the sum is not rounded to 24 bits", long_sums),
    "sum truncated": ("scale", "the sum is truncated to 24 bits", long_sums),
    "nothing cut": ("scale", "the exact product is rounded once", long_sums),
    "float product not cut": ("scale", "the product is not rounded to float32", requantizes("float32")),
    "float product truncated": ("scale", "the product is truncated to 24 bits", requantizes("float32")),
    "passes": ("threshold", "equal to a threshold does not count", requantizes("thresholds")),
    "unsigned comparison": ("threshold", "compared as unsigned", requantizes("thresholds")),
    "unsigned thresholds": ("threshold", "thresholds are read as unsigned", requantizes("thresholds")),
    "last threshold ignored": ("threshold", "the last threshold is ignored", requantizes("thresholds")),
    "first threshold ignored": ("threshold", "the first threshold is ignored", requantizes("thresholds")),
    "thresholds reversed": ("threshold", "thresholds are searched in reverse order", searches),
    "thresholds one late": ("threshold", "thresholds are searched one place late", searches),
    "search one short": ("threshold", "the search ends one comparison early", searches),
    "smallest code missing": ("threshold", "the smallest code, .*, is not added", counts),
    "count high": ("threshold", "the count is one too high", counts),
    "count low": ("threshold", "the count is one too low", counts),
    "table missing": ("table", "the table is not applied", tabulates),
    "entry above": ("table", "the table is read one entry too high", tabulates),
    "entry below": ("table", "the table is read one entry too low", tabulates),
    "sign not flipped": ("table", "sign bit of the table's index", lambda spec: tabulates(spec) and spec.code.signed),
    "relu missing": ("clip", "relu6? is missing", activates("relu", "relu6")),
    "relu at code 0": ("clip", "relu6? bounds the output at code 0", activates("relu", "relu6")),
    "upper bound missing": ("clip", "relu6's upper bound is missing", activates("relu6")),
    "lower bound missing": ("clip", "relu6's lower bound is missing", activates("relu6")),
    "upper bound high": ("clip", "relu6's upper bound is one too high", activates("relu6")),
    "upper bound low": ("clip", "relu6's upper bound is one too low", activates("relu6")),
    "upper bound early": ("clip", "relu6's upper bound bounds the value before", activates("relu6")),
    "upper clip high": ("clip", "upper clip bound is one too high", bounded_above),
    "upper clip low": ("clip", "upper clip bound is one too low", saturates),
    "lower clip high": ("clip", "lower clip bound is one too high", saturates),
    "lower clip low": ("clip", "lower clip bound is one too low", bounded_below),
    "clip missing": ("clip", "the clip to .* is missing", lambda spec: saturates(spec) and spec.clip is not None),
    "other overflow": ("clip", "outputs (wrap|saturate) where the design says", overflows),
    "zero negative": ("clip", "zero gives -1", zero_is_a_sign),
    "rows reversed": ("order", "rows are in reverse order", lambda spec: spec.rows > 1),
    "columns reversed": ("order", "columns are in reverse order", always),
    "tiles across": ("order", "tiles go across first", always),
    "transposed in tiles": ("order", "transposed within each tile", lambda spec: spec.rows == spec.cols),
    "one beat late": ("order", "one beat late", always),
}
PLACES = {
    "previous": "of the previous tile",
    "next": "of the next tile",
    "first": "all tiles take the .* of the first",
    "right": "of their right neighbour",
    "left": "of their left neighbour",
    "opposite": "in reverse order",
}
for place, sentence in PLACES.items():
    for name in ("all", "bias", "multiplier", "shift", "scale", "y_zero_point", "y_max", "thresholds"):
        has = (lambda spec: len(spec.parameters) > 1) if name == "all" else takes(name)
        BUGS[f"{place} parameter {name}"] = ("parameters", sentence, has)


@pytest.fixture(scope="module", params=DESIGNS)
def case(request):
    """A design, its operands, and the faults that these operands do not show."""
    spec = DESIGNS[request.param]
    arrays = random_arrays(spec, m=M, k=spec.depth, n=N, seed=1)
    return spec, operands(spec, arrays), separates(spec, arrays)


def bugs(spec):
    return {bug: (step, sentence) for bug, (step, sentence, applies) in BUGS.items() if applies(spec)}


def test_the_slow_array_without_a_fault_agrees(case):
    spec, given, _ = case
    y = np.array(broken_array(spec, given))
    assert (y == golden(spec, given)).all()
    found = diagnose(spec, given, y)
    assert (found.count, found.compared, found.first, found.step, found.explained) == (0, M * N, None, None, M * N)


def test_each_fault_is_named(case):
    spec, given, unseen = case
    right = golden(spec, given)
    for bug, (step, sentence) in bugs(spec).items():
        y = np.array(broken_array(spec, given, bug))
        if (y == right).all():
            assert any(re.search(sentence, cause) for cause in unseen), f"{bug}: no output shows it, and nobody said so"
            continue
        found = diagnose(spec, given, y)
        assert (found.count, found.compared, found.explained) == ((y != right).sum(), M * N, M * N), bug
        causes = [found.cause, *found.alternatives]
        assert any(re.search(sentence, cause) for cause in causes), f"{bug}: {causes}"
        assert found.step == step or found.alternatives, bug


def test_nearly_all_faults_show():
    """Over all designs; only sums one bit too narrow and pads may hide."""
    total, unseen = 0, []
    for spec in DESIGNS.values():
        total += len(bugs(spec))
        unseen += separates(spec, random_arrays(spec, m=M, k=spec.depth, n=N, seed=1))
    assert total > 500
    assert len(unseen) <= 5
    assert all(re.search("1 short of|pad mark", cause) for cause in unseen)


def test_the_first_mismatch_in_full():
    spec = design("int8", "int4", lanes=2, rows=2, cols=2, **MULTIPLIER, y_zero_point=True)
    arrays = {
        "a": np.array([[1, 2, 3], [4, 5, 6], [-7, 8, 9]]),
        "w": np.array([[1, -2, 3], [4, 5, -6], [7, -8, 7]]),
        "bias": np.array([10, 20, 31]),
        "multiplier": np.array([1 << 30, 1 << 30, 3 << 29]),
        "shift": np.array([31, 31, 32]),
        "y_zero_point": np.array([-3, 0, 5]),
    }
    given = operands(spec, arrays)
    y = golden(spec, given)
    y[2, 2] += 1
    found = diagnose(spec, given, y)
    # accumulator -7*3 + 8*-6 + 9*7 = -6; (-6 + 31) * 3 * 2**29 / 2**32 = 9.375; 9 + 5 = 14
    assert found.first == Mismatch(
        index=(2, 2),
        tile=3,
        row=0,
        col=0,
        a_first=-7,
        a_last=9,
        w_first=3,
        w_last=7,
        hardware=15,
        golden=14,
        hardware_bits="00001111",
        golden_bits="00001110",
        accumulator=-6,
        biased=25,
        scaled=25 * 3 << 29,
        rounded=9,
        place="tile 3, array row 0, column 0",
    )


def steps_of_the_first(spec, arrays):
    """Golden's steps to the first output, which comes out one too high."""
    given = operands(spec, arrays)
    y = golden(spec, given)
    y[0, 0] += 1
    first = diagnose(spec, given, y).first
    return {name: getattr(first, name) for name in ("accumulator", "biased", "scaled", "rounded", "golden")}, first


def test_the_steps_of_float32():
    """The product is that of float32: 2**24 + 1 loses its last bit before it is multiplied; 11e38 is infinite."""
    spec = design("int8", "int8", requantize="float32", output="int8", bias="int32", y_zero_point=True)
    arrays = {"a": np.array([[2, 3]]), "w": np.array([[1], [3]]), "y_zero_point": np.array([-5])}
    scale = np.array([3 / (1 << 20)], np.float32)
    steps, first = steps_of_the_first(spec, {**arrays, "bias": np.array([(1 << 24) - 10]), "scale": scale})
    assert steps == {"accumulator": 11, "biased": (1 << 24) + 1, "scaled": 48.0, "rounded": 48, "golden": 43}
    assert (first.reached, first.table_input) == (None, None)
    small = {**arrays, "scale": np.array([0.25], np.float32)}
    assert steps_of_the_first(spec, small)[0]["scaled"] == 2.75
    large = {**arrays, "scale": np.array([1e38], np.float32), "y_zero_point": np.array([-128])}
    assert steps_of_the_first(spec.with_(clip=(-128, 9)), large)[0]["scaled"] == np.inf


def test_the_steps_of_thresholds():
    spec = design("int8", "int8", requantize="thresholds", output="int3")
    thresholds = np.array([[-9, 0, 5, 11, 11, 12, 99]])
    steps, first = steps_of_the_first(
        spec, {"a": np.array([[2, 3]]), "w": np.array([[1], [3]]), "thresholds": thresholds}
    )
    assert steps == {"accumulator": 11, "biased": 11, "scaled": 11, "rounded": 5, "golden": 1}
    assert (first.reached, first.table_input) == (5, None)


def test_the_steps_of_a_table():
    spec = design("int8", "int8", requantize="shift", output="int6", table=PERMUTATION, table_input="int6")
    arrays = {"a": np.array([[2, -3]]), "w": np.array([[1], [5]]), "shift": np.array([1])}
    steps, first = steps_of_the_first(spec, arrays)
    # -13 / 2 = -6.5, to even -6; entry 26: 31 - 5 * 26 % 64 = 29
    assert steps == {"accumulator": -13, "biased": -13, "scaled": -13, "rounded": -6, "golden": 29}
    assert (first.reached, first.table_input) == (None, -6)


@pytest.mark.parametrize(
    ("platform", "requantize", "extra"),
    [("litert-xnnpack", "float32", {"bias": "int32", "y_zero_point": True}), ("litert-reference", "thresholds", {})],
)
def test_designs_for_a_platform_are_diagnosed(platform, requantize, extra):
    """Faults may have what the platform would not: another activation, another rule."""
    spec = design("int8", "int8", requantize=requantize, output="int8", platform=platform, activation="relu", **extra)
    given = operands(spec, random_arrays(spec, m=M, k=9, n=N, seed=1))
    found = diagnose(spec, given, golden(spec, given)[:, ::-1])
    assert found.count and diagnose(spec, given, np.array(broken_array(spec, given, "w unsigned"))).step == "decode"


def small():
    spec = design("int8", "int8", requantize="shift", output="int8")
    return spec, operands(spec, random_arrays(spec, m=M, k=9, n=N, seed=2))


def test_bits_are_twos_complement():
    spec, given = small()
    y = golden(spec, given)
    y[0, 0] = -1 if y[0, 0] != -1 else -2
    assert diagnose(spec, given, y).first.hardware_bits == ("11111111" if y[0, 0] == -1 else "11111110")


def test_a_fault_that_explains_most_outputs_is_named_with_its_numbers():
    spec, given = small()
    right, y = golden(spec, given), np.array(broken_array(spec, given, "w unsigned"))
    wrong = y != right
    one = tuple(np.argwhere(wrong)[0])
    y[one] = next(code for code in (1, 2, 3) if code not in (y[one], right[one]))
    found = diagnose(spec, given, y)
    count = wrong.sum()
    numbers = f"explains {count - 1} of {count} wrong outputs"
    assert found.cause == f"sign extension of weights is lost: int8 read as uint8 ({numbers})"
    assert (found.step, found.count, found.explained, found.alternatives) == ("decode", count, M * N - 1, ())


@pytest.mark.parametrize(
    ("y", "cause", "alternatives"),
    [
        (0, "the last product is missing", ("the first product is missing",)),
        (30, "the last beat counts twice", ("the first beat counts twice",)),
        (-15, "products have the wrong sign", ()),
    ],
)
def test_alternatives_are_the_other_causes_each_once(y, cause, alternatives):
    """One product, 3 * 5, in a design without scaling: some faults are tried in several registers."""
    spec = design("int8", "int8", rows=1, cols=1, lanes=1)
    found = diagnose(spec, operands(spec, {"a": np.array([[3]]), "w": np.array([[5]])}), np.array([[y]]))
    assert (found.cause, found.alternatives, found.explained) == (cause, alternatives, 1)


def half_broken(fixed, other):
    """Outputs of which so many are those of weights read as unsigned, so many wrong in another way, the rest right.

    With spec and operands, and how many of the right ones would be wrong under that fault.
    """
    spec, given = small()
    right, broken = golden(spec, given), np.array(broken_array(spec, given, "w unsigned"))
    differs = [tuple(index) for index in np.random.default_rng(1).permutation(np.argwhere(broken != right))]
    y = right.copy()
    for index in differs[:fixed]:
        y[index] = broken[index]
    for index in differs[fixed : fixed + other]:
        y[index] = next(code for code in (77, 78, 79) if code not in (broken[index], right[index]))
    return spec, given, y, len(differs) - fixed - other


UNSIGNED = "sign extension of weights is lost: int8 read as uint8"


def test_a_fault_that_explains_half_of_the_wrong_outputs_is_named():
    spec, given, y, spoiled = half_broken(38, 37)
    assert spoiled == 0
    found = diagnose(spec, given, y)
    assert (found.step, found.cause) == ("decode", f"{UNSIGNED} (explains 38 of 75 wrong outputs)")
    spec, given, y, spoiled = half_broken(37, 37)
    found = diagnose(spec, given, y)
    part = "explains 37 of 74 wrong outputs but would spoil 1 right ones"
    assert (found.step, found.cause, found.explained) == ("decode", f"{UNSIGNED} ({part})", M * N - 37 - 1)


def test_a_fault_that_explains_less_than_half_is_unknown():
    spec, given, y, _ = half_broken(37, 38)
    found = diagnose(spec, given, y)
    assert (found.step, found.count, found.explained) == ("unknown", 75, M * N - 75)


def test_a_fault_may_spoil_fewer_outputs_than_it_explains():
    spec, given, y, spoiled = half_broken(38, 0)
    assert spoiled == 37
    found = diagnose(spec, given, y)
    part = "explains 38 of 38 wrong outputs but would spoil 37 right ones"
    assert (found.step, found.cause, found.explained) == ("decode", f"{UNSIGNED} ({part})", M * N - 37)


@pytest.mark.parametrize(("fixed", "other"), [(37, 1), (30, 0)])
def test_a_fault_that_spoils_as_many_outputs_as_it_explains_is_unknown(fixed, other):
    spec, given, y, spoiled = half_broken(fixed, other)
    assert spoiled >= fixed
    found = diagnose(spec, given, y)
    assert (found.step, found.explained) == ("unknown", M * N - found.count)


def test_noise_is_unknown():
    spec, given = small()
    y = np.random.default_rng(3).integers(-128, 128, (M, N))
    found = diagnose(spec, given, y)
    assert (found.step, found.cause) == ("unknown", "no single known fault explains these outputs")
    assert found.explained == (y == golden(spec, given)).sum() == M * N - found.count


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((N, M), int), f"y must have shape [{M}, {N}], not [{N}, {M}]"),
        (np.zeros(M * N, int), f"y must have shape [{M}, {N}], not [{M * N}]"),
        (np.zeros((M, N)), "y must hold integer codes, not float64"),
        (np.eye(M, N, 2, dtype=int) * 128, "y[0, 2] is 128, outside int8 [-128, 127]"),
        (np.eye(M, N, -1, dtype=int) * -129, "y[1, 0] is -129, outside int8 [-128, 127]"),
        (np.full((M, N), 2**64 - 1, np.uint64), "y[0, 0] is 18446744073709551615, outside int8 [-128, 127]"),
    ],
)
def test_dumps_that_cannot_be_compared(y, message):
    spec, given = small()
    with pytest.raises(ValueError) as error:
        diagnose(spec, given, y)
    assert str(error.value) == message


def test_every_step_has_a_fault():
    """Those of dynamic ranges are in test_sim_dynamic."""
    assert {step for step, _, _ in BUGS.values()} == set(STEPS) - {"unknown", "range"}


def test_float32_outputs_may_come_as_numbers():
    spec = design("int4", "int4", block_sum="float32", output="float32")
    given = operands(spec, random_arrays(spec, m=5, k=7, n=4, seed=1))
    patterns = golden(spec, given)
    numbers = patterns.astype(np.uint32).view(np.float32)
    assert diagnose(spec, given, numbers).count == 0
    numbers[2, 1] += 1
    found = diagnose(spec, given, numbers)
    assert found.count == 1 and found.first.index == (2, 1)
    with pytest.raises(ValueError, match="^y must hold integer codes, not float64$"):
        diagnose(spec, given, numbers.astype(float))
