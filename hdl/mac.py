"""The processing element: a pipelined dot product of `lanes` pairs and one accumulator."""

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec import Spec

from .block_operands import beside
from .decode import code_shape
from .flags import flags_of
from .layout import lane_formats, marks, steering_width
from .multiply import dot_product
from .words import Word, add, add_or_subtract, shape_of


def a_shape(spec: Spec):
    """Shape of one activation in the array: its code, or decoded and less its zero point, as the dot product wants."""
    return code_shape(lane_formats(spec)[0]) if "a" in dot_product(spec).coded else shape_of(*spec.a_range)


def w_shape(spec: Spec):
    """Shape of one weight in the array, likewise."""
    return code_shape(lane_formats(spec)[1]) if "w" in dot_product(spec).coded else shape_of(*spec.w_range)


def a_bundle_width(spec: Spec):
    """Bits of what one row of PEs passes on: `lanes` decoded activations, and `steering` or what blocks put there."""
    return spec.lanes * a_shape(spec).width + steering_width(spec) + beside(spec, "a").size


def w_bundle_width(spec: Spec):
    """Bits of what one column of PEs passes on: `lanes` decoded weights, and what blocks put beside them."""
    return spec.lanes * w_shape(spec).width + beside(spec, "w").size


class ProcessingElement(wiring.Component):
    """acc = (0 if first else acc) + sum_l a[l] * w[l], on valid beats; drained through `drain`.

    Where the design has the mark `raise`, acc * 2**raise_bits stands for acc in beats that have it: so a sum of shifted
    sums is formed from the highest shift down, as Horner has it, without a shifter. In beats marked `negative` the
    products are subtracted.

    Operands pass on to the next element one cycle later, and so do the flags. The flags belong to the operands that
    came `latency` cycles before them. One cycle after a `last` beat the accumulator is copied into the drain
    register; there it waits for `start`, then moves to the next element, one row per cycle, while the accumulator
    already sums the next tile.

    Overflow: none where the accumulator is exact; else it wraps, or saturates after each beat, as the spec says.
    Latency `latency` from operands to the accumulator's input, throughput one beat per cycle. `enable` low holds all.
    """

    has_reset = True

    def __init__(self, spec: Spec):
        self.spec = spec
        self.module_name = f"{spec.name}_pe"
        acc = signed(spec.accumulator_width)
        super().__init__(
            {
                "enable": In(1),
                "a_in": In(a_bundle_width(spec)),
                "w_in": In(w_bundle_width(spec)),
                "flags_in": In(flags_of(spec)),
                "start": In(1),
                "drain_in": In(acc),
                "a_out": Out(a_bundle_width(spec)),
                "w_out": Out(w_bundle_width(spec)),
                "flags_out": Out(flags_of(spec)),
                "drain_out": Out(acc),
            }
        )

    @property
    def latency(self):
        return dot_product(self.spec).latency

    def elaborate(self, platform):
        m = Module()
        a_passing = Signal(self.a_in.shape(), reset_less=True)
        w_passing = Signal(self.w_in.shape(), reset_less=True)
        flags_passing = Signal(flags_of(self.spec))
        m.d.sync += [a_passing.eq(self.a_in), w_passing.eq(self.w_in), flags_passing.eq(self.flags_in)]
        m.d.comb += [self.a_out.eq(a_passing), self.w_out.eq(w_passing), self.flags_out.eq(flags_passing)]

        acc = Signal(signed(self.spec.accumulator_width), reset_less=True)
        total = self._next(m, acc, self._term(m))
        with m.If(self._adds):
            m.d.sync += acc.eq(total)

        drain = Signal(signed(self.spec.accumulator_width), reset_less=True)
        waiting = Signal(reset_less=True)
        with m.If(flags_passing.last):
            m.d.sync += [drain.eq(acc), waiting.eq(1)]
        with m.Elif(self.start | ~waiting):
            m.d.sync += [drain.eq(self.drain_in), waiting.eq(0)]
        m.d.comb += self.drain_out.eq(drain)
        return EnableInserter(self.enable)(m)

    @property
    def _adds(self):
        """The flag that tells when the accumulator adds."""
        return self.flags_in.valid

    def _term(self, m):
        """What it adds."""
        return beat_sum(m, self.spec, self.a_in, self.w_in)

    def _next(self, m, acc, term):
        return accumulated(m, self.spec, self.flags_in, acc, term)


def beat_sum(m, spec: Spec, a_bundle, w_bundle) -> Word:
    """The dot product of one beat's operands, from the bundles that hold them; its latency is that of `dot_product`."""
    a = split(m, a_bundle, a_shape(spec), spec.lanes, "a")
    w = split(m, w_bundle, w_shape(spec), spec.lanes, "w")
    steering = a_bundle[spec.lanes * a_shape(spec).width :][: steering_width(spec)]
    return dot_product(spec).build(m, a, w, steering if len(steering) else None)


def accumulated(m, spec: Spec, flags, acc, beat: Word):
    """The accumulator after a beat: 0 or itself, perhaps raised, and the beat added or subtracted, within its width."""
    lo, hi = -(1 << len(acc) - 1), (1 << len(acc) - 1) - 1
    kept = Word(Mux(flags.first, 0, _raised(spec, flags, acc)), lo, hi)
    subtracts = "negative" in marks(spec)
    return reduced(m, spec, add_or_subtract(kept, beat, flags["negative"]) if subtracts else add(kept, beat))


def reduced(m, spec: Spec, total: Word):
    """A sum as the accumulator holds it: its low bits, or where it saturates the nearest that it can hold."""
    lo, hi = -(1 << spec.accumulator_width - 1), (1 << spec.accumulator_width - 1) - 1
    if spec.accumulator_is_exact or spec.accumulator_overflow == "wrap":
        return total.value
    wide = Signal(total.shape)
    m.d.comb += wide.eq(total.value)
    return Mux(wide < lo, lo, Mux(wide > hi, hi, wide))


def _raised(spec, flags, acc):
    """The accumulator, moved up in a beat marked so; what it loses at the top is nothing modulo 2**width."""
    if not spec.raise_bits:
        return acc
    moved = Cat(Const(0, spec.raise_bits), acc)[: len(acc)].as_signed()
    return Mux(flags["raise"], moved, acc)


def split(m, bundle, shape, lanes, name):
    """The `lanes` operands of a bundle, as signals of the given shape."""
    operands = [Signal(shape, name=f"{name}_{lane}") for lane in range(lanes)]
    m.d.comb += Cat(*operands).eq(bundle[: lanes * shape.width])
    return operands
