"""Box plots of what each channel absorbs and emits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, NEGATIVE, POSITIVE
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import Sheet

MARGIN = 0.2
TOP = 0.75
PANEL = 3.9
GAP = 0.75
ROW = 1.75
COLORS = {"absorption": NEGATIVE, "emission": POSITIVE}


def channel_boxes(
    absorption: Mapping[str, np.ndarray],
    emission: Mapping[str, np.ndarray],
    *,
    num: int = 15,
    strongest: bool = False,
    title: str = "What channels absorb and emit",
    note: str = "",
) -> Figure:
    """Draw a row a layer: box plots of each channel's absorption, and beside them of emission.

    A box spans the quartiles over samples, its line is the median, the whiskers reach to the last
    sample within 1.5 times the box beyond it, and dots are samples farther out. Each panel has a
    scale of its own, from zero; the dashed line is the median over all channels of the layer,
    also those that are not drawn.

    Args:
        absorption: Layer → (samples, channels).
        emission: The same layers → (samples, channels).
        num: How many channels to draw in each panel.
        strongest: The channels with the largest mean, in that order, instead of the first.
        title: Heading of the figure.
        note: A line below the heading, such as what was differentiated.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: No layer to draw, or fewer than one channel.
    """
    if not absorption or list(absorption) != list(emission) or num < 1:
        raise InputError(
            "`absorption` and `emission` must hold the same layers, at least one, and `num` be a "
            f"whole number from 1 on. Received: {[*absorption]}, {[*emission]}, {num}. "
            "See `kv.dynamics.channel_gradients`."
        )
    sheet = Sheet(2 * MARGIN + 2 * (PANEL + GAP), TOP + ROW * len(absorption) + 0.25)
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    sheet.text(MARGIN, MARGIN + 0.24, note, fontsize=8, color=LINE)
    for row, layer in enumerate(absorption):
        for column, (quantity, values) in enumerate(
            {"absorption": absorption[layer], "emission": emission[layer]}.items()
        ):
            x = MARGIN + GAP - 0.1 + column * (PANEL + GAP)
            axes = sheet.axes(x, TOP + row * ROW + 0.2, PANEL, ROW - 0.62)
            _panel(axes, np.asarray(values), quantity, num, strongest)
            place = TOP + row * ROW
            heading = f"{shortened(layer, 34)}: {quantity}" if column == 0 else quantity
            sheet.text(x, place, heading, fontsize=8, fontweight="bold")
            shown = _shown(values.shape[1], num, strongest)
            sheet.text(x + PANEL, place, shown, fontsize=7, color=LINE, ha="right")
    return sheet.figure


def _shown(channels: int, num: int, strongest: bool) -> str:
    if channels <= num:
        return f"{channels} channels"
    return f"{'strongest' if strongest else 'first'} {num} of {channels} channels"


def _panel(axes: Any, values: np.ndarray, quantity: str, num: int, strongest: bool) -> None:
    means = values.mean(axis=0)
    order = np.argsort(-means, kind="stable") if strongest else np.arange(values.shape[1])
    chosen = order[:num]
    color = COLORS[quantity]
    boxes = axes.boxplot(
        [values[:, channel] for channel in chosen],
        patch_artist=True,
        widths=0.62,
        medianprops={"color": "black", "linewidth": 1.1},
        whiskerprops={"color": color, "linewidth": 0.8},
        capprops={"color": color, "linewidth": 0.8},
        flierprops={"marker": ".", "markersize": 2.5, "markeredgecolor": color},
    )
    for box in boxes["boxes"]:
        box.set(facecolor=(color, 0.35), edgecolor=color, linewidth=0.8)
    axes.axhline(np.median(values), color=LINE, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xticks(np.arange(1, len(chosen) + 1), [str(channel) for channel in chosen])
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("channel", fontsize=7, labelpad=1)
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right"]].set_visible(False)
