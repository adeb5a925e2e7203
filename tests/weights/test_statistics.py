"""Streaming statistics and singular values, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasviz.weights import chunks, moments, selection
from kerasviz.weights.spectra import spectral_norm
from tests.reference import weights as reference

NORMAL = np.random.default_rng(0).normal(size=3 * chunks.CHUNK + 5)
CASES = {
    "normal": NORMAL,
    "far from zero": 1e4 + NORMAL,
    "skewed": np.exp(NORMAL),
    "negative": -np.abs(NORMAL),
    "sparse": np.where(NORMAL < 0.4, 0.0, NORMAL),
    "small": 1e-20 * NORMAL,
    "few": np.array([0.0, -1.0, 1.0, 2.5]),
    "ties": np.round(NORMAL),
    "rest of one": np.concatenate([NORMAL[: chunks.CHUNK], [50.0]]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_statistics(name: str, dtype: str) -> None:
    values = CASES[name].astype(dtype)
    found, expected = moments.described(values), reference.statistics(values)
    for key, value in expected.items():
        scale = expected["std"] if key in ("mean", "median") else 1.0
        assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-9 * scale), key
    assert found["not_finite"] == 0


@pytest.mark.parametrize("scale", [1e-310, 1e-170, 1e150, 1e200])
@pytest.mark.filterwarnings("error")
def test_statistics_of_any_unit(scale: float) -> None:
    """Fourth powers of these are no numbers of float64, and some of their squares are not."""
    values = NORMAL[:1000].astype("float64") * scale
    found, expected = moments.described(values), reference.statistics(NORMAL[:1000])
    near = 1e-3 if scale < 1e-300 else 1e-9
    for key, value in expected.items():
        unit = scale if key in ("mean", "median", "std", "norm") else 1.0
        if key != "variance":
            assert found[key] / unit == pytest.approx(value, rel=near), key
    assert found["variance"] == {1e150: pytest.approx(1e300 * expected["variance"])}.get(
        scale, 0.0 if scale < 1 else np.inf
    )


def test_half_precision_and_more_axes() -> None:
    values = NORMAL[:60].astype("float16").reshape(3, 4, 5)
    expected = reference.statistics(values)
    assert moments.described(values) == pytest.approx(expected | {"not_finite": 0}, rel=1e-9)


def test_what_is_not_finite_is_left_out() -> None:
    values = NORMAL[: 2 * chunks.CHUNK].astype("float32")
    values[[3, 70_000, 70_001]] = [np.nan, np.inf, -np.inf]
    found = moments.described(values)
    assert found["not_finite"] == 3
    assert {k: found[k] for k in reference.statistics(values)} == pytest.approx(
        reference.statistics(values), rel=1e-9
    )
    nothing = moments.described(np.full(3, np.nan, "float32"))
    assert (nothing["count"], nothing["not_finite"]) == (0, 3)
    assert np.isnan(nothing["mean"])


def test_constants_are_exact() -> None:
    found = moments.described(np.full(100_000, 0.1, "float32"))
    assert found["mean"] == found["median"] == float(np.float32(0.1))
    assert found["std"] == found["variance"] == found["share_near_zero"] == 0
    assert np.isnan([found["skewness"], found["kurtosis"]]).all()
    assert moments.described(np.zeros(7, "float32"))["share_near_zero"] == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_median_by_digits(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    monkeypatch.setattr(selection, "SMALL", 0)
    generator = np.random.default_rng(1)
    for values in (
        generator.normal(size=1001),
        generator.normal(size=1000),
        -generator.exponential(size=500),
        np.where(generator.random(1000) < 0.5, 0.0, generator.normal(size=1000)),
        np.array([-1.0, 1.0]),
        np.array([-0.0, 0.0, 0.0]),
        np.array([3.0]),
    ):
        x = values.astype(dtype)
        assert selection.median(x, x.size) == np.median(x.astype("float64"))


@pytest.mark.parametrize("shape", [(1, 40, 7), (1, 7, 40), (5, 9, 2), (1, 1, 6), (3, 2, 2)])
def test_spectral_norm_from_gram(shape: Any) -> None:
    matrices = np.random.default_rng(2).normal(size=shape).astype("float32")
    expected = max(np.linalg.norm(one.astype("float64"), 2) for one in matrices)
    assert spectral_norm(matrices, float(np.linalg.norm(matrices))) == pytest.approx(expected, 1e-9)


@pytest.mark.parametrize("shape", [(70, 50), (50, 70), (60, 60)])
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_spectral_norm_iterated(monkeypatch: pytest.MonkeyPatch, shape: Any, scale: float) -> None:
    monkeypatch.setattr("kerasviz.weights.spectra.GRAM", 1)
    monkeypatch.setattr("kerasviz.weights.spectra.CHUNK", 20)  # several blocks of rows
    matrix = (scale * np.random.default_rng(3).normal(size=shape)).astype("float32")
    expected = np.linalg.norm(matrix.astype("float64"), 2)
    norm = float(np.linalg.norm(matrix.astype("float64")))
    assert spectral_norm(matrix[None], norm) == pytest.approx(expected, 1e-5)


def test_spectral_norm_of_simple_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spectral_norm(np.zeros((1, 3, 3), "float32"), 0.0) == 0.0
    for gram in (1024, 1):
        monkeypatch.setattr("kerasviz.weights.spectra.GRAM", gram)
        assert spectral_norm(np.ones((1, 30, 20), "float32"), 600**0.5) == pytest.approx(600**0.5)
        assert spectral_norm(np.eye(9)[None], 3.0) == pytest.approx(1.0, 1e-5)
