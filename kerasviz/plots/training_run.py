"""A figure of a run: loss, gradient and update norms over the epochs, and what is dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.figures import new_figure
from kerasviz.plots.reading import shortened

WIDTH, HEIGHT, ROW = 7.2, 2.2, 0.3
SHADES = "cividis"
MOST_NAMED = 6
BAND = (1e-4, 1e-2)
DASHES = ("-", "--", ":", "-.")


def training_run(
    losses: Mapping[str, tuple[Any, Any]],
    layers: Mapping[str, Mapping[str, tuple[Any, Any]]],
    *,
    title: str = "How training went",
    horizontal: str = "epoch",
    band: tuple[float, float] = BAND,
) -> Figure:
    """Draw curves over epochs: losses, and for each statistic a curve a layer or weight.

    Curves of layers go from pale for the first to dark for the last, so that depth can be read
    without their names. Positive statistics have logarithmic axes.

    Args:
        losses: Name to epochs and values.
        layers: Heading to address, in the order of depth, to epochs and values.
        title: Heading of the figure.
        horizontal: What the epochs are called.
        band: Between which ratios of updates to weights is usual; shaded where a heading begins
            with "update".

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw.
    """
    panels = [(name, curves) for name, curves in layers.items() if curves]
    if not losses and not panels:
        raise InputError(
            "`losses` or `layers` must hold at least one curve. Received: none. "
            "Write the run with a `kv.callbacks.TrainingWatcher`."
        )
    count = len(panels) + bool(losses)
    rows = -(-count // 2)
    figure = new_figure(WIDTH, 0.45 + rows * (HEIGHT + ROW))
    figure.text(
        0.03, 1 - 0.12 / figure.get_figheight(), title, fontsize=11, weight="bold", va="top"
    )
    drawn = 0
    if losses:
        _losses(_axes(figure, drawn, rows), losses, horizontal)
        drawn = 1
    for name, curves in panels:
        axes = _axes(figure, drawn, rows)
        _layers(axes, name, curves, horizontal)
        if name.startswith("update"):
            axes.axhspan(*band, color=LINE, alpha=0.15, linewidth=0)
        drawn += 1
    return figure


def _axes(figure: Figure, place: int, rows: int) -> Axes:
    height = figure.get_figheight()
    row, column = divmod(place, 2)
    bottom = height - 0.45 - (row + 1) * (HEIGHT + ROW) + ROW + 0.05
    left = 0.62 + column * (WIDTH / 2)
    axes = figure.add_axes(
        (left / WIDTH, bottom / height, (WIDTH / 2 - 0.8) / WIDTH, (HEIGHT - 0.35) / height)
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7, length=2)
    axes.tick_params(which="minor", labelsize=5.5, length=1.5)
    return axes


def _losses(axes: Axes, losses: Mapping[str, tuple[Any, Any]], horizontal: str) -> None:
    for place, (name, (epochs, values)) in enumerate(losses.items()):
        dash = DASHES[place % len(DASHES)]
        _curve(axes, epochs, values, linestyle=dash, color=f"{0.1 + 0.2 * (place % 3)}", label=name)
    _finish(axes, "loss", horizontal, named=True)


def _layers(axes: Axes, name: str, curves: Mapping[str, tuple[Any, Any]], horizontal: str) -> None:
    shades = colormaps[SHADES](np.linspace(0.88, 0.0, max(len(curves), 2)))
    shown = set(_spread(list(curves)))
    every = [v for _, values in curves.values() for v in np.ravel(values) if np.isfinite(v)]
    for shade, (address, (epochs, values)) in zip(shades, curves.items(), strict=False):
        label = shortened(address, 26) if address in shown else None
        _curve(axes, epochs, values, color=shade, label=label)
    is_wide = every and min(every) >= 0 and max(every) > 0 and "share" not in name
    if is_wide:
        axes.set_yscale("log", nonpositive="mask")
        axes.tick_params(axis="y", which="both", labelsize=6)
    if "share" in name:
        axes.set_ylim(-0.03, 1.03)
    _finish(axes, name, horizontal, named=True)


def _curve(axes: Axes, epochs: Any, values: Any, **style: Any) -> None:
    axes.plot(epochs, values, linewidth=1.1, marker="." if len(epochs) < 12 else None, **style)


def _finish(axes: Axes, name: str, horizontal: str, named: bool) -> None:
    axes.set_title(name, fontsize=8, loc="left", pad=3)
    axes.set_xlabel(horizontal, fontsize=7, labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if named:
        legend = axes.legend(fontsize=5.8, frameon=True, framealpha=0.8, edgecolor="none")
        for text in legend.get_texts():
            text.set_parse_math(False)


def _spread(names: Sequence[str]) -> list[str]:
    places = np.linspace(0, len(names) - 1, min(MOST_NAMED, len(names))).round().astype(int)
    return [names[place] for place in np.unique(places)]
