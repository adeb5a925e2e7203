"""Figures of many maps: a row an input, a column a method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from kerasviz.plots.cells import picture_height, place_input, place_panel, words_height
from kerasviz.plots.colors import ALPHA
from kerasviz.plots.panel import Row, samples_of
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import Sheet

CELL = 2.5
GAP = 0.25
MARGIN = 0.2
HEADING = 0.3
ROW_GAP = 0.3


def grid(
    explanations: Any,
    images: Any = None,
    *,
    names: Sequence[str] | None = None,
    colormap: str | Colormap | None = None,
    alpha: float = ALPHA,
    max_images: int = 8,
) -> Figure:
    """Draw what several methods say about the same inputs.

    The first column shows the inputs with the model's strongest outputs, each further column the
    maps of one method with colour bar, target, score, peak and layer. A map without information
    (zero, constant, NaN) is not drawn: its diagnosis stands in its place.

    Args:
        explanations: `Explanation`s of the same inputs, or one.
        images: Pictures to show instead of the preprocessed inputs, of any size, one a sample
            (a dict of those by input name for a model with several inputs).
        names: One name a sample.
        colormap: A matplotlib colour map or its name, instead of the default.
        alpha: How much of the image the hottest colour hides, in [0, 1].
        max_images: How many samples to draw; the figure says when there are more.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When the explanations are not of the same inputs, or `images` or `names`
            don't match them.
    """
    several = list(explanations) if isinstance(explanations, list | tuple) else [explanations]
    samples = samples_of(several, images, names, max_images)
    rows = [row for sample in samples for row in sample]
    sheet = Sheet(_width(len(several)), _height(rows) + 2 * MARGIN)
    y = MARGIN
    for row in rows:
        y = _place_row(sheet, row, y, colormap, alpha)
    _note_left_out(sheet, len(samples), len(several[0]))
    return sheet.figure


def plot_explanation(explanation: Any, images: Any = None, *, max_images: int = 8) -> Figure:
    """Draw one explanation: each input with its strongest outputs, and its map over it.

    Args:
        explanation: An `Explanation`.
        images: Pictures to show instead of the preprocessed inputs.
        max_images: How many samples to draw; the figure says when there are more.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    return grid([explanation], images, max_images=max_images)


def _width(methods: int) -> float:
    return 2 * MARGIN + (methods + 1) * CELL + methods * GAP


def _height(rows: list[Row]) -> float:
    heights = [HEADING + picture_height(row, CELL) + words_height(row, CELL) for row in rows]
    return sum(heights) + (len(rows) - 1) * ROW_GAP


def _place_row(
    sheet: Sheet, row: Row, y: float, colormap: str | Colormap | None, alpha: float
) -> float:
    """Draw one row at `y`; returns where the next one starts."""
    height = picture_height(row, CELL)
    heading = row.name + (f" · {row.input_name}" if row.input_name else "")
    _place_heading(sheet, heading, MARGIN, y)
    place_input(sheet, row, MARGIN, y + HEADING, CELL, height)
    for column, panel in enumerate(row.panels, start=1):
        x = MARGIN + column * (CELL + GAP)
        if panel is not None:
            _place_heading(sheet, panel.method, x, y)
            place_panel(sheet, panel, (x, y + HEADING, CELL, height), colormap, alpha)
    return y + HEADING + height + words_height(row, CELL) + ROW_GAP


def _place_heading(sheet: Sheet, text: str, x: float, y: float) -> None:
    sheet.text(x, y, shortened(text, 32), fontsize=10, fontweight="bold")


def _note_left_out(sheet: Sheet, shown: int, count: int) -> None:
    if shown < count:
        note = f"{shown} of {count} samples shown; `max_images={count}` shows all."
        sheet.text(MARGIN, sheet.height - 0.16, note, fontsize=7)
