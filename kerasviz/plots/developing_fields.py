"""A figure of how the fields of units developed: a row for each time, a column for each unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import Sheet
from kerasviz.plots.unit_fields import BAR, GAP, MARGIN, SIDE, place_unit

LEFT = 1.0
HEADING = 0.62
ROW = SIDE + BAR + 0.03 + 1.6 * GAP


def field_development(
    displays: Sequence[np.ndarray],
    strengths: Sequence[np.ndarray],
    units: Sequence[int] | np.ndarray,
    rows: Sequence[str],
    similarities: Sequence[float],
    *,
    title: str = "",
) -> Figure:
    """Draw the fields of some units at several times.

    Grey is zero; each map is stretched to its own largest magnitude, and the bar below it says how
    strong the unit is beside the strongest one at that time.

    Args:
        displays: One a time: (units, *positions, colours) in [0, 1], where 0.5 is zero.
        strengths: One a time: (units,) in [0, 1].
        units: (units,) their numbers.
        rows: What to call each time.
        similarities: One a time: mean cosine with the last maps; NaN for none.
        title: Stands above all.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw, or not as many times of one thing as of another.
    """
    counts = {len(displays), len(strengths), len(rows), len(similarities)}
    if len(counts) > 1 or not len(displays) or not len(units):
        raise InputError(
            "`displays`, `strengths`, `rows` and `similarities` must be of the same times, and "
            f"there must be a unit. Received: {sorted(counts)} times and {len(units)} units. "
            "Use `development.plot()`."
        )
    width = max(LEFT + len(units) * (SIDE + GAP) + MARGIN, 5.2)
    sheet = Sheet(width, HEADING + len(rows) * ROW + MARGIN)
    sheet.text(MARGIN, MARGIN, shortened(title, int(width * 11)), fontsize=10, fontweight="bold")
    words = "grey is zero · bars: strength beside the strongest unit · cos: likeness to the last"
    sheet.text(MARGIN, MARGIN + 0.19, words, fontsize=7)
    for row, (display, strength) in enumerate(zip(displays, strengths, strict=True)):
        y = HEADING + row * ROW
        like = similarities[row]
        note = "" if math.isnan(like) else f"\ncos {like:.2f}"
        sheet.text(MARGIN, y + 0.28, rows[row] + note, fontsize=8)
        for column, unit in enumerate(units):
            x = LEFT + column * (SIDE + GAP)
            place_unit(sheet, display[column], float(strength[column]), x, y)
            if row == 0:
                sheet.text(x, y - 0.13, f"unit {int(unit)}", fontsize=7)
    return sheet.figure
