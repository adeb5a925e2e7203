"""The figure of a channel's weights position by position: what excites it where."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.feature_maps import flat
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet
from kerasviz.plots.weight_maps import EMPTY, MARGIN, Square, frame

PANEL = 3.0
LEAST, MOST = 0.3, 1.25
GAP = 0.05
APART = 0.3
PALEST = 0.25
NORMS = "Greys"
WORDS = (
    "Each picture is of the direction of the weights at its position; pale where the norm is small."
)


def weight_positions(found: Any, *, title: str | None = None) -> Figure:
    """Draw what `kv.weights.position_weights` found.

    A grid of the window's norms, one of pictures that excite the channel at each position, and one
    of pictures that inhibit it there, each paler the smaller its norm. A window of one dimension is
    a row, of three its slices are side by side. Positions without a picture are grey.

    Args:
        found: A `PositionWeights`; before `visualize` the norms alone are drawn.
        title: Heading; None: made of the channel.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A window of more than three dimensions.
    """
    places = _places(found.norms.shape)
    rows, columns = (1 + max(place[axis] for place in places.values()) for axis in (0, 1))
    panels = 3 if len(found.excites) else 1
    is_wide = columns > 2 * rows
    side = float(np.clip(PANEL * (2.4 if is_wide else 1.0) / columns, LEAST, MOST))
    width, height = columns * (side + GAP) - GAP, rows * (side + GAP) - GAP
    step = (0.0, height + LINE_HEIGHT + APART) if is_wide else (width + APART, 0.0)
    top = MARGIN + 2.9 * LINE_HEIGHT
    sheet = Sheet(
        max(2 * MARGIN + width + (panels - 1) * step[0], 6.4),
        top + LINE_HEIGHT * 1.2 + height + (panels - 1) * step[1] + MARGIN,
    )
    name = f"{shortened(found.target, 28)}:{found.channel}"
    heading = title or f"What {name} reads where, in {shortened(found.source, 28)}"
    sheet.text(MARGIN, MARGIN, heading, fontsize=11, fontweight="bold")
    if panels > 1:
        sheet.text(MARGIN, MARGIN + 1.6 * LINE_HEIGHT, WORDS, fontsize=7, color=LINE)
    drawn = {tuple(place): n for n, place in enumerate(np.asarray(found.drawn).tolist())}
    most = float(found.norms.max()) or 1.0
    for panel, (words, pictures) in enumerate(_panels(found)[:panels]):
        x, y = MARGIN + panel * step[0], top + panel * step[1]
        sheet.text(x, y, words, fontsize=8, fontweight="bold")
        for place, (row, column) in places.items():
            corner = x + column * (side + GAP), y + 1.2 * LINE_HEIGHT + row * (side + GAP)
            share = float(found.norms[place]) / most
            if pictures is None:
                _norm(sheet, float(found.norms[place]), share, (*corner, side))
            else:
                own = pictures[drawn[place]] if place in drawn else None
                _picture(sheet, own, share, (*corner, side))
    return sheet.figure


def _panels(found: Any) -> list[tuple[str, np.ndarray | None]]:
    return [
        ("norm of the weights", None),
        ("excites it there: +W", found.excites),
        ("inhibits it there: −W", found.inhibits),
    ]


def _places(window: tuple[int, ...]) -> dict[tuple[int, ...], tuple[int, int]]:
    """Row and column of each position of a window; slices of a volume side by side, one apart."""
    if len(window) > 3:
        raise InputError(
            "A window must have at most three dimensions to be drawn. "
            f"Received: {len(window)}. Use the arrays of the result."
        )
    found = {}
    for place in np.ndindex(*window):
        row, column = (0, 0, *place)[-2:]
        ahead = place[0] * (window[-1] + 1) if len(window) == 3 else 0
        found[place] = (row, column + ahead)
    return found


def _norm(sheet: Sheet, norm: float, share: float, box: Square) -> None:
    axes = sheet.axes(*box, box[2])
    axes.set_facecolor(colormaps[NORMS](0.8 * share))
    points = min(8.0, 72 * box[2] / 4)
    color = "white" if share > 0.6 else "#1f2937"
    words: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": points, "color": color}
    axes.text(0.5, 0.5, number(norm), transform=axes.transAxes, **words)
    frame(axes, "#9ca3af", 0.5)


def _picture(sheet: Sheet, picture: np.ndarray | None, share: float, box: Square) -> None:
    axes = sheet.axes(*box, box[2])
    if picture is None:
        axes.set_facecolor(EMPTY)
    else:
        strength = PALEST + (1.0 - PALEST) * share
        pale = 1.0 - strength * (1.0 - np.clip(flat(picture), 0.0, 1.0))
        axes.imshow(pale, interpolation="lanczos", aspect="auto")
    frame(axes, "#9ca3af", 0.5)
