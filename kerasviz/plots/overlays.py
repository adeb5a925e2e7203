"""One map over one image, as a figure with colour bar or as a bare picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from kerasviz.plots.blending import color_bar
from kerasviz.plots.cells import picture_height, place_panel, words_height
from kerasviz.plots.colors import ALPHA
from kerasviz.plots.displaying import displayable
from kerasviz.plots.drawing import draw_input, draw_panel, flat_photo, is_chart, painted
from kerasviz.plots.figures import encode_png, new_figure, to_png
from kerasviz.plots.panel import Panel, Row, scale_of
from kerasviz.plots.resizing import shrink
from kerasviz.plots.sheet import Sheet

WIDTH = 4.0
MARGIN = 0.2
HEADING = 0.35


def overlay(
    image: np.ndarray,
    heatmap: np.ndarray,
    *,
    title: str = "",
    diagnosis: str = "",
    peak: float | None = None,
    signed: bool | None = None,
    colormap: str | Colormap | None = None,
    alpha: float = ALPHA,
) -> Figure:
    """Draw one map over one input, with its colour bar.

    Pictures are blended, volumes shown as three slices through the hottest voxel, signals as lines
    over the filled map, vectors as bars. A map without information (zero, constant, NaN) is not
    drawn: the diagnosis stands in its place.

    Args:
        image: One input: any range, channels first, last or none.
        heatmap: `(*spatial,)` in [0, 1], or in [-1, 1] when signed; up to 3 axes. A map that
            goes beyond is divided by its largest magnitude.
        title: Stands above the picture.
        diagnosis: Stands below it, as a warning.
        peak: The raw value of 1.0, written below the colour bar.
        signed: Whether 0 is the middle of the scale; by default, whether the map has negative
            values.
        colormap: A matplotlib colour map or its name, instead of the default.
        alpha: How much of the image the hottest colour hides, in [0, 1].

    Returns:
        A matplotlib `Figure`, not shown.
    """
    scale = max(1.0, scale_of(np.asarray(heatmap)))
    raw_peak = None if peak is None else peak * scale
    heat = np.asarray(heatmap) / scale
    panel = _bare_panel(image, heat, signed, peak=raw_peak, diagnosis=diagnosis)
    row = Row(title, "", panel.image, panel.map.shape, [], False, [panel])
    height, heading = picture_height(row, WIDTH), HEADING if title else 0.0
    total = 2 * MARGIN + heading + height + words_height(row, WIDTH)
    sheet = Sheet(WIDTH + 2 * MARGIN, total)
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    place_panel(sheet, panel, (MARGIN, MARGIN + heading, WIDTH, height), colormap, alpha)
    return sheet.figure


def reduced(row: Row, longest: int) -> Row:
    """The row with its image made displayable, and smaller where it has more pixels than needed.

    Args:
        row: From `samples_of`.
        longest: Pixels on the longer side of a picture; volumes get half of it.

    Returns:
        A row whose panels share the reduced image; rows of charts come back as they are.
    """
    axes = len(row.spatial)
    if is_chart(row.image, row.spatial):
        return row
    photo = displayable(row.image, row.spatial)
    photo = shrink(photo, longest if axes == 2 else longest // 2, axes)
    panels = [None if panel is None else replace(panel, image=photo) for panel in row.panels]
    return replace(row, image=photo, panels=panels)


def picture(panel: Panel) -> bytes:
    """The picture of a panel without any words, as PNG, for pages that have words of their own.

    Images have one pixel a pixel, volumes are three slices side by side, charts are drawn.
    """
    if not is_chart(panel.image, panel.map.shape):
        return encode_png(painted(panel))
    return _chart_picture(lambda axes: draw_panel(axes, panel))


def input_picture(row: Row) -> bytes:
    """The picture of a row's input alone, as PNG of the same size as its panels' pictures."""
    if not is_chart(row.image, row.spatial):
        return encode_png(flat_photo(row.image, row.spatial))
    return _chart_picture(lambda axes: draw_input(axes, row.image, row.spatial))


@cache
def color_bar_picture(signed: bool) -> bytes:
    """The default colour bar, lowest to highest, as PNG of 256 × 1 pixels."""
    return encode_png(color_bar(signed))


def _bare_panel(image: np.ndarray, heatmap: np.ndarray, signed: bool | None, **words: Any) -> Panel:
    heat = np.asarray(heatmap, dtype=np.float64)
    is_signed = bool((heat < 0).any()) if signed is None else signed
    return Panel("", "", np.asarray(image), heat, is_signed, **words)


def _chart_picture(draw: Callable[[Axes], None]) -> bytes:
    figure = new_figure(3.2, 2.56)
    draw(figure.add_axes((0.06, 0.1, 0.88, 0.87)))
    return to_png(figure)
