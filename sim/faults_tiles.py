"""Faults between tiles: accumulators kept, parameters of another tile or column, outputs in another order."""

from itertools import product

import numpy as np

from golden.formats import Codebook
from golden.mac import columns_of

from .machine import Hypothesis, Window, saturated, wrapped

MOST_CHAINED_BEATS = 20_000


def tile_faults(machine):
    """Faults that only show with more than one tile, row or column."""
    for kind in (_sums, _parameters, _codebooks, _orders):
        yield from kind(machine)


def _sums(machine):
    spec, cut = machine.spec, machine.tiling
    # a bit_serial array raises what is left: sim.faults_planes
    if cut.tiles == 1 or spec.is_float_sum or spec.array == "bit_serial":
        return
    if spec.accumulator_overflow != "saturate" or spec.accumulator_is_exact:
        bits, width = spec.residual, spec.accumulator_width
        yield _resum("the accumulator is not cleared between tiles", lambda tiles: _chained_sums(tiles, bits, width))
        yield _resum("the previous tile's accumulator is added", lambda tiles: tiles + (_earlier(tiles) << bits))
    elif cut.tiles * cut.beats <= MOST_CHAINED_BEATS:
        yield Hypothesis("sum", "the accumulator is not cleared between tiles", _chained)


def _earlier(tiles):
    """Each tile's predecessor; zero for the first."""
    return np.concatenate([np.zeros_like(tiles[:1]), tiles[:-1]])


def _chained_sums(tiles, bits, width):
    """Each tile with what the one before left, which a second pass raises by some bits."""
    if not bits:
        return np.cumsum(tiles, axis=0)
    sums, left = tiles.astype(object), np.zeros((), object)
    for tile in range(len(sums)):
        sums[tile] = left = wrapped(sums[tile] + (left << bits), width)
    return sums


def _resum(cause, change):
    def y(window):
        machine = window.machine
        tiles = machine.tiling.in_tiles(machine.accumulators)
        changed = change(tiles * _present(machine.tiling, tiles))
        sums = wrapped(window.pick(machine.tiling.from_tiles(changed)), machine.spec.accumulator_width)
        return window.codes(sums)

    return Hypothesis("sum", cause, y)


def _present(cut, tiles):
    """Whether each row of each tile comes, [tiles, rows, 1]: padding rows are not sent to every kind of array."""
    present = np.zeros((*tiles.shape[:2], 1), np.int64)
    present[cut.leaving] = 1
    return present


def _chained(window):
    """Saturating accumulators, each tile beginning with what the one before left."""
    machine, spec = window.machine, window.spec
    rows, cols = machine.tiling.tile_shape
    sums = np.zeros((machine.tiling.tiles, rows, cols), object)
    state = np.zeros(1, object)
    for tile in range(len(sums)):
        tile_m, tile_n = machine.tiling.at(tile)
        down, across = tile_m * rows, tile_n * cols
        here = slice(across, across + cols)
        a, w = columns_of(machine.a[down : down + rows], here), machine.w[:, here]
        sums[tile] = state = saturated(a, w, spec.beat_depth, spec.accumulator_width, state)
    return window.codes(window.pick(machine.tiling.from_tiles(sums)))


def _parameters(machine):
    """The right parameters in the wrong place: one of them, or the whole set."""
    names = machine.spec.parameters
    groups = {name.replace("_", " "): (name,) for name in names}
    if len(names) > 1:
        groups = {"parameter set": names, **groups}
    for (word, group), (sentence, source) in product(groups.items(), _sources(machine).items()):
        cause = sentence.format(word)
        yield Hypothesis("parameters", cause, lambda window, group=group, source=source: _moved(window, group, source))


def _codebooks(machine):
    """The right tables in the wrong place."""
    if not isinstance(machine.spec.weights, Codebook):
        return
    for sentence, source in _sources(machine).items():
        cause = sentence.format("codebook")
        yield Hypothesis("parameters", cause, lambda window, source=source: _with_codebooks(window, source))


def _with_codebooks(window, source):
    """The codes of a window whose tiles and columns look weights up in other tables."""
    machine = window.machine
    tables, w_codes = machine.padded.extras["w_codebook"], window.operands.w[:, window.cols]

    def codes(part, columns):
        return part.codes(part.accumulate(part.a, machine.spec.weights.lookup(tables[columns], w_codes)))

    return _by_place(window, source, codes)


