import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from golden import tensors
from golden.formats import Bipolar

sys.path.insert(0, str(Path(__file__).parent.parent))  # examples is not an installed package

from examples.digits import binary, quantize
from examples.digits.network import VERSIONS, held_out, load, path

CORRECT_OF_450 = {"int8": 440, "uint8_int4": 439, "bipolar": 438}
FLOAT_CORRECT_OF_450 = {"int8": 441, "uint8_int4": 441, "bipolar": 438}


@pytest.fixture(scope="module")
def digits():
    pytest.importorskip("sklearn", reason="scikit-learn is missing, which brings the digits: pip install scikit-learn")
    return held_out()


@pytest.fixture(scope="module", params=VERSIONS)
def network(request):
    return load(request.param)


@pytest.fixture(scope="module")
def steps(network, digits):
    return network.golden(digits[0])


def test_an_unknown_version_is_named():
    with pytest.raises(ValueError) as raised:
        load("int3")
    assert str(raised.value) == "version must be one of int8, uint8_int4, bipolar, not 'int3'"


def test_parameters_are_small_plain_arrays(network):
    assert path(network.version).stat().st_size < 60_000
    with np.load(path(network.version), allow_pickle=False) as archive:
        assert all(archive[name].dtype.kind in "iuf" for name in archive)


def test_layers_have_the_documented_shapes(network):
    assert [layer.arrays["w"].shape for layer in network.layers] == [(64, 48), (48, 32), (32, 10)]


def test_outputs_of_a_layer_are_inputs_of_the_next(network):
    for layer, following in zip(network.layers[:-1], network.layers[1:], strict=True):
        assert layer.spec().y == following.spec().activations
        assert layer.arrays.get("y_zero_point", 0) == following.arrays.get("a_zero_point", 0)


@pytest.mark.parametrize(
    ("version", "codes"),
    [("int8", [-128, -112, 0, 127]), ("uint8_int4", [0, 16, 128, 255]), ("bipolar", [0, 1, 8, 16])],
)
def test_pixels_are_encoded_over_the_whole_range(version, codes):
    assert load(version).encode(np.array([[0.0, 1.0, 8.0, 16.0]])).tolist() == [codes]


def test_held_out_images_are_every_fourth(digits):
    images, labels = digits
    assert images.shape == (450, 64) and (images.min(), images.max()) == (0, 16)
    assert np.bincount(labels).min() >= 35


def test_integer_network_classifies_as_measured(network, steps, digits):
    classes = network.classify(steps[-1][1])
    assert (classes == digits[1]).sum() == CORRECT_OF_450[network.version]


def test_float_network_classifies_as_measured(network, digits):
    classes = network.float_logits(digits[0]).argmax(axis=1)
    assert (classes == digits[1]).sum() == FLOAT_CORRECT_OF_450[network.version]


def test_lowest_class_wins_a_tie():
    assert load("int8").classify(np.array([[0, 7, 7], [5, 5, 5]])).tolist() == [1, 0]


def test_hidden_outputs_use_their_range(network, steps):
    for layer, (_, y) in zip(network.layers[:-1], steps[:-1], strict=True):
        spec = layer.spec()
        lo, hi = spec.y.code_range
        if isinstance(spec.y, Bipolar):
            assert 0.4 < y.mean() < 0.6
            assert (y.min(axis=0) < y.max(axis=0)).all()
        else:
            assert 0 < (y == hi).mean() < 0.01, "the quantile of the calibration clips a few"
            assert (y == lo).mean() < 0.4
            assert len(np.unique(y)) > 0.9 * (hi - max(lo, int(y.min())))


def test_outputs_depend_on_every_rule_of_the_spec(network, steps):
    """The stimulus tells the layer from one with another rounding, multiplier, bias or, where it bounds, no ReLU."""
    for layer, (arrays, y) in zip(network.layers, steps, strict=True):
        for spec, wrong in _neighbours(layer, arrays):
            assert (tensors.golden(spec, tensors.operands(spec, wrong)) != y).any()


def _neighbours(layer, arrays):
    spec = layer.spec()
    yield spec, arrays | {"bias": arrays["bias"] + (2 if spec.is_binary else 1)}
    yield spec, arrays | {"w": np.roll(arrays["w"], 1, axis=0)}
    if spec.requantize == "multiplier":
        yield spec.with_(rounding="floor"), arrays
        yield spec, arrays | {"shift": arrays["shift"] + 1}
        yield spec, arrays | {"multiplier": np.roll(arrays["multiplier"], 1)}
    if spec.a_zero_point:
        yield spec, arrays | {"a_zero_point": arrays["a_zero_point"] + 1}
        yield spec, arrays | {"y_zero_point": arrays["y_zero_point"] + 1}
    if spec.activation == "relu" and arrays["y_zero_point"] == 0:
        yield spec.with_(activation="none"), arrays


