"""How far a distribution has moved from another, by their histograms."""

from __future__ import annotations

import math

import numpy as np

Histogram = tuple[np.ndarray, np.ndarray]


def wasserstein(one: Histogram, other: Histogram) -> float:
    """The Wasserstein distance of order 1: ∫|F − G|, in the unit of the values.

    Within a bin values count as spread evenly, so the error is at most the two bin widths.

    Args:
        one: Edges `(bins + 1,)` in rising order and counts `(bins,)`.
        other: The same, with edges of its own.

    Returns:
        The distance; NaN where a histogram is empty.
    """
    if not one[1].sum() > 0 or not other[1].sum() > 0:
        return math.nan
    edges = np.union1d(one[0], other[0]).astype("float64")
    gaps = _cumulative(one, edges) - _cumulative(other, edges)
    left, right, widths = gaps[:-1], gaps[1:], np.diff(edges)
    total = np.abs(left) + np.abs(right)
    crossing = left * right < 0
    halves = np.where(crossing, (left**2 + right**2) / np.where(total > 0, total, 1.0), total)
    return float(np.sum(widths * halves) / 2.0)


def _cumulative(histogram: Histogram, at: np.ndarray) -> np.ndarray:
    edges, counts = histogram
    below = np.concatenate([[0.0], np.cumsum(counts, dtype="float64")]) / counts.sum()
    return np.interp(at, edges, below, left=0.0, right=1.0)
