"""Figures of factorized kernels: what is read where, in colours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from kerasviz.plots.attention_weights import signed
from kerasviz.plots.colors import LINE, SIGNED
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.2
GAP = 0.1
WIDTH = 8.0
TILE = 0.62
LARGE = 1.0
WIDEST = 1.9
LABEL = 0.95
FEW = 6
CHANNELS = ("red", "green", "blue")


def factor_colors(count: int) -> np.ndarray:
    """(count, 3) red, green and blue, or as many evenly spaced hues where there are more."""
    if count <= len(CHANNELS):
        return np.eye(len(CHANNELS))[:count]
    hues = np.arange(count) / count
    return np.asarray(hsv_to_rgb(np.stack([hues, np.ones(count), np.ones(count)], axis=-1)))


def colored(maps: np.ndarray) -> np.ndarray:
    """(neurons, *window, 3) in [0, 1]: Σ map · colour, each neuron divided by its maximum.

    Args:
        maps: (neurons, *window, factors), not negative.
    """
    found = maps.astype("float64") @ factor_colors(maps.shape[-1])
    most = found.reshape(len(found), -1).max(axis=-1, initial=0.0)
    scale = np.where(most > 0, most, 1.0).reshape(-1, *[1] * (found.ndim - 1))
    return np.clip(found / scale, 0.0, 1.0)


def weight_factors(found: Any, *, max_neurons: int = 48, title: str | None = None) -> Figure:
    """Draw what `kv.weights.factorize` found.

    On the input side a small picture a neuron, in which each factor has a colour; like neurons
    stand beside each other, each divided by its own maximum. Of few neurons each factor's map is
    drawn by itself, too. Kernels that read one or three channels are drawn as they are, grey for
    zero. On the output side each factor's map in red for positive and blue for negative weights.
    Below a number is the share of its squares that the factors leave unexplained. A window of one
    dimension is a row; of three, its slices are side by side.

    Args:
        found: A `WeightFactors`.
        max_neurons: How many to draw: those with the largest weights.
        title: Heading; None: made of the layer.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    norms = found.norms[found.order]
    kept = np.sort(np.argsort(-norms, kind="stable")[: max(1, max_neurons)])
    places = found.order[kept]
    if found.pictures.size:
        return _pictures(found, places, title)
    if found.side == "input" and len(places) > FEW:
        return _mosaic(found, places, title)
    return _table(found, places, title)


