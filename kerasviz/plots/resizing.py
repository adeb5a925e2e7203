"""Resizing by linear interpolation, averaging where it shrinks; plain NumPy, any number of axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def resize(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resize the leading axes of an array.

    Args:
        array: `(*old_shape, ...)` numbers.
        shape: The new lengths of the first `len(shape)` axes.

    Returns:
        `(*shape, ...)` float64, within the range of `array`.
    """
    resized = np.asarray(array, dtype=np.float64)
    for axis, length in enumerate(shape):
        if resized.shape[axis] != length:
            matrix = _weights(resized.shape[axis], length)
            resized = np.moveaxis(np.tensordot(matrix, resized, axes=(1, axis)), 0, axis)
    return resized


def shrink(array: np.ndarray, longest: int, axes: int) -> np.ndarray:
    """Resize the leading axes, in proportion, so that none is longer than `longest`."""
    shape = array.shape[:axes]
    factor = min(1.0, longest / max(shape))
    return resize(array, [max(1, round(length * factor)) for length in shape])


def _weights(old: int, new: int) -> np.ndarray:
    """`(new, old)` triangle filter around each new pixel's centre; rows sum to 1."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    distances = np.abs(centres[:, None] - np.arange(old)) / max(1.0, old / new)
    weights = np.clip(1.0 - distances, 0.0, None)
    return weights / weights.sum(axis=1, keepdims=True)
