"""Figures of the links between two layers: weight maps with what excites both ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet
from kerasviz.plots.weight_maps import (
    MARGIN,
    WORDS,
    faded,
    figures_of,
    largest,
    map_box,
    show_blank,
    show_map,
    show_picture,
    show_scale,
)

LAYOUTS = ("links", "rows", "matrix")
SIDE = 0.82
GAP = 0.14
LARGE = 1.15
TEXT = 7.5
NARROWEST = 6.2
ACROSS = 8
SCALE = 1.5


def weight_connections(
    found: Any, *, layout: str | None = None, title: str | None = None
) -> Figure:
    """Draw what `kv.weights.connections` found.

    Each map is red where the target reads the source's channel as excitation, blue where as
    inhibition, on one scale for all, with a sign where it is strong, so that weak links are pale.
    Below it its norm, and the share of excitation where both signs matter. A window of one
    dimension is a strip; of three, its slices are side by side.

    Args:
        found: A `WeightConnections`; after `visualize` with a picture at both ends.
        layout: "links": a column a link, the strongest first: its source above, its target below.
            "rows": a row a target channel, with its own sources, the strongest first. "matrix": a
            row a target, a column a source, all pairs of the drawn channels. None: "rows" where
            targets have two links or more on the average, else "links".
        title: Heading; None: made of the layers.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Another layout.
    """
    if layout is None:
        layout = "rows" if len(found) >= 2 * len(found.targets) else "links"
    if layout not in LAYOUTS:
        raise InputError(
            f"`layout` must be one of {[*LAYOUTS]}, or None. Received: {layout!r}. "
            "None chooses by the number of links into a channel."
        )
    heading = title or f"{shortened(found.source, 34)} → {shortened(found.target, 34)}"
    return {"links": _links, "rows": _rows, "matrix": _matrix}[layout](found, heading)


def _links(found: Any, heading: str) -> Figure:
    table = found.table
    pictured = bool(len(found.source_pictures))
    across = min(ACROSS, len(table))
    tall = max(map_box(found.maps[0], SIDE)[1], 0.2)
    picture = SIDE + 0.05 if pictured else 0.0
    step = 3 * LINE_HEIGHT + 2 * picture + tall + 0.42
    width = max(NARROWEST, 2 * MARGIN + across * (SIDE + GAP) - GAP)
    top = MARGIN + 4.4 * LINE_HEIGHT
    sheet = Sheet(width, top + -(-len(table) // across) * step - 0.2 + MARGIN)
    most = largest(found.maps)
    _head(sheet, found, heading, most)
    strongest = float(table["norm"].max())
    for place, row in enumerate(table.itertuples()):
        x, y = MARGIN + place % across * (SIDE + GAP), top + place // across * step
        color = faded(row.norm / strongest)
        sheet.text(x, y, f"channel {row.source}", fontsize=TEXT)
        below = y + LINE_HEIGHT
        if pictured:
            source = found.source_pictures[found.sources.index(row.source)]
            show_picture(sheet, source, (x, below, SIDE))
        below += picture
        show_map(sheet, found.maps[place], most, (x, below - (SIDE - tall) / 2, SIDE))
        below += tall
        sheet.text(x, below + 0.02, figures_of(row), fontsize=TEXT, color=color)
        below += LINE_HEIGHT + 0.02
        _arrow(sheet, x + SIDE / 2, below, downwards=True)
        below += 0.18
        sheet.text(x, below, f"channel {row.target}", fontsize=TEXT, fontweight="bold")
        if pictured:
            target = found.target_pictures[found.targets.index(row.target)]
            show_picture(sheet, target, (x, below + LINE_HEIGHT, SIDE))
    return sheet.figure


def _rows(found: Any, heading: str) -> Figure:
    table = found.table
    pictured = bool(len(found.source_pictures))
    groups = {target: table[table["target"] == target] for target in found.targets}
    across = max(map(len, groups.values()))
    tall = max(map_box(found.maps[0], SIDE)[1], 0.2)
    upper = SIDE + 0.04 if pictured else 0.0
    cell = LINE_HEIGHT + upper + tall + 0.03 + LINE_HEIGHT
    row_height = max(cell, LINE_HEIGHT + (LARGE if pictured else 0.45)) + 0.22
    left = MARGIN + LARGE + 0.45
    width = max(NARROWEST, left + across * (SIDE + GAP) - GAP + MARGIN)
    top = MARGIN + 4.4 * LINE_HEIGHT
    sheet = Sheet(width, top + len(groups) * row_height - 0.1 + MARGIN)
    most = largest(found.maps)
    _head(sheet, found, heading, most)
    strongest = float(table["norm"].max())
    for place, (target, rows) in enumerate(groups.items()):
        y = top + place * row_height
        _target(sheet, found, target, (MARGIN, y, LARGE))
        _arrow(sheet, left - 0.4, y + LINE_HEIGHT + (LARGE if pictured else 0.45) / 2)
        for column, row in enumerate(rows.itertuples()):
            x = left + column * (SIDE + GAP)
            color = faded(row.norm / strongest)
            sheet.text(x, y, f"channel {row.source}", fontsize=TEXT, color=color)
            if pictured:
                picture = found.source_pictures[found.sources.index(row.source)]
                show_picture(sheet, picture, (x, y + LINE_HEIGHT, SIDE))
            below = y + LINE_HEIGHT + upper
            show_map(sheet, found.maps[row.Index - 1], most, (x, below - (SIDE - tall) / 2, SIDE))
            sheet.text(x, below + tall + 0.03, figures_of(row), fontsize=TEXT, color=color)
    return sheet.figure


def _matrix(found: Any, heading: str) -> Figure:
    pictured = bool(len(found.source_pictures))
    rows, columns = len(found.targets), len(found.sources)
    tall = max(map_box(found.maps[0], SIDE)[1], 0.2)
    upper = SIDE + 0.06 if pictured else 0.04
    step = max(tall, SIDE if pictured else 0.2) + 0.03 + LINE_HEIGHT + 0.06
    left = MARGIN + SIDE + 0.2
    top = MARGIN + 4.4 * LINE_HEIGHT
    first = top + LINE_HEIGHT + upper
    width = max(NARROWEST, left + columns * (SIDE + GAP) - GAP + MARGIN)
    sheet = Sheet(width, first + rows * step + MARGIN)
    most = largest([found.grid])
    _head(sheet, found, heading, most)
    for column, source in enumerate(found.sources):
        x = left + column * (SIDE + GAP)
        sheet.text(x, top, f"channel {source}", fontsize=TEXT)
        if pictured:
            show_picture(sheet, found.source_pictures[column], (x, top + LINE_HEIGHT, SIDE))
    norms = np.linalg.norm(found.grid.reshape(rows, columns, -1), axis=-1)
    for row, target in enumerate(found.targets):
        y = first + row * step
        if pictured:
            show_picture(sheet, found.target_pictures[row], (MARGIN, y, SIDE))
        beside = y + (SIDE + 0.03 if pictured else tall / 2 - LINE_HEIGHT / 2)
        sheet.text(MARGIN, beside, f"channel {target}", fontsize=TEXT)
        for column in range(columns):
            x = left + column * (SIDE + GAP)
            height = max(tall, SIDE if pictured else 0.2)
            place = (x, y + (height - SIDE) / 2, SIDE)
            show_map(sheet, found.grid[row, column], most, place)
            color = faded(norms[row, column] / norms.max())
            words = number(norms[row, column])
            sheet.text(x, y + (height + tall) / 2 + 0.03, words, fontsize=TEXT, color=color)
    return sheet.figure


def _head(sheet: Sheet, found: Any, heading: str, most: float) -> None:
    sheet.text(MARGIN, MARGIN, heading, fontsize=11, fontweight="bold")
    count = f"{len(found)} link{'s' if len(found) > 1 else ''}"
    share = _percent(found.share)
    told = f"The {count} of largest norm: {share} of the squares of the weights looked at."
    sheet.text(MARGIN, MARGIN + 1.6 * LINE_HEIGHT, told, fontsize=7, color=LINE)
    sheet.text(MARGIN, MARGIN + 2.6 * LINE_HEIGHT, WORDS, fontsize=7, color=LINE)
    x = sheet.width - MARGIN - SCALE - 0.15
    show_scale(sheet, x, MARGIN + 1.7 * LINE_HEIGHT, SCALE, most)


def _percent(share: float) -> str:
    return "under 1\u2009%" if share < 0.005 else f"{share:.0%}"


def _target(sheet: Sheet, found: Any, target: int, box: tuple[float, float, float]) -> None:
    x, y, side = box
    sheet.text(x, y, f"channel {target}", fontsize=TEXT, fontweight="bold")
    below = (x, y + LINE_HEIGHT, side)
    if len(found.target_pictures):
        show_picture(sheet, found.target_pictures[found.targets.index(target)], below)
    else:
        show_blank(sheet, f"{target}", (x, y + LINE_HEIGHT, 0.45))


def _arrow(sheet: Sheet, x: float, y: float, downwards: bool = False) -> None:
    """From a source to its target: to the left from (x + 0.26, y), or down from (x, y)."""
    axes = sheet.axes(*((x - 0.06, y, 0.12, 0.17) if downwards else (x, y - 0.06, 0.26, 0.12)))
    axes.set_axis_off()
    axes.set_xlim(-1 if downwards else 0, 1)
    axes.set_ylim(0 if downwards else -1, 1)
    style = {"arrowstyle": "-|>", "color": LINE, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    start = (0, 1) if downwards else (1, 0)
    axes.annotate("", (0, 0), start, arrowprops=style, annotation_clip=False)
