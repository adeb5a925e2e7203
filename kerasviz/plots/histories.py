"""Curves of what an objective did while pictures were drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kerasviz.plots.colors import LINE
from kerasviz.plots.figures import new_figure
from kerasviz.plots.reading import shortened

MOST_NAMED = 8
NAME_LENGTH = 24


def history_figure(history: np.ndarray, names: Sequence[str]) -> Figure:
    """A figure of `(steps, num_images)` objectives, a curve a picture; few curves are named."""
    figure = new_figure(3.6, 2.6)
    axes = figure.add_axes((0.14, 0.16, 0.83, 0.8))
    named = 1 < len(names) <= MOST_NAMED
    steps = np.arange(1, len(history) + 1)
    for values, name in zip(np.transpose(history), names, strict=True):
        color = None if named else LINE
        axes.plot(steps, values, color=color, linewidth=0.8, label=shortened(name, NAME_LENGTH))
    axes.set_xlabel("step", fontsize=7, labelpad=1)
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    if named:
        legend = axes.legend(fontsize=6, frameon=False, loc="best", handlelength=1.0)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure
