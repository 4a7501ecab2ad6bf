"""Counts that the benchmarks print are exact: LUTs and flip-flops of one element, lines of Verilog."""

import importlib.metadata
import re
from functools import cache
from pathlib import Path

import pytest

from benchmarks import blocks, elements, generation, luts, precision, requantizers, trits
from hdl.cells import WITHOUT_DSP, Cells
from hdl.cells import cells as cells_of
from hdl.verilog import to_verilog

COUNTED_WITH = "0.70"
element = cache(luts.element)
COUNTS = {
    ("int4", "int4", 4, "logic"): {"xc7": (144, 159), "ecp5": (218, 162), "ice40": (212, 162)},
    ("int4", "int4", 4, "dsp"): {"xc7": (168, 132), "ecp5": (344, 132), "ice40": (236, 132)},
    ("int8", "int8", 4, "logic"): {"ecp5": (664, 438), "ice40": (652, 438)},
    ("int8", "apot5", 4, "logic"): {"ecp5": (428, 346), "ice40": (415, 346)},
    ("bipolar", "bipolar", 64, "logic"): {"xc7": (155, 296), "ecp5": (224, 339), "ice40": (197, 315)},
}


REQUANTIZERS = {
    "shift": {"ecp5": Cells(385, 264, 0, 0, 0), "ice40": Cells(320, 264, 0, 0, 0)},
    "tflite": {"ecp5": Cells(664, 632, 4, 0, 0), "ice40": Cells(526, 600, 4, 0, 0)},
    "mult16": {"ecp5": Cells(548, 537, 2, 0, 0)},
    "float32": {"ecp5": Cells(849, 995, 4, 0, 0), "ice40": Cells(804, 938, 4, 0, 0)},
    "dynamic, to uint8": {"ecp5": Cells(839, 516, 0, 0, 0), "ice40": Cells(821, 516, 0, 0, 0)},
    "255 thresholds, binary": {"ecp5": Cells(415, 278, 0, 42, 3), "ice40": Cells(373, 425, 0, 0, 12)},
    "15 thresholds, binary, int4": {"xc7": Cells(86, 106, 0, 20, 0), "ecp5": Cells(151, 106, 0, 28, 0)},
    "15 thresholds, parallel, int4": {"ecp5": Cells(451, 836, 0, 0, 0), "ice40": Cells(442, 836, 0, 0, 0)},
}


def counted_with():
    if (installed := importlib.metadata.version("pyosys")) != COUNTED_WITH:
        pytest.skip(f"counted with pyosys {COUNTED_WITH}, not {installed}")


@pytest.mark.parametrize(
    ("case", "target", "expected"),
    [(case, target, counts) for case, targets in COUNTS.items() for target, counts in targets.items()],
)
def test_luts_and_flip_flops(case, target, expected):
    counted_with()
    assert element(*case, target) == expected


@pytest.mark.parametrize(
    ("name", "target", "expected"),
    [(name, target, cells) for name, targets in REQUANTIZERS.items() for target, cells in targets.items()],
)
def test_cells_of_requantizers(name, target, expected):
    counted_with()
    assert requantizers.measured(name, target) == expected


def test_docs_have_the_cells_of_blocks():
    counted_with()
    text = (Path(__file__).resolve().parent.parent / "docs" / "hardware.md").read_text()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\| mx.*\|$", text, re.M)]
    told = {tuple(row[:2]): row for row in rows if len(row) == 8}
    assert set(told) == {(name, sums) for name in blocks.NAMES for sums in blocks.SUMS}
    for name, sums in (("mxfp4", "exact"), ("mxfp4", "float32")):
        *_, cells, levels = told[name, sums]
        assert str(blocks.measured(name, sums, "ice40")) == cells
    assert str(blocks.levels(name, sums)) == levels


@pytest.mark.parametrize("array", ["weight_stationary", "bit_serial"])
def test_docs_have_the_cells_of_elements(array):
    counted_with()
    text = (Path(__file__).resolve().parent.parent / "docs" / "hardware.md").read_text()
    rows = {row[0]: row for row in (re.split(r" *\| *", line)[1:-1] for line in re.findall(r"^\|.*\|$", text, re.M))}
    assert {name: rows[name][1] for name in elements.LANES} == {name: str(n) for name, n in elements.LANES.items()}
    assert rows[array][-1] == "{} / {}".format(*elements.measured(array, "ice40"))


def test_luts_of_trits():
    counted_with()
    assert {target: trits.unpacker(target) for target in ("ecp5", "ice40")} == {"ecp5": (81, 10), "ice40": (35, 10)}


def test_cells_of_a_report():
    log = " 3   LUT2\n 4   CCU2C\n 2   SRL16E\n 5   FDRE\n 6   DSP48E1\n 7   RAM64M\n 1   RAMB18E1\n 9   CARRY4\n"
    cells = cells_of(log)
    assert cells == Cells(lut=3 + 8 + 2, ff=5, dsp=6, lut_ram=7, block_ram=1)
    assert str(cells) == "13 / 5, 6 DSP, 7 LUT RAM, 1 block RAM"


PRECISION = {"scalable": (291, 328), "four sets": (613, 306)}


@pytest.mark.parametrize("name", PRECISION)
def test_cells_of_elements_whose_precision_is_chosen_at_run_time(name):
    """Half of what four sets take that share nothing."""
    counted_with()
    assert precision.measured(name, 1, "xc7") == PRECISION[name]


@pytest.mark.parametrize("target", WITHOUT_DSP)
def test_logic_is_smaller_than_plain(target):
    case = ("int4", "int4", 4)
    assert element(*case, "logic", target)[0] < 0.65 * luts.synthesize(luts.plain(*case), "plain", target)[0]


def test_counts_of_a_report():
    log = "=== x ===\n   9 cells\n   3   LUT2\n   2   LUT6\n   4   CCU2C\n   5   FDRE\n   1   SB_LUT4\n   6   CARRY4\n"
    assert luts.counts(log) == (3 + 2 + 8 + 1, 5)


def test_lines_grow_with_rows_plus_columns():
    lines = [to_verilog(generation.spec(size)).count("\n") for size in (8, 16, 32)]
    growth = [after / before for before, after in zip(lines, lines[1:], strict=False)]
    assert max(growth) < 2
