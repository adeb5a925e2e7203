"""Figures of what a layer tells apart: grids, groups, dictionaries, attributions, atlases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerasviz.errors import InputError
from kerasviz.plots.blending import blend
from kerasviz.plots.colors import LINE, NEGATIVE, POSITIVE
from kerasviz.plots.displaying import displayable
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.resizing import resize
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.15
GAP = 0.12
WIDTH = 9.0
MARK = "#ffd400"
SHARPNESS = 3
# Okabe and Ito's colours, told apart by colour-blind readers too.
GROUP_COLORS = ("#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#f0e442", "#0072b2")


def activation_grid(
    display: np.ndarray | None,
    magnitudes: np.ndarray | None = None,
    *,
    photo: np.ndarray | None = None,
) -> Figure:
    """Draw a picture per cell, beside the photo that they describe.

    Args:
        display: `(*cells, *positions, channels)` in [0, 1].
        magnitudes: `(*cells,)`: the area of each picture is its share of the largest magnitude;
            None draws all of one size.
        photo: `(*positions, channels)`, drawn to the left.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When there are no pictures to draw.
    """
    cells = _cells(display)
    shares = np.ones(cells.shape[:2]) if magnitudes is None else _shares(magnitudes)
    picture = mosaic(cells, shares.reshape(cells.shape[:2]))
    height = 5.0
    breadth = height * picture.shape[1] / picture.shape[0]
    left = 0.0 if photo is None else height + GAP
    sheet = Sheet(2 * MARGIN + left + breadth, 2 * MARGIN + height)
    if photo is not None:
        _show(sheet, flat(photo), MARGIN, MARGIN, height, height)
    _show(sheet, picture, MARGIN + left, MARGIN, breadth, height)
    return sheet.figure


def neuron_groups(
    photos: np.ndarray | None,
    maps: np.ndarray,
    display: np.ndarray | None,
    shares: np.ndarray,
    *,
    max_images: int = 4,
) -> Figure:
    """Draw photos with coloured groups over them, and a picture of each group in its colour.

    Each place has the colour of the group that is most active there, measured by the group's own
    99th percentile over all photos; where others come close, colours mix; where none is active,
    the photo stays dark.

    Args:
        photos: `(n, height, width, channels)` in [0, 1]; None draws the groups alone.
        maps: `(n, *positions, groups)`, not negative.
        display: `(groups, *positions, channels)` in [0, 1]; None leaves the pictures out.
        shares: `(groups,)` what each explains, in [0, 1].
        max_images: How many photos to draw.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When the maps are not of pictures.
    """
    if maps.ndim != 4:
        raise InputError(
            "`maps` must have two position axes to be drawn. Received: shape "
            f"{maps.shape}. Use the arrays of the result."
        )
    count = min(max_images, len(maps))
    colors = group_colors(maps.shape[-1])
    across = max(count, 2)
    cell = (WIDTH - (across - 1) * GAP) / max(across, 4)
    icons = (WIDTH - (len(colors) - 1) * GAP) / max(len(colors), 6)
    rows = 1 if photos is None else 2
    top = rows * cell + (rows - 1) * GAP
    words = 2 * LINE_HEIGHT
    height = 2 * MARGIN + top + 2 * GAP + words + (0.12 if display is None else icons)
    sheet = Sheet(WIDTH + 2 * MARGIN, height)
    scales = _scales(maps)
    for column in range(count):
        x = MARGIN + column * (cell + GAP)
        below = MARGIN
        if photos is not None:
            photo = flat(photos[column])
            _show(sheet, photo, x, MARGIN, cell, cell)
            below += cell + GAP
            picture = overlaid(photo, maps[column], colors, scales)
        else:
            picture = overlaid(np.zeros((*maps.shape[1:3], 3)), maps[column], colors, scales)
        _show(sheet, picture, x, below, cell, cell)
    for group, color in enumerate(colors):
        x, y = MARGIN + group * (icons + GAP), MARGIN + top + 2 * GAP
        bar = sheet.axes(x, y, icons, 0.08)
        bar.set_facecolor(color)
        bar.set_xticks([])
        bar.set_yticks([])
        sheet.text(x, y + 0.11, f"group {group}, {shares[group]:.0%}")
        if display is not None:
            _show(sheet, flat(display[group]), x, y + 0.12 + LINE_HEIGHT, icons, icons)
    return sheet.figure


def semantic_dictionary(
    photo: np.ndarray | None,
    display: np.ndarray | None,
    titles: Sequence[str],
    position: Sequence[int],
    grid: Sequence[int],
) -> Figure:
    """Draw the photo with one position marked, and the pictures of its channels.

    Args:
        photo: `(height, width, channels)` in [0, 1]; None draws the channels alone.
        display: `(num, *positions, channels)` in [0, 1]; None lists the titles alone.
        titles: A text per channel.
        position: Index of the marked position in the layer.
        grid: Number of positions of the layer.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    side = 1.6
    words = 2 * LINE_HEIGHT + 0.04
    left = 0.0 if photo is None else side + words + 2 * GAP
    pictures = 0.0 if display is None else side
    sheet = Sheet(2 * MARGIN + left + len(titles) * (side + GAP) - GAP, 2 * MARGIN + side + words)
    if photo is not None:
        axes = _show(sheet, flat(photo), MARGIN, MARGIN, side + words, side + words)
        if len(grid) == 2:
            _mark(axes, photo.shape[:2], position, grid)
    for index, title in enumerate(titles):
        x = MARGIN + left + index * (side + GAP)
        if display is not None:
            _show(sheet, flat(display[index]), x, MARGIN, side, side)
        sheet.text(x, MARGIN + pictures + 0.04, title)
    return sheet.figure


