"""Codebooks: how tables of entries are loaded, and how a column looks its codes up."""

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Shape, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .layout import c_beat, c_beats
from .stream import packet


def _entry_width(spec: Spec):
    return c_beat(spec).width // spec.cols


def told_layout(spec: Spec):
    """What every column hears while tables are loaded.

    `valid`: `value` is entry `index` of the table that is being loaded; `bank`: which of both tables is in use.
    """
    return data.StructLayout({"valid": 1, "bank": 1, "index": range(c_beats(spec)), "value": _entry_width(spec)})


class CodebookLoader(wiring.Component):
    """Takes sets of tables from `c`, one entry of every column per beat, and hands them to the columns, `told`.

    A set has `c_beats` beats, or just one, with `last`, to go on with the tables in use. `ready` tells that the tables
    in use are those of the tile under way or next; `ends` (only while `ready`) that a tile's last beat is taken. Then,
    or later as soon as it is complete, the next set is put in use from the next cycle on, and one more may load.
    `enable` low holds all, loading too.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_codebooks"
        super().__init__(
            {
                "enable": In(1),
                "c": In(stream.Signature(packet(c_beat(spec).width))),
                "ends": In(1),
                "ready": Out(1),
                "told": Out(spec.cols * told_layout(spec).size),
            }
        )

    def elaborate(self, platform):
        m = Module()
        index = Signal(range(c_beats(self.spec)))
        loaded, keeps, accepted = Signal(name="set_loaded"), Signal(name="keeps"), Signal(name="accepted")
        in_use, bank, take = Signal(name="set_in_use"), Signal(name="bank_in_use"), Signal(name="take")
        m.d.comb += [
            self.c.ready.eq(~loaded & self.enable),
            accepted.eq(self.c.valid & self.c.ready),
            take.eq(loaded & (self.ends | ~in_use)),
            self.ready.eq(in_use),
        ]
        with m.If(accepted):
            m.d.sync += [loaded.eq(self.c.p.last), index.eq(Mux(self.c.p.last, 0, index + 1))]
            m.d.sync += keeps.eq(self.c.p.last & (index == 0))
        with m.If(take):
            m.d.sync += [loaded.eq(0), in_use.eq(1), bank.eq(bank ^ ~keeps)]
        with m.Elif(self.ends):
            m.d.sync += in_use.eq(0)
        values = [self.c.p.data.word_select(column, _entry_width(self.spec)) for column in range(self.spec.cols)]
        m.d.comb += self.told.eq(Cat(Cat(accepted, bank, index, value) for value in values))
        return EnableInserter(self.enable)(m)


class CodebookColumn(wiring.Component):
    """The entries that `lanes` codes of one column stand for, in the same cycle; two tables, one in use, one loading.

    The tables are a memory without reset, which each lane reads through a port of its own.
    """

    has_reset = False

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_codebook"
        super().__init__(
            {
                "told": In(told_layout(spec)),
                "codes": In(spec.lanes * spec.weights.width),
                "entries": Out(spec.lanes * _entry_width(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = _entry_width(self.spec)
        m.submodules.tables = store = memory.Memory(shape=Shape(width), depth=2 * c_beats(self.spec), init=[])
        write = store.write_port()
        m.d.comb += [
            write.en.eq(self.told.valid),
            write.addr.eq(Cat(self.told.index, ~self.told.bank)),
            write.data.eq(self.told.value),
        ]
        for lane in range(self.spec.lanes):
            read = store.read_port(domain="comb")
            code = self.codes.word_select(lane, self.spec.weights.width)
            m.d.comb += [
                read.addr.eq(Cat(code, self.told.bank)),
                self.entries.word_select(lane, width).eq(read.data),
            ]
        return m
