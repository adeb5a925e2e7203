"""Intervals and tests hold what they promise, on weights as initializers draw them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from kerasviz.attention import intervals

RANDOM = np.random.default_rng(3)
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

NULLS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda generator, shape: generator.normal(size=shape), 1.0),
    "uniform": (lambda generator, shape: generator.uniform(-1, 1, shape), 1 / np.sqrt(3)),
    "truncated": (
        lambda generator, shape: stats.norm.ppf(
            generator.uniform(stats.norm.cdf(-2), stats.norm.cdf(2), shape)
        ),
        float(stats.truncnorm.std(-2, 2)),
    ),
}


def ordered(values: np.ndarray) -> np.ndarray:
    """Ascending along the last axis."""
    return np.sort(values, axis=-1)


def coverage(ends: tuple[np.ndarray, np.ndarray], truth: float) -> float:
    """Share of the intervals that hold the truth."""
    return float(np.mean((ends[0] <= truth) & (truth <= ends[1])))


@pytest.mark.parametrize(("count", "batches"), [(16, 1), (64, 2), (400, 4), (5000, 16)])
@pytest.mark.parametrize("null", NULLS)
def test_intervals_cover_what_they_say(null: str, count: int, batches: int) -> None:
    draw, std = NULLS[null]
    generator = np.random.default_rng((5, count))
    number = {16: 20_000, 64: 8_000, 400: 4_000, 5000: 250}[count]
    found: dict[str, list[float]] = {"mean": [], "median": [], "std": []}
    shifts = []
    for _ in range(batches):
        values = ordered(draw(generator, (number, count)))
        moments = intervals.moments(values)
        found["mean"].append(coverage(intervals.mean_interval(moments, 0.95), 0.0))
        found["median"].append(coverage(intervals.median_interval(values, 0.95), 0.0))
        found["std"].append(coverage(intervals.std_interval(values, moments, 0.95), std))
        shifts.append(intervals.shift_test(moments, 0.0)[1])
    for name, covered in found.items():
        assert 0.94 <= np.mean(covered) <= 0.96, name
    share = np.mean(np.concatenate(shifts) < 0.05)
    assert 0.04 <= share <= 0.06


def test_intervals_of_other_confidence() -> None:
    values = ordered(RANDOM.normal(size=(20_000, 40)))
    moments = intervals.moments(values)
    for confidence, slack in ((0.5, 0.02), (0.8, 0.015), (0.99, 0.005)):
        for ends, truth in (
            (intervals.mean_interval(moments, confidence), 0.0),
            (intervals.median_interval(values, confidence), 0.0),
            (intervals.std_interval(values, moments, confidence), 1.0),
        ):
            assert abs(coverage(ends, truth) - confidence) < slack


def test_the_interval_of_std_widens_with_the_tails() -> None:
    """The usual chi-squared interval covers the std of a Laplace distribution in 80 % only."""
    values = ordered(RANDOM.laplace(size=(4000, 500)))
    moments = intervals.moments(values)
    assert coverage(intervals.std_interval(values, moments, 0.95), np.sqrt(2)) > 0.93
    low, high = (np.sqrt(moments.variance * 500 / stats.chi2.ppf(p, 499)) for p in (0.975, 0.025))
    assert coverage((low, high), np.sqrt(2)) < 0.85


def test_the_interval_of_the_mean_is_students() -> None:
    values = ordered(RANDOM.normal(2, 3, 23))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(intervals.mean_interval(intervals.moments(values), 0.9), expected)


@pytest.mark.parametrize("count", [6, 7, 16, 101, 5000])
def test_the_interval_of_the_median_lies_between_order_statistics(count: int) -> None:
    values = ordered(RANDOM.normal(size=count))
    low, high = intervals.median_interval(values, 0.95)
    k = int(stats.binom.ppf(0.025, count, 0.5))
    assert values[max(k - 1, 0)] <= low <= values[k]
    assert values[-k - 1] <= high <= values[min(count - k, count - 1)]


def test_the_interval_of_the_median_where_an_order_statistic_is_exact() -> None:
    values = np.arange(1.0, 11.0)
    confidence = 1 - 2 * stats.binom.cdf(1, 10, 0.5)
    np.testing.assert_allclose(intervals.median_interval(values, confidence), (2.0, 9.0))


def test_few_values_have_no_interval() -> None:
    five = intervals.moments(np.arange(5.0))
    assert np.isnan(intervals.median_interval(np.arange(5.0), 0.95)).all()
    assert np.isfinite(intervals.mean_interval(five, 0.95)).all()
    one = intervals.moments(np.array([2.0]))
    assert np.isnan(intervals.mean_interval(one, 0.95)).all()
    assert np.isnan(intervals.shift_test(one, 0.0)).all()
    four = np.arange(4.0)
    assert np.isnan(intervals.std_interval(four, intervals.moments(four), 0.95)).all()
    assert np.isfinite(intervals.std_interval(np.arange(5.0), five, 0.95)).all()


@pytest.mark.parametrize(("positive", "count"), [(0, 9), (4, 9), (30, 70), (512, 512)])
def test_the_interval_of_a_share_is_wilsons(positive: int, count: int) -> None:
    expected = stats.binomtest(positive, count).proportion_ci(0.95, "wilson")
    found = intervals.share_interval(positive, count, 0.95)
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("count", [16, 100, 1000, 5000])
def test_the_interval_of_a_share_covers(count: int) -> None:
    """Exactly computed; on average over shares, since a count of 16 moves in large steps."""
    successes = np.arange(count + 1)
    low, high = intervals.share_interval(successes, count, 0.95)
    truths = np.linspace(0.2, 0.8, 121)[:, None]
    inside = (low <= truths) & (truths <= high)
    covered = (stats.binom.pmf(successes, count, truths) * inside).sum(axis=1)
    assert 0.94 <= covered.mean() <= 0.96
    if count >= 100:
        assert 0.94 <= covered[60] <= 0.96


@pytest.mark.parametrize(("positive", "negative"), [(3, 9), (9, 3), (8, 8), (0, 12), (700, 900)])
def test_the_sign_test_is_exact(positive: int, negative: int) -> None:
    expected = stats.binomtest(positive, positive + negative).pvalue
    np.testing.assert_allclose(intervals.sign_test(positive, negative), expected)


def test_the_sign_test_of_nothing() -> None:
    assert np.isnan(intervals.sign_test(0, 0))


@pytest.mark.parametrize("count", [16, 65, 5000])
def test_the_sign_test_is_valid(count: int) -> None:
    """Exactly computed: it rejects at most as often as it says, and nearly so with many weights."""
    positive = np.arange(count + 1)
    p = intervals.sign_test(positive, count - positive)
    chances = stats.binom.pmf(positive, count, 0.5)
    for level in (0.01, 0.05, 0.3):
        rejected = chances[p <= level].sum()
        assert rejected <= level + 1e-12
        assert rejected > level * (0.2 if count < 100 else 0.85)


def test_the_shift_is_students() -> None:
    values = ordered(RANDOM.normal(0.3, 1, 40))
    expected = stats.ttest_1samp(values, 0.1)
    found = intervals.shift_test(intervals.moments(values), 0.1)
    np.testing.assert_allclose(found, (expected.statistic, expected.pvalue))


def test_the_shift_is_uniform_under_the_null() -> None:
    moments = intervals.moments(ordered(RANDOM.uniform(-1, 1, (5000, 200))))
    assert stats.kstest(intervals.shift_test(moments, 0.0)[1], "uniform").pvalue > 0.01


def test_equal_values() -> None:
    """Whatever rounding does to a sum of 0.1's, they have no variance."""
    values = np.full(1001, 0.1, "float32")
    moments = intervals.moments(values)
    assert float(moments.mean) == np.float32(0.1)
    assert float(moments.variance) == 0
    assert intervals.std_interval(values, moments, 0.95) == (0.0, 0.0)
    same, different = (
        intervals.shift_test(moments, float(np.float32(0.1))),
        intervals.shift_test(moments, 0.0),
    )
    assert tuple(map(float, same)) == (0.0, 1.0)
    assert tuple(map(float, different)) == (np.inf, 0.0)


def test_moments_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 values far from zero: the variance is that of float64 arithmetic."""
    monkeypatch.setattr(intervals, "CHUNK", 100)
    values = ordered(RANDOM.normal(1000, 1e-2, 12_345).astype("float32"))
    found, exact = intervals.moments(values), values.astype("float64")
    np.testing.assert_allclose(found.mean, exact.mean(), rtol=1e-14)
    np.testing.assert_allclose(found.variance, exact.var(), rtol=1e-9)
