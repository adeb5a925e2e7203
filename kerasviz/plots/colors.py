"""Colour maps and how strongly they cover the photo."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap

ALPHA = 0.85
RISE = 0.7
SIGNED = "RdBu_r"
UNSIGNED = "inferno"
DARKEST = 0.2
WARNING = "#b3261e"
POSITIVE = "#c8452d"
NEGATIVE = "#3a76af"
LINE = "#6b7280"


def colormap_for(signed: bool, colormap: str | Colormap | None = None) -> Colormap:
    """The chosen colour map, or the default one.

    The defaults keep their order in grey print and for colour-blind readers: inferno without its
    near-black end, which would vanish on a darkened photo; for signed maps red-white-blue, red
    for evidence in favour.
    """
    if colormap is not None:
        return colormaps[colormap] if isinstance(colormap, str) else colormap
    if signed:
        return colormaps[SIGNED]
    return ListedColormap(colormaps[UNSIGNED](np.linspace(DARKEST, 1.0, 256)), "heat")


def colors_of(heat: np.ndarray, signed: bool, colormap: str | Colormap | None) -> np.ndarray:
    """`(..., 3)` colours of values in [0, 1], or in [-1, 1] with a symmetric range if signed."""
    position = (heat + 1.0) / 2.0 if signed else heat
    return np.asarray(colormap_for(signed, colormap)(position))[..., :3]
