"""The network folder: a network comes back as it was, whole or not at all; what was edited or is hostile is refused."""

import hashlib
import json
import os
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tomli_w
from commands import tree
from network_cases import every_kind, float_network, same

from bittrue import __version__, network_folder
from bittrue.errors import InputError
from bittrue.folder import check_place
from bittrue.network_folder import check_network_place, create_network, open_network
from bittrue.network_toml import BETWEEN, KINDS, folder_names
from bittrue.npz import read_npz
from bittrue.toml_file import written
from golden.tensors import golden, operands
from network.dynamic import DynamicProduct
from network.float_network import FloatAveragePool
from network.layers import Layer, Product
from network.network import Network
from network.quantizing.post_training import quantize
from network.quantizing.recipe import LayerFormats, Recipe

SOURCE = {"file": "m\"o'd\nel.onnx", "kind": "float ONNX", "sha256": "0" * 64}
AGAIN = "quantize or import it again"


def stored(network, path="q", recipe=None, models=None):
    return create_network(Path(path), network, source=SOURCE, recipe=recipe, models=models or {})


@pytest.fixture
def q(tmp_path, monkeypatch):
    """The working directory of a test, with a folder q of a network of every kind of layer."""
    monkeypatch.chdir(tmp_path)
    stored(every_kind(), recipe=Recipe(weights="int4"), models={"float.onnx": b"float", "model.onnx": b"quantized"})
    return tmp_path / "q"


def inputs(network, count=4):
    return np.random.default_rng(3).normal(size=(count, *network.shape)).astype(np.float32) * 10


def test_every_kind_of_layer_comes_back(q):
    network, opened = every_kind(), open_network(Path("q"))
    static = [kind for name, kind in KINDS.items() if not re.match("real|dynamic|float", name)]
    assert {type(layer) for layer in network.steps} == set(static)
    assert same(opened.network, network)
    assert opened.source == SOURCE and opened.recipe == Recipe(weights="int4")
    assert opened.float_model.read_bytes() == b"float"
    assert opened.network.run(inputs(network)).tolist() == network.run(inputs(network)).tolist()


DYNAMIC = {"activation_range": "dynamic"}
RECIPES = {
    "int4, exact sums": Recipe(weights="int4", output="exact"),
    "ternary by platform tflite-micro": Recipe(weights="ternary", activations="int8", platform="tflite-micro"),
    "powers of two": Recipe(scales="power_of_two", activations="int8", symmetric=True),
    "fixed point": Recipe(weights="q3.5", activations="q4.4", output="q4.4"),
    "apot5 by platform onnxruntime": Recipe(weights="apot5", platform="onnxruntime"),
    "dynamic": Recipe(**DYNAMIC),
    "dynamic with zero points of weights": Recipe(**DYNAMIC, weights="uint4", granularity="tensor"),
}
DENSE = {
    "groups": Recipe(weights="int4", granularity="group", group=2, lanes=2),
    "groups of unsigned codes": Recipe(weights="uint4", granularity="group", group=2, lanes=2),
    "codebook": Recipe(weights="codebook3"),
    "mxfp4": Recipe(weights="mxfp4"),
    "nvfp4": Recipe(weights="nvfp4"),
    "bipolar": Recipe(weights="bipolar", layers={"fc": LayerFormats(weights="int6", activations="int5")}),
    "dynamic in groups": Recipe(**DYNAMIC, weights="uint4", granularity="group", group=2, lanes=2),
    "dynamic blocks": Recipe(**DYNAMIC, weights="mxfp4", activations="mxfp4"),
    "dynamic codebook": Recipe(**DYNAMIC, weights="codebook3", activations="int8"),
}


@pytest.mark.parametrize(
    ("recipe", "depthwise"),
    [*((one, True) for one in RECIPES.values()), *((one, False) for one in DENSE.values())],
    ids=[*RECIPES, *DENSE],
)
def test_what_recipes_make_comes_back(tmp_path, recipe, depthwise):
    real = float_network(depthwise=depthwise)
    batches = [np.random.default_rng(4).normal(size=(8, *real.shape)).astype(np.float32)]
    network = quantize(real, batches, recipe)
    stored(network, tmp_path / "q", recipe)
    opened = open_network(tmp_path / "q")
    assert same(opened.network, network)
    assert same(opened.recipe, recipe)
    assert opened.network.run(batches[0]).tolist() == network.run(batches[0]).tolist()


def test_the_same_network_makes_the_same_folder(q):
    stored(every_kind(), "again", Recipe(weights="int4"), {"float.onnx": b"float", "model.onnx": b"quantized"})
    assert tree(q) == tree(Path("again"))


