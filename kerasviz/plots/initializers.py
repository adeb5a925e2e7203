"""Histograms of weights or features: a row an initializer, a column a kind of input and a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.distributions import central_range, shares_on
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.2
NAMES = 1.55
RIDGE = 1.15
NUMBERS = (0.52, 0.5, 0.5)
GAP = 0.2
ROW = 0.34
SPACE = 0.3
HEAD = 0.62
CELLS = 60
BEFORE, AFTER = "#8a8f98", "#1f4e79"
SMALL = 7.5
NOTE = "Height: square root of the share of values. One scale a row, written below its name."
EDGE = 0.02
STATISTICS = ("mean", "std", "skewness")


def initializer_histograms(
    table: pd.DataFrame, edges: np.ndarray, counts: np.ndarray, *, title: str
) -> Figure:
    """Draw how values are distributed before and after training from several initializers.

    Each row of a block is a layer, with one scale for all columns, written beside its name, that
    holds 99.8 % of the values in each column. The height is the share of values, as the square
    root. Mean, standard deviation and skewness are written beside each.

    Args:
        table: A row a histogram: `initializer`, `trained`, `layer`, for features `inputs`, and
            `mean`, `std`, `skewness`; one run of each initializer.
        edges: `(rows, bins + 1)`.
        counts: `(rows, bins)`.
        title: Heading of the figure.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw, or two histograms for one place.
    """
    has_inputs = "inputs" in table.columns
    keys = ["initializer", "trained", "layer", *(["inputs"] if has_inputs else [])]
    if not len(table) or table.duplicated(keys).any():
        raise InputError(
            "`table` must have one row for each place in the figure. Received: "
            f"{len(table)} rows, some for the same place. Choose one seed."
        )
    kinds = [*dict.fromkeys(table["inputs"])] if has_inputs else [""]
    columns = [(kind, trained) for kind in kinds for trained in (False, True)]
    blocks = [*dict.fromkeys(table["initializer"])]
    layers = [*dict.fromkeys(table["layer"])]
    cell = RIDGE + sum(NUMBERS) + GAP
    height = len(layers) * ROW + SPACE
    top = MARGIN + HEAD + 2 * LINE_HEIGHT
    width = 2 * MARGIN + NAMES + len(columns) * cell
    sheet = Sheet(width, top + len(blocks) * height + MARGIN)
    sheet.text(MARGIN, MARGIN, title, fontsize=12, fontweight="bold")
    sheet.text(MARGIN, MARGIN + 0.24, NOTE, fontsize=SMALL, color=LINE)
    for place, (kind, trained) in enumerate(columns):
        _heading(sheet, MARGIN + NAMES + place * cell, top, kind, trained)
    index = {tuple(row): i for i, row in enumerate(table[keys].itertuples(index=False, name=None))}
    for b, block in enumerate(blocks):
        y = top + b * height
        _rule(sheet, y - 0.05)
        sheet.text(MARGIN, y, shortened(str(block), 22), fontsize=9.5, fontweight="bold")
        for a, layer in enumerate(layers):
            found = [
                index.get((block, trained, layer, *([kind] if has_inputs else [])))
                for kind, trained in columns
            ]
            line = y + SPACE - 0.06 + a * ROW
            _row(sheet, line, str(layer), found, (table, edges, counts), columns, cell)
    return sheet.figure


def _rule(sheet: Sheet, y: float) -> None:
    """A thin line from margin to margin, above a block."""
    ends, height = (MARGIN / sheet.width, 1.0 - MARGIN / sheet.width), 1.0 - y / sheet.height
    transform = sheet.figure.transFigure
    line = Line2D(ends, (height, height), color=LINE, linewidth=0.5, transform=transform)
    sheet.figure.add_artist(line)


def _heading(sheet: Sheet, x: float, top: float, kind: str, trained: bool) -> None:
    text = "trained" if trained else "initial"
    y = top - 2 * LINE_HEIGHT - 0.07
    sheet.text(x, y, f"{kind}, {text}" if kind else text, fontsize=9, fontweight="bold")
    x += RIDGE
    for name, width in zip(("mean", "std", "skew"), NUMBERS, strict=True):
        x += width
        sheet.text(x, y + LINE_HEIGHT + 0.03, name, ha="right", color=LINE, fontsize=SMALL)


def _row(
    sheet: Sheet,
    y: float,
    layer: str,
    found: list[int | None],
    measured: tuple[Any, np.ndarray, np.ndarray],
    columns: list[tuple[str, bool]],
    cell: float,
) -> None:
    table, edges, counts = measured
    there = [i for i in found if i is not None and counts[i].sum() > 0]
    sheet.text(MARGIN + 0.08, y, shortened(layer, 20), fontsize=8.5)
    if not there:
        return
    low, high, scale = _scale(table.iloc[there], [(edges[i], counts[i]) for i in there])
    sheet.text(MARGIN + 0.08, y + 0.15, scale, fontsize=6.5, color=LINE)
    for place, (i, (_, trained)) in enumerate(zip(found, columns, strict=True)):
        x = MARGIN + NAMES + place * cell
        if i is None or counts[i].sum() == 0:
            sheet.text(x, y + 0.09, "no finite value", fontsize=SMALL, color=LINE)
            continue
        axes = sheet.axes(x, y, RIDGE, ROW - 0.05)
        color = AFTER if trained else BEFORE
        if table["std"].iloc[i] == 0:
            _spike(axes, table["mean"].iloc[i], (low, high), color)
        else:
            _ridge(axes, edges[i], counts[i], (low, high), color)
        _numbers(sheet, x + RIDGE, y + 0.1, table.iloc[i])


def _scale(rows: pd.DataFrame, histograms: list[Any]) -> tuple[float, float, str]:
    """Ends of the common scale, and what to write of it."""
    means = rows["mean"]
    if (rows["std"] == 0).all() and means.min() == means.max():
        middle = float(means.iloc[0])
        reach = abs(middle) or 1.0
        return middle - reach, middle + reach, f"all {_short(middle)}"
    low, high = central_range(histograms)
    edge = EDGE * (high - low)
    return low - edge, high + edge, f"{_short(low)} … {_short(high)}"


def _ridge(
    axes: Axes, edges: np.ndarray, counts: np.ndarray, ends: tuple[float, float], color: str
) -> None:
    cells = np.linspace(*ends, CELLS + 1)
    heights = np.sqrt(shares_on(edges, counts, cells))
    heights = np.append(heights, heights[-1]) / heights.max()
    axes.fill_between(cells, heights, step="post", color=color, linewidth=0)
    _frame(axes, ends)


def _spike(axes: Axes, value: float, ends: tuple[float, float], color: str) -> None:
    """All values are the same."""
    axes.plot([value, value], [0.0, 1.0], color=color, linewidth=2.2, solid_capstyle="butt")
    _frame(axes, ends)


def _frame(axes: Axes, ends: tuple[float, float]) -> None:
    axes.set_xlim(*ends)
    axes.set_ylim(0.0, 1.05)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set(color=LINE, linewidth=0.6)
    if ends[0] < 0.0 < ends[1]:
        axes.axvline(0.0, color="black", linewidth=0.6, linestyle=(0, (1, 2)))


def _numbers(sheet: Sheet, x: float, y: float, row: Any) -> None:
    for name, width in zip(STATISTICS, NUMBERS, strict=True):
        x += width
        value = float(row[name])
        text = _short(value) if np.isfinite(value) else "–"
        sheet.text(x, y, text, ha="right", fontsize=SMALL)


def _short(value: float) -> str:
    """Three digits, two in front of a power of ten, in as few characters as they take."""
    if 100 <= abs(value) < 9999.5:
        return f"{value:.0f}"
    is_plain = value == 0 or 1e-3 <= abs(value) < 9999.5
    text = f"{value + 0.0:.3g}" if is_plain else f"{value:.1e}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
