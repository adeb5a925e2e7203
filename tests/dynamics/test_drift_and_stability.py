"""Distances of histograms and rank correlations of maps, against other ways to compute them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import kerasviz as kv
from kerasviz.dynamics.drift import wasserstein
from kerasviz.dynamics.map_stability import rank_correlation


def histogram(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts, edges = np.histogram(values, bins=400)
    return edges, counts


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 2.0), (0.2, 1.5), (20.0, 1.0)])
def test_wasserstein_is_the_mean_distance_of_sorted_values(shift, scale) -> None:
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 5000))
    other = shift + scale * other
    wanted = np.mean(np.abs(np.sort(one) - np.sort(other)))
    found = wasserstein(histogram(one), histogram(other))
    np.testing.assert_allclose(found, wanted, atol=0.02 * scale)
    assert wasserstein(histogram(other), histogram(one)) == pytest.approx(found)


def test_wasserstein_of_single_bins() -> None:
    one = np.array([0.0, 1.0]), np.array([3])
    other = np.array([0.0, 2.0]), np.array([5])
    assert wasserstein(one, one) == 0
    assert wasserstein(one, other) == pytest.approx(0.5)
    inner = np.array([0.25, 0.75]), np.array([1])
    assert wasserstein(one, inner) == pytest.approx(0.125)
    assert np.isnan(wasserstein(one, (np.array([0.0, 1.0]), np.array([0]))))


def test_rank_correlation_with_ties_as_pandas_has_it() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 6, size=(2, 3, 4, 5)).astype("float32")
    pairs = [(pd.Series(a.ravel()), pd.Series(b.ravel())) for a, b in zip(one, other, strict=True)]
    wanted = np.mean([a.rank().corr(b.rank()) for a, b in pairs])
    assert rank_correlation(one, other) == pytest.approx(wanted)
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1.0)
    assert rank_correlation(one, -one) == pytest.approx(-1.0)
    assert np.isnan(rank_correlation(one, np.zeros_like(one)))


def test_stability_over_epochs(tmp_path) -> None:
    maps = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
    maps[2] = -maps[1]
    with kv.dynamics.RunWriter(tmp_path) as writer:
        for epoch, array in enumerate(maps):
            writer.write_epoch(epoch, arrays={"explanations": {"cam": array}})
    found = kv.dynamics.stability(kv.dynamics.Run(tmp_path), "cam")
    assert np.isnan(found["with_previous"][0])
    assert found["with_previous"][2] == pytest.approx(-1.0)
    assert found["with_last"][2] == pytest.approx(1.0)
    assert found["with_last"][1] == pytest.approx(-1.0)
    assert found["with_last"][0] == pytest.approx(-found["with_previous"][1])
