"""The figure of a circuit: channels in columns, links between them, a map beside each link."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from kerasviz.plots.colors import LINE
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet
from kerasviz.plots.weight_maps import (
    MARGIN,
    faded,
    figures_of,
    largest,
    link_style,
    show_blank,
    show_map,
    show_picture,
    show_scale,
)

NODE, GOAL = 0.85, 1.35
TILE = 0.56
LINES = 1.15
JOIN = 0.34
GAP = 0.16
TEXT = 7.0
SCALE = 1.5
CHARACTERS = 12
WORDS = (
    "Red, solid, +: excites. Blue, dashed, −: inhibits. Wide: a large norm, as a share of the "
    "largest between two columns.",
    "Beside each link its map, on one scale for each pair of columns; below it its norm.",
)


@dataclasses.dataclass
class _Box:
    """Where a node is: its middle, and where its incoming maps are, in inches from the top."""

    x: float
    middle: float
    side: float
    tiles: list[float]


def weight_circuit(found: Any, *, title: str | None = None) -> Figure:
    """Draw what `kv.weights.circuit` found.

    A column a step, the earliest layers on the left. A line is red and solid where it excites, blue
    and dashed where it inhibits, wider and less pale for larger norms; where it arrives stands its
    map, with its norm below, and the share of excitation where both signs matter.

    Args:
        found: A `Circuit`; after `visualize` with a picture of each channel.
        title: Heading; None: made of the channel.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    links = _in_order(found)
    columns = _columns(found, links)
    top = MARGIN + 5.6 * LINE_HEIGHT
    heights = [_height(column, links) for column in columns]
    body = max(heights) + 0.1
    width = _left(len(columns) - 1) + GOAL + MARGIN
    sheet = Sheet(max(width, 6.4), top + LINE_HEIGHT + body + 0.35 + MARGIN)
    _head(sheet, found, title, links, columns)
    boxes = _boxes(columns, links, top + LINE_HEIGHT, body)
    paper = _paper(sheet)
    _lines(paper, boxes, links, columns)
    for place, column in enumerate(columns):
        _names(sheet, found, column, place, top)
        for node in column:
            _node(sheet, found, node, boxes[node], columns)
    _maps(sheet, found, links, boxes, columns)
    return sheet.figure


def _in_order(found: Any) -> dict[int, list[Any]]:
    """For each node its incoming links, with their shares of the largest norm of the column."""
    columns = found.nodes["column"].to_numpy()
    rows = [*found.links.itertuples()]
    most: dict[int, float] = {}
    for row in rows:
        key = int(columns[row.target])
        most[key] = max(most.get(key, 0.0), row.norm)
    links: dict[int, list[Any]] = {node: [] for node in range(len(columns))}
    for row in rows:
        links[row.target].append((row, row.norm / most[int(columns[row.target])]))
    return links


def _columns(found: Any, links: dict[int, list[Any]]) -> list[list[int]]:
    """The nodes of each column from top to bottom, beside those that they go to; links sorted."""
    of = found.nodes["column"].to_numpy()
    columns = [np.flatnonzero(of == place).tolist() for place in range(of.max() + 1)]
    for place in range(len(columns) - 2, -1, -1):
        heights = {node: n for n, node in enumerate(columns[place + 1])}
        sums = {node: np.zeros(2) for node in columns[place]}
        for node in columns[place + 1]:
            for row, _ in links[node]:
                sums[row.source] += (row.norm * heights[node], row.norm)
        columns[place].sort(key=lambda node: sums[node][0] / max(sums[node][1], 1e-30))
        rank = {node: n for n, node in enumerate(columns[place])}
        for node in columns[place + 1]:
            links[node].sort(key=lambda one: rank[one[0].source])
    return columns


def _size(node: int, links: dict[int, list[Any]]) -> float:
    """Height of a node with its words and its incoming maps."""
    side = GOAL if node == len(links) - 1 else NODE
    return max(side + LINE_HEIGHT, len(links[node]) * (TILE + LINE_HEIGHT + 0.06))


def _height(column: list[int], links: dict[int, list[Any]]) -> float:
    return sum(_size(node, links) for node in column) + GAP * (len(column) - 1)


def _left(place: int) -> float:
    """Where a column's pictures begin."""
    return MARGIN + place * (NODE + LINES + TILE + JOIN)


def _boxes(
    columns: list[list[int]], links: dict[int, list[Any]], top: float, body: float
) -> dict[int, _Box]:
    boxes = {}
    for place, column in enumerate(columns):
        spare = body - _height(column, links)
        gap = spare / len(column)
        y = top + gap / 2
        for node in column:
            size = _size(node, links)
            middle = y + size / 2
            step = TILE + LINE_HEIGHT + 0.06
            first = middle - step * len(links[node]) / 2
            tiles = [first + n * step for n in range(len(links[node]))]
            side = GOAL if node == len(links) - 1 else NODE
            boxes[node] = _Box(_left(place), middle, side, tiles)
            y += size + GAP + gap - (GAP if len(column) == 1 else 0)
    return boxes


