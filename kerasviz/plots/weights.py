"""Figures of weights: how some are spread, and what changed most between two models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from scipy import special

from kerasviz.errors import InputError
from kerasviz.plots.attention_weights import (
    BAR,
    CURVE,
    INITIAL,
    ZERO,
    signed,
    weight_histogram,
    weight_key,
)
from kerasviz.plots.colors import LINE, POSITIVE
from kerasviz.plots.distributions import ending
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.2
HISTOGRAM = (3.7, 1.8)
QUANTILES = 1.9
GAP = 0.5
POINTS = 257
NAMES = 3.0
BARS = 2.6
ROW = 0.24


def weight_distribution(found: Any, *, title: str = "How the weights are spread") -> Figure:
    """Draw a histogram and a normal Q-Q plot for each role.

    The histogram has 50 bins, a density curve (Gaussian kernels, Scott's width, of at most 5000
    weights drawn with a fixed seed), the mean, zero, and as an outline what the initializers alone
    would give. In the Q-Q plot normally distributed weights would lie on the line through mean and
    std; points that leave it at the ends show heavy or light tails.

    Args:
        found: What `kv.weights.distribution` returns.
        title: Heading of the figure.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    width, height = HISTOGRAM
    words = 2.4 * LINE_HEIGHT
    top = MARGIN + 3.2 * LINE_HEIGHT
    block = words + height + GAP
    breadth = 2 * MARGIN + 0.3 + width + GAP + QUANTILES
    sheet = Sheet(breadth, top + len(found.values) * block - GAP + 0.42 + MARGIN)
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    _legend(sheet, MARGIN + 1.5 * LINE_HEIGHT)
    for place, (role, values) in enumerate(found.values.items()):
        y, row = top + place * block, found.table.loc[role]
        _heading(sheet, y, role, row, found.addresses[role])
        axes = sheet.axes(MARGIN + 0.3, y + words, width, height)
        weight_histogram(axes, values, row, found.initial[role])
        left = MARGIN + 0.3 + width + GAP
        _against_normal(sheet.axes(left, y + words, QUANTILES, height), values, row)
    return sheet.figure


def _legend(sheet: Sheet, y: float) -> None:
    signs: tuple[tuple[str, float, dict[str, Any]], ...] = (
        ("weights", 0.85, {"color": BAR, "linewidth": 6}),
        ("density", 0.82, {"color": CURVE, "linewidth": 1.2}),
        ("mean", 0.7, {"color": POSITIVE, "linewidth": 1.2}),
        ("initializer alone", 1.3, INITIAL),
        ("zero", 0.6, ZERO),
    )
    weight_key(sheet, y, signs)


def _heading(sheet: Sheet, y: float, role: str, row: Any, addresses: tuple[str, ...]) -> None:
    name = addresses[0] if len(addresses) == 1 else f"{role} of {len(addresses)} layers"
    sheet.text(MARGIN, y, ending(name, 60), fontweight="bold")
    count = f"{row['count']:,.0f} weights"
    if row["not_finite"]:
        count += f", {row['not_finite']:,.0f} not finite"
    sheet.text(sheet.width - MARGIN, y, count, fontsize=7, color=LINE, ha="right")
    told = "   ".join(
        f"{name.replace('_', ' ')} {signed(row[key])}"
        for name, key in (
            ("mean", "mean"),
            ("median", "median"),
            ("std", "std"),
            ("skew", "skewness"),
            ("kurtosis", "kurtosis"),
        )
    )
    told += f"   {row['share_positive']:.0%} positive   {row['share_near_zero']:.1%} near zero"
    sheet.text(MARGIN, y + 1.15 * LINE_HEIGHT, told, fontsize=7)