def _pictures(found: Any, places: np.ndarray, title: str | None) -> Figure:
    kernels = found.pictures[places]
    most = np.abs(kernels).reshape(len(kernels), -1).max(axis=-1)
    scale = np.where(most > 0, most, 1.0).reshape(-1, *[1] * (kernels.ndim - 1))
    tiles = np.repeat(0.5 + 0.5 * kernels / scale, 3 // kernels.shape[-1], axis=-1)
    words = [
        "Each neuron's kernel as it is, divided by its own maximum; grey is zero. Below: its "
        "number, and its norm as a share of the largest."
    ]
    heading = title or f"{shortened(found.layer, 36)}: kernels{_left_out(found, places)}"
    shares = found.norms / (found.norms.max() or 1.0)
    return _tiled(found, places, tiles, heading, words, shares)


def _mosaic(found: Any, places: np.ndarray, title: str | None) -> Figure:
    words = [
        "Each neuron divided by its own maximum; like ones are neighbours. Below: its number, and "
        "the share not explained."
    ]
    return _tiled(
        found,
        places,
        colored(found.maps[places]),
        _heading(found, places, title),
        words,
        found.errors,
    )


def _tiled(
    found: Any,
    places: np.ndarray,
    tiles: np.ndarray,
    heading: str,
    words: list[str],
    numbers: np.ndarray,
) -> Figure:
    pictures = [flat_window(tile) for tile in tiles]
    aspect = pictures[0].shape[1] / pictures[0].shape[0]
    width = min(WIDEST, TILE * max(1.0, aspect))
    height = max(0.14, width / aspect)
    columns = max(1, int((WIDTH + GAP) // (width + GAP)))
    rows = math.ceil(len(pictures) / columns)
    step = height + GAP + LINE_HEIGHT
    top = MARGIN + (1.6 + len(words)) * LINE_HEIGHT + GAP
    has_legend = not found.pictures.size
    below = GAP + len(found.directions) * 1.1 * LINE_HEIGHT if has_legend else 0.0
    sheet = Sheet(2 * MARGIN + WIDTH, top + rows * step + below + MARGIN)
    write_heading(sheet, heading, words)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        x, y = MARGIN + column * (width + GAP), top + row * step
        _show(sheet.axes(x, y, width, height), picture)
        text = f"{found.neurons[places[number]]}"
        sheet.text(x, y + height + 0.02, text, fontsize=6.5)
        if np.isfinite(numbers[places[number]]):
            told = f"{numbers[places[number]]:.0%}"
            sheet.text(x + width, y + height + 0.02, told, fontsize=6.5, ha="right", color=LINE)
    if has_legend:
        _legend(sheet, found, top + rows * step + GAP)
    return sheet.figure


def _table(found: Any, places: np.ndarray, title: str | None) -> Figure:
    """A row a neuron: all factors in colours, then each by itself."""
    is_input = found.side == "input"
    maps = found.maps[places]
    count = maps.shape[-1]
    aspect = flat_window(maps[0][..., :1]).shape[1] / flat_window(maps[0][..., :1]).shape[0]
    width = LARGE if is_input or len(places) <= FEW else TILE
    width = min((WIDTH - LABEL) / (count + 1) - GAP, width * max(1.0, aspect))
    height = max(0.16, width / aspect)
    left = MARGIN + LABEL
    words = ["Each neuron divided by its own maximum: white is the largest."]
    if not is_input:
        words = ["Red: positive weights, blue: negative, white: zero; one scale for all."]
    top = MARGIN + 2.6 * LINE_HEIGHT + GAP + 1.2 * LINE_HEIGHT
    block = height + GAP
    legend = GAP + count * 1.1 * LINE_HEIGHT
    sheet = Sheet(2 * MARGIN + WIDTH, top + len(places) * block + legend + MARGIN)
    write_heading(sheet, _heading(found, places, title), words)
    most = float(np.abs(maps).max()) or 1.0
    columns = [f"factor {factor}" for factor in range(count)]
    columns = ["all", *columns] if is_input else columns
    for column, name in enumerate(columns):
        sheet.text(left + column * (width + GAP), top - 1.2 * LINE_HEIGHT, name, fontsize=7.5)
    for row, place in enumerate(places):
        y = top + row * block
        sheet.text(MARGIN, y, _name(found, place), fontsize=7.5)
        error = found.errors[place]
        told = f"error {error:.0%}" if np.isfinite(error) else "no weights"
        sheet.text(MARGIN, y + LINE_HEIGHT, told, fontsize=7, color=LINE)
        own = maps[row]
        tiles = [np.repeat(own[..., k : k + 1] / (own.max() or 1.0), 3, -1) for k in range(count)]
        tiles = [colored(own[None])[0], *tiles]
        if not is_input:
            tiles = [colormaps[SIGNED](own[..., k] / most / 2 + 0.5)[..., :3] for k in range(count)]
        for column, tile in enumerate(tiles):
            x = left + column * (width + GAP)
            _show(sheet.axes(x, y, width, height), flat_window(tile))
    if not is_input:
        _bar(sheet, left + count * (width + GAP) + GAP, top, height, most)
    _legend(sheet, found, top + len(places) * block + GAP)
    return sheet.figure


def _name(found: Any, place: int) -> str:
    """What a row of maps is of."""
    if found.kind != "depthwise":
        return f"neuron {found.neurons[place]}"
    return "all channels" if len(found.maps) == 1 else f"multiplier {found.neurons[place]}"


def _bar(sheet: Sheet, x: float, y: float, height: float, most: float) -> None:
    height = max(height, 0.6)
    axes = sheet.axes(x, y, 0.12, height)
    axes.imshow(np.linspace(1, -1, 65)[:, None], cmap=SIGNED, aspect="auto", vmin=-1, vmax=1)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([0, 32, 64], [signed(most), "0", signed(-most)], fontsize=6.5)
    axes.tick_params(length=2, pad=1.5)


def _heading(found: Any, places: np.ndarray, title: str | None) -> str:
    if title is not None:
        return title
    count = len(found.directions)
    told = f"{shortened(found.layer, 36)}: {count} factors, error {found.error:.0%}"
    return told + _left_out(found, places)


def _left_out(found: Any, places: np.ndarray) -> str:
    if len(places) == len(found.neurons):
        return ""
    return f" ({len(places)} of {len(found.neurons)} neurons, the largest)"


def write_heading(sheet: Sheet, heading: str, words: list[str]) -> None:
    """A heading in the upper left corner, and lines below it."""
    sheet.text(MARGIN, MARGIN, heading, fontsize=11, fontweight="bold")
    for place, line in enumerate(words):
        y = MARGIN + (1.6 + place) * LINE_HEIGHT
        sheet.text(MARGIN, y, line, fontsize=7, color=LINE)


def _legend(sheet: Sheet, found: Any, y: float) -> None:
    """A line a factor: its colour, and the inputs that weigh most in its direction."""
    is_input = found.side == "input"
    for factor, color in enumerate(factor_colors(len(found.directions))):
        top = y + factor * 1.1 * LINE_HEIGHT
        if is_input:
            swatch = sheet.axes(MARGIN, top + 0.02, 0.2, 0.1)
            swatch.set_facecolor(color)
            swatch.set_xticks([])
            swatch.set_yticks([])
        inputs = [f"{number} ({weight:+.2f})" for number, weight in found.top(factor, 6)]
        more = ", …" if found.directions.shape[1] > len(inputs) else ""
        told = f"factor {factor}: inputs {', '.join(inputs)}{more}".replace("-", "−")
        sheet.text(MARGIN + 0.3 * is_input, top, told, fontsize=7)


def flat_window(tile: np.ndarray) -> np.ndarray:
    """A picture (height, width, channels) of a window of 1 to 3 dimensions."""
    if tile.ndim == 2:
        return tile[None]
    if tile.ndim == 3:
        return tile
    gap = np.ones((tile.shape[1], 1, tile.shape[-1]))
    parts = [part for one in tile for part in (gap, one)][1:]
    return np.concatenate(parts, axis=1)


def _show(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#9ca3af")
        spine.set_linewidth(0.5)
