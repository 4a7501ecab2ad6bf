"""GTKWave save files."""

from pathlib import Path

from golden.spec import Spec
from hdl.array import GROUP
from hdl.kinds import kind_of
from hdl.weight_element import partial_shape

from .clock import PERIOD_NS, RESET_CYCLES

BEFORE = 20  # cycles shown before the marker


def save_file(spec: Spec, waves: Path, cycle: int, row: int, col: int) -> str:
    """A save file that shows the streams and what sums the output: one processing element, or a column of them.

    It opens with the marker in a cycle, counted from the end of reset: that in which the output beat was accepted.
    """
    period_ps = PERIOD_NS * 1000
    time_ps = (RESET_CYCLES + cycle) * period_ps - period_ps // 2
    lines = [
        "[*] bittrue",
        f'[dumpfile] "{waves.name}"',
        f"[timestart] {max(0, time_ps - BEFORE * period_ps)}",
        f"*-14.0 {time_ps}" + " -1" * 26,
        *(f"bench.{name}" for name in ("aclk", "aresetn", "cycle[31:0]")),
    ]
    for stream, beat in _streams(spec).items():
        lines.append(f"-{stream}")
        lines += [f"bench.dut.{stream}_{part}" for part in ("tvalid", "tready", "tlast")]
        lines.append(f"bench.dut.{stream}_tdata[{8 * beat.bytes - 1}:0]")
    inside = {"output_stationary": _element, "weight_stationary": _weight_column}.get(spec.array, _nothing)
    return "\n".join([*lines, *inside(spec, row, col)]) + "\n"


def _streams(spec):
    kind = kind_of(spec)
    inputs = {f"s_axis_{name}": beat for name, beat in kind.inputs(spec).items()}
    return inputs | {f"m_axis_{name}": beat for name, beat in kind.outputs(spec).items()}


def _nothing(spec, row, col):
    return []


def _weight_column(spec, row, col):
    path = f"bench.dut.array.columns_{col - col % GROUP}.column_{col % GROUP}"
    total = f"[{partial_shape(spec, spec.rows).width - 1}:0]"
    return [
        f"-column {col}: its first and its last element, its accumulators",
        f"{path}.row_0.marks_in[1:0]",
        f"{path}.row_{spec.rows - 1}.marks_in[1:0]",
        f"{path}.row_{spec.rows - 1}.sum_out{total}",
        *(f"bench.dut.array.accumulator_{col}.{name}" for name in ("valid", "first", f"sum{total}")),
        f"bench.dut.array.accumulator_{col}.acc[{spec.accumulator_width - 1}:0]",
    ]


def _element(spec, row, col):
    path = f"bench.dut.array.columns_{col - col % GROUP}.column_{col % GROUP}.row_{row}"
    bits = f"[{spec.accumulator_width - 1}:0]"
    return [
        f"-element in row {row}, column {col}",
        f"{path}.flags_in[2:0]",
        f"{path}.acc{bits}",
        f"{path}.drain_out{bits}",
    ]