def test_a_layer_s_folder_is_what_the_array_s_commands_take(q):
    """`bittrue generate layers/NAME/design.toml` and `simulate --inputs` of arrays.npz and activations."""
    network, opened = every_kind(), open_network(Path("q"))
    codes = network.entry.run(inputs(network))
    for layer in network.layers:
        if isinstance(layer, Product):
            folder = q / "layers" / opened.folders[layer.name]
            spec = network_folder.to_spec(tomllib.loads((folder / "design.toml").read_text()))
            given = operands(spec, {**read_npz(folder / "arrays.npz"), "a": layer.matrix(codes)})
            assert layer.shaped(golden(spec, given), codes).tolist() == layer.run(codes).tolist()
        codes = layer.run(codes)


def test_integers_lie_in_as_few_bytes_as_they_need(q):
    arrays = read_npz(q / "layers" / "a_b_0" / "arrays.npz")
    assert {name: str(one.dtype) for name, one in arrays.items()} == {
        "a_zero_point": "int8",
        "w": "int8",
        "thresholds": "int16",
    }


@pytest.mark.parametrize(
    ("kind", "ends"),
    [("int8", (-128, 127)), ("uint8", (0, 255)), ("int16", (-32768, 32767)), ("uint16", (0, 65535)),
     ("int32", (-(2**31), 2**31 - 1)), ("uint32", (0, 2**32 - 1)), ("int64", (-(2**31), 2**31))],
)  # fmt: skip
def test_the_ends_of_each_kind_of_integers(kind, ends, tmp_path):
    (tmp_path / "a.npz").write_bytes(network_folder._npz({"a": np.array(ends), "none": np.zeros(0, np.int64)}))
    found = read_npz(tmp_path / "a.npz")
    assert (str(found["a"].dtype), found["a"].tolist(), found["none"].size) == (kind, list(ends), 0)


def test_names_of_layers_become_names_of_folders():
    names = [
        "fc1",
        "FC1",
        "B",
        "b",
        "../up",
        "/abs",
        "",
        "...",
        "a\nb",
        "a'\"b",
        "é",
        "x" * 300,
        "x" * 299,
        "con v",
        ".hidden",
        "Up",
    ]
    found = folder_names(names)
    assert list(found) == names
    assert list(found.values()) == [
        *(
            "fc1",
            "FC1-2",
            "B",
            "b-2",
            "up",
            "abs",
            "layer",
            "layer-2",
            "a_b",
            "a_b-2",
            "layer-3",
            "x" * 60,
            "x" * 60 + "-2",
        ),
        *("con_v", "hidden", "Up-2"),
    ]
    assert sorted(path.name for path in map(Path, found.values())) == sorted(found.values())


def test_the_folders_of_layers_with_strange_names(q):
    assert sorted(path.name for path in (q / "layers").iterdir()) == ["A_B_0-2", "a_b_0", "b"]


def test_arrays_of_a_table_stand_on_one_line():
    table = {"a": [1, 2], "b": [[1, 2], [3]], "c": ['x"],\n', "],"], "d": [], "e": {"f": [0.5] * 40}, "g": [{"h": [1]}]}
    text = written(table)
    assert tomllib.loads(text) == table == tomllib.loads(tomli_w.dumps(table))
    assert text.splitlines()[:2] == ["a = [1, 2]", "b = [[1, 2], [3]]"]


def test_numbers_are_the_shortest_decimals_of_their_float32(q):
    text = (q / "network.toml").read_text()
    assert "scale = 0.33333334\n" in text and "scale = [0.1, 0.2, 0.3, 1e-08]\n" in text


def sealed(text):
    """The file as bittrue would have written it with that content."""
    return f'sha256 = "{hashlib.sha256(text.encode()).hexdigest()}"\n{text}'


def change(old, new, count=1):
    """Edits network.toml, its seal made anew."""

    def edit():
        path = Path("q/network.toml")
        text = path.read_text().partition("\n")[2]
        assert text.count(old) >= count
        path.write_text(sealed(text.replace(old, new, count)))

    return edit


def edit_part(name, content):
    """Replaces a part, its sha256 made anew."""

    def edit():
        path = Path("q") / name
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_bytes(content)
        change(before, hashlib.sha256(content).hexdigest())()

    return edit


def edit_arrays(name, **changes):
    def edit():
        arrays = read_npz(Path("q") / name)
        np.savez("changed.npz", **{key: value for key, value in (arrays | changes).items() if value is not None})
        edit_part(name, Path("changed.npz").read_bytes())()
        os.unlink("changed.npz")

    return edit


