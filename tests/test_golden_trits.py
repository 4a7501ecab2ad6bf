"""Five trits in a byte, against plain Python."""

from itertools import product

import numpy as np
import pytest

from golden.formats import parse
from golden.spec import Spec
from golden.trits import pack_trits, packed_bytes, unpack_trits
from hdl.layout import w_beat
from sim.packing import pack, unpack

EVERY = list(product((-1, 0, 1), repeat=5))


def test_every_byte():
    packed = pack_trits(np.array(EVERY))
    assert packed.dtype == np.uint8
    assert packed[:, 0].tolist() == [sum((t + 1) * 3**i for i, t in enumerate(trits)) for trits in EVERY]
    assert sorted(packed[:, 0].tolist()) == list(range(243))
    assert unpack_trits(packed, 5).tolist() == [list(trits) for trits in EVERY]


@pytest.mark.parametrize("count", [1, 4, 5, 6, 9, 10, 11])
def test_counts_that_do_not_fill_a_byte(count):
    trits = np.random.default_rng(count).integers(-1, 2, (3, 7, count))
    packed = pack_trits(trits)
    assert packed.shape == (3, 7, -(-count // 5)) and packed.shape[-1] == packed_bytes(count)
    assert (unpack_trits(packed, count) == trits).all()
    filled = np.concatenate([trits, np.zeros((3, 7, -count % 5), int)], axis=-1)
    assert (pack_trits(filled) == packed).all()


@pytest.mark.parametrize("byte", range(243, 256))
def test_bytes_that_hold_no_trits(byte):
    with pytest.raises(ValueError) as error:
        unpack_trits(np.array([[121, 0], [242, byte]], np.uint8), 10)
    assert str(error.value) == f"byte[1, 1] is {byte}; five trits are packed to 0..242"


def spec_of(**fields):
    fields = {"activations": parse("int4"), "weights": parse("ternary"), "cols": 4, "lanes": 3} | fields
    return Spec(**fields, w_packing="trits")


def test_beats():
    """Twelve codes in three bytes, those of a column side by side."""
    beat = w_beat(spec_of())
    assert (beat.width, beat.bytes, beat.fields[0].packing) == (24, 3, "trits")
    codes = np.random.default_rng(0).integers(-1, 2, (6, 4, 3))
    data = pack(beat, {"w": codes})
    assert data.tolist() == [
        [sum((t + 1) * 3**i for i, t in enumerate(part)) for part in (row[:5], row[5:10], [*row[10:], 0, 0, 0])]
        for row in codes.reshape(6, 12).tolist()
    ]
    assert (unpack(beat, data)["w"] == codes).all()


REFUSALS = {
    "w_packing must be one of codes, trits, not 'bytes'": {"w_packing": "bytes"},
    "w_packing 'trits' needs weights ternary, not int2": {"weights": parse("int2")},
    "block must be 0 with w_packing 'trits', not 32": {"block": 32, "w_block_scale": parse("float8_e8m0fnu")},
    "w_packing 'trits' needs array 'output_stationary', not 'vector'": {"array": "vector", "rows": 1},
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refusals(message):
    fields = {"activations": parse("int4"), "weights": parse("ternary"), "w_packing": "trits"}
    with pytest.raises(ValueError) as error:
        Spec(**(fields | REFUSALS[message]))
    assert str(error.value) == message
