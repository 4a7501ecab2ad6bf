"""Model files that are damaged or mean harm: one line, exit code 2, nothing read from elsewhere, nothing written."""

import os
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import command, done, refusal, tree
from network_files import SHAPE, float_chain, float_model, with_external, write_files
from onnx import TensorProto, helper
from onnx_models import Chain
from tflite_cases import Maker

from bittrue import external_data, models
from bittrue.errors import InputError
from bittrue.models import read_onnx_model

QUANTIZE = ("quantize", "model.onnx", "--calibration", "data.npz", "--out", "q")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory of a test: home/ with model.onnx and data.npz, and beside it a file of secrets."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(4000))
    monkeypatch.chdir(home)
    write_files(home)
    return tmp_path


def put(model, name="model.onnx"):
    Path(name).write_bytes(model if isinstance(model, bytes) else model.SerializeToString())


def refused(here, *words):
    message = refusal(here, *(words or QUANTIZE))
    assert not Path("q").exists()
    return message


W = float_model().graph.initializer[0].raw_data
OUTSIDE = "which is no path within the model's folder"
PLACES = {
    "../secret.bin": "its data lie in '../secret.bin', outside the model's folder",
    "a/../../secret.bin": "its data lie in 'a/../../secret.bin', outside the model's folder",
    "/etc/hostname": f"its data lie in '/etc/hostname', {OUTSIDE}",
    "": f"its data lie in '', {OUTSIDE}",
    "a\\..\\secret.bin": f"its data lie in 'a\\\\..\\\\secret.bin', {OUTSIDE}",
    "link.bin": "its data lie in 'link.bin', a link to outside the model's folder",
    "folder/secret.bin": "its data lie in 'folder/secret.bin', a link to outside the model's folder",
    "gone.bin": "its data lie in 'gone.bin', which is not there",
    "dangling.bin": "its data lie in 'dangling.bin', which is not there",
    "loop.bin": "its data lie in 'loop.bin', ",
    ".": "its data lie in '.', which is not a file",
    "pipe": "its data lie in 'pipe', which is not a file",
    "a\nb": "its data lie in 'a?b', which is not there",
    "x" * 300: "File name too long",
}


@pytest.mark.parametrize("location", PLACES, ids=lambda text: text[:20])
def test_tensors_elsewhere_are_read_from_the_model_s_folder_alone(here, location):
    Path("link.bin").symlink_to(here / "secret.bin")
    Path("folder").symlink_to(here)
    Path("dangling.bin").symlink_to("nowhere")
    Path("loop.bin").symlink_to("loop.bin")
    os.mkfifo("pipe")
    put(with_external(float_model(), location=location, length=len(W)))
    message = refused(here)
    assert message.startswith("model.onnx: tensor c0: ") and PLACES[location] in message


@pytest.mark.parametrize("location", ["w.bin", "./w.bin", "sub/w.bin", "inside.bin"])
def test_tensors_beside_the_model_are_read(here, location):
    Path("sub").mkdir()
    Path("inside.bin").symlink_to("w.bin")
    for name in ("w.bin", "sub/w.bin"):
        Path(name).write_bytes(b"x" * 64 + W + b"more")
    put(with_external(float_model(), location=location, offset=64, length=len(W)))
    done(*QUANTIZE)
    apart = tree(Path("q"))
    put(float_model())
    done(*QUANTIZE)
    whole = tree(Path("q"))
    assert {name for name in whole if whole[name] != apart[name]} <= {"network.toml"}  # the sha256 of its source
    assert onnx.load_from_string(apart["float.onnx"]) == float_model()