def append(name, content):
    def edit():
        with (Path("q") / name).open("ab") as file:
            file.write(content)

    return edit


EDITED = f"was edited since it was written (sha256 differs); {AGAIN}"
PART = "which is no part of a network folder"
CONV = "layers/a_b_0/arrays.npz"
TAMPERED = {
    "table": (append("network.toml", b"x = 1\n"), f"q/network.toml {EDITED}"),
    "line ends": (
        lambda: Path("q/network.toml").write_bytes(Path("q/network.toml").read_bytes().replace(b"\n", b"\r\n")),
        f"q/network.toml is not as bittrue writes it; {AGAIN}",
    ),
    "no table": (
        Path("q/network.toml").unlink,
        "q is not a network folder: no network.toml; make one with bittrue quantize or bittrue import",
    ),
    "design": (append("layers/b/design.toml", b"# mine\n"), f"q/layers/b/design.toml {EDITED}"),
    "arrays": (append("layers/b/arrays.npz", b"more"), f"q/layers/b/arrays.npz {EDITED}"),
    "float model": (append("float.onnx", b"more"), f"q/float.onnx {EDITED}"),
    "recipe": (append("quantize.toml", b"# mine\n"), f"q/quantize.toml {EDITED}"),
    "no arrays": (Path("q/layers/b/arrays.npz").unlink, "cannot read q/layers/b/arrays.npz: No such file or directory"),
    "no model": (Path("q/model.onnx").unlink, "cannot read q/model.onnx: No such file or directory"),
    "a folder for a part": (
        lambda: (Path("q/float.onnx").unlink(), Path("q/float.onnx").mkdir()),
        "cannot read q/float.onnx: Is a directory",
    ),
    "version": (
        change(f'bittrue = "{__version__}"', 'bittrue = "9"'),
        f"q was made by bittrue 9, this is {__version__}; {AGAIN}",
    ),
    "no TOML": (change("[entry]", "[entry"), "q/network.toml: Expected ']' at the end of a table"),
    "part elsewhere": (
        change('"layers/b/design.toml" =', '"layers/../../design.toml" ='),
        f"q/network.toml: parts has an entry 'layers/../../design.toml', {PART}",
    ),
    "part with more behind": (
        change('"model.onnx" =', '"model.onnx.txt" ='),
        f"q/network.toml: parts has an entry 'model.onnx.txt', {PART}",
    ),
    "part of a folder above": (
        change('"layers/b/design.toml" =', '"layers/../design.toml" ='),
        f"q/network.toml: parts has an entry 'layers/../design.toml', {PART}",
    ),
    "absolute part": (
        change('"model.onnx" =', '"/etc/passwd" ='),
        f"q/network.toml: parts has an entry '/etc/passwd', {PART}",
    ),
    "part taken away": (
        lambda: change(f'"layers/b/design.toml" = "{sha("layers/b/design.toml")}"\n', "")(),
        "q/network.toml: parts has no 'layers/b/design.toml'",
    ),
    "float model taken away": (
        lambda: change(f'"float.onnx" = "{sha("float.onnx")}"\n', "")(),
        f"q/float.onnx is no part of this network, says network.toml; {AGAIN}",
    ),
    "folder of another layer": (
        change('folder = "b"', 'folder = "A_B_0-2"'),
        "q/network.toml: layers[3]: layer ../b: grid x must be of int8, as its spec says, not uint4",
    ),
    "folder outside": (
        change('folder = "b"', 'folder = "../../b"'),
        "q/network.toml: parts has no 'layers/../../b/design.toml'",
    ),
    "folders exchanged": (
        lambda: (
            change('folder = "b"', 'folder = "B"')(),
            os.rename("q/layers/b", "q/layers/B"),
            change("layers/b/", "layers/B/", 2)(),
        ),
        "q/network.toml: the folder of layer ../b must be b, not 'B'",
    ),
    "kind": (
        change('kind = "max_pool"', 'kind = "os.system"'),
        "q/network.toml: layers[2].kind must be one of product, average_pool, max_pool, transpose, reshape, rescale",
    ),
    "entry": (
        change('kind = "quantize"', 'kind = "softmax"'),
        "q/network.toml: entry.kind must be one of quantize, real_entry",
    ),
    "kind of a list": (change('kind = "max_pool"', "kind = []"), "q/network.toml: layers[2].kind must be one of"),
    "unknown field": (
        change('name = "m"', 'name = "m"\nhidden = 1'),
        "q/network.toml: layers[2] has an unknown field 'hidden'; known are name, window",
    ),
    "field missing": (change("kernel = [2, 2]\n", ""), "q/network.toml: layers[2].window has no kernel"),
    "one narrow": (change("narrow = false", "narrow = 0"), "q/network.toml: entry.narrow must be true or false, not 0"),
    "wrong type": (
        change("kernel = [2, 2]", "kernel = [2.5, 2]"),
        "q/network.toml: layers[2].window.kernel[0] must be an integer, not 2.5",
    ),
    "too long": (
        change("kernel = [2, 2]", "kernel = [2, 2, 2]"),
        "q/network.toml: layers[2].window.kernel must have 2 entries, not 3",
    ),
    "huge integer": (
        change("kernel = [2, 2]", f"kernel = [{1 << 80}, 2]"),
        f"q/network.toml: layers[2].window.kernel[0] must be an integer, not {1 << 80}",
    ),
    "huge window": (
        change("kernel = [2, 2]", "kernel = [2000000000, 2]"),
        "q/network.toml: layer m: a window reaches over [2000000000, 2], the padded map over [6, 5]",
    ),
    "huge padding": (
        change("padding = [[0, 0], [0, 1]]", "padding = [[0, 9000000000], [0, 1]]"),
        "q/network.toml: layer m: a tensor must have 1 to 268435456 elements, not shape [9000000006, 5, 4]",
    ),
    "scale of nothing": (
        change("scale = 0.33333334", "scale = 0.0"),
        "q/network.toml: entry.y: scale must be positive and finite, a scalar or [C], not 0.0",
    ),
    "scale of text": (
        change("scale = 0.33333334", 'scale = "1"'),
        "q/network.toml: entry.y.scale must be a number or a list of numbers, not '1'",
    ),
    "scale too large": (
        change("scale = 0.33333334", "scale = 1e300"),
        "q/network.toml: entry.y: scale must be positive and finite, a scalar or [C], not inf",
    ),
    "ragged scales": (
        change("[0.1, 0.2, 0.3, 1e-08]", "[[0.1], [0.2, 0.3]]"),
        "q/network.toml: layers[1].w.scale must be a list of numbers, or of lists of one length",
    ),
    "too many scales": (
        change("[0.1, 0.2, 0.3, 1e-08]", "[0.1, 0.2]"),
        "q/network.toml: layer a/b:0: w must have one scale or 4, not 2",
    ),
    "format": (
        change('fmt = "uint8"', 'fmt = "uint900000"'),
        "q/network.toml: entry.y.fmt: width of uint must be 1 to 63, not 900000",
    ),
    "another grid": (
        change(
            'fmt = "uint8"\nscale = 0.33333334\nzero_point = 17', 'fmt = "uint8"\nscale = 0.33333334\nzero_point = 18'
        ),
        f"q/network.toml: {CONV}: a_zero_point is not what the grids of the layer come to",
    ),
    "operation": (
        change('operation = "sub"', 'operation = "__import__"'),
        "q/network.toml: entry.before[0]: operation must be one of",
    ),
    "operands": (
        change('operation = "sub"\noperands = [[0.1]]', 'operation = "sub"\noperands = []'),
        "q/network.toml: layer in: subtract() takes from 2 to 3 positional arguments",
    ),
    "operands that make more": (
        change('operation = "sub"\noperands = [[0.1]]', 'operation = "sub"\noperands = [[[[[0.1]]], [[[1.0]]]]]'),
        "q/network.toml: layer in: sub takes no operand of shape [2, 1, 1, 1] here",
    ),
    "quantizer": (
        change('quantizer = "qonnx"', 'quantizer = "none"'),
        "q/network.toml: layer in: unknown quantizer 'none'; known are onnx,",
    ),
    "platform": (
        change('name = "a"\nplatform = "tflite-micro"', 'name = "a"\nplatform = "x"'),
        "q/network.toml: layer a: ",
    ),
    "axes": (
        change("axes = [0, 2, 3, 1]", "axes = [0, 2, 3, 3]"),
        "q/network.toml: layer '\": axes must be 0, then 1 to 3 in any order, not [0, 2, 3, 3]",
    ),
    "weights missing": (edit_arrays(CONV, w=None), "q/network.toml: layers[1] has no matrix w"),
    "weights of real numbers": (
        edit_arrays(CONV, w=np.zeros((18, 4))),
        f"q/network.toml: {CONV}: w must hold integer codes, not float64",
    ),
    "weights outside": (
        edit_arrays(CONV, w=np.full((18, 4), 9)),
        f"q/network.toml: {CONV}: w[0, 0] is 9, outside int3 [-4, 3]",
    ),
    "weights of another depth": (
        edit_arrays(CONV, w=np.zeros((9, 4), int)),
        "q/network.toml: layer a/b:0: its kernel on 2 channels needs weights of depth 18, not 9",
    ),
    "another array": (
        edit_arrays(CONV, b=np.zeros(3, int)),
        f"q/network.toml: {CONV}: b is not what the grids of the layer come to",
    ),
    "pickle": (
        edit_arrays(CONV, w=np.array([{}])),
        "q/layers/a_b_0/arrays.npz: array 'w' cannot be read: Object arrays cannot be loaded when allow_pickle=False",
    ),
    "no npz": (edit_part(CONV, b"PK"), "q/layers/a_b_0/arrays.npz is not a readable npz file: File is not a zip file"),
    "wrong design": (
        edit_part("layers/b/design.toml", b"rows = 0"),
        "q/layers/b/design.toml: activations must be given, for example --activations int8",
    ),
    "wrong recipe": (
        edit_part("quantize.toml", b'weights = "int0"'),
        "q/quantize.toml: recipe: weights: width of int must be 1 to 64, not 0",
    ),
}


