"""Parts of figures of links between channels: a map, a picture, a scale, a sign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from kerasviz.plots.colors import NEGATIVE, POSITIVE, SIGNED
from kerasviz.plots.feature_maps import flat
from kerasviz.plots.reading import number
from kerasviz.plots.sheet import Sheet

Square = tuple[float, float, float]
MARGIN = 0.2
WORDS = "Red, +: excites. Blue, −: inhibits. White: nothing. One scale for all maps."
EMPTY = "#e5e7eb"
MARKED = 0.35
MOST_MARKED = 7
LEAST_POINTS, MOST_POINTS = 4.0, 11.0


def flat_map(weights: np.ndarray) -> np.ndarray:
    """(rows, columns) of a map of no to three dimensions; slices of a volume stand side by side,
    NaN between them."""
    if weights.ndim < 2:
        return weights.reshape(1, -1).astype("float64")
    if weights.ndim == 2:
        return weights.astype("float64")
    gap = np.full((weights.shape[1], 1), np.nan)
    return np.concatenate([part for one in weights for part in (gap, one)][1:], axis=1)


def largest(maps: Iterable[np.ndarray]) -> float:
    """The largest magnitude of all; 1 where all are zero."""
    return max((float(np.abs(one).max(initial=0.0)) for one in maps), default=0.0) or 1.0


def map_box(weights: np.ndarray, side: float) -> tuple[float, float]:
    """(width, height) in inches of a map in a square of that side; strips are no thinner than a
    fifth of it."""
    rows, columns = flat_map(weights).shape
    long = max(rows, columns)
    return side * max(0.2, columns / long), side * max(0.2, rows / long)


def show_map(sheet: Sheet, weights: np.ndarray, most: float, box: Square) -> Axes:
    """Draw a map in the middle of a square, signs written where it is strong.

    Args:
        sheet: Where to.
        weights: (*window).
        most: The end of the colour scale.
        box: x, y and side of the square.
    """
    x, y, side = box
    width, height = map_box(weights, side)
    axes = sheet.axes(x + (side - width) / 2, y + (side - height) / 2, width, height)
    cells = flat_map(weights)
    colors = colormaps[SIGNED].with_extremes(bad=EMPTY)
    limits: dict[str, Any] = {"vmin": -most, "vmax": most}
    axes.imshow(cells, cmap=colors, interpolation="nearest", aspect="auto", **limits)
    _mark_signs(axes, cells, most, min(width / cells.shape[1], height / cells.shape[0]))
    frame(axes, "#9ca3af", 0.6)
    return axes


def _mark_signs(axes: Axes, cells: np.ndarray, most: float, inches: float) -> None:
    """A sign in each strong cell; of a large map in its strongest of either sign alone."""
    strong = np.abs(np.nan_to_num(cells)) >= MARKED * most
    if max(cells.shape) > MOST_MARKED:
        ends = np.zeros_like(strong)
        for place in (np.nanargmax(cells), np.nanargmin(cells)):
            ends.flat[place] = True
        strong &= ends
    points = float(np.clip(72 * inches * 0.7, LEAST_POINTS, MOST_POINTS))
    for row, column in np.argwhere(strong).tolist():
        value = cells[row, column]
        is_dark = abs(value) > 0.6 * most
        axes.text(
            column,
            row,
            "+" if value > 0 else "−",
            ha="center",
            va="center",
            fontsize=points,
            color="white" if is_dark else "#374151",
        )


def show_picture(sheet: Sheet, picture: np.ndarray, box: Square) -> Axes:
    """Draw a feature's picture in a square."""
    axes = sheet.axes(*box, box[2])
    axes.imshow(np.clip(flat(picture), 0.0, 1.0), interpolation="lanczos", aspect="auto")
    frame(axes, "#6b7280", 0.5)
    return axes


def show_blank(sheet: Sheet, words: str, box: Square) -> Axes:
    """A square with words where there is no picture."""
    axes = sheet.axes(*box, box[2])
    axes.set_facecolor("#f3f4f6")
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=10, transform=axes.transAxes)
    frame(axes, "#6b7280", 0.5)
    return axes


def frame(axes: Axes, color: str, width: float) -> None:
    """A thin frame without ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(color)
        spine.set_linewidth(width)


def show_scale(sheet: Sheet, x: float, y: float, width: float, most: float) -> None:
    """A horizontal colour bar from -most to most; `x`, `y` of its upper left corner."""
    axes = sheet.axes(x, y, width, 0.09)
    axes.imshow(np.linspace(-1, 1, 129)[None], cmap=SIGNED, aspect="auto", vmin=-1, vmax=1)
    frame(axes, "#9ca3af", 0.5)
    ticks = [number(-most).replace("-", "−"), "0", "+" + number(most)]
    axes.set_xticks([0, 64, 128], ticks, fontsize=6.5)
    axes.tick_params(length=2, pad=1.5, width=0.5)


def link_style(total: float, share: float) -> dict[str, Any]:
    """Colour, dashes, width and fading of a line: red and solid for an excess of excitation, blue
    and dashed for one of inhibition; pale and thin for weak links.

    Args:
        total: Sum of the map.
        share: Its norm, as a share of the largest.
    """
    color, dashes = (POSITIVE, "-") if total >= 0 else (NEGATIVE, (0, (3.5, 1.6)))
    return {
        "color": color,
        "linestyle": dashes,
        "linewidth": 0.8 + 2.8 * share,
        "alpha": 0.25 + 0.75 * share,
    }


def faded(share: float) -> str:
    """The colour of words about a link of that share of the largest norm: pale for weak ones."""
    level = round(0x20 + (1.0 - share) * 0x70)
    return f"#{level:02x}{level:02x}{level:02x}"


def figures_of(row: Any) -> str:
    """A link's norm and sign, in words that fit below a map."""
    return f"{number(row.norm)}  {sign_of(row.share_positive)}"


def sign_of(share: float) -> str:
    """ "+", "−", or the share of excitation where both signs matter."""
    if share > 0.95:
        return "+"
    return "−" if share < 0.05 else f"{share:.0%}\u2009+"
