"""Receptive fields of several models, a row a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.fitted_fields import draw_signed
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.2
NAMES = 1.5
SIDE = 0.95
GAP = 0.07
HEAD = 0.68
LEAST = 5.2
WORDS = LINE_HEIGHT + 0.12


def field_rows(
    maps: Mapping[str, np.ndarray],
    notes: Mapping[str, Sequence[str]] | None = None,
    *,
    title: str = "Receptive fields",
) -> Figure:
    """Draw the fields of each model side by side, symmetric about grey.

    Middle grey is 0, white and black are the peak of each map; three colours go about grey too.
    Maps of one size are cut alike to where any of them is not 0. The peak of the strongest unit of
    a row is written below its name.

    Args:
        maps: Name → (units, height, width, colours), 1 or 3 of them.
        notes: Name → a few words a unit.
        title: Heading of the figure.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw, or another shape.
    """
    arrays = {name: np.asarray(value) for name, value in maps.items()}
    for name, array in arrays.items():
        if array.ndim != 4 or array.shape[-1] not in (1, 3) or not len(array):
            raise InputError(
                "`maps` must hold arrays (units, height, width, 1 or 3). Received: "
                f"{array.shape} as {name!r}. See `kv.studies.receptive_fields`."
            )
    if not arrays:
        raise InputError("`maps` must hold at least one name. Received: none. Choose some.")
    arrays = _cut(arrays)
    most = max(len(array) for array in arrays.values())
    row = SIDE + WORDS
    width = max(2 * MARGIN + NAMES + most * (SIDE + GAP), LEAST)
    sheet = Sheet(width, HEAD + len(arrays) * row + 0.1)
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    note = "middle grey: 0; white and black: the peak of each map"
    high, wide = next(iter(arrays.values())).shape[1:3]
    note += f"; {high} × {wide} pixels"
    sheet.text(MARGIN, MARGIN + 0.24, note, fontsize=8, color=LINE)
    for place, (name, array) in enumerate(arrays.items()):
        y = HEAD + place * row
        _names(sheet, y, name, float(np.abs(array).max()))
        words: Sequence[Any] = (notes or {}).get(name, ())
        for unit, one in enumerate(array):
            x = MARGIN + NAMES + unit * (SIDE + GAP)
            axes = sheet.axes(x, y, SIDE, SIDE)
            peak = float(np.abs(one).max()) or 1.0
            if one.shape[-1] == 1:
                draw_signed(axes, one[..., 0], peak)
            else:
                axes.imshow(0.5 + 0.5 * one / peak, interpolation="nearest", aspect="auto")
                axes.set_xticks([])
                axes.set_yticks([])
            if unit < len(words):
                sheet.text(x, y + SIDE + 0.02, str(words[unit]), fontsize=7)
    return sheet.figure


def _cut(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if len({array.shape[1:3] for array in arrays.values()}) > 1:
        return arrays
    lively = np.any([array.any(axis=(0, 3)) for array in arrays.values()], axis=0)
    if not lively.any():
        return arrays
    rows, columns = (np.flatnonzero(lively.any(axis=axis)) for axis in (1, 0))
    parts = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return {name: array[:, parts[0], parts[1]] for name, array in arrays.items()}


def _names(sheet: Sheet, y: float, name: str, peak: float) -> None:
    lines = shortened(name, 44)
    half = lines.rfind(" ", 0, 23) if len(lines) > 22 else -1
    parts = [lines] if half < 0 else [lines[:half], lines[half + 1 :]]
    for place, part in enumerate(parts):
        sheet.text(MARGIN, y + 0.05 + place * LINE_HEIGHT, part, fontsize=8, fontweight="bold")
    below = y + 0.08 + len(parts) * LINE_HEIGHT
    sheet.text(MARGIN, below, f"strongest peak {number(peak)}", fontsize=7, color=LINE)
