"""Linear interpolation at half-pixel centres, and the scale of a map."""

from __future__ import annotations

import numpy as np


def upsample(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Interpolate each spatial axis linearly, without antialiasing.

    Args:
        values: Shape `(batch, *spatial)`, one to three spatial axes.
        size: The new spatial shape.

    Returns:
        Float64, shape `(batch, *size)`.
    """
    result = np.asarray(values, "float64")
    for axis, length in enumerate(size, start=1):
        result = _along(result, axis, length)
    return result


def _along(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    available = values.shape[axis]
    slices = []
    for i in range(length):
        position = min(max((i + 0.5) * available / length - 0.5, 0), available - 1)
        low = int(position)
        high = min(low + 1, available - 1)
        share = position - low
        slices.append((1 - share) * values.take(low, axis) + share * values.take(high, axis))
    return np.stack(slices, axis)


def divide_by_maximum(maps: np.ndarray) -> np.ndarray:
    """Divide each map of a batch by its largest value; a map without positive values becomes 0."""
    scaled = [one / one.max() if one.max() > 0 else np.zeros_like(one) for one in maps]
    return np.stack(scaled)