SIZES = {
    "beyond": ({"length": 144, "offset": 60}, "its data end at byte 204 of a file of 200 bytes"),
    "length": ({"length": 145}, "its length is 145 where its shape takes 144 bytes"),
    "short length": ({"length": 143}, "its length is 143 where its shape takes 144 bytes"),
    "one beyond": ({"length": 144, "offset": 57}, "its data end at byte 201 of a file of 200 bytes"),
    "longest offset": ({"offset": 10**18}, f"offset must be a number of bytes, not '{10**18}'"),
    "huge offset": ({"offset": 10**17}, f"its data end at byte {10**17 + 144} of a file of 200 bytes"),
    "negative": ({"offset": -1}, "offset must be a number of bytes, not '-1'"),
    "no number": ({"offset": "0x10"}, "offset must be a number of bytes, not '0x10'"),
    "digits of another script": ({"offset": "١"}, "offset must be a number of bytes, not '١'"),
    "endless": ({"offset": "9" * 5000}, "offset must be a number of bytes, not '9999"),
}


@pytest.mark.parametrize(("entries", "message"), SIZES.values(), ids=SIZES)
def test_lengths_and_offsets_elsewhere_are_checked(here, entries, message):
    Path("w.bin").write_bytes(bytes(200))
    put(with_external(float_model(), location="w.bin", **entries))
    assert refused(here).startswith(f"model.onnx: tensor c0: {message}")


def test_entries_that_come_twice_are_refused(here):
    model = with_external(float_model(), location="w.bin")
    model.graph.initializer[0].external_data.add(key="location", value="../secret.bin")
    put(model)
    assert refused(here) == "model.onnx: tensor c0: external_data names something twice"


@pytest.mark.parametrize("most", [200, 300])
def test_data_elsewhere_are_bounded_in_all(here, monkeypatch, most):
    """Each of many tensors may take the same bytes of one file; 300 are enough for each of two, not for both."""
    monkeypatch.setattr(external_data, "MOST_BYTES", most)
    Path("w.bin").write_bytes(bytes(288))
    model = with_external(float_model(), location="w.bin", length=144)
    put(with_external(model, 2, location="w.bin", length=288))
    assert refused(here) == f"model.onnx: tensor c2: a model may have at most {most} bytes of data in other files"


def test_data_elsewhere_may_fill_a_file_and_the_bound(here, monkeypatch):
    """To the last byte of the file, and with as many bytes as a model may have."""
    monkeypatch.setattr(external_data, "MOST_BYTES", 144)
    Path("w.bin").write_bytes(bytes(56) + W)
    put(with_external(float_model(), location="w.bin", offset=56, length=144))
    assert read_onnx_model(Path("model.onnx")) == float_model()


def test_what_is_marked_in_one_way_alone_is_found():
    """Data in another file by the location alone, or by the entries alone."""
    for changed in ("location", "entries"):
        model = with_external(float_model(), location="../w.bin")
        tensor = model.graph.initializer[0]
        if changed == "location":
            del tensor.external_data[:]
        else:
            tensor.ClearField("data_location")
        with pytest.raises(InputError) as error:
            external_data.load_external(model, Path("m.onnx"))
        assert str(error.value).startswith("m.onnx: tensor c0: its data lie in ")


