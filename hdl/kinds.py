"""The kinds of arrays by name: what each is built of, what its streams carry, how long it takes."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.lib import wiring

from golden.spec import Spec

from . import matrix_vector_timing, timing, weight_layout, weight_timing
from .array import Array
from .layout import Beat, input_beats, output_beats
from .matrix_vector import MatrixVector
from .matrix_vector_layout import mv_input_beats, mv_output_beats
from .vector import VectorUnit, vector_latency
from .vector_layout import vector_inputs
from .vector_timing import vector_described
from .weight_stationary import WeightStationaryArray


@dataclass(frozen=True)
class Kind:
    """One kind of array.

    component : the array of a spec; its streams in and out have the short names that `inputs` and `outputs` give.
    inputs, outputs : the beat of each stream, by short name.
    latency : cycles from a tile's last beat in to its first beat out; weight stationary: of the same row of A.
    timing : what the manifest says of time: `latency_is`, and `cycles`, a formula with `cycles_is`.
    """

    component: Callable[[Spec], wiring.Component]
    inputs: Callable[[Spec], dict[str, Beat]]
    outputs: Callable[[Spec], dict[str, Beat]]
    latency: Callable[[Spec], int]
    timing: Callable[[Spec], dict]


KINDS = {
    "output_stationary": Kind(Array, input_beats, output_beats, timing.latency, timing.described),
    "vector": Kind(VectorUnit, vector_inputs, output_beats, vector_latency, vector_described),
    "bit_serial": Kind(Array, input_beats, output_beats, timing.latency, timing.described_by_planes),
    "matrix_vector": Kind(
        MatrixVector, mv_input_beats, mv_output_beats, matrix_vector_timing.latency, matrix_vector_timing.described
    ),
    "weight_stationary": Kind(
        WeightStationaryArray,
        weight_layout.input_beats,
        weight_layout.output_beats,
        weight_timing.latency,
        weight_timing.described,
    ),
    "scalable": Kind(Array, input_beats, output_beats, timing.latency, timing.described_by_modes),
}


def kind_of(spec: Spec) -> Kind:
    """The kind of array that the spec names."""
    return KINDS[spec.array]
