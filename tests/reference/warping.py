"""Affine resampling, one pixel at a time."""

from __future__ import annotations

import itertools

import numpy as np


def warped(picture: np.ndarray, matrix: np.ndarray, fill: float | None) -> np.ndarray:
    """`picture` (*positions, channels) seen through a map of coordinates.

    Args:
        picture: The picture.
        matrix: (rank + 1, rank + 1), from coordinates of the result to those of the picture, in
            pixels from the centre.
        fill: Value of every pixel beyond the edges; None: that of the nearest pixel inside.
    """
    sizes = picture.shape[:-1]
    centre = (np.array(sizes) - 1) / 2
    result = np.zeros(picture.shape)
    for pixel in np.ndindex(sizes):
        at = (matrix @ np.append(pixel - centre, 1.0))[:-1] + centre
        low = np.floor(at).astype(int)
        for step in itertools.product((0, 1), repeat=len(sizes)):
            share = np.prod(np.where(step, at - low, 1 - (at - low)))
            result[pixel] += share * _pixel(picture, low + step, fill)
    return result


def _pixel(picture: np.ndarray, index: np.ndarray, fill: float | None) -> np.ndarray:
    last = np.array(picture.shape[:-1]) - 1
    nearest = np.clip(index, 0, last)
    if fill is not None and (nearest != index).any():
        return np.full(picture.shape[-1], fill)
    return picture[tuple(nearest)]
