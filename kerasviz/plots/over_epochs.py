"""Maps or pictures of the same things in several epochs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import colormap_for
from kerasviz.plots.figures import new_figure
from kerasviz.plots.pictures import colors_of_picture
from kerasviz.plots.reading import number

WIDTH, LEFT, RIGHT, GAP = 7.2, 0.75, 0.75, 0.08
HEADING, LINE_OF_WORDS = 0.42, 0.14


def over_epochs(
    arrays: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    title: str,
    notes: Sequence[str] | None = None,
    is_map: bool = False,
    row: str = "image",
) -> Figure:
    """Draw a column for each epoch and a row for each image.

    Args:
        arrays: One an epoch: maps `(n, height, width)`, or pictures `(n, height, width, channels)`
            in [0, 1]. Maps of one image share their colours, from the least to the largest value
            of all its epochs, or evenly about 0 where they have both signs.
        titles: One a column.
        title: Heading of the figure.
        notes: A second line for each column, such as a score.
        is_map: Whether the arrays are maps.
        row: What a row is called, before its number.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw, or arrays of other axes.
    """
    axes_wanted = 3 if is_map else 4
    if not len(arrays) or any(np.ndim(a) != axes_wanted or not np.size(a) for a in arrays):
        raise InputError(
            f"`arrays` must have {axes_wanted} axes, one array an epoch. "
            f"Received: shapes {[np.shape(a) for a in arrays]}. Maps are (n, height, width), "
            "pictures (n, height, width, channels)."
        )
    columns, rows = len(arrays), min(len(a) for a in arrays)
    scale = RIGHT if is_map else 0.1
    side = min((WIDTH - LEFT - scale) / columns - GAP, 1.6)
    height = side * arrays[-1].shape[1] / arrays[-1].shape[2]
    lines = 1 + max((note.count("\n") + 1 for note in notes), default=0) if notes else 1
    top = HEADING + lines * LINE_OF_WORDS
    high = top + rows * (height + GAP) + 0.06
    figure = new_figure(WIDTH, high)
    figure.text(0.02, 1 - 0.1 / high, title, fontsize=10, weight="bold", va="top")
    for place in range(rows):
        bottom = high - top - (place + 1) * (height + GAP) + GAP
        shown = [np.asarray(one[place], "float64") for one in arrays]
        norm, colors = _scale(shown)
        for column, values in enumerate(shown):
            left = LEFT + column * (side + GAP)
            axes = figure.add_axes((left / WIDTH, bottom / high, side / WIDTH, height / high))
            pixels = colors(norm(values)) if is_map else colors_of_picture(values)
            axes.imshow(pixels, interpolation="nearest")
            axes.set_axis_off()
            if place == 0:
                words = "\n".join([titles[column], *([notes[column]] if notes else [])])
                axes.set_title(words, fontsize=6.5, pad=3, parse_math=False)
        middle = (LEFT - 0.1) / WIDTH, (bottom + height / 2) / high
        figure.text(*middle, f"{row} {place}", fontsize=7, ha="right", va="center")
        if is_map:
            left = LEFT + columns * (side + GAP) + 0.05
            _bar(figure, (left / WIDTH, bottom / high, 0.09 / WIDTH, height / high), norm, colors)
    return figure


def _scale(maps: Sequence[np.ndarray]) -> tuple[Normalize, Any]:
    values = np.concatenate([one[np.isfinite(one)].ravel() for one in maps])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    is_signed = low < 0 < high
    if is_signed:
        low, high = -max(-low, high), max(-low, high)
    return Normalize(low, high if high > low else low + 1.0), colormap_for(is_signed)


def _bar(figure: Figure, place: tuple[float, float, float, float], norm: Any, colors: Any) -> None:
    axes = figure.add_axes(place)
    bar = figure.colorbar(ScalarMappable(norm, colors), cax=axes, ticks=[norm.vmin, norm.vmax])
    bar.ax.set_yticklabels([number(norm.vmin), number(norm.vmax)], fontsize=6)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, pad=2)
