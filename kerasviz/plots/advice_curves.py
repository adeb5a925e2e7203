"""The curves that advice on a run comes from, each with its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasviz.plots.colors import LINE, WARNING
from kerasviz.plots.figures import new_figure
from kerasviz.plots.reading import number

WIDTH, HEIGHT, HEADING = 7.2, 1.55, 0.45
COLUMNS, MOST = 3, 12
WIDE = 100.0


def advice_curves(panels: Sequence[tuple[str, str, Any, float, str]]) -> Figure:
    """Draw a small curve for each piece of advice, with its threshold as a dashed line.

    Args:
        panels: Rule, name of the column, pandas Series of what is compared, threshold, and
            "epoch" or "step". The first twelve are drawn.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    shown = panels[:MOST]
    rows = -(-len(shown) // COLUMNS)
    figure = new_figure(WIDTH, HEADING + rows * HEIGHT)
    title = "Where the advice comes from (dashed: the threshold)"
    if len(panels) > len(shown):
        title += f", the first {MOST} of {len(panels)}"
    high = figure.get_figheight()
    figure.text(0.02, 1 - 0.1 / high, title, fontsize=10, weight="bold", va="top")
    for place, panel in enumerate(shown):
        row, column = divmod(place, COLUMNS)
        bottom = high - HEADING - (row + 1) * HEIGHT + 0.42
        left = 0.5 + column * WIDTH / COLUMNS
        size = (WIDTH / COLUMNS - 0.62) / WIDTH, (HEIGHT - 0.8) / high
        _panel(figure.add_axes((left / WIDTH, bottom / high, *size)), *panel)
    return figure


def _panel(axes: Any, rule: str, name: str, curve: Any, threshold: float, unit: str) -> None:
    known = curve.dropna()
    values = known.to_numpy("float64")
    marker = "." if len(values) < 12 else None
    axes.plot(known.index.to_numpy(), values, color="0.15", linewidth=1.1, marker=marker)
    axes.axhline(threshold, color=WARNING, linestyle="--", linewidth=0.9)
    finite = np.append(values[np.isfinite(values)], threshold)
    if finite.min() > 0 and finite.max() > WIDE * finite.min():
        axes.set_yscale("log", nonpositive="mask")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=6, length=2, which="both", colors=LINE)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.set_xlabel(unit, fontsize=6.5, labelpad=1)
    last = f", now {number(values[-1])}" if len(values) else ""
    words = [f"{rule}{last}", _end(name, 34)]
    axes.set_title("\n".join(words), fontsize=6.5, loc="left", pad=3, parse_math=False)


def _end(name: str, length: int) -> str:
    """A name cut at its beginning, where the group stands that the rule tells anyway."""
    return name if len(name) <= length else "…" + name[1 - length :]
