"""What single units can see, drawn on a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerasviz.errors import InputError
from kerasviz.plots.displaying import displayable
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet, wrapped

MARK = "#ffd400"
EDGE = "#111111"
DIMMED = 0.28
COLUMNS = 3
PANEL = 2.7
MARGIN = 0.15
GAP = 0.18
LINES = 2
EMPTY = 0.75
Box = Sequence[slice]


def receptive_field(
    fields: Mapping[str, Box],
    input_size: Sequence[int],
    image: np.ndarray | None = None,
    *,
    sizes: Mapping[str, Sequence[int]] | None = None,
    title: str | None = None,
) -> Figure:
    """Draw what a unit of each layer can see: a panel a layer, the rest of the picture dimmed.

    Args:
        fields: By layer the rows and columns of the input that the unit sees, as
            `kv.receptive_fields.ReceptiveFields.field` returns them.
        input_size: (height, width) of the input.
        image: (height, width) or (height, width, colours) of any size; it is stretched over the
            input. None draws an empty one.
        sizes: By layer the size of the field as if there were no border, said where it is larger.
        title: Heading; None says what is drawn.

    Returns:
        The figure.

    Raises:
        InputError: No fields, or ones that are no parts of the input.
    """
    _check(fields, input_size)
    height, width = input_size
    shown = _shown(image, input_size)
    panel_height = PANEL * height / width
    columns = min(COLUMNS, len(fields))
    rows = math.ceil(len(fields) / columns)
    names = {name: wrapped(name, PANEL, LINES) for name in fields}
    lines = max(map(len, names.values()))
    label = (lines + 1) * LINE_HEIGHT + 0.06
    top = MARGIN + 2 * LINE_HEIGHT
    sheet = Sheet(
        2 * MARGIN + columns * PANEL + (columns - 1) * GAP,
        top + rows * (panel_height + label + GAP),
    )
    heading = title or f"What one unit of each layer can see of {height} × {width} positions"
    sheet.text(MARGIN, MARGIN, heading, fontsize=11, weight="bold")
    for place, (name, box) in enumerate(fields.items()):
        x = MARGIN + place % columns * (PANEL + GAP)
        y = top + place // columns * (panel_height + label + GAP)
        _draw(sheet.axes(x, y + label, PANEL, panel_height), shown, box, (height, width))
        told = _told(box, (height, width), (sizes or {}).get(name))
        for row, text in enumerate(names[name]):
            start = lines - len(names[name]) + row
            sheet.text(x, y + start * LINE_HEIGHT, text, weight="bold")
        sheet.text(x, y + lines * LINE_HEIGHT + 0.03, told)
    return sheet.figure


def _check(fields: Mapping[str, Box], input_size: Sequence[int]) -> None:
    fits = len(input_size) == 2 and all(
        len(box) == 2
        and all(0 <= part.start < part.stop <= n for part, n in zip(box, input_size, strict=True))
        for box in fields.values()
    )
    if not fields or not fits:
        raise InputError(
            "`fields` must hold one (rows, columns) a layer, slices within `input_size`. "
            f"Received: {dict(fields)!r} of {tuple(input_size)!r}. `ReceptiveFields.field` makes "
            "them."
        )


def _shown(image: np.ndarray | None, input_size: Sequence[int]) -> np.ndarray:
    if image is None:
        return np.full((*input_size, 3), EMPTY)
    array = np.asarray(image)
    if array.ndim not in (2, 3):
        raise InputError(
            "`image` must be one picture, (height, width) or (height, width, colours). "
            f"Received: shape {array.shape}. Pass one of the batch."
        )
    return displayable(array)


def _draw(axes: Axes, image: np.ndarray, box: Box, size: tuple[int, int]) -> None:
    height, width = size
    rows, columns = box
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes.imshow(image * DIMMED, extent=extent, interpolation="antialiased", aspect="auto")
    seen = axes.imshow(image, extent=extent, interpolation="antialiased", aspect="auto")
    corner = (columns.start - 0.5, rows.start - 0.5)
    sides = (columns.stop - columns.start, rows.stop - rows.start)
    seen.set_clip_path(Rectangle(corner, *sides, transform=axes.transData))
    for color, line in ((EDGE, 3.6), (MARK, 1.8)):
        axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=color, linewidth=line))
    axes.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])


def _told(box: Box, size: tuple[int, int], whole: Sequence[int] | None) -> str:
    sides = [part.stop - part.start for part in box]
    share = math.prod(sides) / math.prod(size)
    told = f"{sides[0]} × {sides[1]}, {_percent(share)} of the input"
    if whole is not None and any(n > side for n, side in zip(whole, sides, strict=True)):
        told = f"{whole[0]} × {whole[1]}, cut to {_percent(share)} of the input"
    return told


def _percent(share: float) -> str:
    return (
        f"{share:.0%}" if share >= 0.095 else f"{share:.1%}" if share >= 0.0095 else f"{share:.2%}"
    )
