"""`bittrue quantize` as a user runs it: what it writes and says, and each thing that can be wrong with its input."""

import json
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import command, done, refusal, tree
from network_files import CLASSES, SHAPE, examples, float_chain, float_model, write_files
from onnx_models import reference

from bittrue import network_flows
from bittrue.errors import InputError
from bittrue.network_folder import open_network
from bittrue.recipe_file import read_recipe, recipe_toml
from bittrue.recipe_options import parse_layer
from network.quantizing.recipe import LayerFormats, Recipe

WORDS = ("quantize", "model.onnx", "--calibration", "data.npz", "--out", "q")
FLAGS = {
    "weights": ("--weights", "int4"),
    "activations": ("--activations", "int7"),
    "output": ("--output", "exact"),
    "layers": ("--layer", "fc1:weights=int8", "--layer", "conv1:weights=int5,activations=uint8"),
    "granularity": ("--granularity", "group"),
    "group": ("--group", "8"),
    "group_scale": ("--group-scale", "float16"),
    "weight_range": ("--weight-range", "mse"),
    "activation_range": ("--activation-range", "percentile"),
    "percent": ("--percent", "99.5"),
    "bins": ("--bins", "512"),
    "scheme": ("--scheme", "torch"),
    "scales": ("--scales", "power_of_two"),
    "symmetric": ("--symmetric",),
    "corrections": ("--correct", "bias", "--correct", "equalize", "--correct", "bias"),
    "platform": ("--platform", "onnxruntime"),
    "array": ("--array", "weight_stationary"),
    "rows": ("--rows", "2"),
    "cols": ("--cols", "3"),
    "lanes": ("--lanes", "5"),
    "seed": ("--seed", "7"),
}
CHOSEN = Recipe(
    weights="int4", activations="int7", output="exact", granularity="group", group=8, group_scale="float16",
    layers={"fc1": LayerFormats(weights="int8"), "conv1": LayerFormats(weights="int5", activations="uint8")},
    weight_range="mse", activation_range="percentile", percent=99.5, bins=512, scheme="torch", scales="power_of_two",
    symmetric=True, corrections=("bias", "equalize"), platform="onnxruntime", array="weight_stationary",
    rows=2, cols=3, lanes=5, seed=7,
)  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory of a test, with model.onnx and data.npz."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def test_a_network_folder_is_made(here):
    said = done(*WORDS, "--weights", "int4").splitlines()
    assert said[0] == "q: 6 layers, 2 of them on arrays; inputs 1x6x5, uint8; from float ONNX model.onnx"
    rows = {line.split()[0]: " ".join(line.split()) for line in said[1:]}
    assert rows["layer"] == "layer kind formats weights parameters outputs MACs cycles utilization"
    opened = open_network(Path("q"))
    assert [layer.name for layer in opened.network.products] == ["conv1", "fc1"]
    assert opened.recipe == Recipe(weights="int4")
    assert onnx.load("q/float.onnx") == float_model()
    assert opened.source["file"] == "model.onnx" and opened.source["kind"] == "float ONNX"
    assert f"conv 3x3 uint8 x int4 -> uint8 {36 * 4} " in rows["conv1"]
    assert rows["conv1"].split()[-4] == str(30 * 4 * 9)
    assert rows["all"].split()[-2] == str(30 * 4 * 9 + 24 * 3)


def test_the_quantized_model_gives_what_the_network_gives(here):
    done(*WORDS)
    model, network = onnx.load("q/model.onnx"), open_network(Path("q")).network
    x = examples(200, seed=9)["x"]
    steps = np.abs(reference(model, x) - network.run(x)) / network.grids[-1].scale
    assert steps.max() < 1.01 and (steps > 0.5).mean() < 0.05  # float32 sums round otherwise at ties alone


def test_a_layer_whose_formats_are_given_twice(here):
    given = ("--layer", "conv1:weights=int5", "--layer", "fc1:weights=int3", "--layer", "conv1:activations=uint4")
    assert refusal(here, *WORDS, *given) == "layer 'conv1' is given 2 times; give it once"


def test_json_and_quiet(here):
    found = json.loads(done(*WORDS, "--json"))
    assert (found["folder"], found["shape"], found["notes"]) == ("q", list(SHAPE), [])
    layers = {one["layer"]: one for one in found["costs"]["layers"]}
    assert layers["fc1"]["memory"]["weights"] == 24 * 3 * 8 and layers["fc1"]["macs"] == 72
    assert found["costs"]["macs"] == sum(one["macs"] for one in layers.values())
    assert found["costs"]["cycles"] == layers["conv1"]["cycles"] + layers["fc1"]["cycles"]
    assert done(*WORDS, "--quiet") == ""


