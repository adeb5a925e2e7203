"""Receptive fields beside the functions that were fitted to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.reading import number
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.2
SIDE = 0.95
GAP = 0.06
BLOCK_GAP = 0.25
COLUMNS = 3
WORDS = 4 * LINE_HEIGHT + 0.08
HEAD = 0.75
FOOT = 0.5
GREYS = "gray"
MARK = "#d55e00"
NAMES = ("map", "Gabor", "difference of Gaussians")
KINDS = {
    "gabor": "Gabor",
    "dog": "centre and surround",
    "other": "neither",
    "dead": "dead",
}


def field_fits(
    maps: np.ndarray,
    gabor: np.ndarray,
    dog: np.ndarray,
    table: pd.DataFrame,
    *,
    title: str = "Receptive fields and what was fitted to them",
) -> Figure:
    """Draw each unit's map, the Gabor function and the difference of Gaussians fitted to it.

    The three of a unit have one scale, symmetric about grey: middle grey is 0, white and black are
    the peak of its map. The fit that gives the unit its name is framed.

    Args:
        maps: (units, height, width).
        gabor: The same of the fitted Gabor functions.
        dog: The same of the fitted differences of Gaussians.
        table: A row a unit, as `kv.receptive_fields.describe` returns it.
        title: Heading of the figure.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: No unit, or parts that do not belong together.
    """
    shapes = {np.shape(maps), np.shape(gabor), np.shape(dog)}
    if len(shapes) != 1 or np.ndim(maps) != 3 or len(maps) != len(table) or not len(table):
        raise InputError(
            "`maps`, `gabor` and `dog` must be (units, height, width) of the same units as the "
            f"rows of `table`. Received: {sorted(shapes)} and {len(table)} rows. "
            "See `kv.receptive_fields.plot_fits`."
        )
    count = len(table)
    columns = min(COLUMNS, count)
    tall = SIDE * maps.shape[1] / maps.shape[2]
    width, height = 3 * SIDE + 2 * GAP, tall + WORDS + BLOCK_GAP
    rows = -(-count // columns)
    sheet = Sheet(
        2 * MARGIN + columns * (width + BLOCK_GAP) - BLOCK_GAP, HEAD + rows * height + FOOT
    )
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    sheet.text(MARGIN, MARGIN + 0.24, "each: " + ", ".join(NAMES), fontsize=8, color=LINE)
    for place, row in enumerate(table.to_dict("records")):
        x = MARGIN + place % columns * (width + BLOCK_GAP)
        y = HEAD + place // columns * height
        peak = float(np.abs(maps[place]).max()) or 1.0
        for part, (kind, picture) in enumerate(
            zip(("map", "gabor", "dog"), (maps[place], gabor[place], dog[place]), strict=True)
        ):
            axes = sheet.axes(x + part * (SIDE + GAP), y, SIDE, tall)
            draw_signed(axes, picture, peak)
            if kind == row["type"]:
                _frame(axes)
        if not np.isfinite(row["gabor_error"]):
            peak = float(maps[place].flat[0])
        _words(sheet, x, y + tall + 0.04, table.index[place], row, peak)
    _scale(sheet, HEAD + rows * height + 0.02)
    return sheet.figure


def draw_signed(axes: Axes, picture: np.ndarray, peak: float) -> None:
    """A map, symmetric about grey."""
    axes.imshow(
        picture, cmap=GREYS, norm=Normalize(-peak, peak), interpolation="nearest", aspect="auto"
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=LINE, linewidth=0.5)


def _frame(axes: Axes) -> None:
    for spine in axes.spines.values():
        spine.set(color=MARK, linewidth=2.0)


def _words(
    sheet: Sheet, x: float, y: float, unit: Any, row: Mapping[Any, Any], peak: float
) -> None:
    kind = str(row["type"])
    title = f"{unit}: {KINDS.get(kind, kind)}{', blob' if row.get('blob') else ''}"
    sheet.text(x, y, title, fontsize=8, fontweight="bold")
    for place, line in enumerate(_lines(kind, row, peak)):
        sheet.text(x, y + (place + 1) * LINE_HEIGHT, line, fontsize=7, color="#333333")


def _lines(kind: str, row: Mapping[Any, Any], peak: float) -> list[str]:
    if kind == "dead":
        return ["0 everywhere"]
    if not np.isfinite(row["gabor_error"]):
        return [f"{number(peak)} everywhere"]
    fits = {
        "gabor": f"{row['orientation']:.0f}°, λ {number(row['wavelength'])} px, "
        f"φ {row['phase'] + 0.0:.0f}°",
        "dog": f"σ {number(row['sigma_center'])} and {number(row['sigma_surround'])} px, "
        f"surround {number(row['surround_share'])}",
    }
    errors = f"unexplained: Gabor {row['gabor_error']:.2f}, Gaussians {row['dog_error']:.2f}"
    roundness = f"peak {number(peak)}, std over angles {row['orientation_std']:.2f}"
    return [*([fits[kind]] if kind in fits else []), errors, roundness]


def _scale(sheet: Sheet, y: float) -> None:
    axes = sheet.axes(MARGIN + 0.15, y, 1.6, 0.1)
    axes.imshow(np.linspace(-1, 1, 200)[None], cmap=GREYS, aspect="auto", extent=(-1, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1], ["-peak", "0", "peak"], fontsize=7)
    axes.tick_params(length=2, pad=1)
