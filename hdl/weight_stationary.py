"""The weight-stationary systolic array: entry, columns of elements, accumulators, requantizers."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from golden.spec import Spec

from . import weight_timing
from .accumulators import Accumulator
from .array import GROUP, words_from
from .mac import w_bundle_width
from .multiply import dot_product
from .output import OutputStage
from .requantize import require_hardware
from .share import shared
from .skew import skewed
from .stream import array_ports, connect_ports
from .weight_column import WeightColumns
from .weight_element import MARKS, partial_shape
from .weight_entry import WeightEntry
from .weight_layout import input_beats, output_beats
from .weight_schedule import WeightSchedule
from .words import unused


class WeightStationaryArray(wiring.Component):
    """Y = requantize(A @ W), pass by pass: rows of A past a block of W, `rows` * `lanes` by `cols`, that stays.

    Streams (layout of the beats: hdl/weight_layout.py): `w` brings `rows` beats per pass, `a` one beat for each of up
    to `pass_rows` rows of A; `last` ends a weight tile and a pass. Sums over more than one pass wait in a memory of
    `pass_rows` accumulators per column. `p`, where the design takes parameters, brings one set per tile, that is per
    final pass, in order. `y` gives one beat for each row of A in a final pass, in order. `unsorted`, where there are
    thresholds, rises until reset when some come out of order.

    Passes of b rows follow each other every max(b, rows) cycles: weights load behind the pass before. A stall on `y`
    holds the whole array; a parameter set that is late holds all but the requantizers; missing beats on `a` pass
    through as bubbles, missing ones on `w` only make the next pass begin later.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        require_hardware(spec)
        self.spec = spec
        self.module_name = f"{spec.name}_array"
        self._element_latency = dot_product(spec).latency
        super().__init__(array_ports(spec, input_beats(spec), output_beats(spec)))

    @property
    def latency(self):
        """Cycles from a beat of a final pass on `a` to its beat on `y`."""
        return weight_timing.latency(self.spec)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec
        enable = Signal()
        entry = WeightEntry(spec)
        schedule = WeightSchedule(spec, element_latency=self._element_latency)
        output = OutputStage(spec)
        m.submodules.entry = shared(platform, entry)
        m.submodules.schedule = shared(platform, schedule)
        m.submodules.output_stage = shared(platform, output)
        connect_ports(m, entry, self, ("a", "w"))
        connect_ports(m, output, self, ("p", "y", "unsorted"))
        m.d.comb += [entry.enable.eq(enable), schedule.enable.eq(enable)]
        m.d.comb += [schedule.marks.eq(entry.marks), schedule.row_marks.eq(entry.row_marks)]
        sums = self._grid(m, platform, enable, entry, schedule)
        m.d.comb += [
            enable.eq(output.enable),
            output.acc.eq(self._accumulators(m, platform, enable, schedule, sums)),
            output.take.eq(schedule.take),
            output.valid.eq(schedule.y_valid),
            output.last.eq(schedule.y_last),
        ]
        return m

    def _grid(self, m, platform, enable, entry, schedule):
        """The columns, activations skewed by row, weights and their marks by column.

        Returns the sums of one row of A, aligned, the last column's first: that is the order in which they are late.
        """
        spec = self.spec
        width = partial_shape(spec, spec.rows).width
        a = skewed(m, platform, "a_skew", enable, spec.name, spec.rows, entry.a_out)
        w = skewed(m, platform, "w_skew", enable, spec.name, spec.cols, entry.w_out)
        sums = []
        for first in range(0, spec.cols, GROUP):
            count = min(GROUP, spec.cols - first)
            columns = WeightColumns(spec, count)
            m.submodules[f"columns_{first}"] = shared(platform, columns)
            m.d.comb += [
                columns.enable.eq(enable),
                columns.a_in.eq(a),
                columns.w_in.eq(words_from(w, first, count, w_bundle_width(spec))),
                columns.marks_in.eq(words_from(schedule.column_marks, first, count, MARKS.size)),
            ]
            a = columns.a_out
            sums += [columns.sums.word_select(index, width) for index in range(count)]
        m.d.comb += unused(a, "a")
        return skewed(m, platform, "sum_skew", enable, spec.name, spec.cols, Cat(reversed(sums)))

    def _accumulators(self, m, platform, enable, schedule, sums):
        """The accumulators of one row of A, in the order of the sums."""
        spec = self.spec
        shape = partial_shape(spec, spec.rows)
        acc = []
        for index in range(spec.cols):
            component = Accumulator(spec)
            m.submodules[f"accumulator_{spec.cols - 1 - index}"] = shared(platform, component)
            m.d.comb += [component.enable.eq(enable), component.sum.eq(sums.word_select(index, shape.width))]
            for name in ("valid", "first", "read_row", "write_row", "again"):
                if hasattr(component, name):
                    m.d.comb += getattr(component, name).eq(getattr(schedule, name))
            acc.append(component.acc)
        return Cat(*acc)