def channel_attribution(
    tops: Sequence[Sequence[tuple[int, float]]], titles: Sequence[str], layer: str
) -> Figure:
    """Draw bars of channels: red for the score, blue against it.

    Args:
        tops: For each sample its channels, strongest first, with their attributions.
        titles: A text per sample.
        layer: Name of the layer, for the channels' names.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    rows = max(len(top) for top in tops)
    height = 0.35 + 0.22 * rows + 0.3
    sheet = Sheet(6.0 + 2 * MARGIN, 2 * MARGIN + height * len(tops))
    for sample, (top, title) in enumerate(zip(tops, titles, strict=True)):
        y = MARGIN + sample * height
        sheet.text(MARGIN, y, shortened(title, 70), fontsize=10, fontweight="bold")
        axes = sheet.axes(MARGIN + 1.9, y + 0.28, 4.1 - MARGIN, 0.22 * len(top))
        values = np.array([value for _, value in top])
        colors = [POSITIVE if value > 0 else NEGATIVE for value in values]
        axes.barh(np.arange(len(top)), values, color=colors, height=0.8)
        names = [f"{shortened(layer, 22)}:{channel}" for channel, _ in top]
        axes.set_yticks(np.arange(len(top)), names, fontsize=8)
        axes.set_ylim(len(top) - 0.5, -0.5)
        axes.axvline(0.0, color=LINE, linewidth=0.8)
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[["top", "right", "left"]].set_visible(False)
    return sheet.figure


def spatial_attribution(
    photo: np.ndarray | None,
    attributions: np.ndarray,
    magnitudes: np.ndarray,
    positions: Sequence[Sequence[int]] | None = None,
    *,
    num: int = 4,
) -> Figure:
    """Draw, for some positions of a later layer, which positions of an earlier one they draw on.

    Args:
        photo: `(height, width, channels)` in [0, 1]; None draws the maps alone.
        attributions: `(rows_to, columns_to, rows_from, columns_from)`.
        magnitudes: `(rows_to, columns_to)`.
        positions: (row, column) of those to draw; None: the `num` strongest.
        num: How many, when `positions` is None.

    Returns:
        A matplotlib `Figure`, not shown. Red speaks for the activation there, blue against it.

    Raises:
        InputError: When the layers don't have two position axes.
    """
    if attributions.ndim != 4:
        raise InputError(
            "`attributions` must be between two layers of two position axes to be drawn. "
            f"Received: shape {attributions.shape}. Use the arrays of the result."
        )
    if positions is None:
        order = np.argsort(-magnitudes, axis=None, kind="stable")[:num]
        positions = np.stack(np.unravel_index(order, magnitudes.shape), axis=-1).tolist()
    side = 2.2
    count = len(positions)
    sheet = Sheet(2 * MARGIN + count * (side + GAP) - GAP, 2 * MARGIN + side + LINE_HEIGHT + 0.05)
    for index, (row, column) in enumerate(positions):
        heat = attributions[row, column]
        peak = np.abs(heat).max()
        heat = heat / peak if peak > 0 else heat
        under = np.ones((*heat.shape, 3)) if photo is None else flat(photo)
        x = MARGIN + index * (side + GAP)
        axes = _show(sheet, blend(under, heat, signed=True), x, MARGIN, side, side)
        _mark(axes, under.shape[:2], (row, column), magnitudes.shape)
        text = f"({row}, {column}): {number(float(magnitudes[row, column]))}"
        sheet.text(x, MARGIN + side + 0.04, text)
    return sheet.figure


def activation_atlas(
    display: np.ndarray | None,
    cells: np.ndarray,
    counts: np.ndarray,
    grid: int,
    *,
    labels: Sequence[str] | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw the pictures of an atlas where they belong, on white.

    Args:
        display: `(m, *positions, channels)` in [0, 1].
        cells: `(m, 2)` row and column.
        counts: `(m,)` samples in each; cells with fewer than a quarter of the median are drawn
            smaller.
        grid: Cells a side.
        labels: A word per cell, written below it.
        width: Width of the figure, in inches.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When there are no pictures to draw.
    """
    pictures = _cells(None if display is None else display[:, None])[:, 0]
    low, high = cells.min(axis=0), cells.max(axis=0)
    rows, columns = (high - low + 1).tolist()
    whole = np.ones((rows, columns, *pictures.shape[1:]))
    shares = np.zeros((rows, columns))
    places = tuple((cells - low).T)
    whole[places] = pictures
    shares[places] = np.clip(counts / (0.25 * np.median(counts)), 0.4, 1.0)
    picture = mosaic(whole, shares)
    height = width * rows / columns
    sheet = Sheet(2 * MARGIN + width, 2 * MARGIN + height)
    axes = _show(sheet, picture, MARGIN, MARGIN, width, height)
    step = picture.shape[1] / columns
    points = max(4.0, min(9.0, 72 * width / columns / 9))
    for name, (row, column) in zip(labels or (), (cells - low).tolist(), strict=False):
        axes.text(
            (column + 0.5) * step,
            (row + 0.97) * step,
            shortened(name.split(",")[0], 14),
            ha="center",
            va="bottom",
            fontsize=points,
            color="black",
            parse_math=False,
            bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0},
        )
    return sheet.figure


