"""Faults planted in the hardware of blocks: simulated, they are found, and the diagnosis names the step."""

from dataclasses import replace

import pytest
from amaranth.hdl import Const
from simulation import missing
from test_hdl_float32 import floor, without_sticky
from test_sim_blocks import FLOAT, PAIRINGS, PROMISED, build
from test_sim_formats import in_icarus

from golden.tensors import golden, operands
from hdl import block_path, block_scale, entry, float_add, float_round
from sim.diagnose import diagnose
from sim.stimulus import random_arrays

pytestmark = pytest.mark.skipif(bool(missing("icarus")), reason=missing("icarus"))

MARKS_LATE, FACTOR_OF, GRID_OF = entry.marks_late, block_scale.factor_of, block_scale.grid_of


def scales_one_beat_early(monkeypatch):
    monkeypatch.setattr(entry, "marks_late", lambda spec: MARKS_LATE(spec) | {"scale": MARKS_LATE(spec)["scale"] - 1})


def scales_a_block_late(monkeypatch):
    monkeypatch.setattr(entry, "marks_late", lambda spec: MARKS_LATE(spec) | {"scale": MARKS_LATE(spec)["scale"] + 2})


def bias_one_too_small(monkeypatch):
    def grid(fmt):
        return replace(GRID_OF(fmt), base=GRID_OF(fmt).base + 1)

    monkeypatch.setattr(block_scale, "grid_of", grid)


def rounds_toward_zero(monkeypatch):
    for module in (float_add, float_round):
        monkeypatch.setattr(module, "increment", floor)


def sticky_bits_lost(monkeypatch):
    for module in (float_add, float_round):
        monkeypatch.setattr(module, "increment", without_sticky)


def sign_of_scales_lost(monkeypatch):
    monkeypatch.setattr(block_scale, "factor_of", lambda fmt, code: replace(FACTOR_OF(fmt, code), negative=Const(0, 1)))


def shift_by_one_more(monkeypatch):
    moved = block_path._moved
    monkeypatch.setattr(
        block_path, "_moved", lambda word, by, amount: moved(word, by, 2 * amount if amount == 1 else amount)
    )


WEIGHTS = {**PAIRINGS["int8 x mxfp4"], "block": 8}
ROWS = {**PAIRINGS["nvfp4 x int8"], "block": 8}
PLANTS = {
    scales_one_beat_early: (WEIGHTS | FLOAT, "scale", "scales of weights: each block takes that of the next block"),
    scales_a_block_late: (WEIGHTS | FLOAT, None, None),
    bias_one_too_small: (WEIGHTS | FLOAT, "scale", "scales of weights: exponents are one too large"),
    rounds_toward_zero: (WEIGHTS | FLOAT, "round", "rounds to float32 toward_zero where it must round half_even"),
    sign_of_scales_lost: (ROWS | FLOAT, "scale", "scales of activations: the sign is lost"),
    sticky_bits_lost: (WEIGHTS | FLOAT, None, None),
    shift_by_one_more: (WEIGHTS | PROMISED, None, None),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant, tmp_path, monkeypatch):
    """And named, where it is one that the diagnosis knows."""
    fields, step, cause = PLANTS[plant]
    spec = build(**fields, rows=4, cols=4, lanes=4, name=plant.__name__)
    given = operands(spec, random_arrays(spec, m=4, k=64, n=4, seed=4))
    plant(monkeypatch)
    (y,) = in_icarus(spec, [given], tmp_path)
    found = diagnose(spec, given, y)
    assert found.count == (y != golden(spec, given)).sum() > 0
    if step is not None:
        assert (found.step, found.cause, found.explained) == (step, cause, y.size)