def test_tensors_wherever_a_model_has_some():
    """In sparse tensors, in lists of attributes, and in lists of graphs."""
    hidden = helper.make_tensor("hidden", TensorProto.FLOAT, [1], [0.0])
    hidden.ClearField("float_data")
    hidden.data_location = TensorProto.EXTERNAL
    hidden.external_data.add(key="location", value="../w.bin")
    plain = helper.make_tensor("plain", TensorProto.INT64, [1], [0])
    sparse = [helper.make_sparse_tensor(*parts, [4]) for parts in ((hidden, plain), (plain, hidden))]
    inner = helper.make_graph([helper.make_node("Constant", [], ["h"], value=hidden)], "inner", [], [])
    given = [{"sparse_value": one} for one in sparse]
    given += [{"many": [plain, hidden]}, {"many": [sparse[0]]}, {"bodies": [inner]}]
    models_ = []
    for one in given:
        model = float_model()
        model.graph.node.append(helper.make_node("Constant", [], ["h"], **one))
        models_.append(model)
    for one in sparse:
        model = float_model()
        model.graph.sparse_initializer.append(one)
        models_.append(model)
    for model in models_:
        with pytest.raises(InputError, match="^m.onnx: tensor hidden: its data lie in '../w.bin', outside the mo"):
            external_data.load_external(model, Path("m.onnx"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": [1 << 40, 1 << 40]}, "a model may have at most 1073741824 bytes of data in other files"),
        ({"dims": [-1, 9]}, "type 1 and shape [-1, 9] have no size in bytes"),
        ({"data_type": TensorProto.STRING}, "type 8 and shape [4, 1, 3, 3] have no size in bytes"),
        ({"data_type": 77}, "type 77 and shape [4, 1, 3, 3] have no size in bytes"),
    ],
)
def test_shapes_without_a_size_are_refused(here, changes, message):
    model = with_external(float_model(), location="w.bin")
    tensor = model.graph.initializer[0]
    if "dims" in changes:
        del tensor.dims[:]
        tensor.dims.extend(changes["dims"])
    tensor.data_type = changes.get("data_type", tensor.data_type)
    put(model)
    assert refused(here) == f"model.onnx: tensor c0: {message}"