def dataset_examples(
    display: np.ndarray | None, values: np.ndarray, names: Sequence[str]
) -> Figure:
    """Draw a row of examples per channel, strongest first.

    Args:
        display: `(channels, num, *positions, channels)` in [0, 1].
        values: `(channels, num)` activations.
        names: A name per channel.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When there are no pictures to draw.
    """
    pictures = _cells(display)
    count = pictures.shape[1]
    side = min(1.2, (WIDTH - (count - 1) * 0.05) / count)
    row = side + 2 * LINE_HEIGHT + GAP
    sheet = Sheet(2 * MARGIN + count * (side + 0.05), 2 * MARGIN + len(names) * row - GAP)
    for channel, name in enumerate(names):
        y = MARGIN + channel * row
        sheet.text(MARGIN, y, shortened(name, 60), fontweight="bold")
        for index in range(count):
            x = MARGIN + index * (side + 0.05)
            _show(sheet, pictures[channel, index], x, y + LINE_HEIGHT + 0.02, side, side)
            sheet.text(
                x, y + LINE_HEIGHT + side + 0.03, number(float(values[channel, index])), fontsize=7
            )
    return sheet.figure


def mosaic(cells: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """One picture of many, each in the middle of its cell, on white.

    Args:
        cells: `(rows, columns, height, width, 3)` in [0, 1].
        shares: `(rows, columns)` in [0, 1]: the share of its cell's area that each one covers.

    Returns:
        `(rows · height, columns · width, 3)` in [0, 1].
    """
    rows, columns, height, width, _ = cells.shape
    whole = np.ones((rows * height, columns * width, 3))
    for row, column in np.ndindex(rows, columns):
        side = np.sqrt(shares[row, column])
        high, wide = round(height * side), round(width * side)
        if high and wide:
            top = row * height + (height - high) // 2
            left = column * width + (width - wide) // 2
            small = resize(cells[row, column], (high, wide))
            whole[top : top + high, left : left + wide] = small
    return whole


def overlaid(
    photo: np.ndarray, maps: np.ndarray, colors: Sequence[str], scales: np.ndarray
) -> np.ndarray:
    """A photo in grey, painted with the colour of the group that is most active in each place;
    where others come close, colours mix.

    Args:
        photo: `(height, width, 3)` in [0, 1].
        maps: `(rows, columns, groups)`, not negative.
        colors: A colour per group.
        scales: (groups,) the activity that is painted fully.

    Returns:
        `(height, width, 3)` in [0, 1].
    """
    heat = np.clip(resize(maps, photo.shape[:2]), 0.0, None) / np.where(scales > 0, scales, 1.0)
    most = heat.max(axis=-1, keepdims=True)
    weights = (heat / np.where(most > 0, most, 1.0)) ** SHARPNESS
    mixed = weights @ np.array([to_rgb(color) for color in colors])
    mixed = mixed / np.where(most > 0, weights.sum(axis=-1, keepdims=True), 1.0)
    grey = photo.mean(axis=-1, keepdims=True)
    strength = np.clip(most, 0.0, 1.0)
    return strength * mixed * (0.3 + 0.7 * grey) + (1.0 - strength) * 0.35 * grey


def group_colors(count: int) -> list[str]:
    """Colours for so many groups, as far apart as they can be."""
    if count <= len(GROUP_COLORS):
        return list(GROUP_COLORS[:count])
    return [to_hex(colormaps["hsv"](i / count)) for i in range(count)]


def flat(picture: np.ndarray) -> np.ndarray:
    """`(height, width, 3)` in [0, 1] of a picture, the middle slice of a volume, or a signal drawn
    as stripes, one row a channel.

    Args:
        picture: `(*positions, channels)` in [0, 1], of one to three position axes.

    Raises:
        InputError: Another number of axes.
    """
    array = np.asarray(picture, "float64")
    if array.ndim == 4:
        array = array[array.shape[0] // 2]
    if array.ndim == 2:
        rows = max(1, array.shape[0] // array.shape[1])
        array = np.repeat(array.T[..., None], rows, axis=0)
    if array.ndim != 3:
        raise InputError(
            "A picture must have one to three position axes and one for channels to be drawn. "
            f"Received: shape {np.shape(picture)}. Use the arrays of the result."
        )
    return displayable(array)


def _cells(display: np.ndarray | None) -> np.ndarray:
    """(rows, columns, height, width, 3) of cells along one, two or three axes."""
    if display is None:
        raise InputError(
            "There must be pictures to draw. Received: none. Ask for `steps` above 0, and for a "
            "layer whose positions are those of an input."
        )
    rank = display.ndim // 2 if display.ndim % 2 else (display.ndim - 1) // 2
    if display.ndim in (5, 3):
        cells = display if display.ndim == 5 else display[None]
    else:
        cells = display.reshape(-1, display.shape[rank - 1], *display.shape[rank:])
    return np.array([[flat(one) for one in row] for row in cells])


def _shares(magnitudes: np.ndarray) -> np.ndarray:
    most = np.max(magnitudes)
    return magnitudes / most if most > 0 else np.ones_like(magnitudes)


def _scales(maps: np.ndarray) -> np.ndarray:
    return np.percentile(maps.reshape(-1, maps.shape[-1]), 99, axis=0)


def _show(
    sheet: Sheet, picture: np.ndarray, x: float, y: float, width: float, height: float
) -> Any:
    axes = sheet.axes(x, y, width, height)
    axes.imshow(np.clip(picture, 0.0, 1.0), interpolation="lanczos")
    axes.set_axis_off()
    return axes


def _mark(axes: Any, sizes: Sequence[int], position: Sequence[int], grid: Sequence[int]) -> None:
    """A frame around the share of the picture that a position of a layer stands for."""
    high, wide = (size / cells for size, cells in zip(sizes, grid, strict=True))
    corner = (position[1] * wide - 0.5, position[0] * high - 0.5)
    for color, width in (("black", 3.0), (MARK, 1.6)):
        axes.add_patch(Rectangle(corner, wide, high, fill=False, edgecolor=color, linewidth=width))
