"""Exchanges of a quantizer one by one on few numbers, their groups, and what nothing leaves."""

import numpy as np
import pytest

from golden.formats import parse
from network.errors.anatomy import Anatomy, Change, LayerErrors, shares
from network.errors.exchange import CAUSES, GROUPS, entry_stages, quantized
from network.errors.histograms import CodeHistogram
from network.errors.spread import Spread
from network.grid import Grid
from network.layers import Quantize
from network.measure import Error

INT4 = parse("int4")


def test_causes_belong_to_groups():
    """The table of docs/networks.md."""
    assert CAUSES == {
        "rounding": "rounding", "range": "range", "clipping": "clipping", "zero point": "range", "weights": "weights",
        "bias": "weights", "accumulator": "accumulator", "scale": "platform", "rule": "platform",
    }  # fmt: skip
    assert GROUPS == ("rounding", "range", "clipping", "weights", "accumulator", "platform")
    lost = Change("a", "weights", Error.between([1.0], [2.0]), 1.0, 3.0)
    assert shares([lost], 0.0) == shares([], 1.0) == dict.fromkeys(GROUPS, 0.0)
    assert shares([lost, lost], 8.0) == dict.fromkeys(GROUPS, 0.0) | {"weights": 0.5}


def stages(grid, values, bounds):
    spread = Spread.empty(values.min(), values.max()).with_(values)
    found = quantized(grid, values, np.rint(values / grid.scale.astype(np.float64)), spread, bounds)
    return {name: one.tolist() for name, one in found}


def test_a_quantizer_step_by_step():
    """Steps of 1 from -4 to 11; those of a grid that just covers -3..27 are 2, and the best sixteen end at 15."""
    values = np.array([-3.0, 0.4, 7.6, 26.6, 27.0])
    found = stages(Grid(INT4, np.float32(1), -4), values, (-8, 7))
    assert found == {
        "rounding": [-4, 0, 8, 26, 28],
        "range": [-3, 0, 8, 27, 27],
        "clipping": [0, 0, 8, 15, 15],
        "zero point": [-3, 0, 8, 11, 11],
    }


def test_channels_are_rounded_and_clipped():
    grid = Grid(INT4, np.float32([0.5, 2]), 1)
    found = stages(grid, np.array([[0.3, 3.1], [9.0, -99.0]]), (-8, 7))
    assert found == {"rounding": [[0.5, 4], [9, -100]], "clipping": [[0.5, 4], [3, -18]]}


def test_zeros_have_no_step():
    found = stages(Grid(INT4, np.float32(1), 0), np.zeros(3), (-8, 7))
    assert found == dict.fromkeys(("rounding", "range", "clipping", "zero point"), [0, 0, 0])


@pytest.mark.parametrize(("name", "ends"), [("int4", (-7, 7)), ("uint4", (0, 14))])
def test_narrow_entries_leave_a_code_out(name, ends):
    entry = Quantize("in", Grid(parse(name), np.float32(1)), narrow=True)
    values = np.array([-99.0, 0.0, 99.0])
    spread = Spread.empty(-99, 99).with_(values)
    found = {cause: one.tolist() for cause, one in entry_stages(entry, values, values, spread)}
    assert found["zero point"] == found["rule"] == [ends[0], 0, ends[1]]


def test_a_network_without_layers_gives_what_enters_it():
    entry = LayerErrors("in", Error.between([1.0], [1.5]))
    assert Anatomy(1, True, True, entry, (), ()).output is entry.accumulated
    layer = LayerErrors("a", Error.between([1.0], [2.0]))
    assert Anatomy(1, True, True, entry, (layer,), ()).output is layer.accumulated


def test_histograms_of_16_bits_and_no_more():
    assert len(CodeHistogram.empty("a", -32768, 32767).used) == 65536
    with pytest.raises(ValueError) as error:
        CodeHistogram.empty("a", -32768, 32768)
    assert str(error.value) == "layer a: a histogram must be of at most 65536 codes, not 65537"
