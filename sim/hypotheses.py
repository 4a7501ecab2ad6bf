"""What may be wrong with hardware, as one table of faults."""

from collections.abc import Iterator

from .faults_blocks import block_faults
from .faults_channels import channel_faults
from .faults_dynamic import in_whole
from .faults_float_sums import float_sum_faults
from .faults_layers import layer_faults
from .faults_modes import mode_faults
from .faults_outputs import output_faults
from .faults_passes import pass_faults
from .faults_planes import plane_faults
from .faults_residual import residual_faults
from .faults_sums import sum_faults
from .faults_tiles import tile_faults
from .machine import Hypothesis, Machine

STEPS = (
    "decode",
    "product",
    "sum",
    "bias",
    "scale",
    "round",
    "zero point",
    "range",
    "clip",
    "threshold",
    "table",
    "parameters",
    "order",
    "unknown",
)


def hypotheses(machine: Machine) -> Iterator[Hypothesis]:
    """Every fault that this design and this product could show, the commoner of each kind first."""
    of_arrays = (plane_faults, mode_faults, block_faults, float_sum_faults)
    sums = (*of_arrays, sum_faults, pass_faults, residual_faults)
    for faults in (output_faults, *sums, tile_faults, channel_faults, layer_faults):
        for fault in faults(machine):
            yield in_whole(fault) if machine.spec.requantize == "dynamic" else fault
