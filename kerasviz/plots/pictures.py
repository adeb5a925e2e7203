"""Figures of pictures that a model was asked for: each with its name, side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.cells import AXIS_SPACE, BAR_HEIGHT, BAR_SPACE
from kerasviz.plots.drawing import draw_input, flat_photo, is_chart, kind_of
from kerasviz.plots.figures import encode_png, new_figure, to_png
from kerasviz.plots.grids import GAP, MARGIN, ROW_GAP
from kerasviz.plots.reading import number
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet, wrapped

WIDTH = 1.8
WORDS_GAP = 0.05
MOST_CHANNELS = 8
MOST_COLUMNS = 8
TITLE_LINES = 4
CHECKS = 16
CHECK_GREYS = (0.82, 0.96)
TOLERANCE = 1e-5
CHARTS = {"bars": (0.0, 1.03), "line": (-0.03, 1.03)}


def pictures(
    pictures: np.ndarray,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    *,
    opacity: bool | None = None,
    width: float = WIDTH,
    max_images: int = 64,
) -> Figure:
    """Draw pictures side by side, each below its title.

    Three channels are drawn in colour, one in grey with a grey scale below, other numbers as one
    grey picture a channel. A transparent picture lies over a light checkerboard. Volumes are shown
    as three slices through their middle, signals as curves, vectors as bars. A picture that leaves
    [0, 1] is stretched, all its channels alike, and its title says so.

    Args:
        pictures: `(n, *positions, channels)` in [0, 1], or bytes, with up to three axes of
            positions.
        titles: One text a picture; lines are kept.
        columns: How many stand side by side; by default as many as make a wide sheet.
        opacity: Whether the last channel is opacity; by default where there are four channels.
        width: Inches of one picture.
        max_images: How many pictures to draw; the figure says when there are more.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When the pictures have another shape or hold NaN or infinity, their opacity
            leaves [0, 1], or there is not one title a picture.

    Example:
        >>> import numpy as np
        >>> from kerasviz import plots
        >>> noise = np.random.default_rng(0).random((2, 16, 16, 3))
        >>> figure = plots.pictures(noise, titles=["one", "two"])
        >>> len(figure.axes)
        2
    """
    array = _checked(pictures, opacity)
    words = _titles(titles, len(array))
    shown = min(len(array), max_images)
    several = [_cells(array[i], words[i], opacity) for i in range(shown)]
    cells = list(itertools.chain.from_iterable(several))
    across = _columns(columns, len(cells), max(map(len, several)))
    rows = [cells[start : start + across] for start in range(0, len(cells), across)]
    heights = [_row_height(row, width) for row in rows]
    sheet = Sheet(
        2 * MARGIN + across * width + (across - 1) * GAP,
        2 * MARGIN + sum(heights) + (len(rows) - 1) * ROW_GAP,
    )
    y = MARGIN
    for row, height in zip(rows, heights, strict=True):
        _place_row(sheet, row, y, width)
        y += height + ROW_GAP
    if shown < len(array):
        note = f"{shown} of {len(array)} pictures shown; `max_images={len(array)}` shows all."
        sheet.text(MARGIN, sheet.height - 0.16, note, fontsize=7)
    return sheet.figure


def picture_png(picture: np.ndarray, opacity: bool | None = None) -> bytes:
    """One picture `(*positions, channels)` without words as PNG, one pixel a pixel.

    Transparent pictures stay transparent; volumes, and pictures of other than one or three
    channels, are drawn in parts side by side; signals and vectors as charts.
    """
    array = _checked(np.asarray(picture)[None], opacity)[0]
    spatial = array.shape[:-1]
    colors, alpha, _ = _split(array, opacity)
    if alpha is not None and len(spatial) == 2 and colors.shape[-1] in (1, 3):
        rgb = np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors
        return encode_png(np.concatenate([rgb, alpha], axis=-1))
    cells = _cells(array, "", opacity)
    if is_chart(cells[0].image, cells[0].spatial):
        figure = new_figure(3.2, 2.56)
        _draw(figure.add_axes((0.06, 0.1, 0.88, 0.87)), cells[0])
        return to_png(figure)
    return encode_png(_joined(cells))


def colors_of_picture(picture: np.ndarray, opacity: bool | None = None) -> np.ndarray:
    """One picture `(height, width, channels)`, or a volume, as `(height, width, 3)` in [0, 1]."""
    array = _checked(np.asarray(picture)[None], opacity)[0]
    if array.ndim not in (3, 4):
        raise InputError(
            "A picture must have two axes of positions, or three, to become pixels. "
            f"Received: shape {array.shape}. Draw it with `kv.plots.pictures`."
        )
    return _joined(_cells(array, "", opacity))


@dataclass(frozen=True, eq=False)
class _Cell:
    """What is drawn on one pair of axes: an image ready for it, and its words.

    Args:
        title: Stands above.
        image: `(*spatial, 3)` in [0, 1], or the channels of a signal, or a vector.
        spatial: Its axes of positions.
        scale: What black and white mean, for a grey picture.
    """

    title: str
    image: np.ndarray
    spatial: tuple[int, ...]
    scale: tuple[float, float] | None = None


def _cells(picture: np.ndarray, title: str, opacity: bool | None) -> list[_Cell]:
    colors, alpha, ends = _split(picture, opacity)
    notes = [] if ends is None else [f"stretched from {number(ends[0])} to {number(ends[1])}"]
    spatial = picture.shape[:-1]
    if not spatial:
        return [_Cell(_lines(title, notes), colors, colors.shape)]
    if len(spatial) == 1:
        drawn = colors if alpha is None else np.concatenate([colors, alpha], axis=-1)
        notes += [] if alpha is None else ["last curve: opacity"]
        return [_Cell(_lines(title, notes), drawn, spatial)]
    notes += ["middle slices"] if len(spatial) == 3 else []
    if colors.shape[-1] == 3:
        return [_Cell(_lines(title, notes), _laid(colors, alpha), spatial)]
    return _grey_cells(colors, alpha, title, notes, ends or (0.0, 1.0))


def _grey_cells(
    colors: np.ndarray,
    alpha: np.ndarray | None,
    title: str,
    notes: list[str],
    scale: tuple[float, float],
) -> list[_Cell]:
    count, spatial = colors.shape[-1], colors.shape[:-1]
    cells = []
    for channel in range(min(count, MOST_CHANNELS)):
        name = [] if count == 1 else [f"channel {channel} of {count}"]
        grey = np.repeat(colors[..., channel, None], 3, axis=-1)
        words = _lines(title, name + notes)
        cells.append(_Cell(words, _laid(grey, alpha), spatial, scale))
    return cells


def _split(
    picture: np.ndarray, opacity: bool | None
) -> tuple[np.ndarray, np.ndarray | None, tuple[float, float] | None]:
    """Colours in [0, 1], opacity, and the range that was stretched (None if it was not)."""
    colors, alpha = picture, None
    if _has_opacity(picture.shape, opacity):
        colors, alpha = picture[..., :-1], picture[..., -1:]
    low, high = float(colors.min()), float(colors.max())
    if low >= -TOLERANCE and high <= 1.0 + TOLERANCE:
        return np.clip(colors, 0.0, 1.0), alpha, None
    span = high - low
    stretched = (colors - low) / span if span else np.full(colors.shape, 0.5)
    return stretched, alpha, (low, high)


def _has_opacity(shape: tuple[int, ...], opacity: bool | None) -> bool:
    return len(shape) > 1 and (shape[-1] == 4 if opacity is None else opacity)


def _laid(colors: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The colours over a light checkerboard where they are transparent."""
    if alpha is None:
        return colors
    side = max(1, max(colors.shape[:-1]) // CHECKS)
    odd = sum(np.indices(colors.shape[:-1]) // side) % 2
    board = np.where(odd, *CHECK_GREYS)[..., None]
    return colors * alpha + board * (1.0 - alpha)


def _joined(cells: Sequence[_Cell]) -> np.ndarray:
    return np.concatenate([flat_photo(cell.image, cell.spatial) for cell in cells], axis=1)


def _checked(pictures: Any, opacity: bool | None) -> np.ndarray:
    array = np.asarray(pictures)
    usable = array.dtype.kind in "biuf" and 2 <= array.ndim <= 5 and array.size > 0
    if not usable or (opacity and array.shape[-1] < 2):
        raise InputError(
            "`pictures` must be numbers of shape (n, *positions, channels) with up to three axes "
            f"of positions. Received: {array.dtype}, shape {array.shape}. Give one input's "
            "pictures; add an axis for one channel: `pictures[..., None]`."
        )
    values = array / 255.0 if array.dtype == np.uint8 else array.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(
            "`pictures` must hold finite numbers. "
            f"Received: {int((~np.isfinite(values)).sum())} values that are NaN or infinite. "
            "Look where they come from: a picture of them would mislead."
        )
    if _has_opacity(values.shape[1:], opacity):
        _check_opacity(values[..., -1])
    return values


def _check_opacity(alpha: np.ndarray) -> None:
    if alpha.min() < -TOLERANCE or alpha.max() > 1.0 + TOLERANCE:
        raise InputError(
            "The last channel is taken for opacity and must be in [0, 1]. Received: "
            f"{number(alpha.min())} to {number(alpha.max())}. Pass `opacity=False` if it is not."
        )


def _titles(titles: Sequence[str] | None, count: int) -> list[str]:
    if titles is None:
        return [""] * count
    if isinstance(titles, str) or len(titles) != count:
        received = repr(titles) if isinstance(titles, str) else str(len(titles))
        raise InputError(f"`titles` must have one text a picture: {count}. Received: {received}.")
    return [str(title) for title in titles]


def _lines(title: str, notes: Sequence[str]) -> str:
    return "\n".join(filter(None, [title, ", ".join(notes)]))


def _columns(columns: int | None, cells: int, together: int) -> int:
    if columns is not None:
        if isinstance(columns, bool) or not isinstance(columns, int) or columns < 1:
            raise InputError(f"`columns` must be a whole number from 1 on. Received: {columns!r}.")
        return min(columns, cells)
    if together > 1:
        return together
    return cells if cells <= 5 else min(MOST_COLUMNS, math.ceil(math.sqrt(1.5 * cells)))


def _title_lines(cell: _Cell, width: float) -> list[str]:
    return [
        line
        for given in cell.title.splitlines()
        for line in wrapped(given, width, max_lines=TITLE_LINES)
    ]


def _picture_height(cell: _Cell, width: float) -> float:
    if is_chart(cell.image, cell.spatial):
        return width * 0.8 + AXIS_SPACE
    height, breadth = flat_photo(cell.image, cell.spatial).shape[:2]
    return width * float(min(1.6, max(0.2, height / breadth)))


def _words_height(row: Sequence[_Cell], width: float) -> float:
    lines = max(len(_title_lines(cell, width)) for cell in row)
    return lines * LINE_HEIGHT + (WORDS_GAP if lines else 0.0)


def _row_height(row: Sequence[_Cell], width: float) -> float:
    bars = WORDS_GAP + BAR_SPACE if any(cell.scale for cell in row) else 0.0
    drawn = max(_picture_height(cell, width) for cell in row)
    return _words_height(row, width) + drawn + bars


def _place_row(sheet: Sheet, row: Sequence[_Cell], y: float, width: float) -> None:
    below = y + _words_height(row, width)
    for column, cell in enumerate(row):
        x = MARGIN + column * (width + GAP)
        sheet.text(x, y, "\n".join(_title_lines(cell, width)))
        height = _picture_height(cell, width)
        drawn = height - AXIS_SPACE if is_chart(cell.image, cell.spatial) else height
        _draw(sheet.axes(x, below, width, drawn), cell)
        if cell.scale is not None:
            _place_scale(sheet, cell.scale, (x, below + height + WORDS_GAP, width))


def _draw(axes: Any, cell: _Cell) -> None:
    draw_input(axes, cell.image, cell.spatial)
    kind = kind_of(cell.image, cell.spatial)
    if kind in CHARTS:
        (axes.set_xlim if kind == "bars" else axes.set_ylim)(*CHARTS[kind])


def _place_scale(
    sheet: Sheet, scale: tuple[float, float], place: tuple[float, float, float]
) -> None:
    x, y, width = place
    axes = sheet.axes(x, y, width, BAR_HEIGHT)
    axes.imshow(np.linspace(0.0, 1.0, 256)[None], cmap="gray", aspect="auto", vmin=0.0, vmax=1.0)
    axes.set_axis_off()
    sheet.text(x, y + BAR_HEIGHT + 0.02, number(scale[0]), fontsize=7)
    sheet.text(x + width, y + BAR_HEIGHT + 0.02, number(scale[1]), fontsize=7, ha="right")