def test_every_field_of_a_recipe_has_a_flag_that_reaches_it(here, monkeypatch):
    assert set(FLAGS) == {field.name for field in fields(Recipe)}
    asked = []

    def stop(*given):
        asked.append(given[2])
        raise InputError("enough")

    monkeypatch.setattr(network_flows, "quantize_model", stop)
    for name, flags in FLAGS.items():
        assert refusal(here, *WORDS, *flags) == "enough"
        assert getattr(asked[-1], name) == getattr(CHOSEN, name)
        assert {
            field.name for field in fields(Recipe) if getattr(asked[-1], field.name) != getattr(Recipe(), field.name)
        } == {name}
    Path("r.toml").write_text(recipe_toml(CHOSEN))
    assert refusal(here, *WORDS, "--recipe", "r.toml") == "enough"
    assert asked[-1] == CHOSEN == read_recipe(Path("r.toml"))
    assert (
        refusal(here, *WORDS, "--recipe", "r.toml", "--weights", "int6", "--layer", "fc1:activations=int8") == "enough"
    )
    assert asked[-1] == CHOSEN.with_(
        weights="int6", layers={"fc1": LayerFormats(activations="int8"), "conv1": CHOSEN.layers["conv1"]}
    )


def test_the_folder_s_own_recipe_makes_the_same_folder(here):
    done(*WORDS, "--weights", "int4", "--layer", "fc1:weights=int8", "--correct", "bias", "--platform", "tflite-micro")
    first = tree(here / "q")
    assert {name for name in first if name.endswith((".onnx", ".toml"))} == {
        *("network.toml", "quantize.toml", "float.onnx", "model.onnx"),
        *("layers/conv1/design.toml", "layers/fc1/design.toml"),
    }
    Path("q/quantize.toml").rename("recipe.toml")
    done(*WORDS, "--recipe", "recipe.toml")
    assert tree(here / "q") == first
    done(*WORDS)
    assert tree(here / "q") != first


def test_recipes_read_as_they_were_written(here):
    for recipe in (Recipe(), CHOSEN, Recipe(layers={"a.b 'c'\n": LayerFormats(weights="int2")})):
        Path("r.toml").write_text(recipe_toml(recipe))
        assert read_recipe(Path("r.toml")) == recipe


def test_a_layer_s_design_makes_its_hardware(here):
    done(*WORDS, "--rows", "2", "--cols", "2", "--lanes", "1")
    said = done("generate", "q/layers/fc1/design.toml", "--out", "build/fc1")
    assert said.startswith("2x2x1 array, uint8 x int8 -> int8, depth 24, accumulator ")


def test_sums_that_leave_exact_and_dynamic_activations(here):
    done(*WORDS, "--output", "exact")
    assert str(open_network(Path("q")).network.grids[-1].fmt) != "int8"
    dynamic = (*WORDS, "--activation-range", "dynamic", "--json")
    said = json.loads(done(*dynamic))
    assert said["notes"] == []
    assert [one["kind"] for one in said["costs"]["layers"] if one["cycles"]] == ["dynamic conv 3x3", "dynamic dense"]
    x, network = examples(50, seed=9)["x"], open_network(Path("q")).network
    assert reference(onnx.load("q/model.onnx"), x).tolist() == network.run(x).tolist()
    said = json.loads(done(*dynamic, "--activations", "float6_e2m3fn"))
    told = "no model.onnx: layer conv1: activations must be of a type of ONNX's, not float6_e2m3fn"
    assert said["notes"] == [told] and not Path("q/model.onnx").exists()


