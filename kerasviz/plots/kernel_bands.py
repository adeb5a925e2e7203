"""How banded the kernels of a model are, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.attention_weights import ZERO
from kerasviz.plots.colors import LINE, NEGATIVE, POSITIVE
from kerasviz.plots.distributions import ending
from kerasviz.plots.kernel_factors import MARGIN, WIDTH, write_heading
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

if TYPE_CHECKING:
    import pandas as pd

ROW = 0.24
NAMES = 2.9
CHANCE = 0.05


def weight_banding(table: pd.DataFrame, *, max_rows: int = 40, title: str | None = None) -> Figure:
    """Draw how banded each convolution is, a row a layer.

    A filled dot is an index that the test tells from 0 at 5 % divided by the number of layers.

    Args:
        table: What `kv.weights.banding` returns.
        max_rows: How many layers to draw: the last ones.
        title: Heading; None: made of the model.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A table of another kind, or an empty one.
    """
    needed = {"index", "p_value", "height", "width", "kind"}
    if not needed <= set(getattr(table, "columns", ())) or not len(table):
        raise InputError(
            "`table` must be what `kv.weights.banding` returns. "
            f"Received: {type(table).__name__} without its columns or rows. Pass it as it came."
        )
    rows = table.tail(max_rows)
    top = MARGIN + 4.4 * LINE_HEIGHT
    bars = WIDTH - NAMES - 2.0
    sheet = Sheet(WIDTH + 2 * MARGIN, top + len(rows) * ROW + 0.5 + MARGIN)
    heading = title or f"Bands in the kernels of {shortened(str(table.attrs.get('model', '')), 40)}"
    if len(rows) < len(table):
        heading += f" ({len(rows)} of {len(table)} layers, the last)"
    level = CHANCE / len(table)
    told = f"● index that the test tells from 0: p below {level:.2g}, which is 5 % of {len(table)}"
    told += " layers.   ○ other"
    write_heading(sheet, heading, [told])
    axes = sheet.axes(MARGIN + NAMES, top, bars, len(rows) * ROW)
    _indices(axes, rows, level)
    ends = {"kernel": WIDTH - 1.1, "p": WIDTH - 0.1}
    for name, x in ends.items():
        sheet.text(MARGIN + x, top - 1.3 * LINE_HEIGHT, name, ha="right", color=LINE)
    for place, (address, row) in enumerate(rows.iterrows()):
        y = top + place * ROW + 0.05
        sheet.text(MARGIN, y, ending(str(address), 44))
        kernel = f"{row['height']}×{row['width']}"
        sheet.text(MARGIN + ends["kernel"], y, kernel, ha="right")
        shown = "–" if np.isnan(row["p_value"]) else f"{row['p_value']:.4f}"
        sheet.text(MARGIN + ends["p"], y, shown, ha="right")
    return sheet.figure


def _indices(axes: Axes, rows: pd.DataFrame, level: float) -> None:
    index = rows["index"].to_numpy("float64")
    known = np.isfinite(index)
    places = np.arange(len(rows)) + 0.5
    colors = [POSITIVE if value > 0 else NEGATIVE for value in index]
    certain = known & (rows["p_value"].to_numpy("float64") < level)
    reach = min(1.05, max(0.25, 1.25 * float(np.abs(index[known]).max(initial=0.0))))
    axes.axvline(0.0, **ZERO)
    for place in np.flatnonzero(known):
        axes.hlines(places[place], 0.0, index[place], color=colors[place], linewidth=1.2)
        face = colors[place] if certain[place] else "white"
        axes.plot(
            index[place],
            places[place],
            "o",
            markersize=5.5,
            markerfacecolor=face,
            markeredgecolor=colors[place],
        )
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=7, length=2)
    axes.set_xlabel("← vertical bands      index      horizontal bands →", fontsize=8)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
