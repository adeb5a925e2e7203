"""A figure laid out in inches from its top left corner, like a sheet of paper."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasviz.plots.figures import new_figure

LINE_HEIGHT = 0.155
TEXT_SIZE = 8
CHARACTERS_PER_INCH = 15


class Sheet:
    """Axes and texts placed by inches.

    Args:
        width: Inches.
        height: Inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure: Figure = new_figure(width, height)
        self.width, self.height = width, height

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes whose top left corner is at (x, y)."""
        bottom = 1.0 - (y + height) / self.height
        return self.figure.add_axes(
            (x / self.width, bottom, width / self.width, height / self.height)
        )

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text whose top left corner is at (x, y), taken literally."""
        settings: dict[str, Any] = {"fontsize": TEXT_SIZE, "va": "top", "parse_math": False} | style
        self.figure.text(x / self.width, 1.0 - y / self.height, text, **settings)


def wrapped(text: str, width: float, max_lines: int = 4) -> list[str]:
    """Lines that fit in so many inches."""
    characters = max(8, int(width * CHARACTERS_PER_INCH))
    return textwrap.wrap(text, characters, max_lines=max_lines, placeholder=" …")