FLAG_ERRORS = {
    ("--weights", "int0"): "weights: width of int must be 1 to 64, not 0",
    ("--activations", "float"): "activations: unknown format 'float'; known are",
    ("--output", "none"): "output: unknown format 'none'; known are",
    ("--granularity", "row"): "granularity must be one of tensor, channel, group, not 'row'",
    ("--group", "0"): "group must be 1 to 65536, not 0",
    (
        "--group",
        "x",
    ): "Invalid value for '--group': Input should be a valid integer, unable to parse string as an integer",
    ("--weight-range", "moving_average"): "weight_range must be one of minmax, percentile, entropy, mse, not",
    ("--activation-range", "max"): "activation_range must be one of minmax,",
    ("--correct", "all"): "corrections must be one of equalize, adaround, bias, not 'all'",
    ("--platform", "tflite"): "platform must be one of tflite-micro,",
    ("--platform", "tensorrt"): "layer conv1: platform 'tensorrt'",
    ("--layer", "fc1"): "layer must be NAME:weights=FORMAT,activations=FORMAT, or one of the two, not 'fc1'",
    ("--layer", "fc1:weights"): "layer must be NAME:weights=FORMAT,",
    ("--layer", "fc1:bias=int8"): "layer must be NAME:weights=FORMAT,",
    ("--layer", "fc1:weights=int8,weights=int4"): "layer must be NAME:weights=FORMAT,",
    ("--layer", ":weights=int8"): "layer must be NAME:weights=FORMAT,",
    ("--layer", "fc1:weights=int0"): "layer fc1: weights: width of int must be 1 to 64, not 0",
    ("--layer", "fc2:weights=int4"): "layer 'fc2' is not in the model; its layers with weights are conv1, fc1",
    ("--layer", "relu1:weights=int4"): "layer 'relu1' is not in the model; its layers with weights are conv1, fc1",
    ("--rows", "0"): "layer conv1: rows must be positive, not 0",
    ("--lanes", "5000"): "layer conv1: lanes must be at most 1024, not 5000",
    ("--recipe", "none.toml"): "cannot read none.toml: No such file or directory",
    ("--calibration", "none.npz"): "cannot read none.npz: No such file or directory",
    ("--calibration", "model.onnx"): "model.onnx is not a readable npz file: File is not a zip file",
    ("--out", "."): ". exists and is not a network folder; give another --out",
    ("--out", "model.onnx/q"): "cannot write model.onnx/q: Not a directory",
    ("--hardware", "1"): "No such option: --hardware",
}


@pytest.mark.parametrize(
    ("flags", "message"), FLAG_ERRORS.items(), ids=lambda value: value if type(value) is str else ""
)
def test_a_wrong_flag_is_refused(here, flags, message):
    assert refusal(here, *WORDS, *flags).startswith(message)


RECIPES = {
    "weight = 'int8'": "r.toml: recipe has an unknown field 'weight'; known are weights, activations, output, ",
    "weights = 8": "r.toml: recipe.weights must be a string, not 8",
    "rows = true": "r.toml: recipe.rows must be an integer, not True",
    "percent = '9'": "r.toml: recipe.percent must be a number, not '9'",
    "corrections = 'bias'": "r.toml: recipe.corrections must be a list, not 'bias'",
    "layers = 3": "r.toml: layers must be a table, not 3",
    "[layers]\nfc1 = 'int8'": "r.toml: layers.fc1 must be a table, not 'int8'",
    "[layers.fc1]\nbias = 'int8'": "r.toml: layers.fc1 has an unknown field 'bias'; known are weights, activations",
    "[layers.fc9]\nweights = 'int8'": "layer 'fc9' is not in the model; its layers with weights are conv1, fc1",
    "granularity = 'row'": "r.toml: recipe: granularity must be one of tensor, channel, group, not 'row'",
    "weights = ": "r.toml: Invalid value",
    "#" * ((1 << 20) + 1): "r.toml: a recipe has at most 1048576 bytes",
}


@pytest.mark.parametrize(("text", "message"), RECIPES.items(), ids=lambda value: value[:20])
def test_a_wrong_recipe_is_refused(here, text, message):
    Path("r.toml").write_text(text)
    assert refusal(here, *WORDS, "--recipe", "r.toml").startswith(message)


X = examples()["x"]
DATA = {
    "another name": (
        {"images": X},
        "x: array missing; it holds 'images', and should hold inputs x [B, 1, 6, 5] and labels [B]",
    ),
    "nothing": ({}, "x: array missing; it holds nothing, and should hold inputs x [B, 1, 6, 5] and labels [B]"),
    "channels last": (
        {"x": X.transpose(0, 2, 3, 1)},
        "x has shape [40, 6, 5, 1], the network takes [B, 1, 6, 5]; its channels come last, the network's first: "
        "x.transpose(0, 3, 1, 2)",
    ),
    "flat": (
        {"x": X.reshape(40, 30)},
        "x has shape [40, 30], the network takes [B, 1, 6, 5]; it has as many values: x.reshape(-1, 1, 6, 5)",
    ),
    "without channels": (
        {"x": X[:, 0]},
        "x has shape [40, 6, 5], the network takes [B, 1, 6, 5]; it has as many values: x.reshape(-1, 1, 6, 5)",
    ),
    "one example": (
        {"x": X[0]},
        "x has shape [1, 6, 5], the network takes [B, 1, 6, 5]; one example needs a batch of one: x[None]",
    ),
    "another size": ({"x": np.zeros((40, 1, 28, 28))}, "x has shape [40, 1, 28, 28], the network takes [B, 1, 6, 5]"),
    "a number": ({"x": 1.0}, "x has shape [], the network takes [B, 1, 6, 5]"),
    "nothing but zeros": ({"x": 0 * X}, "x is 0 throughout; ranges are found by examples that differ"),
    "no examples": ({"x": X[:0]}, "x holds no examples"),
    "images of bytes": (
        {"x": np.zeros(X.shape, np.uint8)},
        "x holds uint8; give real numbers, float32, as the model was trained on, perhaps x / 255; codes of a quantized "
        "network's inputs go with --codes of evaluate and errors",
    ),
    "integers": (
        {"x": np.zeros(X.shape, np.int64)},
        "x holds int64; give real numbers, float32, as the model was trained on; codes of a quantized network's inputs "
        "go with --codes of evaluate and errors",
    ),
    "text": ({"x": np.full(X.shape, "a")}, "x must hold real numbers, not <U1"),
    "complex": ({"x": X.astype(complex)}, "x must hold real numbers, not complex128"),
    "objects": (
        {"x": np.full(X.shape, None)},
        "array 'x' cannot be read: Object arrays cannot be loaded when allow_pickle=False",
    ),
    "not finite": (
        {"x": np.where(np.arange(X.size).reshape(X.shape) == 31, np.nan, X)},
        "x[1, 0, 0, 1] is nan; inputs must be finite float32 numbers",
    ),
    "beyond float32": ({"x": np.full(X.shape, 1e300)}, "x[0, 0, 0, 0] is inf; inputs must be finite float32 numbers"),
}