def sha(name):
    return hashlib.sha256((Path("q") / name).read_bytes()).hexdigest()


@pytest.mark.parametrize(("damage", "message"), TAMPERED.values(), ids=TAMPERED)
def test_a_tampered_folder_is_refused(q, damage, message):
    damage()
    before = tree(q)
    with pytest.raises(InputError) as error:
        open_network(Path("q"))
    assert str(error.value).startswith(message)
    assert tree(q) == before


def test_a_network_folder_is_replaced_whole(q):
    (q / "build").mkdir()
    stored(every_kind())
    names = {path.name for path in q.iterdir()}
    assert names == {"network.toml", "layers"}
    assert open_network(Path("q")).recipe is None and open_network(Path("q")).float_model is None


@pytest.mark.parametrize("content", ["bittrue = 1\n", f'sha256 = "{"0" * 63}"\n', ""])
def test_a_folder_of_something_else_is_left_alone(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    Path("mine/network.toml").write_text(content)
    before = tree(tmp_path)
    for place in ("mine", "mine/network.toml", "."):
        with pytest.raises(InputError, match=f"^{place} exists and is not a network folder; give another --out$"):
            stored(every_kind(), place)
    assert tree(tmp_path) == before


def test_build_folders_and_network_folders_do_not_replace_each_other(q):
    Path("x").mkdir()
    Path("x/manifest.json").write_text(json.dumps({"bittrue": __version__}))
    with pytest.raises(InputError, match="^x exists and is not a network folder; give another --out$"):
        check_network_place(Path("x"))
    with pytest.raises(InputError, match="^q exists and is not a build folder; give another --out$"):
        check_place(Path("q"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ctrl-C"])
def test_a_folder_that_cannot_be_written_stays_as_it_was(q, monkeypatch, error):
    before, written_bytes = tree(q.parent), Path.write_bytes

    def failing(path, content):
        if path.name == "arrays.npz":
            written_bytes(path, content[:10])
            raise error
        return written_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as raised:
        stored(every_kind())
    assert str(raised.value) in ("cannot write q: No space left on device", "")
    assert tree(q.parent) == before


class Strange:
    name = "strange"


def test_layers_that_no_folder_holds_are_refused_by_name(tmp_path):
    network = every_kind()
    with pytest.raises(InputError, match="^layer strange is Strange, which a network folder cannot hold$"):
        stored(replace(network, layers=(*network.layers, Strange())), tmp_path / "q")
    assert tree(tmp_path) == {}


def test_a_design_that_no_file_gives_is_refused(tmp_path):
    network = every_kind()
    dense = next(layer for layer in network.layers if layer.name == "A/B_0")
    wide = replace(dense, spec=dense.spec.with_(depth=1 << 24))  # 33 bits, which a file of this platform makes 32
    assert wide.spec.exact_accumulator_width > 32
    layers = tuple(wide if layer is dense else layer for layer in network.layers)
    with pytest.raises(InputError, match="^layer A/B_0: its design is none that a design file gives$"):
        stored(replace(network, layers=layers), tmp_path / "q")


def test_every_layer_of_a_network_has_a_kind():
    """A layer that is new in `network` is to be stored, or refused on purpose."""
    assert set(get_args(Layer)) | {DynamicProduct, FloatAveragePool} == set(BETWEEN)


def test_fields_beside_the_table_are_those_that_files_hold():
    assert [field.name for field in fields(Product)] == ["name", "spec", "arrays", "x", "w", "y", "window", "real"]
    assert [field.name for field in fields(Network)] == ["name", "shape", "entry", "layers", "exit"]
