"""A volume as one flat picture: three slices side by side."""

from __future__ import annotations

import numpy as np

GAP = 2


def hottest(heatmap: np.ndarray) -> tuple[int, ...]:
    """Index of the largest magnitude of a map; its middle when nothing stands out."""
    magnitudes = np.abs(np.nan_to_num(heatmap))
    if magnitudes.min() == magnitudes.max():
        return middle(heatmap.shape)
    return tuple(int(index) for index in np.unravel_index(magnitudes.argmax(), heatmap.shape))


def middle(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Index of the central element of a shape."""
    return tuple(length // 2 for length in shape)


def three_slices(volume: np.ndarray, position: tuple[int, ...]) -> list[np.ndarray]:
    """The slices of `(depth, height, width, ...)` through a position, across each axis in turn."""
    return [np.take(volume, index, axis=axis) for axis, index in enumerate(position)]


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """`(height, width, 3)` pictures in one row, centred vertically on middle grey."""
    height = max(len(picture) for picture in pictures)
    padded = [_pad(picture, height, GAP if index else 0) for index, picture in enumerate(pictures)]
    return np.concatenate(padded, axis=1)


def _pad(picture: np.ndarray, height: int, left: int) -> np.ndarray:
    above = (height - len(picture)) // 2
    below = height - len(picture) - above
    return np.pad(picture, ((above, below), (left, 0), (0, 0)), constant_values=0.5)
