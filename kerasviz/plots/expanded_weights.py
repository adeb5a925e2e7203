"""Weights across several layers, as a figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.plots.attention_weights import signed
from kerasviz.plots.colors import LINE, SIGNED
from kerasviz.plots.kernel_factors import MARGIN, write_heading
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

GAP, ROW_GAP = 0.1, 0.18
TILE = 0.86
WIDEST = 1.9
LABEL = 0.95
NARROWEST = 7.2
ROWS = (("sum", "maps"), ("excites", "positive"), ("inhibits", "negative"))


def expanded_weights(
    found: Any, target: int | None = None, num: int = 8, *, title: str | None = None
) -> Figure:
    """Draw what one target channel reads in its strongest sources.

    A column a source, the largest norm first. In the first row the expanded weights, below it what
    excites and what inhibits apart; red is positive, blue negative, white zero. The two lower rows
    share a scale that is not that of the first. A window of one dimension is a row; of three, its
    slices are side by side.

    Args:
        found: An `ExpandedWeights`, as `kv.weights.expand` returns.
        target: Channel number; None: the first of `found.targets`.
        num: How many sources to draw.
        title: Heading; None: made of the layers.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: The channel is not among the targets.
    """
    target = found.targets[0] if target is None else target
    row = found.row(target)
    strongest = found.strongest(target, max(1, num))
    places = [found.sources.index(source) for source, _ in strongest]
    flat = [[_flat(getattr(found, kind)[row, place]) for place in places] for _, kind in ROWS]
    aspect = flat[0][0].shape[1] / flat[0][0].shape[0]
    width = min(WIDEST, TILE * max(1.0, aspect))
    height = max(0.14, width / aspect)
    left, top = MARGIN + LABEL, MARGIN + 6.6 * LINE_HEIGHT
    wide = max(NARROWEST, LABEL + len(places) * (width + GAP) + 0.7)
    block = max(height, 0.62) + ROW_GAP
    sheet = Sheet(2 * MARGIN + wide, top + 3 * block + 0.6 * LINE_HEIGHT + MARGIN)
    write_heading(sheet, title or _heading(found, target), _words(found, len(places)))
    for column, (source, norm) in enumerate(strongest):
        x = left + column * (width + GAP)
        sheet.text(x, top - 2.2 * LINE_HEIGHT, f"channel {source}", fontsize=7.5)
        sheet.text(x, top - 1.15 * LINE_HEIGHT, f"norm {norm:.2g}", fontsize=7, color=LINE)
        told = f"{_percent(found.cancellation[row, places[column]])} cancel"
        sheet.text(x, top + 3 * block - 0.6 * ROW_GAP, told, fontsize=7, color=LINE)
    largest = [max(float(np.nanmax(np.abs(tile))) for tile in tiles) or 1.0 for tiles in flat]
    scales = [largest[0], *[max(largest[1:])] * 2]
    for line, ((name, _), tiles, most) in enumerate(zip(ROWS, flat, scales, strict=True)):
        y = top + line * block
        sheet.text(MARGIN, y, name, fontsize=8, weight="bold")
        for column, tile in enumerate(tiles):
            axes = sheet.axes(left + column * (width + GAP), y, width, height)
            axes.imshow(
                tile, cmap=SIGNED, vmin=-most, vmax=most, interpolation="nearest", aspect="auto"
            )
            axes.set(xticks=[], yticks=[], facecolor=LINE)
            for spine in axes.spines.values():
                spine.set_color("#9ca3af")
                spine.set_linewidth(0.5)
        _bar(sheet, left + len(places) * (width + GAP), y, block - ROW_GAP, most)
    return sheet.figure


def _flat(window: np.ndarray) -> np.ndarray:
    """(height, width) of a window of 1 to 3 dimensions; NaN between the slices of the last."""
    flat = window.astype("float64")
    if flat.ndim == 1:
        return flat[None]
    if flat.ndim == 2:
        return flat
    gap = np.full((flat.shape[1], 1), np.nan)
    parts = [part for one in flat for part in (gap, one)][1:]
    return np.concatenate(parts, axis=1)


def _heading(found: Any, target: int) -> str:
    ends = f"{shortened(found.target, 28)}, channel {target}, from {shortened(found.source, 28)}"
    return f"Expanded weights of {ends}"


def _words(found: Any, shown: int) -> list[str]:
    size = " × ".join(map(str, found.size))
    how = "true gradients, mean of examples" if found.method == "examples" else "weights alone"
    told = (
        f"{size} positions; {how}; {shown} of {len(found.sources)} source channels, the strongest "
    )
    return [
        f"{told}first.",
        "Red: more of the source raises the target. Excites and inhibits have a scale of their "
        "own.",
    ]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share < 0.995 else f"{np.floor(share * 1000) / 10:.1f}%"


def _bar(sheet: Sheet, x: float, y: float, height: float, most: float) -> None:
    axes = sheet.axes(x + 0.05, y, 0.12, height)
    axes.imshow(np.linspace(1, -1, 65)[:, None], cmap=SIGNED, aspect="auto", vmin=-1, vmax=1)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([0, 32, 64], [signed(most), "0", signed(-most)], fontsize=6.5)
    axes.tick_params(length=2, pad=1.5)
