"""Weights that a design holds from the start: one read-only memory for each column, as a case statement.

Every Verilog reader takes a case of constants, synthesis makes block RAM or logic of it, and nothing relies on initial
values, which an ASIC does not have.
"""

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from golden.folds import folded, sparse_words, stored_arrays
from golden.spec import Spec

from .matrix_vector_layout import is_sparse
from .requantize import LONGEST_CONSTANT
from .weight_memory import column_word_width, most_words


def stored_words(spec: Spec):
    """The word of each column at each address, as integers [cols][words]."""
    codes = folded(spec, stored_arrays(spec)["w"])
    fields = [(codes, spec.weights.width)]
    if is_sparse(spec):
        kept, positions = sparse_words(spec, codes)
        fields = [(kept, spec.weights.width), (positions, 2)]
    return [[_word(fields, word, column) for word in range(len(codes))] for column in range(spec.cols)]


def _word(fields, word, column):
    value, offset = 0, 0
    for codes, width in fields:
        for code in codes[word, column].tolist():
            value |= (code & (1 << width) - 1) << offset
            offset += width
    return value


class StoredWeights(wiring.Component):
    """The words of one column. `read` makes `o` the word at `read_address` from the next cycle on.

    `verilog` is its text: it cannot come from RTLIL, in which only initial values would fill a memory. `module_name` is
    that of the first column with the same words.
    """

    has_reset = False

    def __init__(self, spec: Spec, words, column):
        self.words = words[column]
        self.width = column_word_width(spec)
        self.module_name = f"{spec.name}_weights_{words.index(words[column])}"
        super().__init__({"read": In(1), "read_address": In(range(most_words(spec))), "o": Out(self.width)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = memory.Memory(shape=self.width, depth=len(self.words), init=self.words)
        read = store.read_port()
        m.d.comb += [read.en.eq(self.read), read.addr.eq(self.read_address), self.o.eq(read.data)]
        return m

    @property
    def verilog(self):
        """The module in Verilog: a register for each part of the word, none longer than constants may be."""
        bits = len(self.read_address)
        address = ["read_address"] if bits else []
        ports = ["clk", "read", *address, "o"]
        lines = [f"module {self.module_name}({', '.join(ports)});", "  input clk;", "  input read;"]
        lines += [f"  input {_range(bits)}read_address;"] if bits else []
        lines += [f"  output {_range(self.width)}o;"]
        starts = range(0, self.width, LONGEST_CONSTANT)
        for number, start in enumerate(starts):
            lines += self._part(number, start, min(LONGEST_CONSTANT, self.width - start), bits)
        parts = ", ".join(f"part_{number}" for number in reversed(range(len(starts))))
        return "\n".join([*lines, f"  assign o = {{ {parts} }};", "endmodule", ""])

    def _part(self, number, start, width, bits):
        """Bits from `start` on of the word, in a register of their own."""
        name, values = f"part_{number}", [word >> start & (1 << width) - 1 for word in self.words]
        lines = [f"  reg {_range(width)}{name};", "  always @(posedge clk)", "    if (read)"]
        if not bits:
            return [*lines, f"      {name} <= {width}'h{values[0]:x};"]
        cases = [f"        {bits}'h{address:x}: {name} <= {width}'h{value:x};" for address, value in enumerate(values)]
        last = cases[-1].replace(f"{bits}'h{len(values) - 1:x}:", "default:", 1)
        return [*lines, "      case (read_address)", *cases[:-1], last, "      endcase"]


def _range(width):
    return f"[{width - 1}:0] " if width > 1 else ""
