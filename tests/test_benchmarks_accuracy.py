"""docs/networks.md has the accuracies of `python -m benchmarks accuracy`; trained networks reach what they must."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import accuracy
from benchmarks.accuracy import BLOCKS, WEIGHTS, Job, bits
from examples.digits.float_networks import NAMES

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "networks.md").read_text(encoding="utf-8")
POINTS = 2.0


def written():
    """Cells of the table in the document: row and column to text."""
    table = re.search(r"<!-- accuracy -->\n(.*?)<!-- end -->", TEXT, re.DOTALL)
    assert table is not None
    header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].strip().splitlines()]
    assert [row[0] for row in rows] == ["float32", *WEIGHTS, *BLOCKS]
    return {(row[0], column): cell for row in rows for column, cell in zip(header, row, strict=True)}


@pytest.mark.parametrize("model", NAMES)
def test_trained_networks_are_within_two_points_of_float(model):
    cells = written()
    for weights in (*WEIGHTS, *BLOCKS):
        reached = float(cells[weights, f"{model.upper()} trained"])
        assert reached >= float(cells["float32", f"{model.upper()} trained"]) - POINTS, weights


@pytest.mark.parametrize("weights", ["int8", "int2", "bipolar", "codebook4", "mxfp4"])
@pytest.mark.parametrize("model", NAMES)
def test_what_quantization_reaches(model, weights):
    """Not the columns of adaptive rounding and training, which follow the last bits of float32."""
    pytest.importorskip("sklearn", reason="scikit-learn is missing, which brings the digits: pip install scikit-learn")
    cells = written()
    assert f"{Job(model, weights, 'quantized')():.1f}" == cells[weights, f"{model.upper()} quantized"]
    assert f"{accuracy.right(accuracy.float_network(model)):.1f}" == cells["float32", f"{model.upper()} quantized"]


def test_bits_count_a_share_of_the_scale():
    cells = written()
    assert [cells[name, "bits"] for name in (*WEIGHTS, *BLOCKS)] == [bits(name) for name in (*WEIGHTS, *BLOCKS)]
    assert (bits("int3"), bits("bipolar"), bits("mxfp4"), bits("mxfp6_e2m3")) == ("3", "1", "4.25", "6.25")


def test_the_document_says_how_many_seeds():
    assert f"the mean of {['one', 'two', 'three'][len(accuracy.SEEDS) - 1]} seeds" in TEXT


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A benchmark of one row, and two documents, one of which has its marks."""
    module = SimpleNamespace(__doc__="Small.", table=lambda: [["a", 1]])
    monkeypatch.setattr(benchmarks, "BENCHMARKS", ("small",))
    monkeypatch.setitem(sys.modules, "benchmarks.small", module)
    documents = tmp_path / "one.md", tmp_path / "two.md"
    documents[0].write_text("nothing\n")
    documents[1].write_text("<!-- small -->\nold\n<!-- end -->\n<!-- other -->\nkept\n<!-- end -->\n")
    monkeypatch.setattr(benchmarks, "DOCUMENTS", documents)
    return module, documents


def test_a_table_goes_where_its_marks_are(small, capsys):
    _, documents = small
    benchmarks.main([], readme=True)
    assert capsys.readouterr().out == "\n## small\n\nSmall.\n\n| a | 1 |\n"
    assert documents[0].read_text() == "nothing\n"
    kept = "<!-- other -->\nkept\n<!-- end -->\n"
    assert documents[1].read_text() == f"<!-- small -->\n\n| a | 1 |\n\n<!-- end -->\n{kept}"


def test_a_table_with_gaps_is_not_written(small, capsys):
    module, documents = small
    module.WHOLE_WITH = ("sys", "a_package_that_is_not_there")
    before = documents[1].read_text()
    benchmarks.main(["small"], readme=True)
    assert capsys.readouterr().out.endswith("\nnot written: the whole table needs a_package_that_is_not_there\n")
    assert documents[1].read_text() == before


def test_an_unknown_benchmark(small):
    with pytest.raises(SystemExit) as stopped:
        benchmarks.main(["large"], readme=False)
    assert str(stopped.value) == "no benchmark 'large'; there are small"
