"""Figures without pyplot: no global state, no backend change, nothing to close."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave

NO_METADATA: dict[str, Any] = {"Software": None}
FAST = {"compress_level": 4}


class Picture(Figure):
    """A matplotlib figure that notebooks show as PNG, whether or not pyplot was imported."""

    def _repr_png_(self) -> bytes:
        return to_png(self, dpi=100)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size, in inches, drawn by Agg."""
    figure = Picture(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, dpi: float = 150) -> bytes:
    """A figure as PNG.

    Args:
        figure: Any matplotlib figure.
        dpi: Pixels an inch.

    Returns:
        The bytes of a PNG file.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi, metadata=NO_METADATA)
    return file.getvalue()


def encode_png(colors: np.ndarray) -> bytes:
    """`(height, width, 3)` colours in [0, 1] as PNG, one pixel an element, rounded only here."""
    file = io.BytesIO()
    pixels = np.rint(np.clip(colors, 0.0, 1.0) * 255.0).astype(np.uint8)
    imsave(file, pixels, format="png", metadata=NO_METADATA, pil_kwargs=FAST)
    return file.getvalue()