def _sources(machine):
    """Sentence -> column of the padded parameters that each tile and column takes, [tiles, cols]."""
    cut, cols = machine.tiling, machine.tiling.tile_shape[1]
    tile, column = np.arange(cut.tiles), np.arange(cols)
    sources = {}
    if cut.grid[1] > 1:
        sources |= {
            "tiles take the {} of the previous tile": (np.maximum(tile - 1, 0), column),
            "all tiles take the {} of the first": (np.zeros_like(tile), column),
            "tiles take the {} of the next tile": (np.minimum(tile + 1, cut.tiles - 1), column),
        }
    if cut.across_first and cut.grid[1] > 1:
        sources |= {
            "folds take the {} of the previous fold": ((tile - 1) % cut.grid[1], column),
            "folds take the {} of the next fold": ((tile + 1) % cut.grid[1], column),
        }
    if cut.grid[0] == 1 and cut.grid[1] > 2:
        sources["the second tile takes the {} of the first"] = np.where(tile == 1, 0, tile), column
    if cols > 1 and cut.n > 1:
        sources |= {
            "columns take the {} of their right neighbour": (tile, np.roll(column, -1)),
            "columns take the {} of their left neighbour": (tile, np.roll(column, 1)),
            "columns take the {} in reverse order": (tile, column[::-1]),
            "all columns take the {} of the first": (tile, np.zeros_like(column)),
        }
    return {
        sentence: cut.at(of_tile)[1][:, None] * cols + of_column for sentence, (of_tile, of_column) in sources.items()
    }


def _moved(window, names, source):
    """The codes of a window whose tiles and columns take parameters from elsewhere."""
    values = window.machine.parameters
    return _by_place(
        window, source, lambda part, columns: part.codes(**{name: values[name][columns] for name in names})
    )


def _by_place(window, source, codes_of):
    """Codes by `codes_of(part of the window, source columns)`, on all rows at once that have the same sources."""
    machine = window.machine
    shape = (machine.tiling.tiles, *machine.tiling.tile_shape)
    place = window.pick(machine.tiling.from_tiles(np.broadcast_to(source[:, None], shape)))
    codes = np.empty(place.shape, np.int64)
    for columns in np.unique(place, axis=0):
        alike = (place == columns).all(axis=1)
        codes[alike] = codes_of(Window(machine, window.rows[alike], window.cols), columns)
    return codes


def _orders(machine):
    """Right outputs in the wrong place."""
    cut = machine.tiling
    rows, cols = cut.tile_shape
    if rows > 1:
        yield _reorder("rows are in reverse order within each tile", lambda tiles: _upside_down(cut, tiles))
    if cols > 1:
        yield _reorder("columns are in reverse order within each tile", lambda tiles: tiles[:, :, ::-1])
        yield Hypothesis("order", "columns of W are in reverse order within each tile", _columns_of_w_reversed)
    if cut.m == cut.n > 1:
        yield Hypothesis("order", "outputs are transposed", _transposed)
    if rows == cols > 1:
        yield _reorder("outputs are transposed within each tile", lambda tiles: tiles.transpose(0, 2, 1))
    if cut.tiles > 1:
        yield _reorder("tiles are in reverse order", lambda tiles: tiles[::-1])
    if min(cut.grid) > 1:
        ways = ("down", "across") if cut.across_first else ("across", "down")
        shape = cut.grid[::-1] if cut.across_first else cut.grid
        other = np.arange(cut.tiles).reshape(shape).T.reshape(-1)
        yield _reorder("tiles go {} first where the design goes {} first".format(*ways), lambda tiles: tiles[other])
    if cut.y_beats > 1:
        yield _reorder("outputs are one beat late", lambda tiles: _rolled(cut, tiles, 1))
        yield _reorder("outputs are one beat early", lambda tiles: _rolled(cut, tiles, -1))


def _upside_down(cut, tiles):
    tile, row = cut.leaving
    heights = np.bincount(tile)
    turned = tiles.copy()
    turned[tile, row] = tiles[tile, heights[tile] - 1 - row]
    return turned


def _rolled(cut, tiles, by):
    rolled = tiles.copy()
    rolled[cut.leaving] = np.roll(tiles[cut.leaving], by, axis=0)
    return rolled


def _reorder(cause, change):
    def y(window):
        machine = window.machine
        return window.pick(machine.tiling.from_tiles(change(machine.tiling.in_tiles(machine.codes))))

    return Hypothesis("order", cause, y)


def _transposed(window):
    return window.machine.codes[np.ix_(window.cols, window.rows)].T


def _columns_of_w_reversed(window):
    machine = window.machine
    cols = machine.tiling.tile_shape[1]
    places = np.arange(machine.w.shape[1]).reshape(-1, cols)[:, ::-1].reshape(-1)
    return window.codes(window.accumulate(window.a, machine.w[:, places[window.cols]]))