@pytest.mark.parametrize(("arrays", "message"), DATA.values(), ids=DATA)
def test_wrong_data_is_refused(here, arrays, message):
    np.savez("data.npz", **arrays)
    assert refusal(here, *WORDS) == f"data.npz: {message}"


def test_channels_first_where_the_network_has_them_last(here):
    chain = float_chain()
    chain.input.type.tensor_type.shape.dim[1].dim_value = 6
    for index, size in enumerate((6, 5, 1), 1):
        chain.input.type.tensor_type.shape.dim[index].dim_value = size
    chain.nodes.insert(0, onnx.helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]))
    chain.nodes[1].input[0] = "first"
    Path("model.onnx").write_bytes(chain.model(17).SerializeToString())
    assert refusal(here, *WORDS) == (
        "data.npz: x has shape [40, 1, 6, 5], the network takes [B, 6, 5, 1]; its channels come first, the network's "
        "last: x.transpose(0, 2, 3, 1)"
    )


def test_float16_and_float64_data_are_the_same_as_float32(here):
    x = examples()["x"].astype(np.float16)
    folders = []
    for kind in (np.float16, np.float32, np.float64):
        np.savez("data.npz", x=x.astype(kind))
        done(*WORDS)
        folders.append(tree(here / "q"))
    assert folders[0] == folders[1] == folders[2]


def test_quantized_models_are_for_import(here):
    done(*WORDS)
    assert refusal(here, "quantize", "q/model.onnx", *WORDS[2:]) == (
        "q/model.onnx is quantized already (QDQ ONNX); read it with bittrue import"
    )
    Path("m.tflite").write_bytes(b"\0\0\0\0TFL3" + bytes(40))
    assert refusal(here, "quantize", "m.tflite", *WORDS[2:]) == (
        "m.tflite is a TFLite model; quantize takes ONNX, bittrue import quantized TFLite"
    )


def test_unsupported_operators_are_named(here):
    chain = float_chain()
    chain.add("Elu", name="elu")
    chain.add("MatMul", np.eye(CLASSES, dtype=np.float32))
    Path("model.onnx").write_bytes(chain.model(17).SerializeToString())
    assert refusal(here, *WORDS).startswith("model.onnx: Elu elu: ")


def test_missing_options(here):
    assert refusal(here, "quantize") == "Missing argument 'model'."
    assert refusal(here, "quantize", "model.onnx") == "Missing option '--calibration'."


def test_an_interruption_leaves_the_folder_as_it_was(here, monkeypatch):
    done(*WORDS)
    before = tree(here)

    def interrupted(*given, **options):
        raise KeyboardInterrupt

    for name in ("quantize", "create_network", "costs"):
        with monkeypatch.context() as patched:
            patched.setattr(network_flows, name, interrupted)
            result = command(*WORDS, "--weights", "int4")
        assert (result.code, result.out, result.err.strip()) == (130, "", "")
        assert tree(here) == before


def test_names_of_layers_may_hold_colons():
    assert parse_layer("a:b=c:weights=int4") == ("a:b=c", LayerFormats(weights="int4"))


def test_a_written_recipe_is_plain_toml():
    assert tomllib.loads(recipe_toml(CHOSEN))["layers"] == {
        "fc1": {"weights": "int8"},
        "conv1": {"weights": "int5", "activations": "uint8"},
    }
