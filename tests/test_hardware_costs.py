"""Costs of networks in hardware: cycles against those of operands, LUTs against whole arrays."""

from dataclasses import replace

import numpy as np
import pytest
from test_network_costs import network, product

from bittrue.errors import InputError
from bittrue.hardware_costs import Cycles, Luts, placed
from golden.formats import parse
from golden.precision import most_bits
from golden.spec import Spec
from golden.tensors import operands
from hdl.cells import WITHOUT_DSP, cells, report_of
from hdl.verilog import to_verilog
from network.arrays import KINDS, Array
from network.costs import Charge
from network.layers import AveragePool
from network.shapes import Reshape, Window
from sim.stimulus import random_arrays
from sim.streams import tiling

INT4, INT8, UINT4 = parse("int4"), parse("int8"), parse("uint4")


def spec_of(array, activations="int4", weights="int4", **fields):
    given = dict(rows=2, cols=3, lanes=2, depth=40, bias=parse("int16"), requantize="multiplier", output=INT8)
    return Spec(activations=parse(activations), weights=parse(weights), array=array, **given | fields)


DESIGNS = [spec_of(array) for array in KINDS if array != "matrix_vector"] + [
    spec_of("vector", rows=1),
    spec_of("output_stationary", requantize="thresholds", bias=None, output=INT4),
    spec_of("bit_serial", "uint4", "int3", a_zero_point=True),
    spec_of("scalable", "int8"),
    spec_of("scalable", "uint2", "int2"),
    spec_of("weight_stationary", pass_rows=5),
    spec_of("matrix_vector", rows=1),
]


@pytest.mark.parametrize("spec", DESIGNS, ids=lambda spec: f"{spec.array} {spec.activations} {spec.requantize}")
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (7, 33, 8), (13, 40, 3)])
def test_cycles_of_a_shape_are_those_of_its_operands(spec, m, k, n):
    arrays = random_arrays(spec, m=m, k=k, n=n, seed=1)
    if spec.array == "bit_serial":
        arrays |= {f"{name}_bits": np.array(most_bits(getattr(spec, f"{name}_range"))) for name in ("a", "w")}
    if spec.array == "scalable":
        modes = {("int4", "int4"): 2, ("int8", "int4"): 1, ("uint2", "int2"): 3}
        arrays["mode"] = np.array(modes[str(spec.activations), str(spec.weights)])
    assert placed(spec, m, k, n).cycles == tiling(spec, operands(spec, arrays)).cycles


def convolutions():
    window = Window((3, 3), stride=(2, 2))
    size = {"cols": 3, "lanes": 2}
    layers = [
        product("conv", 9 * 2, 4, INT4, INT4, window, requantize="shift", output=UINT4, rows=2, **size),
        AveragePool("mean", Window((2, 2)), *[_grid(UINT4)] * 2, "tflite-micro"),
        product(
            "apart", 4, 4, UINT4, INT4, Window((2, 2)), array="vector", rows=1, requantize="shift", output=INT4, **size
        ),
        Reshape("flat", (-1,)),
        product("last", 4, 5, INT4, INT4, rows=2, **size),
    ]
    return network(layers, (7, 7, 2))


def _grid(fmt):
    from network.grid import Grid

    return Grid(fmt)


@pytest.mark.parametrize("kind", KINDS)
def test_cycles_of_a_network(kind):
    array = Array(kind=kind, rows=2, cols=3, lanes=2)
    conv, apart, last = array.placed(convolutions()).products
    assert Cycles(3).charges(array.placed(convolutions())) == (
        Charge(placed(conv.spec, 27, 18, 4).cycles),
        Charge(placed(apart.spec, 3, 4, 4).cycles),
        Charge(placed(last.spec, 3, 4, 5).cycles),
    )
    assert (conv.spec.array, apart.spec.array, last.spec.array) == (kind, "vector", kind)


def test_bit_planes_take_as_long_as_they_are_many():
    conv = convolutions().products[0]
    wide = product("conv", 18, 4, INT8, INT8, conv.window, rows=2, cols=3, lanes=2)
    cycles = [Cycles(3).of(replace(one, spec=one.spec.with_(array="bit_serial")), (7, 7, 2)) for one in (conv, wide)]
    assert cycles[1] > 3.5 * cycles[0]


def test_luts_are_those_of_all_elements_and_requantizers():
    spec = spec_of("output_stationary", "int2", "int2", lanes=1, requantize="none", bias=None, output=None)
    luts = Luts()
    counted = luts.of(spec)
    whole = cells(report_of(to_verilog(spec), WITHOUT_DSP["ice40"].format(top="mac_array"))).lut
    assert 0.5 * whole < counted < whole  # the rest is what an array has once
    assert luts.of(spec.with_(rows=4)) == counted + 6 * luts.of(spec.with_(cols=1, rows=2)) - 6 * luts.of(
        spec.with_(cols=1, rows=1)
    )


def test_designs_alike_are_synthesized_once(monkeypatch):
    from bittrue import hardware_costs

    made = []
    monkeypatch.setattr(hardware_costs, "report_of", lambda verilog, flow: made.append(flow) or "  7  SB_LUT4\n")
    spec = spec_of("output_stationary", "int2", "int2", requantize="none", bias=None, output=None)
    luts = Luts()
    assert luts.of(spec.with_(depth=33)) == luts.of(spec) == (6 + 3) * 7
    assert luts.of(spec.with_(depth=33, rows=4, cols=5, name="other")) == (20 + 5) * 7
    assert len(made) == 2
    assert spec.with_(depth=9).accumulator_width != spec.accumulator_width
    luts.of(spec.with_(depth=9))
    assert len(made) == 4
    vector = spec_of("vector", "int2", "int2", requantize="none", bias=None, output=None, rows=1)
    assert Luts("xc7").of(vector) == (3 + 3) * 7
    assert made[-2].startswith("synth_xilinx") and made[-2].endswith("-top mac_array_channel")


def test_luts_of_other_arrays_are_refused():
    message = "LUTs are counted of arrays output_stationary, vector, not 'weight_stationary'"
    with pytest.raises(InputError, match=f"^{message}$"):
        Luts().of(spec_of("weight_stationary"))
