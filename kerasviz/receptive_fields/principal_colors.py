"""Maps of several colours, along the direction in colour space in which they vary most."""

from __future__ import annotations

import numpy as np


def principal_colors(maps: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Each map along its own principal colour, and what a table says of that colour.

    The direction is the first right singular vector of a unit's (pixels, colours); its sign makes
    the sum of its parts positive, or else the first part that is not 0.

    Args:
        maps: (units, height, width, colours).

    Returns:
        (units, height, width), and columns: `color_share`, `opponency`, `color_0` …; NaN for
        units that are 0 everywhere.
    """
    units, height, width, colors = maps.shape
    pixels = maps.reshape(units, -1, colors)
    scales = np.abs(pixels).max(axis=(1, 2), keepdims=True)
    pixels = pixels / np.where(scales > 0, scales, 1.0)
    values, vectors = np.linalg.eigh(pixels.transpose(0, 2, 1) @ pixels)
    direction = vectors[:, :, -1]
    direction = direction * _signs(direction)[:, None]
    flat = np.einsum("upc,uc->up", pixels, direction) * scales[:, :, 0]
    alive = scales[:, 0, 0] > 0
    total = np.where(alive, values.sum(axis=1), 1.0)
    opponency = 1.0 - np.abs(direction.sum(axis=1)) / np.abs(direction).sum(axis=1)
    columns = {"color_share": values[:, -1] / total, "opponency": opponency}
    columns |= {f"color_{place}": direction[:, place] for place in range(colors)}
    columns = {name: np.where(alive, values, np.nan) for name, values in columns.items()}
    return flat.reshape(units, height, width), columns


def _signs(directions: np.ndarray) -> np.ndarray:
    sums = directions.sum(axis=1)
    first = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return np.where(np.abs(sums) > 1e-9, np.sign(sums), np.sign(first[:, 0]))