def _against_normal(axes: Axes, values: np.ndarray, row: Any) -> None:
    """Quantiles of the weights against those of the normal distribution."""
    axes.tick_params(labelsize=6.5, length=2, pad=1.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("normal quantile, in std", fontsize=7, labelpad=2)
    finite = np.sort(values[np.isfinite(values)])
    if not finite.size:
        return
    ends = special.ndtri(np.array([0.5, finite.size - 0.5]) / finite.size)
    ranks = np.unique(
        (special.ndtr(np.linspace(float(ends[0]), float(ends[1]), POINTS)) * finite.size).astype(
            int
        )
    )
    normal = special.ndtri((ranks + 0.5) / finite.size)
    axes.plot(ends, row["mean"] + row["std"] * ends, color=POSITIVE, linewidth=1.0)
    axes.plot(normal, finite[ranks], ".", color=CURVE, markersize=3)
    axes.text(0.04, 0.97, "normal Q–Q", transform=axes.transAxes, va="top", fontsize=7, color=LINE)


def weight_changes(table: pd.DataFrame, *, max_rows: int = 24) -> Figure:
    """Draw what changed most between two models, a row a weight.

    The dot is the relative change ‖after - before‖ / ‖before‖ on a logarithmic scale; beside it are
    the cosine, the shift of the mean and the Wasserstein distance, both in stds of the weights
    before.

    Args:
        table: What `kv.weights.compare` returns.
        max_rows: How many weights to draw: the most changed ones.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A table of another kind.
    """
    needed = {"relative_change", "cosine", "shift", "std", "wasserstein"}
    if not needed <= set(getattr(table, "columns", ())) or not len(table):
        raise InputError(
            "`table` must be what `kv.weights.compare` returns. "
            f"Received: {type(table).__name__} without its columns or rows. Pass it as it came."
        )
    rows = table.head(max_rows)
    columns = {"change": 0.65, "cosine": 0.65, "shift": 0.75, "distance": 0.75}
    top = MARGIN + 4.4 * LINE_HEIGHT
    width = 2 * MARGIN + NAMES + BARS + sum(columns.values()) + 0.1
    sheet = Sheet(width, top + len(rows) * ROW + 0.45 + MARGIN)
    names = f"{table.attrs.get('model', 'before')} → {table.attrs.get('other', 'after')}"
    left_out = f" ({len(rows)} of {len(table)} weights)" if len(rows) < len(table) else ""
    heading = f"What changed most: {shortened(names, 50)}"
    sheet.text(MARGIN, MARGIN, heading + left_out, fontsize=11, fontweight="bold")
    told = "change: ‖after − before‖ / ‖before‖.  shift, distance: in stds of the weights before"
    sheet.text(MARGIN, MARGIN + 1.6 * LINE_HEIGHT, told, fontsize=7, color=LINE)
    axes = sheet.axes(MARGIN + NAMES, top, BARS, len(rows) * ROW)
    _dots(axes, rows["relative_change"].to_numpy("float64"))
    x = MARGIN + NAMES + BARS + 0.1
    for name, breadth in columns.items():
        x += breadth
        sheet.text(x, top - 1.3 * LINE_HEIGHT, name, ha="right", color=LINE)
        for place, row in enumerate(_shown(rows, name)):
            sheet.text(x, top + place * ROW + 0.05, row, ha="right")
    for place, address in enumerate(rows.index):
        sheet.text(MARGIN, top + place * ROW + 0.05, ending(str(address), 47))
    return sheet.figure


def _shown(rows: pd.DataFrame, name: str) -> list[str]:
    std = rows["std"].where(rows["std"] > 0)
    values = {
        "change": rows["relative_change"],
        "cosine": rows["cosine"],
        "shift": rows["shift"] / std,
        "distance": rows["wasserstein"] / std,
    }[name]
    return [_text(name, float(value)) for value in values]


def _text(name: str, value: float) -> str:
    if name == "cosine" and np.isfinite(value):
        return f"{value:.4f}".replace("-", "−")
    return signed(value)


def _dots(axes: Axes, changes: np.ndarray) -> None:
    """A dot a row on a logarithmic scale of whole decades."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_yticks([])
    axes.set_ylim(len(changes), 0)
    axes.set_xlabel("relative change", fontsize=8)
    drawn = np.isfinite(changes) & (changes > 0)
    if not drawn.any():
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing changed", transform=axes.transAxes, ha="center", fontsize=8)
        return
    places, shown = np.flatnonzero(drawn) + 0.5, changes[drawn]
    low, high = np.floor(np.log10(shown.min())), np.ceil(np.log10(shown.max()))
    axes.set_xscale("log")
    axes.set_xlim(10**low * 0.9, 10 ** max(high, low + 1) * 1.1)
    axes.hlines(places, 10**low, shown, color=BAR, linewidth=1.0)
    axes.plot(shown, places, "o", color=CURVE, markersize=5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="both", labelsize=7, length=2)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
