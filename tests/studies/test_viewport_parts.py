"""Placing, decoding and intervals of the viewport study, each against something else."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from kerasviz.studies import viewport_decoding as decoding
from kerasviz.studies.viewport_frames import texture
from kerasviz.studies.viewport_intervals import between, group_draws, grouped_share_interval


def data(rows=60, features=9, noise=0.3, seed=0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, features)) * np.arange(1, features + 1) + 5
    y = x @ generator.standard_normal((features, 2)) + noise * generator.standard_normal((rows, 2))
    return x, y


def test_the_dual_form_is_ridge_regression():
    x, y = data()
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    learned = np.arange(len(x)) % 3 > 0
    path = decoding.ridge_path(decoding.similarity(x), y, learned, ~learned)
    for penalty, found in zip(decoding.PENALTIES, path, strict=True):
        slow = Ridge(alpha=penalty * x.shape[1]).fit(scaled[learned], y[learned])
        np.testing.assert_allclose(found, slow.predict(scaled[~learned]), rtol=1e-6, atol=1e-6)


def test_the_penalty_is_chosen_by_folds_that_are_held_out_too():
    x, y = data(noise=20.0, features=30)
    folds = np.arange(len(x)) % 4
    kernel = decoding.similarity(x)
    found = decoding.held_out_predictions(kernel, y, folds)
    for fold in range(4):
        errors = np.zeros((len(decoding.PENALTIES), 2))
        for inner in set(range(4)) - {fold}:
            learned, tested = (folds != fold) & (folds != inner), folds == inner
            path = decoding.ridge_path(kernel, y, learned, tested)
            errors += np.square(path - y[tested]).sum(axis=1)
        path = decoding.ridge_path(kernel, y, folds != fold, folds == fold)
        for target in range(2):
            expected = path[errors[:, target].argmin(), :, target]
            np.testing.assert_allclose(found[folds == fold, target], expected)


def test_held_out_groups_are_never_learned_from():
    """Features that only name the picture decode what all its rows share: in no other picture."""
    groups = np.repeat(np.arange(8), 6)
    features = np.eye(8)[groups]
    targets = np.random.default_rng(0).standard_normal(8)[groups][:, None]
    folds = decoding.folds_of(groups, 0)
    assert all(len(set(folds[groups == one])) == 1 for one in range(8))
    assert sorted(np.bincount(folds) // 6) == [1, 1, 2, 2, 2]
    predictions = decoding.held_out_predictions(decoding.similarity(features), targets, folds)
    sums = decoding.sums_of(targets, predictions, groups)
    assert decoding.explained(sums, np.ones((1, 8)))[0, 0] < 0.0


def test_r2_is_that_of_sklearn_also_of_draws():
    from sklearn.metrics import r2_score

    groups, (x, y) = np.repeat(np.arange(6), 10), data()
    predictions = y + x[:, :2]
    sums = decoding.sums_of(y, predictions, groups)
    draws = group_draws(6, 0, 5)
    assert (draws.sum(axis=1) == 6).all()
    for weights, found in zip(draws, decoding.explained(sums, draws), strict=True):
        rows = np.repeat(np.arange(60), weights.astype(int)[groups])
        slow = r2_score(y[rows], predictions[rows], multioutput="raw_values")
        np.testing.assert_allclose(found, slow)


def test_pooling_is_the_mean_of_cells():
    values = np.random.default_rng(0).standard_normal((2, 7, 9, 3))
    found = decoding.pooled(values, (3, 4)).reshape(2, 3, 4, 3)
    np.testing.assert_allclose(found[:, 1, 2], values[:, 2:5, 4:7].mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(decoding.globally(values), values.mean(axis=(1, 2)))
    assert decoding.pooled(values[:, :2, :2], (3, 4)).shape == (2, 12)


def test_folding_is_linear_and_keeps_inner_products():
    sketch, generator = decoding.Sketch(0), np.random.default_rng(1)
    few = generator.standard_normal((3, 20)).astype("float32")
    np.testing.assert_array_equal(sketch(few), few)
    many = generator.standard_normal((6, 6000)).astype("float32")
    folded = sketch(many)
    assert folded.shape == (6, decoding.MOST_FEATURES)
    mixed = folded[:1] + 2 * folded[1:2]
    np.testing.assert_allclose(sketch(many[:1] + 2 * many[1:2]), mixed, atol=1e-3)
    np.testing.assert_allclose(folded @ folded.T / 6000, many @ many.T / 6000, atol=0.12)


def test_the_interval_of_a_share_covers_also_where_groups_are_alike():
    """Wilson's interval of all cases, which is too narrow, covers less than 80 %."""
    generator, inside, alone = np.random.default_rng(0), 0, 0
    counts = np.full(12, 10.0)
    for _ in range(400):
        shares = generator.beta(1.4, 0.6, 12)
        successes = generator.binomial(10, shares).astype(float)
        low, high = grouped_share_interval(successes, counts)
        inside += low <= 0.7 <= high
        mean = successes.sum() / 120
        alone += abs(mean - 0.7) < 1.96 * np.sqrt(mean * (1 - mean) / 120)
    assert inside / 400 > 0.92
    assert alone / 400 < 0.8


def test_the_interval_of_independent_cases_is_wilsons():
    low, high = grouped_share_interval(np.full(10, 3.0), np.full(10, 10.0))
    assert (low, high) == pytest.approx((0.2189, 0.3958), abs=1e-4)


def test_bootstrap_intervals_cover():
    generator, inside = np.random.default_rng(0), 0
    for trial in range(200):
        values = generator.standard_normal(25)
        draws = group_draws(25, trial, 300)
        low, high = between(draws @ values / 25)
        inside += low <= 0.0 <= high
    assert 0.88 < inside / 200 < 0.99


def test_texture_has_the_spectrum_of_photos():
    power = 0.0
    for seed in range(8):
        values = texture((128, 128, 1), np.random.default_rng(seed))[..., 0]
        power = power + np.abs(np.fft.rfft(values - values.mean(), axis=1)) ** 2
    power = power.mean(axis=0)
    slope = np.polyfit(np.log(np.arange(2, 40)), np.log(power[2:40]), 1)[0]
    assert -1.6 < slope < -0.7
