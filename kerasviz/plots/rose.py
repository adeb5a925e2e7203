"""Which way fields are oriented, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, NEGATIVE, POSITIVE
from kerasviz.plots.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

BINS = 12
KINDS = {"gabor": "Gabor", "dog": "centre and surround", "other": "neither"}
MARKS = {"gabor": ("|", POSITIVE), "dog": ("o", NEGATIVE), "other": ("x", LINE)}
SPREAD = 0.3


def orientations(table: pd.DataFrame, *, title: str = "Orientation of receptive fields") -> Figure:
    """Draw the directions of the stripes of Gabor fields, and how far from round all fields are.

    On the left a bar is as long as there are Gabor fields whose stripes run that way; each occurs
    twice, at both ends of its direction. On the right a mark is a unit.

    Args:
        table: As `kv.receptive_fields.describe` returns it.
        title: Heading of the figure.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A table without rows, or of something else.
    """
    needed = {"type", "orientation", "orientation_std"}
    if not len(table) or not needed <= set(table.columns):
        raise InputError(
            f"`table` must have a row a unit and the columns {sorted(needed)}. Received: "
            f"{len(table)} rows and {[*table.columns][:6]}. See `kv.receptive_fields.describe`."
        )
    sheet = Sheet(7.6, 3.9)
    sheet.text(0.2, 0.18, title, fontsize=11, fontweight="bold")
    angles = table.loc[table["type"] == "gabor", "orientation"].to_numpy("float64")
    _rose(sheet, angles)
    _strips(sheet, table)
    return sheet.figure


def _rose(sheet: Sheet, angles: np.ndarray) -> None:
    step = 180.0 / BINS
    bins = np.floor(np.mod(angles + step / 2, 180.0) / step).astype(int)
    counts = np.bincount(bins, minlength=BINS)
    axes: Any = sheet.figure.add_axes(
        (0.45 / sheet.width, 0.42 / 3.9, 2.5 / sheet.width, 2.5 / 3.9), projection="polar"
    )
    centers = np.radians(np.arange(2 * BINS) * step)
    width = np.radians(step) * 0.92
    axes.bar(centers, np.tile(counts, 2), width=width, color=POSITIVE, edgecolor="white")
    axes.set_thetagrids(np.arange(0, 360, 45), [f"{a % 180}°" for a in range(0, 360, 45)])
    most = int(counts.max(initial=0)) or 1
    marks = sorted({-(-most // 2), most})
    axes.set_rgrids(marks, [str(mark) for mark in marks], fontsize=7)
    axes.set_rlabel_position(22.5)
    axes.set_ylim(0, most * 1.05)
    axes.tick_params(labelsize=8)
    axes.grid(color=LINE, linewidth=0.4, alpha=0.6)
    text = f"direction of stripes, {len(angles)} Gabor fields" if len(angles) else "no Gabor field"
    sheet.text(0.45, 0.48, text, fontsize=8, color=LINE)


def _strips(sheet: Sheet, table: pd.DataFrame) -> None:
    axes = sheet.axes(4.75, 0.85, 2.6, 2.4)
    for place, kind in enumerate(KINDS):
        values = table.loc[table["type"] == kind, "orientation_std"].to_numpy("float64")
        marker, color = MARKS[kind]
        shifts = np.linspace(-SPREAD, SPREAD, max(2, len(values)))[: len(values)]
        order = np.argsort(np.argsort(values * 7919 % 1))
        face = "none" if marker == "o" else color
        axes.scatter(
            values,
            place + shifts[order],
            marker=marker,
            s=26,
            color=color,
            facecolor=face,
            linewidth=1.0,
        )
        if len(values):
            middle = float(np.median(values))
            axes.plot([middle] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.6)
    names = [f"{name}\n({int((table['type'] == kind).sum())})" for kind, name in KINDS.items()]
    axes.set_yticks(range(len(KINDS)), names, fontsize=8)
    axes.set_ylim(len(KINDS) - 0.5, -0.5)
    axes.set_xlim(0, None)
    axes.set_xlabel("std of the bar scores over angles (0: round)", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    sheet.text(4.75, 0.48, "how far from round; the line is the median", fontsize=8, color=LINE)
