"""The painter: a map over a photo, in floats to the last line."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Colormap

from kerasviz.plots.colors import ALPHA, RISE, colors_of
from kerasviz.plots.displaying import displayable, grey_of
from kerasviz.plots.resizing import resize

MIDDLE_GREY = 0.5
KEPT = 0.6


def blend(
    image: np.ndarray,
    heatmap: np.ndarray,
    alpha: float = ALPHA,
    colormap: str | Colormap | None = None,
    *,
    signed: bool | None = None,
    fade: float = 1.0,
) -> np.ndarray:
    """Paint a map over an image; cold regions show the image, hot ones the colour map.

    Args:
        image: `(height, width)` or with channels first or last; any range.
        heatmap: `(rows, columns)` in [0, 1], or in [-1, 1] when signed; resized to the image.
            Values outside are cut, NaN is left unpainted.
        alpha: How much of the image the hottest colour hides, in [0, 1]; it falls with the heat.
        colormap: A matplotlib colour map or its name; by default inferno, red-white-blue if signed.
        signed: Whether 0 is the middle of the colour map; by default, whether the map has
            negative values.
        fade: How much of the image's own colour and brightness is taken away first, in [0, 1],
            so that colours mean the map: 0 leaves the image as it is.

    Returns:
        `(height, width, 3)` float64 in [0, 1].
    """
    heat = np.asarray(heatmap, dtype=np.float64)
    is_signed = bool((heat < 0).any()) if signed is None else signed
    photo = displayable(image, heat.shape)
    heat = resize(np.nan_to_num(heat, nan=0.0), photo.shape[:-1])
    heat = np.clip(heat, -1.0 if is_signed else 0.0, 1.0)
    weight = (alpha * np.abs(heat) ** RISE)[..., None]
    backdrop = faded(photo, fade, lighter=is_signed)
    return backdrop * (1.0 - weight) + colors_of(heat, is_signed, colormap) * weight


def faded(photo: np.ndarray, fade: float, lighter: bool = False) -> np.ndarray:
    """The photo mixed with its own grey version, which is darkened (or lightened)."""
    grey = grey_of(photo) * KEPT + (1.0 - KEPT if lighter else 0.0)
    return photo * (1.0 - fade) + grey * fade


def color_bar(
    signed: bool = False, colormap: str | Colormap | None = None, alpha: float = ALPHA
) -> np.ndarray:
    """The colours from lowest to highest, painted by `blend` over middle grey: `(1, 256, 3)`."""
    ramp = np.linspace(-1.0 if signed else 0.0, 1.0, 256)[None, :]
    grey = np.full((1, 256), MIDDLE_GREY)
    return blend(grey, ramp, alpha, colormap, signed=signed)
