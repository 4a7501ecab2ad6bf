"""The output-stationary systolic array: entry, columns of processing elements, drain, requantizers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from golden.spec import Spec

from . import timing
from .column import Columns
from .dynamic_stage import DynamicStage
from .entry import Entry
from .flags import flags_of
from .layout import input_beats, output_beats
from .mac import w_bundle_width
from .output import OutputStage
from .requantize import require_hardware
from .schedule import Schedule
from .share import shared
from .skew import skewed
from .stream import array_ports, connect_ports
from .words import unused

GROUP = 16  # columns in one module, so that the description grows with rows + cols


class Array(wiring.Component):
    """Y = requantize(A @ W), tile by tile, on rows x cols elements.

    Streams (layout of the beats: hdl/layout.py): `a` and `w` move together, one beat of each per cycle; the beat with
    `last` ends a tile on both. `p`, where the design takes parameters, brings one set per tile, in order. `y` gives
    `rows` beats per tile, the last row first, `last` on the final one; `q`, where scales are dynamic, gives one.
    `unsorted`, where there are thresholds, rises until reset when some come out of order.

    A tile of B beats takes max(B, rows) cycles; tiles follow each other without a gap. A stall on `y` holds the whole
    array; a parameter set that is late holds the elements, while the outputs of tiles before go on; missing beats on
    `a` or `w` pass through as bubbles. Where weights have a codebook, `c` brings one set of tables per tile, which
    begins once its set is complete.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        require_hardware(spec)
        self.spec = spec
        self.module_name = f"{spec.name}_array"
        super().__init__(array_ports(spec, input_beats(spec), output_beats(spec)))

    @property
    def latency(self):
        """Cycles from a tile's last beat on `a` and `w` to its first beat on `y`."""
        return timing.latency(self.spec)

    def cycles(self, beats_per_tile):
        """Cycles from the first beat in to the last beat out, as `hdl.timing.cycles` has it."""
        return timing.cycles(self.spec, beats_per_tile)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec
        enable = Signal()
        entry = Entry(spec)
        schedule = Schedule(spec)
        output = DynamicStage(spec) if spec.requantize == "dynamic" else OutputStage(spec)
        m.submodules.entry = shared(platform, entry)
        m.submodules.schedule = shared(platform, schedule)
        m.submodules.output_stage = shared(platform, output)
        connect_ports(m, entry, self, ("a", "w", "c"))
        connect_ports(m, output, self, ("p", "y", "q", "unsorted"))
        m.d.comb += [entry.enable.eq(enable), schedule.enable.eq(enable), schedule.flags.eq(entry.flags)]
        m.d.comb += [
            enable.eq(output.enable),
            output.acc.eq(self._grid(m, platform, enable, entry, schedule)),
            output.take.eq(schedule.take),
            output.valid.eq(schedule.valid),
            output.last.eq(schedule.last),
        ]
        return m

    def _grid(self, m, platform, enable, entry, schedule):
        """The columns, activations skewed by row, weights by column.

        Returns the accumulators of one row, aligned, the last column's first: that is the order in which they are late.
        """
        spec = self.spec
        acc = spec.accumulator_width
        a = skewed(m, platform, "a_skew", enable, spec.name, spec.rows, entry.a_out)
        w = skewed(m, platform, "w_skew", enable, spec.name, spec.cols, entry.w_out)
        drains = []
        for first in range(0, spec.cols, GROUP):
            count = min(GROUP, spec.cols - first)
            columns = Columns(spec, count)
            m.submodules[f"columns_{first}"] = shared(platform, columns)
            m.d.comb += [
                columns.enable.eq(enable),
                columns.a_in.eq(a),
                columns.w_in.eq(words_from(w, first, count, w_bundle_width(spec))),
                columns.flags_in.eq(words_from(schedule.column_flags, first, count, flags_of(spec).size)),
                columns.starts.eq(words_from(schedule.starts, first, count, 1)),
            ]
            a = columns.a_out
            drains += [columns.drains.word_select(index, acc) for index in range(count)]
        m.d.comb += unused(a, "a")
        return skewed(m, platform, "drain_skew", enable, spec.name, spec.cols, Cat(reversed(drains)))


def words_from(bundle, first, count, width):
    """`count` words of a bundle, from word `first` on."""
    return bundle[first * width : (first + count) * width]