def _paper(sheet: Sheet) -> Axes:
    """Axes over the whole sheet, in inches from its top left corner."""
    paper = sheet.axes(0, 0, sheet.width, sheet.height)
    paper.set_xlim(0, sheet.width)
    paper.set_ylim(sheet.height, 0)
    paper.set_axis_off()
    return paper


def _lines(
    paper: Axes,
    boxes: dict[int, _Box],
    links: dict[int, list[Any]],
    columns: list[list[int]],
) -> None:
    for place, column in enumerate(columns[1:], 1):
        left = _left(place) - JOIN - TILE
        for node in column:
            box = boxes[node]
            for (row, share), y in zip(links[node], box.tiles, strict=True):
                style = link_style(row.sum, share)
                source, middle = boxes[row.source], y + TILE / 2
                start = (source.x + source.side, source.middle)
                _curve(paper, start, (left, middle), style)
                _curve(paper, (left + TILE, middle), (box.x, box.middle), style)


def _curve(
    paper: Axes, start: tuple[float, float], end: tuple[float, float], style: dict[str, Any]
) -> None:
    half = (start[0] + end[0]) / 2
    path = Path(
        [start, (half, start[1]), (half, end[1]), end],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    paper.add_patch(PathPatch(path, fill=False, capstyle="butt", **style))


def _maps(
    sheet: Sheet,
    found: Any,
    links: dict[int, list[Any]],
    boxes: dict[int, _Box],
    columns: list[list[int]],
) -> None:
    """The maps of links, on one scale for each pair of columns."""
    for place, column in enumerate(columns[1:], 1):
        x = _left(place) - JOIN - TILE
        drawn = [found.maps[row.Index] for node in column for row, _ in links[node]]
        most = largest(drawn)
        show_scale(sheet, x - LINES + 0.1, sheet.height - MARGIN - 0.12, LINES + TILE - 0.1, most)
        for node in column:
            for (row, share), y in zip(links[node], boxes[node].tiles, strict=True):
                show_map(sheet, found.maps[row.Index], most, (x, y, TILE))
                color = faded(share)
                sheet.text(x, y + TILE + 0.01, figures_of(row), fontsize=6.5, color=color)


def _node(sheet: Sheet, found: Any, node: int, box: _Box, columns: list[list[int]]) -> None:
    y = box.middle - box.side / 2
    channel = int(found.nodes["channel"][node])
    if len(found.pictures):
        show_picture(sheet, found.pictures[node], (box.x, y, box.side))
    else:
        show_blank(sheet, f"{channel}", (box.x, y, box.side))
    layer = found.nodes["layer"][node]
    own = next(column for column in columns if node in column)
    differing, _ = _apart([*dict.fromkeys(found.nodes["layer"][other] for other in own)])
    told = f"{_short(differing[layer])}:{channel}" if differing[layer] else f"channel {channel}"
    weight = "bold" if node == len(found.nodes) - 1 else "normal"
    sheet.text(box.x, y - LINE_HEIGHT + 0.02, told, fontsize=TEXT, fontweight=weight)


def _short(name: str) -> str:
    return name if len(name) <= CHARACTERS else "…" + name[1 - CHARACTERS :]


def _apart(layers: list[str]) -> tuple[dict[str, str], str]:
    """For each of some layers the part of its address that tells it from the others, and the end
    that all have in common; of a single one all of it is common."""
    if len(layers) == 1:
        return {layers[0]: ""}, layers[0]
    parts = [layer.split("/") for layer in layers]
    shortest = min(map(len, parts))
    start = end = 0
    while end < shortest - 1 and len({part[-1 - end] for part in parts}) == 1:
        end += 1
    while start < shortest - 1 - end and len({part[start] for part in parts}) == 1:
        start += 1
    told = ["/".join(part[start : len(part) - end]) for part in parts]
    return dict(zip(layers, told, strict=True)), "/".join(parts[0][len(parts[0]) - end :])


def _names(sheet: Sheet, found: Any, column: list[int], place: int, top: float) -> None:
    """The layers of a column above it."""
    layers = [*dict.fromkeys(found.nodes["layer"][node] for node in column)]
    common = _apart(layers)[1]
    told = common if len(layers) == 1 else f"{len(layers)} layers {common}".strip()
    sheet.text(_left(place), top - LINE_HEIGHT, shortened(told, 28), fontsize=8, fontweight="bold")


def _head(
    sheet: Sheet,
    found: Any,
    title: str | None,
    links: dict[int, list[Any]],
    columns: list[list[int]],
) -> None:
    heading = title or f"What {shortened(found.names[-1], 40)} reads, and what that reads"
    sheet.text(MARGIN, MARGIN, heading, fontsize=11, fontweight="bold")
    for place, line in enumerate(WORDS):
        y = MARGIN + (1.6 + place) * LINE_HEIGHT
        sheet.text(MARGIN, y, line, fontsize=TEXT, color=LINE)
