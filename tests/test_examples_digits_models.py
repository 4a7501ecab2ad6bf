"""The float digit classifiers as networks and as ONNX models, and the folder that holds them with their images."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from examples.digits import mlp
from examples.digits.__main__ import main
from examples.digits.data import held_out
from examples.digits.float_networks import CNN_FILE, NAMES, float_network, inputs, parameters
from examples.digits.onnx_models import onnx_model
from network.onnx.read_float import read_float

NO_DIGITS = "scikit-learn is missing, which brings the digits: pip install scikit-learn"
CORRECT = {"mlp": 441, "cnn": 444}


@pytest.mark.parametrize("name", NAMES)
def test_the_onnx_model_computes_what_the_network_does(name):
    x = np.random.default_rng(1).uniform(0, 1, (30, 1, 8, 8)).astype(np.float32)
    (found,) = ReferenceEvaluator(onnx_model(name)).run(None, {"x": x})
    assert found == pytest.approx(float_network(name).run(x), abs=1e-4)


def test_the_mlp_is_the_network_of_the_integer_versions():
    pytest.importorskip("sklearn", reason=NO_DIGITS)
    images, _ = held_out()
    expected = mlp.logits(parameters("mlp"), images)
    assert float_network("mlp").run(inputs(images)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_onnx_model_is_read_as_the_network(name):
    x = np.random.default_rng(2).uniform(0, 1, (30, 1, 8, 8)).astype(np.float32)
    read, own = read_float(onnx_model(name)), float_network(name)
    assert [type(layer) for layer in read.linears] == [type(layer) for layer in own.linears]
    assert read.run(x) == pytest.approx(own.run(x), abs=1e-5)


def test_the_readme_has_what_the_script_reports():
    text = (Path(__file__).resolve().parent.parent / "examples" / "digits" / "README.md").read_text()
    assert f"cnn  {CORRECT['cnn']}/450 98.7 %  {CNN_FILE.stat().st_size} bytes" in text
    count = sum(value.size for value in parameters("cnn").values())
    assert f"{count} parameters" in text


@pytest.mark.parametrize("name", NAMES)
def test_correct_digits(name):
    pytest.importorskip("sklearn", reason=NO_DIGITS)
    images, labels = held_out()
    found = int((float_network(name).run(inputs(images)).argmax(axis=1) == labels).sum())
    assert abs(found - CORRECT[name]) <= 1  # a tie may fall either way with another BLAS
    assert CNN_FILE.stat().st_size < 100_000


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match="^name must be one of mlp, cnn, not 'rnn'$"):
        float_network("rnn")


def test_export_writes_models_and_images(tmp_path, capsys):
    pytest.importorskip("sklearn", reason=NO_DIGITS)
    folder = tmp_path / "deep" / "digits"
    main(["export", str(folder)])
    assert capsys.readouterr().out == f"mlp.onnx, cnn.onnx, calibration.npz, test.npz -> {folder}\n"
    assert sorted(one.name for one in folder.iterdir()) == ["calibration.npz", "cnn.onnx", "mlp.onnx", "test.npz"]
    with np.load(folder / "calibration.npz") as seen, np.load(folder / "test.npz") as kept:
        assert seen.files == kept.files == ["x", "labels"]
        assert (seen["x"].shape, kept["x"].shape, kept["labels"].shape) == ((1347, 1, 8, 8), (450, 1, 8, 8), (450,))
        assert seen["x"].dtype == kept["x"].dtype == np.float32
        x, labels = kept["x"], kept["labels"]
    for name in NAMES:
        onnx.checker.check_model(onnx.load(folder / f"{name}.onnx"), full_check=True)
        (logits,) = ReferenceEvaluator(onnx.load(folder / f"{name}.onnx")).run(None, {"x": x})
        assert abs(int((logits.argmax(axis=1) == labels).sum()) - CORRECT[name]) <= 1


def test_a_folder_that_cannot_be(tmp_path):
    pytest.importorskip("sklearn", reason=NO_DIGITS)
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(tmp_path / "file")])
    assert str(tmp_path / "file") in str(stopped.value)


def test_without_the_digits_one_line_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit) as stopped:
        main(["export", str(tmp_path / "x")])
    assert str(stopped.value) == "the digits come with scikit-learn: pip install scikit-learn"
    assert not (tmp_path / "x").exists()