def test_layers_add_up_in_plain_integers(network, steps):
    """One image through every layer with Python integers and Fraction's own half-even rounding."""
    for layer, (arrays, y) in zip(network.layers, steps, strict=True):
        spec = layer.spec()
        w = [[2 * code - 1 for code in row] if spec.weights.name == "bipolar" else row for row in arrays["w"].tolist()]
        a = [2 * code - 1 if spec.activations.name == "bipolar" else code for code in arrays["a"][0].tolist()]
        for n in range(len(w[0])):
            acc = sum((x - int(arrays.get("a_zero_point", 0))) * row[n] for x, row in zip(a, w, strict=True))
            assert _output_code(spec, arrays, n, acc + int(arrays["bias"][n])) == y[0, n]


def _output_code(spec, arrays, n, biased):
    if spec.requantize == "none":
        return int(biased >= 0) if isinstance(spec.y, Bipolar) else biased
    value = round(Fraction(biased * int(arrays["multiplier"][n]), 1 << int(arrays["shift"][n])))
    value = max(value, 0) if spec.activation == "relu" else value
    lo, hi = spec.y.code_range
    return min(max(value + int(arrays.get("y_zero_point", 0)), lo), hi)


def test_multipliers_are_normalized(network):
    for layer in network.layers:
        if "multiplier" in layer.arrays:
            assert ((layer.arrays["multiplier"] >= 1 << 30) & (layer.arrays["multiplier"] < 1 << 31)).all()
            assert ((layer.arrays["shift"] >= 0) & (layer.arrays["shift"] <= 62)).all()


def test_multiplier_and_shift_are_the_nearest():
    ratios = np.array([1e-6, 0.25, 1 / 3, 0.75, 1.0, 1 - 2.0**-40, 1.5])
    multipliers, shifts = quantize.multiplier_and_shift(ratios)
    for ratio, multiplier, shift in zip(ratios, multipliers.tolist(), shifts.tolist(), strict=True):
        assert 1 << 30 <= multiplier < 1 << 31
        assert abs(Fraction(multiplier, 1 << shift) - Fraction(ratio)) <= Fraction(1, 2 << shift)


def test_a_ratio_beyond_the_shift_is_refused():
    with pytest.raises(ValueError) as raised:
        quantize.multiplier_and_shift(np.array([2.0**-40, 0.5]))
    assert str(raised.value) == "shift must be 0 to 62, not 31..70"


@pytest.mark.parametrize("name", binary.HIDDEN)
def test_folded_threshold_is_batch_norm_for_every_accumulator(name):
    network = load("bipolar")
    layer = next(layer for layer in network.layers if layer.name == name)
    signs = network.float_parameters[f"{name}.w"].astype(np.int64)
    flips = (2 * layer.arrays["w"] - 1) * signs
    assert (flips == flips[0]).all() and set(flips[0]) == {-1, 1}
    lo, hi = layer.spec().acc_range
    acc = np.arange(lo, hi + 1)[:, None]
    folded = layer.spec().y.saturate(flips[0] * acc + layer.arrays["bias"])
    assert np.array_equal(folded, binary.batch_norm(network.float_parameters, name, acc) >= 0)
    assert 0 < folded.mean() < 1


def test_folding_meets_thresholds_on_integers_and_columns_that_never_turn():
    columns = [
        (g, m, b) for g in (-2.0, -0.5, 0.0, 0.5, 2.0) for m in (-3.0, 0.0, 0.5) for b in (-50.0, -1.0, 0.0, 9.0)
    ]
    gamma, mean, beta = np.array(columns).T
    parameters = {"fc2.gamma": gamma, "fc2.mean": mean, "fc2.beta": beta, "fc2.deviation": np.ones(len(columns))}
    flip, bias = quantize.fold(parameters, "fc2", 20)
    acc = np.arange(-20, 21)[:, None]
    assert np.array_equal(flip * acc + bias >= 0, binary.batch_norm(parameters, "fc2", acc) >= 0)


def test_hidden_codes_of_the_bipolar_network_are_those_of_its_float_network(digits):
    network = load("bipolar")
    values = digits[0]
    for name, (_, y) in zip(binary.HIDDEN, network.golden(digits[0])[:-1], strict=True):
        parameters = network.float_parameters
        values = binary.sign(binary.batch_norm(parameters, name, values @ parameters[f"{name}.w"].astype(np.float64)))
        assert np.array_equal(2 * y - 1, values)


def test_readme_shows_what_the_report_prints(digits, capsys):
    from examples.digits import train

    train.report()
    assert capsys.readouterr().out in path("int8").with_name("README.md").read_text()
