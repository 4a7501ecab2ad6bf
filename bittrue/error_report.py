"""What `bittrue errors` prints: rich renderables for people, plain data for scripts."""

from collections import Counter
from math import isfinite

from rich.console import Group
from rich.table import Table
from rich.text import Text

from network.errors.anatomy import Anatomy, Change, shares
from network.errors.exchange import CAUSES, GROUPS
from network.errors.histograms import CodeHistogram
from network.measure import Error

BARS = 32
BAR_WIDTH = 50
INPUTS = "inputs"


def anatomy_report(found: Anatomy, reference: str):
    """All layers, and what of the outputs' error comes from where."""
    unit = "in steps of each layer's output" if found.on_grids else "as real numbers, which layers give"
    about = f"{found.examples} examples, golden against {reference}; rms and largest {unit}"
    if not found.weights_known:
        about += "; weights and biases count as exact"
    return Group(Text(about), _layers(found), Text("\n" + _outputs(found)), _places(found))


def _layers(found):
    """Accumulated and local errors, and the causes of the local one."""
    groups = _groups(found)
    table = Table("layer", "SQNR", "alone", "cosine", "rms", "largest", *(f"{name} %" for name in groups), box=None)
    for layer in (found.entry, *found.layers):
        alone = "-" if layer.local is None else decibels(layer.local.sqnr)
        table.add_row(
            Text(layer.name),
            decibels(layer.accumulated.sqnr),
            alone,
            f"{layer.accumulated.cosine:.5f}",
            *(f"{number:.3g}" for number in (layer.accumulated.rms, layer.accumulated.largest)),
            *_percent(layer.changes, layer.local, groups),
        )
    return table


def _groups(found):
    return [name for name in GROUPS if found.weights_known or name != "weights"]


def _percent(changes, error, groups):
    """Shares of the squared error, in percent."""
    if error is None or not error.noise or not changes:
        return ["-"] * len(groups)
    return [percent(share) for name, share in shares(changes, error.noise).items() if name in groups]


def percent(share) -> str:
    return f"{100 * share:.1f}".replace("-0.0", "0.0")


def _outputs(found):
    before = f" before {', '.join(found.after)}" if found.after else ""
    told, noise = f"outputs{before}: SQNR {decibels(found.output.sqnr)}", found.output.noise
    places, causes = Counter(), Counter()
    for change in found.chain:
        places[change.place] += change.growth
    (place, growth), *_ = places.most_common()
    for change in found.chain:
        causes[CAUSES[change.cause]] += change.growth if change.place == place else 0
    if noise and growth > 0:
        told += f"; {percent(growth / noise)} % of the squared error comes from {place or INPUTS}, "
        told += f"most of it from {causes.most_common()[0][0]}"
    return f"{told}; shares in percent:"


def _places(found):
    """The exchanges from the real network to golden, by layer and by cause."""
    groups = _groups(found)
    table = Table("from", *groups, "all", box=None)
    places = list(dict.fromkeys(change.place for change in found.chain))
    rows = {place: [change for change in found.chain if change.place == place] for place in places}
    for place, changes in [*rows.items(), ("all", list(found.chain))]:
        whole = sum(change.growth for change in changes)
        shown = percent(whole / found.output.noise) if found.output.noise else "-"
        table.add_row(Text(place or INPUTS), *_percent(changes, found.output, groups), shown)
    return table


def layer_report(found: Anatomy, name: str, histograms: list[CodeHistogram]):
    """One layer alone, exchange by exchange, and its numbers against its codes."""
    layer = next(one for one in (found.entry, *found.layers) if one.name == name)
    unit = "in steps of its output" if found.on_grids else "as real numbers"
    parts = [] if layer.local is None else [_exchanges(layer, layer.local, unit)]
    return Group(*parts, *(part for one in histograms for part in _histogram(one)))


def _exchanges(layer, local, unit):
    headers = ("of", "exchange", "mean", "rms", "largest", "outputs changed", "share %")
    table = Table(*headers, box=None)
    for change in layer.changes:
        moved, share = change.step, change.growth / local.noise if local.noise else 0.0
        numbers = (f"{number:.4g}" for number in (moved.mean, moved.rms, moved.largest))
        count = f"{moved.differing} of {moved.count}"
        table.add_row(Text(change.place or INPUTS), change.cause, *numbers, count, percent(share))
    whole = (f"{number:.4g}" for number in (local.mean, local.rms, local.largest))
    table.add_row("all", "", *whole, f"{local.differing} of {local.count}", percent(float(bool(local.noise))))
    about = f"layer {layer.name} alone, SQNR {decibels(local.sqnr)}; changes {unit}"
    return Group(Text("\n" + about), table)


def _histogram(one):
    codes = f"codes {one.lo} to {one.lo + len(one.used) - 1}"
    told = f"{one.total} numbers on {codes}: {one.below} below, {one.above} above, {one.unused} codes unused"
    yield Text(f"\n{one.name}: {told}")
    merged = -(-len(one.counts) // BARS)
    counts = [int(one.counts[at : at + merged].sum()) for at in range(0, len(one.counts), merged)]
    table = Table("codes from", "numbers", "", box=None, show_header=False)
    for index, count in enumerate(counts):
        bar = "█" * -(-count * BAR_WIDTH // max(max(counts), 1))
        table.add_row(str(one.lo + index * merged * one.width), str(count), bar)
    yield table


def decibels(value) -> str:
    return f"{value:.1f} dB" if isfinite(value) else ("equal" if value > 0 else "no signal")


def as_json(found: Anatomy, histograms: tuple[CodeHistogram, ...], reference: str):
    """The same as plain data, of all layers, with every exchange; numbers that are infinite are null."""
    return {
        "examples": found.examples,
        "reference": reference,
        "weights_known": found.weights_known,
        "in_steps": found.on_grids,
        "groups": CAUSES,
        "layers": [_layer_json(layer) for layer in (found.entry, *found.layers)],
        "outputs": _error_json(found.output),
        "chain": [_change_json(change, found.output.noise) for change in found.chain],
        "histograms": [_histogram_json(one) for one in histograms],
    }


def _layer_json(layer):
    local = layer.local
    return {
        "layer": layer.name,
        "accumulated": _error_json(layer.accumulated),
        "alone": local and _error_json(local),
        "changes": [_change_json(change, local.noise) for change in layer.changes] if local else [],
    }


def _error_json(error: Error):
    return {
        "sqnr": error.sqnr if isfinite(error.sqnr) else None,
        "cosine": error.cosine,
        "mean": error.mean,
        "rms": error.rms,
        "largest": error.largest,
        "count": error.count,
        "differing": error.differing,
    }


def _change_json(change: Change, noise):
    moved = change.step
    return {
        "place": change.place or INPUTS,
        "cause": change.cause,
        "mean": moved.mean,
        "rms": moved.rms,
        "largest": moved.largest,
        "differing": moved.differing,
        "share": change.growth / noise if noise else 0.0,
    }


def _histogram_json(one):
    return {
        "name": one.name,
        "lo": one.lo,
        "width": one.width,
        "counts": one.counts.tolist(),
        "below": one.below,
        "above": one.above,
        "unused": one.unused,
    }
