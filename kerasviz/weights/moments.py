"""Statistics of one tensor in two passes over its chunks, in float64."""

from __future__ import annotations

import math

import numpy as np

from kerasviz.weights.chunks import extent, finite_chunks
from kerasviz.weights.selection import median

NEAR = 0.01
SMALLEST, LARGEST = 1e-60, 1e60
NAMES = (
    "mean",
    "median",
    "variance",
    "std",
    "skewness",
    "kurtosis",
    "share_positive",
    "share_near_zero",
    "norm",
)
Sums = tuple[int, float, float, float, float]


def described(array: np.ndarray) -> dict[str, float]:
    """The statistics of a tensor's finite values; see `summarize`.

    Args:
        array: Contiguous, of any shape, of float16, float32 or float64.

    Returns:
        `count`, `not_finite`, and `NAMES`: all of those NaN where no value is finite.

    Reference:
        Pébay 2008, "Formulas for Robust, One-Pass Parallel Computation of Covariances and
        Arbitrary-Order Statistical Moments", eqs. 3.1, 3.4 and 3.5, to join the chunks.
    """
    exponent = _exponent(array)
    if not exponent:
        return _described(array)
    found = _described(np.ldexp(array, -exponent))
    with np.errstate(over="ignore"):
        for name in ("mean", "median", "std", "norm"):
            found[name] = float(np.ldexp(found[name], exponent))
        found["variance"] = float(np.ldexp(found["variance"], 2 * exponent))
    return found


def _exponent(array: np.ndarray) -> int:
    """Of the largest magnitude, where a fourth power is too large or small for float64; else 0."""
    if array.dtype != np.float64:
        return 0
    largest = float(np.abs(extent(array)).max())
    if not largest or SMALLEST < largest < LARGEST or math.isnan(largest):
        return 0
    return math.frexp(largest)[1]


def _described(array: np.ndarray) -> dict[str, float]:
    pivot, sums, positive = _gone_through(array)
    count, mean, m2, m3, m4 = sums
    counts = {"count": count, "not_finite": array.size - count}
    if not count:
        return counts | dict.fromkeys(NAMES, math.nan)
    mean, variance = pivot + mean, m2 / count
    std = math.sqrt(variance)
    varies = std > 0
    numbers = (
        mean,
        median(array, count),
        variance,
        std,
        m3 / count / variance / std if varies else math.nan,
        m4 / count / variance / variance - 3.0 if varies else math.nan,
        positive / count,
        _near_zero(array, NEAR * std) / count,
        math.hypot(mean, std) * math.sqrt(count),
    )
    return counts | dict(zip(NAMES, numbers, strict=True))


def _gone_through(array: np.ndarray) -> tuple[float, Sums, int]:
    """The first value, the moments of the differences from it, and how many are positive."""
    pivot, sums, positive = 0.0, (0, 0.0, 0.0, 0.0, 0.0), 0
    for chunk in finite_chunks(array):
        if not sums[0]:
            pivot = float(chunk[0])
        sums = joined(sums, _sums(chunk, pivot))
        positive += int(np.count_nonzero(chunk > 0))
    return pivot, sums, positive


def _sums(chunk: np.ndarray, pivot: float) -> Sums:
    difference = chunk.astype("float64")
    difference -= pivot
    mean = float(difference.mean())
    difference -= mean
    square = np.square(difference)
    m2 = float(square.sum())
    difference *= square
    m3 = float(difference.sum())
    square *= square
    return chunk.size, mean, m2, m3, float(square.sum())


def joined(a: Sums, b: Sums) -> Sums:
    """Count, mean and central sums of powers 2 to 4 of two parts together."""
    (na, mean_a, a2, a3, a4), (nb, mean_b, b2, b3, b4) = a, b
    if not na or not nb:
        return b if nb else a
    n = na + nb
    p, q, d = na / n, nb / n, mean_b - mean_a
    m2 = a2 + b2 + d * d * p * nb
    m3 = a3 + b3 + d**3 * p * nb * (p - q) + 3 * d * (p * b2 - q * a2)
    m4 = a4 + b4 + d**4 * p * nb * (p * p - p * q + q * q)
    m4 += 6 * d * d * (p * p * b2 + q * q * a2) + 4 * d * (p * b3 - q * a3)
    return n, mean_a + d * q, m2, m3, m4


def _near_zero(array: np.ndarray, bound: float) -> int:
    return sum(
        int(np.count_nonzero(np.abs(chunk) <= _rounded_down(bound, chunk.dtype)))
        for chunk in finite_chunks(array)
    )


def _rounded_down(bound: float, dtype: np.dtype) -> np.ndarray:
    """The largest number of the dtype that is not above: comparing with it is then exact."""
    nearest = np.asarray(bound, dtype)
    return np.nextafter(nearest, dtype.type(-np.inf)) if nearest > bound else nearest
