"""Figures of distributions: a ridge a layer, and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, WARNING
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.2
NAMES = 1.9
RIDGE = 3.3
ROW = 0.5
ACROSS = 96
FEWEST = 10
CENTRAL = 0.002
SHADES = "cividis"
NUMBERS = {
    "mean": 0.62,
    "std": 0.62,
    "skewness": 0.62,
    "kurtosis": 0.62,
    "zeros": 0.58,
    "dead_units": 0.55,
    "saturation": 0.72,
}
HEADINGS = {
    "skewness": "skew",
    "kurtosis": "kurt.",
    "dead_units": "dead",
    "saturation": "saturated",
}
SHARES = ("zeros", "dead_units", "saturation")
MUCH = 0.5


def distribution_ridges(
    readings: Sequence[Any],
    *,
    titles: Sequence[str] | None = None,
    title: str = "How values are distributed",
    max_rows: int = 24,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """Draw a ridge for each layer or weight; several readings (epochs) lie over one another.

    Each row has a scale of its own, written below it, that holds 99.8 % of the values of each
    reading; what lies outside is counted in the outermost strip. The height is the share of
    values, as the square root, so that tails can be seen beside a peak of zeros; the area is not a
    probability. Numbers are those of the last reading.

    Args:
        readings: `Distributions`, in the order of time. Those after the first hold its addresses.
        titles: What to call each, such as "epoch 3"; None: their numbers.
        title: Heading of the figure.
        max_rows: How many addresses to draw; of more, evenly chosen ones, which the figure says.
        labels: What to write beside the row of an address, where that is not the address.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: No readings, readings of different addresses, or titles that don't fit them.
    """
    addresses, titles = _checked(readings, titles)
    chosen = np.unique(np.linspace(0, len(addresses) - 1, min(max_rows, len(addresses))).round())
    names = [addresses[int(place)] for place in chosen]
    table = readings[-1].table
    columns = {name: width for name, width in NUMBERS.items() if name in table.columns}
    top = MARGIN + 0.3 + (2 if len(readings) == 1 else 3.2) * LINE_HEIGHT
    width = 2 * MARGIN + NAMES + RIDGE + sum(columns.values()) + 0.15
    sheet = Sheet(width, top + len(names) * ROW + MARGIN)
    left_out = f" ({len(names)} of {len(addresses)})" if len(names) < len(addresses) else ""
    sheet.text(MARGIN, MARGIN, title + left_out, fontsize=11, fontweight="bold")
    shades = _shades(len(readings))
    if len(readings) > 1:
        _legend(sheet, titles, shades)
    _headings(sheet, top - 1.3 * LINE_HEIGHT, columns)
    for place, name in enumerate(names):
        y = top + place * ROW
        sheet.text(MARGIN, y + 0.14, ending((labels or {}).get(name, name), 29))
        axes = sheet.axes(MARGIN + NAMES, y, RIDGE, ROW - 0.17)
        _ridge(axes, [reading.histogram(name) for reading in readings], shades)
        _numbers(sheet, y + 0.14, table.loc[name], columns)
    return sheet.figure


def _checked(readings: Sequence[Any], titles: Any) -> tuple[list[str], list[str]]:
    if not len(readings):
        raise InputError(
            "`readings` must hold at least one `Distributions`. Received: none. "
            "See `kv.dynamics.DistributionReader`."
        )
    addresses = list(readings[0].addresses)
    if any(set(addresses) - set(reading.addresses) for reading in readings):
        raise InputError(
            f"`readings` must all hold the addresses of the first, {addresses}. Received: "
            "one that lacks some. Read the same layers each time."
        )
    titles = [str(place) for place in range(len(readings))] if titles is None else [*titles]
    if len(titles) != len(readings):
        raise InputError(
            f"`titles` must be one text for each of {len(readings)} readings. "
            f"Received: {len(titles)}. Leave them out for numbers."
        )
    return addresses, titles


def _shades(count: int) -> list[Any]:
    """From pale for the first to dark for the last, which grey print keeps."""
    return (
        [colormaps[SHADES](x) for x in np.linspace(0.9, 0.1, count)] if count > 1 else ["#3a5a80"]
    )


def _legend(sheet: Sheet, titles: Sequence[str], shades: Sequence[Any]) -> None:
    shown = np.unique(np.linspace(0, len(titles) - 1, min(6, len(titles))).round().astype(int))
    step = min(1.4, (sheet.width - 2 * MARGIN) / len(shown))
    for place, index in enumerate(shown):
        x = MARGIN + place * step
        patch = sheet.axes(x, MARGIN + 0.32, 0.18, 0.09)
        patch.set_facecolor(shades[index])
        patch.set_xticks([])
        patch.set_yticks([])
        sheet.text(x + 0.24, MARGIN + 0.29, shortened(titles[index], 17))


def ending(address: str, length: int) -> str:
    """An address of at most so many characters, which keeps its end."""
    return address if len(address) <= length else "…" + address[1 - length :]


def _headings(sheet: Sheet, y: float, columns: dict[str, float]) -> None:
    sheet.text(MARGIN, y, "layer or weight", color=LINE)
    sheet.text(MARGIN + NAMES, y, "share of values (root), each row on its own scale", color=LINE)
    x = MARGIN + NAMES + RIDGE + 0.15
    for name, width in columns.items():
        x += width
        sheet.text(x, y, HEADINGS.get(name, name), ha="right", color=LINE)


def _numbers(sheet: Sheet, y: float, row: Any, columns: dict[str, float]) -> None:
    x = MARGIN + NAMES + RIDGE + 0.15
    for name, width in columns.items():
        x += width
        value = float(row[name])
        is_high = name in ("dead_units", "saturation") and value >= MUCH
        style = {"color": WARNING, "fontweight": "bold"} if is_high else {}
        sheet.text(x, y, _text(name, value), ha="right", **style)


def _text(name: str, value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.0%}" if name in SHARES else number(value)


def _ridge(axes: Axes, histograms: Sequence[Any], shades: Sequence[Any]) -> None:
    axes.set_yticks([])
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    used = [one for one in histograms if one[1].sum() > 0]
    if not used:
        axes.set_xticks([])
        axes.text(0.5, 0.3, "no finite value", transform=axes.transAxes, ha="center", fontsize=7)
        return
    low, high = central_range(used)
    fewest = min(float(counts.sum()) for _, counts in used)
    across = int(np.clip(2 * np.sqrt(fewest), FEWEST, ACROSS))
    cells = np.linspace(low, high, across + 1)
    for place, ((edges, counts), shade) in enumerate(zip(histograms, shades, strict=True)):
        if counts.sum() > 0:
            heights = np.sqrt(shares_on(edges, counts, cells))
            heights = heights / heights.max()
            is_last = place == len(histograms) - 1
            if is_last:
                axes.fill_between(
                    cells, _steps(heights), step="post", color=shade, alpha=0.35, linewidth=0
                )
            axes.step(
                cells, _steps(heights), where="post", color=shade, linewidth=1.1 if is_last else 0.8
            )
    axes.set_ylim(0.0, 1.08)
    axes.set_xlim(low, high)
    _ticks(axes, low, high)


def _steps(heights: np.ndarray) -> np.ndarray:
    return np.append(heights, heights[-1])


def _ticks(axes: Axes, low: float, high: float) -> None:
    axes.set_xticks([low, high], [number(low), number(high)], fontsize=6.5, color=LINE)
    first, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    axes.tick_params(axis="x", length=2, pad=1, color=LINE)
    if low < 0.0 < high:
        axes.axvline(0.0, color="black", linewidth=0.7, linestyle=(0, (1, 2)))
        share = -low / (high - low)
        if 0.15 < share < 0.85:
            axes.text(
                share, -0.06, "0", transform=axes.transAxes, va="top", ha="center", fontsize=6.5
            )


def central_range(histograms: Sequence[Any]) -> tuple[float, float]:
    """What holds all but a thousandth of each histogram on either side, a little wider."""
    ends = []
    for edges, counts in histograms:
        below = np.cumsum(counts) / counts.sum()
        first = int(np.searchsorted(below, CENTRAL / 2, side="right"))
        last = int(np.searchsorted(below, 1 - CENTRAL / 2))
        ends.append((edges[first], edges[min(last, len(counts) - 1) + 1]))
    low, high = min(e[0] for e in ends), max(e[1] for e in ends)
    least = 1e-6 * max(abs(low), abs(high)) or 1e-30
    if high - low < least:
        return low - least, high + least
    return low, high


def shares_on(edges: np.ndarray, counts: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Shares of a histogram on other cells; what lies outside is in the outermost two."""
    below = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    found = np.interp(cells, edges, below)
    found[0], found[-1] = 0.0, 1.0
    return np.diff(found)
