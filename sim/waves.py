"""GTKWave save files."""

from pathlib import Path

from golden.spec import Spec

from .bench import PERIOD_NS, RESET_CYCLES

_SIGNALS = ("aclk", "aresetn", "cycle")


def save_file(spec: Spec, waves: Path, cycle: int) -> str:
    """A save file that shows the streams and opens, with the marker, on a cycle counted from the end of reset."""
    time_ps = (RESET_CYCLES + cycle) * PERIOD_NS * 1000
    streams = ["s_axis_a", "s_axis_w", *(["s_axis_p"] if spec.parameters else []), "m_axis_y"]
    lines = [
        "[*] bittrue",
        f'[dumpfile] "{waves.name}"',
        f"[timestart] {max(0, time_ps - 20 * PERIOD_NS * 1000)}",
        f"*-14.0 {time_ps} -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1",
        *(f"bench.{name}" for name in _SIGNALS),
    ]
    for stream in streams:
        lines.append(f"-{stream}")
        lines += [f"bench.dut.{stream}_{part}" for part in ("tvalid", "tready", "tlast", "tdata")]
    return "\n".join(lines) + "\n"
