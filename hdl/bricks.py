"""Dot product on fusible 2-bit multipliers ("bricks"): 8 x 8, 8 x 4, 4 x 4 or 2 x 2 bits, as the mode of a beat says.

A lane has sixteen bricks. Brick (i, j) multiplies digit i of an activation by digit j of a weight, two bits each. What
it gives counts 2**(2 * (i + j)) in one 8 x 8 product, and less where the bricks form several products.
"""

from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Value

from golden.precision import MODES, held_range
from golden.spec import Spec, product_interval

from .layout import WORD
from .skew import delay
from .words import Word, register, tree_levels

DIGITS = range(4)


def activation_digits(word: Value, mode: Value) -> Value:
    """The activations of one lane, their digits where the bricks want them: brick (i, j) takes digit 4 * j + i."""
    return Cat(
        Mux(mode == 3, word.word_select(j, 8), Mux(mode == 0, word[:8], word.word_select(j >> 1, 8))) for j in DIGITS
    )


def weight_digits(word: Value, mode: Value) -> Value:
    """The weights of one lane likewise: brick (i, j) takes digit 4 * i + j."""

    def digit(index):
        return word.word_select(index, 2)

    return Cat(
        Mux(mode == 3, digit(4 * j + i), Mux(mode == 2, digit(4 * (j >> 1) + 2 * (i >> 1) + (j & 1)), digit(j)))
        for i in DIGITS
        for j in DIGITS
    )


def activation_words(spec: Spec, a: Value):
    """The words of a beat of A as the array wants them: behind those of each row, the mode."""
    mode, count = _mode(spec, a), spec.rows * spec.lanes
    words = [activation_digits(a.word_select(index, WORD.width), mode) for index in range(count)]
    return Cat(Cat(*words[first : first + spec.lanes], mode) for first in range(0, count, spec.lanes))


def weight_words(spec: Spec, a: Value, w: Value):
    """The words of a beat of W likewise; the beat of A beside it has the mode."""
    words = (w.word_select(index, WORD.width) for index in range(spec.cols * spec.lanes))
    return Cat(weight_digits(word, _mode(spec, a)) for word in words)


def _mode(spec, a):
    return a[spec.rows * spec.lanes * WORD.width :]


def brick(a: Value, w: Value, a_signed: Value, w_signed: Value) -> Value:
    """The product of two digits, each two's complement where told, in five bits; in gates, five LUTs of six inputs.

    With a = a0 +- 2 * a1 and w = w0 +- 2 * w1 it is a0*w0 +- 2*a0*w1 +- 2*a1*w0 +- 4*a1*w1; a term that counts
    negative is set in all bits above its own too.
    """
    x, y, z = a[0] & w[1], a[1] & w[0], a[1] & w[1]
    x_above, y_above, z_above = x & w_signed, y & a_signed, z & (a_signed ^ w_signed)
    low, carry_2 = x ^ y, x & y
    part, carry_3 = _full_adder(x_above, y_above, z)
    middle, carry_3_too = part ^ carry_2, part & carry_2
    part, carry_4 = _full_adder(x_above, y_above, z_above)
    high, carry_4_too = _full_adder(part, carry_3, carry_3_too)
    return Cat(a[0] & w[0], low, middle, high, x_above ^ y_above ^ z_above ^ carry_4 ^ carry_4_too).as_signed()


def _full_adder(a, b, c):
    return a ^ b ^ c, (a & b) | (a & c) | (b & c)


@dataclass(frozen=True)
class _Modal:
    """A value, and the interval that it stays in, by mode."""

    value: Value
    intervals: tuple[tuple[int, int], ...]

    @property
    def word(self):
        return Word(self.value, min(lo for lo, _ in self.intervals), max(hi for _, hi in self.intervals))

    def registered(self, m, name):
        return _Modal(Value.cast(register(m, self.word, name).value), self.intervals)


