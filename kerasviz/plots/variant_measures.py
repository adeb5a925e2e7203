"""What each variant of a model reached, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, NEGATIVE
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import Sheet

MARGIN = 0.2
NAMES = 1.9
PANEL = 1.75
GAP = 0.3
ROW = 0.26
HEAD = 0.95
FOOT = 0.5
SPREAD = 0.16


def variant_measures(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    title: str = "What each variant reached",
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """A row a variant, a panel a measure: a ring a seed, a line at their mean.

    Args:
        values: Measure → variant → a value a seed; NaN is left out.
        title: Heading of the figure.
        notes: Measure → a few words below its name.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: No measures, or of several variants.
    """
    variants = [*next(iter(values.values()), {})]
    if not variants or any([*one] != variants for one in values.values()):
        raise InputError(
            "`values` must hold measures of the same variants. Received: "
            f"{ {name: len(one) for name, one in values.items()} }. Give each variant a list."
        )
    height = len(variants) * ROW
    width = 2 * MARGIN + NAMES + len(values) * (PANEL + GAP)
    sheet = Sheet(width, HEAD + height + FOOT)
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    for place, (measure, rows) in enumerate(values.items()):
        x = MARGIN + NAMES + place * (PANEL + GAP)
        sheet.text(x, MARGIN + 0.3, measure, fontsize=8.5, fontweight="bold")
        sheet.text(x, MARGIN + 0.48, (notes or {}).get(measure, ""), fontsize=7.5, color=LINE)
        axes = sheet.axes(x, HEAD, PANEL, height)
        _panel(axes, [np.asarray(rows[name], "float64") for name in variants])
        axes.set_yticks(range(len(variants)))
        names = [shortened(name, 30) for name in variants] if not place else []
        axes.set_yticklabels(names or [""] * len(variants), fontsize=8, parse_math=False)
    return sheet.figure


def _panel(axes: Any, rows: Sequence[np.ndarray]) -> None:
    for place, found in enumerate(rows):
        known = found[np.isfinite(found)]
        axes.axhline(place, color=LINE, linewidth=0.4, alpha=0.35, zorder=0)
        shifts = np.linspace(-SPREAD, SPREAD, len(known)) if len(known) > 1 else np.zeros(1)
        axes.scatter(
            known, place + shifts[: len(known)], s=16, facecolor="none", edgecolor=NEGATIVE
        )
        if len(known):
            mean = float(known.mean())
            axes.plot([mean] * 2, [place - 0.36, place + 0.36], color="black", linewidth=1.6)
            continue
        across = axes.get_yaxis_transform()
        axes.text(0.02, place, "no values", transform=across, fontsize=7, va="center", color=LINE)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.tick_params(labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)
    axes.spines[["top", "right", "left"]].set_visible(False)
