"""Intervals of a mean, a median, a standard deviation and a share, and an exact sign test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

CHUNK = 1 << 20
FEWEST_FOR_STD = 5


@dataclasses.dataclass(frozen=True)
class Moments:
    """Count, mean and population variance along the last axis, computed in float64."""

    count: int
    mean: Any
    variance: Any

    @property
    def std(self) -> Any:
        """Population standard deviation (ddof 0)."""
        return np.sqrt(self.variance)

    @property
    def standard_error(self) -> Any:
        """Of the mean, from the sample standard deviation (ddof 1); NaN for a single value."""
        if self.count < 2:
            return np.full_like(self.mean, np.nan)
        return np.sqrt(self.variance / (self.count - 1))


def moments(ordered: np.ndarray) -> Moments:
    """Count, mean and variance of ascending values; exact where all are equal.

    Args:
        ordered: (..., n) ascending along the last axis.
    """
    count = ordered.shape[-1]
    low, high = np.float64(ordered[..., 0]), np.float64(ordered[..., -1])
    mean = np.where(low == high, low, power_mean(ordered, 0.0, 1))
    variance = np.where(low == high, 0.0, power_mean(ordered, mean, 2))
    return Moments(count, mean, variance)


def power_mean(values: np.ndarray, center: Any, power: int) -> np.ndarray:
    """Mean of (values - center) ** power along the last axis, in float64, chunk by chunk.

    Args:
        values: (..., n).
        center: (...,).
        power: 1, 2 or 4; squaring is many times faster than a general power.
    """
    total = np.zeros(values.shape[:-1])
    for part in _chunks(values):
        part -= np.expand_dims(center, -1)
        for _ in range(power.bit_length() - 1):
            np.square(part, out=part)
        total += part.sum(axis=-1)
    return np.asarray(total / values.shape[-1])


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, values.shape[-1], CHUNK):
        yield values[..., start : start + CHUNK].astype("float64")


def mean_interval(found: Moments, confidence: float) -> tuple[Any, Any]:
    """Student's t interval of the mean; NaN for a single value."""
    reach = stats.t.ppf((1 + confidence) / 2, max(found.count - 1, 1)) * found.standard_error
    return found.mean - reach, found.mean + reach


def median_interval(ordered: np.ndarray, confidence: float) -> tuple[Any, Any]:
    """Interval of the median between order statistics, interpolated to the asked confidence.

    Args:
        ordered: (..., n) ascending along the last axis.
        confidence: Between 0 and 1.

    Returns:
        Both ends; NaN where even the extremes do not reach the confidence (n < 6 at 0.95).

    Reference:
        Hettmansperger and Sheather, "Confidence intervals based on interpolated order
        statistics", Statistics & Probability Letters 4 (1986), 75-79.
    """
    count = ordered.shape[-1]
    coin = stats.binom(count, 0.5)
    depth = int(coin.ppf((1 - confidence) / 2))
    depth -= 1 - 2 * coin.cdf(depth - 1) < confidence
    outer = 1 - 2 * coin.cdf(depth - 1)
    if depth < 1 or outer < confidence:
        return np.full(ordered.shape[:-1], np.nan), np.full(ordered.shape[:-1], np.nan)
    inner = 1 - 2 * coin.cdf(depth)
    share = (outer - confidence) / (outer - inner)
    step = (count - depth) * share / (depth + (count - 2 * depth) * share)
    low, next_low = np.float64(ordered[..., depth - 1]), np.float64(ordered[..., depth])
    high, next_high = np.float64(ordered[..., -depth]), np.float64(ordered[..., -depth - 1])
    return (1 - step) * low + step * next_low, (1 - step) * high + step * next_high


def std_interval(ordered: np.ndarray, found: Moments, confidence: float) -> tuple[Any, Any]:
    """Interval of the standard deviation that allows for tails unlike the normal distribution's.

    The logarithm of the variance has a standard error that grows with the kurtosis, which is taken
    around a trimmed mean.

    Returns:
        Both ends; NaN for fewer than 5 values, 0 where all are equal.

    Reference:
        Bonett, "Approximate confidence interval for standard deviation of nonnormal
        distributions", Computational Statistics & Data Analysis 50 (2006), 775-782.
    """
    n = found.count
    if n < FEWEST_FOR_STD:
        return np.full_like(found.mean, np.nan), np.full_like(found.mean, np.nan)
    cut = int(n / (2 * np.sqrt(n - 4)))
    trimmed = power_mean(ordered[..., cut : n - cut], 0.0, 1) if n > 2 * cut else found.mean
    variance = np.where(found.variance > 0, found.variance, 1.0)
    kurtosis = power_mean(ordered, trimmed, 4) / variance**2
    z = stats.norm.ppf((1 + confidence) / 2)
    factor = n / (n - z)
    error = factor * np.sqrt(np.maximum(kurtosis - (n - 3) / n, 0.0) / (n - 1))
    middle = factor * found.variance * n / (n - 1)
    return np.sqrt(middle * np.exp(-z * error)), np.sqrt(middle * np.exp(z * error))


def share_interval(successes: Any, count: int, confidence: float) -> tuple[Any, Any]:
    """Wilson's score interval of a share.

    Reference:
        Wilson, "Probable inference, the law of succession, and statistical inference", Journal
        of the American Statistical Association 22 (1927), 209-212.
    """
    z = stats.norm.ppf((1 + confidence) / 2)
    share = np.asarray(successes) / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return np.where(share == 0, 0.0, middle - reach), np.where(share == 1, 1.0, middle + reach)


def sign_test(positive: Any, negative: Any) -> np.ndarray:
    """Two-sided exact p of "positive and negative are equally likely"; zeros are left out.

    Returns:
        p in [0, 1]; NaN where there is neither a positive nor a negative value.
    """
    trials = np.asarray(positive) + np.asarray(negative)
    p = np.minimum(1.0, 2 * stats.binom.cdf(np.minimum(positive, negative), trials, 0.5))
    return np.where(trials > 0, p, np.nan)


def shift_test(found: Moments, initial_mean: Any) -> tuple[Any, Any]:
    """How many standard errors the mean lies from `initial_mean`, and the two-sided t-test's p.

    Where all values are equal the standard error is 0: the shift is then 0 with p 1, or infinite
    with p 0. NaN for a single value.
    """
    if found.count < 2:
        return np.full_like(found.mean, np.nan), np.full_like(found.mean, np.nan)
    difference = found.mean - initial_mean
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(difference == 0, 0.0, difference / found.standard_error)
    return shift, 2 * stats.t.sf(np.abs(shift), found.count - 1)
