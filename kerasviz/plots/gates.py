"""Figures of what gates do: channels in order, the numbers that matter, maps of positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

if TYPE_CHECKING:
    import pandas as pd

COLORMAP = "cividis"
MARGIN = 0.2
NAMES = 2.4
STRIP = 3.4
ROW = 0.24
COLUMNS = {"mean": 0.65, "between_inputs": 0.95, "closed": 0.7, "open": 0.65}
HEADINGS = {"between_inputs": "moves by", "closed": "closed", "open": "open"}
SIDE = 1.55
MAPS = 5


def gate_statistics(
    table: pd.DataFrame,
    means: Mapping[str, np.ndarray],
    *,
    title: str = "What the gates do",
    max_gates: int = 24,
) -> Figure:
    """Draw each gate as a row: its channels from the most closed to the most open, and numbers.

    Below are maps of those gates that differ by position. All colours are on one scale, from the
    least to the largest value that any of the drawn gates can have.

    Args:
        table: A row a gate, as `kv.attention.statistics(...)` makes it.
        means: Address → (*positions, channels) mean over samples.
        title: Heading of the figure.
        max_gates: How many to draw; of more, evenly chosen ones, which the figure says.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: When there is no gate to draw.
    """
    if not len(table):
        raise InputError(
            "`table` must have a row a gate. Received: an empty one. See `kv.attention.gates`."
        )
    chosen = np.unique(np.linspace(0, len(table) - 1, min(max_gates, len(table))).round())
    rows = table.iloc[chosen.astype(int)]
    limits = (float(rows["low"].min()), float(rows["high"].max()))
    maps = _maps(rows, means)
    breadth = 2 * MARGIN + NAMES + STRIP + sum(COLUMNS.values())
    top = MARGIN + 0.3 + 2 * LINE_HEIGHT
    height = top + len(rows) * ROW + 0.6 + (SIDE + 0.4 if maps else 0.0)
    sheet = Sheet(breadth, height)
    left_out = f" ({len(rows)} of {len(table)} gates)" if len(rows) < len(table) else ""
    sheet.text(MARGIN, MARGIN, title + left_out, fontsize=11, fontweight="bold")
    _headings(sheet, top - 1.3 * LINE_HEIGHT)
    for place, (address, row) in enumerate(rows.iterrows()):
        _row(sheet, top + place * ROW, str(address), row, means[str(address)], limits)
    below = top + len(rows) * ROW + 0.1
    _color_bar(sheet, MARGIN + NAMES, below, limits)
    for place, (address, picture) in enumerate(maps.items()):
        x = MARGIN + place * (SIDE + 0.15)
        _map(sheet, x, below + 0.55, address, picture, limits)
    return sheet.figure


def _headings(sheet: Sheet, y: float) -> None:
    sheet.text(MARGIN, y, "gate")
    sheet.text(MARGIN + NAMES, y, "its channels, from the most closed to the most open")
    x = MARGIN + NAMES + STRIP
    for name, width in COLUMNS.items():
        x += width
        sheet.text(x, y, HEADINGS.get(name, name), ha="right")


def _row(
    sheet: Sheet,
    y: float,
    address: str,
    row: Any,
    mean: np.ndarray,
    limits: tuple[float, float],
) -> None:
    sheet.text(MARGIN, y + 0.03, _ending(address, 38))
    axes = sheet.axes(MARGIN + NAMES, y, STRIP, ROW - 0.04)
    channels = np.sort(mean.mean(axis=tuple(range(mean.ndim - 1))))
    _image(axes, channels[None], limits, aspect="auto")
    x = MARGIN + NAMES + STRIP
    for name, width in COLUMNS.items():
        x += width
        share = name in ("closed", "open")
        text = f"{row[name]:.0%}" if share else number(row[name])
        sheet.text(x, y + 0.03, text, ha="right")


def _ending(address: str, length: int) -> str:
    """An address of at most so many characters, which keeps its end."""
    return address if len(address) <= length else "…" + address[1 - length :]


def _maps(rows: pd.DataFrame, means: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The first gates that differ along two axes of positions, averaged over channels."""
    found = {
        str(address): means[str(address)].mean(axis=-1)
        for address in rows.index
        if means[str(address)].ndim == 3 and min(means[str(address)].shape[:2]) > 1
    }
    return dict(list(found.items())[:MAPS])


def _map(
    sheet: Sheet, x: float, y: float, address: str, picture: np.ndarray, limits: tuple[float, float]
) -> None:
    axes = sheet.axes(x, y, SIDE, SIDE)
    _image(axes, picture, limits)
    sheet.text(x, y - LINE_HEIGHT, shortened(_ending(address, 22), 22), fontsize=7)


def _image(axes: Any, values: np.ndarray, limits: tuple[float, float], **settings: Any) -> None:
    low, high = limits
    axes.imshow(values, cmap=COLORMAP, vmin=low, vmax=high, interpolation="nearest", **settings)
    axes.set_xticks([])
    axes.set_yticks([])


def _color_bar(sheet: Sheet, x: float, y: float, limits: tuple[float, float]) -> None:
    axes = sheet.axes(x, y, STRIP, 0.1)
    axes.imshow(np.linspace(0, 1, 256)[None], aspect="auto", cmap=COLORMAP)
    axes.set_yticks([])
    low, high = limits
    axes.set_xticks([0, 127.5, 255], [number(v) for v in (low, (low + high) / 2, high)])
    axes.tick_params(labelsize=7, length=2, pad=1)
    words = "× 0 shuts, × 1 lets all pass; moves by: from input to input"
    sheet.text(x + STRIP + 0.1, y - 0.02, words, fontsize=7)
