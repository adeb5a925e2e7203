"""Cells of a sheet: the input with its strongest outputs, a map with its words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from kerasviz.plots.blending import color_bar
from kerasviz.plots.colors import ALPHA, LINE, WARNING
from kerasviz.plots.drawing import (
    draw_input,
    draw_panel,
    flat_photo,
    is_chart,
    slice_position,
)
from kerasviz.plots.panel import Panel, Row
from kerasviz.plots.reading import number, shortened, size_text
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet, wrapped

BAR_HEIGHT = 0.09
BAR_SPACE = 0.3
AXIS_SPACE = 0.2
TOP_LINE = 0.19
WORDS_GAP = 0.08


def picture_height(row: Row, width: float) -> float:
    """Height, in inches, that keeps a row's image in proportion."""
    if is_chart(row.image, row.spatial):
        return width * 0.8
    height, breadth = flat_photo(row.image, row.spatial).shape[:2]
    return width * float(min(1.6, max(0.2, height / breadth)))


def words_height(row: Row, width: float) -> float:
    """Height, in inches, of what stands below a row's pictures."""
    lines = [_words_height(panel, width) for panel in row.panels if panel is not None]
    return max([len(row.top) * TOP_LINE + WORDS_GAP, *lines])


def place_input(sheet: Sheet, row: Row, x: float, y: float, width: float, height: float) -> None:
    """The input and below it the strongest outputs."""
    drawn = _drawn_height(row.image, row.spatial, height)
    draw_input(sheet.axes(x, y, width, drawn), row.image, row.spatial)
    if row.top:
        below = sheet.axes(x, y + height + WORDS_GAP, width, len(row.top) * TOP_LINE)
        draw_top(below, row.top, row.probabilities, int(width * 11))


def place_panel(
    sheet: Sheet,
    panel: Panel,
    box: tuple[float, float, float, float],
    colormap: str | Colormap | None = None,
    alpha: float = ALPHA,
) -> None:
    """A map, below it the colour bar and the words; `box` is x, y, width, height of the picture."""
    x, y, width, height = box
    drawn = _drawn_height(panel.image, panel.map.shape, height)
    draw_panel(sheet.axes(x, y, width, drawn), panel, colormap, alpha)
    below = y + height + WORDS_GAP
    if _has_scale(panel):
        _scale(sheet, panel, (x, below, width), colormap, alpha)
        below += BAR_SPACE
    _words(sheet, panel, x, below, width)


def draw_top(
    axes: Axes, top: list[tuple[str, float]], probabilities: bool, characters: int
) -> None:
    """Names and outputs over bars; a full bar is 1, or the largest output if not probabilities."""
    values = np.nan_to_num(np.array([value for _, value in top]))
    rows = np.arange(len(top))
    axes.barh(rows, np.clip(values, 0.0, None), color=LINE, alpha=0.35, height=0.86)
    for row, (name, value) in enumerate(top):
        _row_text(axes, row, shortened(name, characters), output_text(value, probabilities))
    axes.set_xlim(0.0, 1.0 if probabilities else max(1e-9, float(values.max())))
    axes.set_ylim(len(top) - 0.5, -0.5)
    axes.set_axis_off()


def output_text(value: float, probabilities: bool) -> str:
    """An output as a percentage when outputs are probabilities, else as a number."""
    if not probabilities:
        return number(value)
    return "< 0.1%" if 0.0 < value < 0.0005 else f"{value:.1%}"


def score_text(panel: Panel) -> str:
    """The score and its kind, such as "score 8.13, before softmax"."""
    if panel.score is None:
        return ""
    return f"score {number(panel.score)}" + (f", {panel.score_kind}" if panel.score_kind else "")


def layer_text(panel: Panel) -> str:
    """The layer and its size, such as "top_conv (7 × 7)"; `""` for methods without a layer."""
    size = size_text(panel.resolution)
    return f"{panel.layer} ({size})" if panel.layer and size else panel.layer


def peak_text(panel: Panel) -> str:
    """The raw value of the map's largest magnitude, such as "peak 0.0032"."""
    if panel.peak is None or not math.isfinite(panel.peak):
        return ""
    return f"peak {number(panel.peak)}"


def slices_text(panel: Panel) -> str:
    """Where a volume is cut, such as "slices through (5, 12, 30)"."""
    return f"slices through {slice_position(panel)}" if panel.map.ndim == 3 else ""


def scale_ends(panel: Panel) -> tuple[str, str]:
    """What the two ends of the colour bar mean, in shares of the peak."""
    high = "peak" if panel.limit == 1.0 else f"≥ {panel.limit:.0%} of peak"
    low = "0" if not panel.signed else "−peak" if panel.limit == 1.0 else f"≤ −{panel.limit:.0%}"
    return low, high


def _drawn_height(image: np.ndarray, spatial: tuple[int, ...], height: float) -> float:
    """What is left for the axes when their numbers must fit below them."""
    return height - AXIS_SPACE if is_chart(image, spatial) else height


def _row_text(axes: Axes, row: int, name: str, value: str) -> None:
    transform = axes.get_yaxis_transform()
    style: dict[str, Any] = {
        "transform": transform,
        "va": "center",
        "fontsize": 8,
        "parse_math": False,
    }
    axes.text(0.015, row, name, **style)
    axes.text(0.985, row, value, ha="right", **style)


def _scale(
    sheet: Sheet,
    panel: Panel,
    place: tuple[float, float, float],
    colormap: str | Colormap | None,
    alpha: float,
) -> None:
    x, y, width = place
    axes = sheet.axes(x, y, width, BAR_HEIGHT)
    axes.imshow(color_bar(panel.signed, colormap, alpha), aspect="auto")
    axes.set_axis_off()
    low, high = scale_ends(panel)
    sheet.text(x, y + BAR_HEIGHT + 0.02, low, fontsize=7)
    sheet.text(x + width, y + BAR_HEIGHT + 0.02, high, fontsize=7, ha="right")


def _has_scale(panel: Panel) -> bool:
    return not panel.blank and not is_chart(panel.image, panel.map.shape)


def _words_height(panel: Panel, width: float) -> float:
    scale = BAR_SPACE if _has_scale(panel) else 0.0
    count = len(_lines(panel, width)) + len(_warning_lines(panel, width))
    return WORDS_GAP + scale + count * LINE_HEIGHT


def _lines(panel: Panel, width: float) -> list[str]:
    target = f"for {shortened(panel.target, 60)}" if panel.target else ""
    facts = (target, score_text(panel), peak_text(panel), layer_text(panel), slices_text(panel))
    return [line for fact in facts for line in wrapped(fact, width, max_lines=2)]


def _warning_lines(panel: Panel, width: float) -> list[str]:
    return wrapped(panel.warning, width, max_lines=6)


def _words(sheet: Sheet, panel: Panel, x: float, y: float, width: float) -> None:
    lines = _lines(panel, width)
    sheet.text(x, y, "\n".join(lines))
    warning = "\n".join(_warning_lines(panel, width))
    sheet.text(x, y + len(lines) * LINE_HEIGHT, warning, color=WARNING)