class BrickDot:
    """The sum over all lanes of their one, two, four or sixteen products. Operands come as `activation_digits` and
    `weight_digits` arrange them; the spec says which of them are signed.

    Bricks that count alike in every mode are added up first, over all lanes; then the bricks of each 4 x 4 product,
    pairs of these products, and both pairs, always the second of two shifted or not. So an element chooses eleven
    shifts, however many lanes it has. Latency 5 + ceil(log2(lanes)), throughput 1, no overflow.
    """

    coded = ("a", "w")

    def __init__(self, spec: Spec):
        self.spec = spec

    @property
    def latency(self):
        return 5 + tree_levels(self.spec.lanes)

    def build(self, m: Module, a: list[Value], w: list[Value], mode: Value) -> Word:
        modes = [delay(m, mode, 1 + tree_levels(self.spec.lanes), "mode_0")]
        for stage in (1, 2, 3):
            modes.append(delay(m, modes[-1], 1, f"mode_{stage}"))
        nibbles = [[self._nibble(m, a, w, mode, modes, p, q) for q in (0, 1)] for p in (0, 1)]
        pairs = [
            _joined(m, *both, f"pair_{q}", shift=4, chosen=(modes[2], {0, 1}))
            for q, both in enumerate(zip(*nibbles, strict=True))
        ]
        return _joined(m, *pairs, "sum", shift=4, chosen=(modes[3], {0})).word

    def _nibble(self, m, a, w, mode, modes, p, q):
        """The sum of four bricks of all lanes: of four digits as one product, or as four products."""
        i, j, name = 2 * p, 2 * q, f"nibble_{p}{q}"
        low, high = (
            _sum(m, self._bricks(m, a, w, mode, i + k, j + k), f"{name}_{part}")
            for k, part in enumerate(("low", "high"))
        )
        middle = [*self._bricks(m, a, w, mode, i + 1, j), *self._bricks(m, a, w, mode, i, j + 1)]
        ends = _joined(m, low, high, f"{name}_ends", shift=4, chosen=(modes[0], {0, 1, 2}))
        return _joined(m, ends, _sum(m, middle, f"{name}_middle"), name, shift=2, chosen=(modes[1], {0, 1, 2}))

    def _bricks(self, m, a, w, mode, i, j):
        """What brick (i, j) of each lane gives, registered."""
        tops = _top_modes(self.spec.activations, i, 0), _top_modes(self.spec.weights, j, 1)
        a_signed, w_signed = (_is_in(mode, modes) for modes in tops)
        intervals = tuple(
            product_interval(*(held_range(2, number in modes) for modes in tops)) for number in range(len(MODES))
        )
        return [
            _Modal(
                brick(x.word_select(4 * j + i, 2), y.word_select(4 * i + j, 2), a_signed, w_signed), intervals
            ).registered(m, f"brick_{i}{j}_{lane}")
            for lane, (x, y) in enumerate(zip(a, w, strict=True))
        ]


def _top_modes(fmt, digit, side):
    """The modes in which a digit is the top one of a signed operand, that is negative."""
    return {number for number, mode in enumerate(MODES) if fmt.signed and (2 * digit + 2) % mode.bits[side] == 0}


def _is_in(mode, modes):
    return reduce(or_, (mode == number for number in sorted(modes)), Const(0, 1))


def _joined(m, low: _Modal, high: _Modal, name, *, shift=0, chosen=(None, ())):
    """low + high * 2**shift, in modes that are not chosen low + high; registered. `chosen`: mode bits, set of modes."""
    mode, modes = chosen
    value = high.value
    if modes:
        moved = Cat(Const(0, shift), value)
        value = Mux(_is_in(mode, modes), moved.as_signed() if value.shape().signed else moved, value)
    intervals = tuple(
        (
            low.intervals[number][0] + (lo << shift * (number in modes)),
            low.intervals[number][1] + (hi << shift * (number in modes)),
        )
        for number, (lo, hi) in enumerate(high.intervals)
    )
    return _Modal(low.value + value, intervals).registered(m, name)


def _sum(m, parts: list[_Modal], name):
    """The sum of all, in a balanced tree with a register after each level."""
    for level in range(tree_levels(len(parts))):
        pairs = [parts[index : index + 2] for index in range(0, len(parts), 2)]
        parts = [
            _joined(m, *pair, f"{name}_{level}_{index}")
            if len(pair) == 2
            else pair[0].registered(m, f"{name}_{level}_{index}")
            for index, pair in enumerate(pairs)
        ]
    return parts[0]