def test_tensors_in_attributes_subgraphs_and_functions_are_found(here):
    hidden = helper.make_tensor("hidden", TensorProto.FLOAT, [1], [0.0])
    hidden.ClearField("float_data")
    hidden.data_location = TensorProto.EXTERNAL
    hidden.external_data.add(key="location", value="/etc/hostname")
    inner = helper.make_graph([helper.make_node("Constant", [], ["h"], value=hidden)], "inner", [], [])
    for given in ({"value": hidden}, {"then_branch": inner, "else_branch": inner}):
        model = float_model()
        operator = "Constant" if "value" in given else "If"
        model.graph.node.append(helper.make_node(operator, ["x"][: len(given) - 1], ["h"], **given))
        put(model)
        assert refused(here) == f"model.onnx: tensor hidden: its data lie in '/etc/hostname', {OUTSIDE}"
    model, opset = float_model(), [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", [], ["h"], list(inner.node), opset))
    put(model)
    assert refused(here) == f"model.onnx: tensor hidden: its data lie in '/etc/hostname', {OUTSIDE}"


CONTENTS = {
    "empty": (b"", "model.onnx is empty"),
    "text": (b"not a model at all\n" * 9, "model.onnx is no ONNX model: "),
    "no nodes": (onnx.ModelProto(ir_version=8).SerializeToString(), "model.onnx is no ONNX model: it has no nodes"),
    "truncated": (float_model().SerializeToString()[:-20], "model.onnx is no ONNX model: "),
    "deep": (b"\x3a\xff\xff\xff\xff\x07" * 200, "model.onnx is no ONNX model: "),
}


@pytest.mark.parametrize(("content", "message"), CONTENTS.values(), ids=CONTENTS)
def test_files_that_are_no_models_are_refused(here, content, message):
    put(content)
    assert refused(here).startswith(message)
    assert refused(here, "import", "model.onnx", "--out", "q").startswith(message)


PATHS = {
    ".": "cannot read .: not a file",
    "gone.onnx": "cannot read gone.onnx: No such file or directory",
    "model.onnx/x": "cannot read model.onnx/x: Not a directory",
    "pipe": "cannot read pipe: not a file",
    "/dev/zero": "cannot read /dev/zero: not a file",
    "a\x1b[31m\nb": "cannot read a\\x1b[31m\\nb: No such file or directory",
}


@pytest.mark.parametrize(("path", "message"), PATHS.items())
def test_paths_that_hold_no_file_are_refused(here, path, message):
    os.mkfifo("pipe")
    assert refused(here, "import", path, "--out", "q") == message
    assert refused(here, "quantize", path, "--calibration", "data.npz", "--out", "q") == message


def test_large_files_are_refused_before_they_are_understood(here, monkeypatch):
    monkeypatch.setattr(models, "MOST_BYTES", 100)
    assert refused(here) == "model.onnx has more than 100 bytes, the most that is read"


def test_a_model_of_huge_declared_size_is_refused(here):
    chain = Chain((1 << 40,))
    put(chain.add("MatMul", np.ones((3, 3), np.float32)).model(17))
    assert "model.onnx" in refused(here)
    put(Chain(SHAPE).add("Relu").model(17))
    assert refused(here) == "model.onnx: the model has no products"


def field(number, content):
    """A field of a protobuf message that holds bytes."""
    size, length = len(content), b""
    while size >= 128:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_graphs_within_graphs_without_end_are_refused(here):
    graph = b""
    for _ in range(5000):
        graph = field(1, field(5, field(6, graph)))  # graph.node, node.attribute, attribute.g
    put(field(7, graph))
    assert refused(here).startswith("model.onnx is no ONNX model: ")


@pytest.mark.parametrize("dims", [[1 << 40, 1 << 40], [1 << 62, 4], [-4, 1, 3, 3], [4, 1, 3, 4]], ids=str)
def test_tensors_that_are_smaller_than_they_say_are_refused(here, dims):
    model = float_model()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    put(model)
    message = refused(here)
    assert message.startswith("model.onnx is no valid ONNX model: ") and "(tensor name: c0)" in message


def test_names_that_are_no_text_are_refused(here):
    put(float_model().SerializeToString().replace(b"relu1", b"\xff\xfe\xfa\xfb\xfc"))
    assert refused(here) == "model.onnx is no valid ONNX model: a name in it is not UTF-8"


def test_invalid_models_are_refused_by_onnx(here):
    model = float_model()
    model.graph.node[0].attribute.append(helper.make_attribute("no_such", 1))
    put(model)
    message = refused(here)
    assert message.startswith("model.onnx is no valid ONNX model: ") and "no_such" in message


NAMES = [
    "a'\"b",
    "a\nb",
    "../../up",
    "/abs/x",
    "\x1b[31mred",
    "[bold]x[/bold]",
    "",
    "x" * 400,
    "con:weights=int8",
    "é\u202e",
]


def test_names_of_nodes_become_harmless_names_of_files(here):
    """And are told on one line each, without colours."""
    for name in NAMES:
        chain = float_chain()
        chain.nodes[-1].name = name
        put(chain.model(17))
        said = done(*QUANTIZE)
        assert len(done("report", "q").splitlines()) == 10
        assert all(char.isprintable() or char == "\n" for char in said) and "red" not in said.replace("31mred", "")
        for path in Path("q").rglob("*"):
            assert path.name.isascii() and path.name.isprintable() and len(path.name) <= 64
        assert sorted(path.name for path in here.iterdir()) == ["home", "secret.bin"]


def mutations(content, count, seed):
    draw = random.Random(seed)
    for _ in range(count):
        data = bytearray(content)
        for _ in range(draw.randint(1, 6)):
            data[draw.randrange(len(data))] = draw.choice((0, 1, 7, 127, 128, 255, draw.randrange(256)))
        yield bytes(data[: draw.choice((len(data), len(data), draw.randrange(len(data))))])


@pytest.mark.parametrize("words", [QUANTIZE, ("import", "model.onnx", "--out", "q")], ids=["quantize", "import"])
def test_damaged_models_end_in_one_line(here, words):
    sound = Maker(1, (5, 4, 2)).conv(3, (2, 2)).content if words[0] == "import" else float_model().SerializeToString()
    codes = set()
    for content in mutations(sound, 60, seed=5):
        put(content)
        result = command(*words)
        codes.add(result.code)
        assert result.code in (0, 2) and result.err.count("\n") == (result.code == 2), content
    assert codes == {0, 2}


def test_reading_leaves_a_model_whole(here):
    model = read_onnx_model(Path("model.onnx"))
    assert model == float_model()
