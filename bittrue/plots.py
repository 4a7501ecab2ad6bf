"""Plots as PNG files: where errors come from, numbers against codes, what a budget buys."""

import io
from collections.abc import Iterable, Sequence
from math import isfinite, nan
from pathlib import Path

import numpy as np

from network.errors.anatomy import Anatomy, shares
from network.errors.exchange import GROUPS
from network.errors.histograms import CodeHistogram

from .error_report import INPUTS
from .errors import InputError, writing
from .folder import write_bytes

COLORS = dict(zip(GROUPS, ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"), strict=True))
GREY, DARK, RED = "#999999", "#222222", "#D55E00"
NARROWEST, PER_LAYER, HEIGHT, DPI = 6.4, 0.7, 4.0, 110


def check_plots_place(folder: Path):
    """Raises InputError where there is something that is no folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} exists and is not a folder; give another place for plots")


def write_plots(folder: Path, plots: dict[str, bytes]):
    """Writes PNG files by their names, into a folder that is made where it is missing. Raises InputError."""
    check_plots_place(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in plots.items():
        write_bytes(folder / f"{name}.png", content)


def _figure(width, rows=1):
    """(figure, axes below each other) that need no display. The first call takes the time to load matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, HEIGHT * rows), layout="constrained")
    return figure, figure.subplots(rows, squeeze=False)[:, 0]


def _png(figure) -> bytes:
    """The same bytes for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def _wide_enough(count):
    return max(NARROWEST, 2 + PER_LAYER * count)


def _finite(decibels):
    """For a plot, which has no place for infinite numbers."""
    return decibels if isfinite(decibels) else nan


def _named(axes, names):
    """Names below the places 0, 1, 2, ..., as they are: matplotlib reads no formulas in them."""
    axes.set_xticks(range(len(names)), [name.replace("$", r"\$") for name in names], rotation=45, ha="right")


def sqnr_plot(found: Anatomy) -> bytes:
    """SQNR after each layer, accumulated and of the layer alone."""
    layers = [found.entry, *found.layers]
    figure, (axes,) = _figure(_wide_enough(len(layers)))
    axes.plot([_finite(one.accumulated.sqnr) for one in layers], "o-", color=DARK, label="from the inputs on")
    alone = [(place, _finite(one.local.sqnr)) for place, one in enumerate(layers) if one.local is not None]
    axes.plot(*zip(*alone, strict=True), "s", color=COLORS["rounding"], label="the layer alone")
    _named(axes, [one.name for one in layers])
    axes.set_ylabel("SQNR, dB")
    axes.set_title("Signal to quantization noise of each layer's outputs")
    axes.grid(axis="y", color=GREY, alpha=0.4)
    axes.legend()
    return _png(figure)


def causes_plot(found: Anatomy) -> bytes:
    """Shares of the squared error by cause: of each layer alone; of the network's outputs, by layer."""
    alone = {one.name: shares(one.changes, one.local.noise) for one in found.layers if one.local is not None}
    places = dict.fromkeys(change.place for change in found.chain)
    chain = {
        place or INPUTS: shares((one for one in found.chain if one.place == place), found.output.noise)
        for place in places
    }
    figure, axes = _figure(_wide_enough(max(len(alone), len(chain))), rows=2)
    _stacked(axes[0], alone, "Error of each layer alone")
    _stacked(axes[1], chain, "Error of the network's outputs, by layer")
    axes[0].legend(ncols=len(GROUPS), fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.08), frameon=False)
    return _png(figure)


def _stacked(axes, rows, title):
    """Bars of positive shares upward, of negative ones downward."""
    for signs in (1, -1):
        base = np.zeros(len(rows))
        for group in GROUPS:
            part = np.array([100 * row[group] if signs * row[group] > 0 else 0.0 for row in rows.values()])
            axes.bar(range(len(rows)), part, bottom=base, color=COLORS[group], label=group if signs > 0 else None)
            base += part
    axes.axhline(0, color=DARK, linewidth=0.8)
    _named(axes, list(rows))
    axes.set_ylabel("share of squared error, %")
    axes.set_title(title)


def histogram_plot(one: CodeHistogram) -> bytes:
    """How many numbers each code has; those that saturate in another color."""
    figure, (axes,) = _figure(NARROWEST)
    edges = one.lo + one.width * np.arange(len(one.counts) + 1)
    axes.stairs(one.counts, edges, fill=True, color=COLORS["rounding"])
    axes.stairs([one.below], edges[:2], fill=True, color=RED)
    axes.stairs([one.above], edges[-2:], fill=True, color=RED)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("code")
    axes.set_ylabel("numbers")
    name = one.name.replace("$", r"\$")
    axes.set_title(f"{name}: {one.below} below, {one.above} above, {one.unused} codes unused", fontsize="medium")
    return _png(figure)


def front_plot(
    expected: Sequence[tuple[float, float]],
    measured: Iterable[tuple[float, float]],
    *,
    cost: str,
    budget: int | None = None,
    chosen: tuple[float, float] | None = None,
) -> bytes:
    """SQNR by cost: what the front expects as a line, what was measured as dots, the budget and what was chosen."""
    figure, (axes,) = _figure(NARROWEST)
    points = [(cost, _finite(sqnr)) for cost, sqnr in expected]
    axes.step(*zip(*points, strict=True), where="post", color=GREY, label="expected")
    axes.plot(
        *zip(*((cost, _finite(sqnr)) for cost, sqnr in measured), strict=True),
        "o",
        color=COLORS["rounding"],
        label="measured",
    )
    if chosen is not None:
        axes.plot(*chosen, "*", color=RED, markersize=14, label="chosen")
    if budget is not None:
        axes.axvline(budget, color=DARK, linestyle="--", label="budget")
    axes.set_xlabel(cost)
    axes.set_ylabel("SQNR, dB")
    axes.set_title("Mixed precision: what a budget buys")
    axes.grid(color=GREY, alpha=0.4)
    axes.legend()
    return _png(figure)
