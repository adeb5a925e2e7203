"""A tensor's finite values, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

CHUNK = 1 << 16


def finite_chunks(array: np.ndarray, size: int = CHUNK) -> Iterator[np.ndarray]:
    """The finite values of a contiguous array, in order, in flat chunks of at most `size`.

    Half precision is widened to float32; others keep their precision and are not copied.
    """
    flat = array.reshape(-1)
    for start in range(0, flat.size, size):
        chunk = flat[start : start + size]
        if chunk.dtype.itemsize < 4:
            chunk = chunk.astype("float32")
        is_finite = np.isfinite(chunk)
        if not is_finite.all():
            chunk = chunk[is_finite]
        if chunk.size:
            yield chunk


def extent(array: np.ndarray) -> tuple[float, float]:
    """The least and the largest finite value; NaN where there is none."""
    ends = [(float(chunk.min()), float(chunk.max())) for chunk in finite_chunks(array)]
    if not ends:
        return np.nan, np.nan
    return min(low for low, _ in ends), max(high for _, high in ends)


def histogram(array: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many finite values lie between evenly spaced edges, as `numpy.histogram` counts."""
    counts = np.zeros(edges.size - 1, "int64")
    ends = (edges[0], edges[-1])
    for chunk in finite_chunks(array):
        counts += np.histogram(chunk, counts.size, range=ends)[0]
    return counts
