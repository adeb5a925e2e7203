"""Planted fields are found again: their type, angle, lengths, colour, and how round they are."""

from __future__ import annotations

import types

import keras
import numpy as np
import pandas as pd
import pytest

import kerasviz as kv
from kerasviz.errors import InputError
from kerasviz.receptive_fields.bars import match_bars
from kerasviz.receptive_fields.center_surround import CenterSurroundSurface
from kerasviz.receptive_fields.gabor import GaborSurface
from tests.reference.fields import bar_scores, difference_of_gaussians, gabor

SIZE = 21
NOISE = 0.3


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Degrees between two directions."""
    return np.abs((one - other + 90) % 180 - 90)


def planted(count: int) -> tuple[np.ndarray, pd.DataFrame]:
    """Gabor functions and differences of Gaussians in turn, in noise."""
    generator = np.random.default_rng(3)
    maps, rows = [], []
    for place in range(count):
        center = tuple(SIZE / 2 + generator.uniform(-2, 2, 2))
        if place % 2:
            sigma = generator.uniform(1.0, 2.0)
            ratio, balance = generator.uniform(1.5, 3.0), generator.uniform(0.5, 1.2)
            weights = (1.0, balance / ratio**2)
            one = difference_of_gaussians(SIZE, center, (sigma, sigma * ratio), weights)
            one = one * generator.choice([-3.0, 3.0])
            rows.append({"type": "dog", "sigma": sigma, "row": center[0]})
        else:
            wavelength, angle = generator.uniform(4, 9), generator.uniform(0, 180)
            across = wavelength * generator.uniform(0.3, 0.7)
            sigmas = (across, across * generator.uniform(1, 1.8))
            phase = generator.uniform(-180, 180)
            one = 0.01 * gabor(SIZE, angle, wavelength, phase, center, sigmas)
            rows.append(
                {"type": "gabor", "angle": angle, "wavelength": wavelength, "phase": phase}
                | {"across": sigmas[0], "along": sigmas[1], "row": center[0]}
            )
        maps.append(one + generator.normal(0, NOISE * one.std(), one.shape))
    return np.array(maps), pd.DataFrame(rows)


@pytest.fixture(scope="module")
def fields() -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    maps, truth = planted(40)
    return maps, truth, kv.receptive_fields.describe(maps)


def test_planted_fields_are_named(fields) -> None:
    _, truth, found = fields
    assert (found["type"] == truth["type"]).mean() >= 0.95
    assert found.index.name == "unit"
    assert not found["blob"].any()


def test_planted_gabor_functions_are_measured(fields) -> None:
    _, truth, found = fields
    is_gabor = truth["type"] == "gabor"
    truth, found = truth[is_gabor], found[is_gabor]
    assert apart(found["orientation"], truth["angle"]).max() < 3
    assert (found["wavelength"] / truth["wavelength"] - 1).abs().max() < 0.1
    assert (found["sigma_across"] / truth["across"] - 1).abs().max() < 0.15
    assert (found["sigma_along"] / truth["along"] - 1).abs().max() < 0.15
    assert np.abs(found["row"] - truth["row"]).max() < 0.5
    assert (found["orientation_std"] > 0.2).all()
    assert apart(found["bar_orientation"], truth["angle"]).median() < 5
    share = NOISE**2 / (1 + NOISE**2)
    assert found["gabor_error"].between(0.5 * share, 1.3 * share).all()
    assert (found["dog_error"] > 0.4).all()


def test_planted_differences_of_gaussians_are_measured(fields) -> None:
    _, truth, found = fields
    is_round = truth["type"] == "dog"
    truth, found = truth[is_round], found[is_round]
    assert (found["sigma_center"] / truth["sigma"] - 1).abs().median() < 0.05
    assert np.abs(found["row"] - truth["row"]).max() < 0.3
    assert (found["orientation_std"] < 0.12).all()
    assert (found["orientation_ratio"].between(1, 1.6)).all()


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, 135.0])
def test_directions_and_phases_mean_what_the_manual_says(angle: float) -> None:
    rows, columns = np.mgrid[-10:11, -10:11]
    run = {0.0: rows, 45.0: (columns + rows) / 2**0.5, 90.0: columns}
    run[135.0] = (columns - rows) / 2**0.5
    envelope = np.exp(-(rows**2 + columns**2) / 32)
    edge = envelope * -np.sin(2 * np.pi * run[angle] / 7)
    bright = envelope * np.cos(2 * np.pi * run[angle] / 7)
    found = kv.receptive_fields.describe(np.array([bright, -bright, edge]))
    assert found["type"].tolist() == ["gabor"] * 3
    assert apart(found["orientation"], angle).max() < 0.1
    assert apart(found["bar_orientation"], angle)[0] < 1.9
    np.testing.assert_allclose(found["wavelength"], 7, rtol=1e-3)
    np.testing.assert_allclose(np.abs(found["phase"][:2]), [0, 180], atol=0.1)
    expected = 90 if angle else found["phase"][2]
    np.testing.assert_allclose(found["phase"][2], expected, atol=0.1)
    np.testing.assert_allclose(found[["row", "column"]], 10, atol=0.01)
    reach, half = np.pi * 4 / 7, np.sqrt(np.log(2) / 2)
    octaves = np.log2((reach + half) / (reach - half))
    np.testing.assert_allclose(found["bandwidth"], octaves, rtol=1e-2)


@pytest.mark.parametrize(("angle", "wavelength"), [(45.0, 1.7), (135.0, 2.0)])
def test_diagonal_stripes_may_be_finer_than_two_pixels(angle: float, wavelength: float) -> None:
    field = gabor(13, angle, wavelength, 30, (6.2, 5.9), (2.2, 2.2))
    found = kv.receptive_fields.describe(field[None]).loc[0]
    assert found["type"] == "gabor"
    assert found["gabor_error"] < 1e-3
    assert found["orientation"] == pytest.approx(angle, abs=0.5)
    assert found["wavelength"] == pytest.approx(wavelength, rel=0.01)


def test_units_keep_their_numbers() -> None:
    maps = planted(3)[0]
    result = types.SimpleNamespace(maps=maps, units=np.array([7, 0, 30]))
    found = kv.receptive_fields.describe(result)
    assert found.index.tolist() == [7, 0, 30]
    figure = kv.receptive_fields.plot_fits(result, found, units=[30, 7])
    words = [text.get_text() for text in figure.texts]
    assert [word[:3] for word in words if word.split(":")[0].isdecimal()] == ["30:", "7: "]
    with pytest.raises(InputError, match="units \\[1\\]"):
        kv.receptive_fields.plot_fits(result, found, units=[1])


def test_a_noiseless_fit_is_exact_and_can_be_drawn() -> None:
    sharp = 5 * difference_of_gaussians(25, (11.5, 13.2), (2.0, 4.0), (1.0, 0.2))
    stripes = gabor(25, 60, 6, 30, (12.3, 11.1), (2.5, 4.0))
    maps = np.array([sharp, stripes])
    found = kv.receptive_fields.describe(maps)
    first = found.loc[0]
    assert first["type"] == "dog"
    expected = {"sigma_center": 2, "sigma_surround": 4, "weight_center": 5, "weight_surround": 1}
    expected |= {"surround_share": 0.8, "row": 11.5, "column": 13.2}
    for name, value in expected.items():
        assert first[name] == pytest.approx(value, rel=2e-3), name
    assert first["dog_error"] < 1e-6 < first["gabor_error"]
    fits = kv.receptive_fields.draw_fits(found, (25, 25))
    np.testing.assert_allclose(fits["dog"][0], sharp, atol=1e-3)
    np.testing.assert_allclose(fits["gabor"][1], stripes, atol=1e-3)
    left = ((maps[1] - fits["dog"][1]) ** 2).sum() / ((maps[1] - maps[1].mean()) ** 2).sum()
    assert found.loc[1, "dog_error"] == pytest.approx(left, rel=1e-4)


def test_dead_constant_noisy_and_blobs() -> None:
    maps = np.random.default_rng(0).normal(size=(4, 15, 15))
    maps[0], maps[1] = 0, 7
    maps[3] = difference_of_gaussians(15, (7, 7), (2, 4), (1, 0))
    found = kv.receptive_fields.describe(maps)
    assert found["type"].tolist() == ["dead", "other", "other", "dog"]
    assert found["blob"].tolist() == [False, False, False, True]
    assert found.loc[:1].drop(columns=["type", "blob"]).isna().all(axis=None)
    assert found.loc[2:, "gabor_error"].between(0, 1).all()
    noise = np.random.default_rng(1).normal(0, 0.1, (6, 15, 15))
    assert kv.receptive_fields.describe(maps[3] + noise)["type"].tolist() == ["dog"] * 6
    point, plain = np.zeros((2, 9, 9)), difference_of_gaussians(9, (4.3, 4), (1.2, 2), (1, 0))
    point[0, 4, 4], point[1] = 1, plain / plain.max()
    assert kv.receptive_fields.describe(point)["type"].tolist() == ["dog"] * 2
    strict = kv.receptive_fields.describe(maps[3:] + maps[2:3], poor=0.01)
    assert strict["type"].tolist() == ["other"]


def test_scores_are_those_of_a_slow_version() -> None:
    generator = np.random.default_rng(1)
    maps = generator.normal(size=(2, 9, 9))
    maps[1] = gabor(9, 30, 5, 20, (4, 4), (2, 3))
    found = match_bars(maps)
    for place, one in enumerate(maps):
        scores, width = bar_scores(one)
        np.testing.assert_allclose(found.scores[place], scores / scores.max(), rtol=1e-4)
        assert found.width[place] == pytest.approx(width, rel=1e-5)
        best = int(scores.argmax())
        assert found.ratio[place] == pytest.approx(
            scores[best] / scores[(best + 25) % 50], rel=1e-4
        )
        assert found.std[place] == pytest.approx((scores / scores.max()).std(), rel=1e-4)


def test_large_banks_are_made_in_parts(monkeypatch) -> None:
    maps = np.random.default_rng(2).normal(size=(3, 9, 12))
    whole = match_bars(maps)
    monkeypatch.setattr("kerasviz.receptive_fields.bars.LARGEST_BANK", 1)
    parts = match_bars(maps)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5)


@pytest.mark.parametrize("kind", [GaborSurface, CenterSurroundSurface])
def test_derivatives_are_those_of_differences(kind) -> None:
    surface = kind((9, 11))
    start = np.array([0.7, 0.4, 4.2, 3.9, 0.6, 0.8, 0.5, -1.6])[: len(surface.low)]
    found = surface.derivatives(start, surface.parts(start))
    for place in range(len(start)):
        step = np.eye(len(start))[place] * 1e-5
        slope = (surface.draw(start + step) - surface.draw(start - step)).ravel() / 2e-5
        np.testing.assert_allclose(found[:, place], slope, atol=1e-7)


def test_colours_are_described_along_their_principal_direction() -> None:
    field = difference_of_gaussians(15, (7, 7), (1.5, 3), (1, 0.2))
    red_green = field[..., None] * np.array([0.6, -0.6, 0.0])
    grey = field[..., None] * np.array([1.0, 1.0, 1.0])
    mixed = grey + 0.1 * field.T[::-1, :, None] * np.array([1.0, -1.0, 0.0])
    maps = np.stack([red_green, -grey, mixed, 0 * grey])
    found = kv.receptive_fields.describe(maps)
    np.testing.assert_allclose(found["opponency"][:2], [1, 0], atol=1e-6)
    vectors = found[["color_0", "color_1", "color_2"]].to_numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors[:3], axis=1), 1)
    np.testing.assert_allclose(vectors[0], [0.5**0.5, -(0.5**0.5), 0], atol=1e-9)
    np.testing.assert_allclose(vectors[1], [3**-0.5] * 3)
    np.testing.assert_allclose(found["color_share"][:2], 1)
    values = np.linalg.svd(mixed.reshape(-1, 3), compute_uv=False)
    assert found["color_share"][2] == pytest.approx(values[0] ** 2 / (values**2).sum())
    np.testing.assert_allclose(found["weight_center"][0], 0.6 * 2**0.5, rtol=1e-2)
    assert found["weight_center"][1] == pytest.approx(-(3**0.5), rel=1e-2)
    assert found["type"].tolist() == ["dog", "dog", "dog", "dead"]
    assert np.isnan(found["color_share"][3])


def test_results_with_maps_and_other_forms() -> None:
    maps = planted(2)[0].astype("float32")
    plain = kv.receptive_fields.describe(maps)
    for given in (maps[..., None], types.SimpleNamespace(maps=maps)):
        pd.testing.assert_frame_equal(kv.receptive_fields.describe(given), plain)
    tiny = kv.receptive_fields.describe(maps.astype("float64") * 1e-30)
    assert tiny["type"].tolist() == plain["type"].tolist()
    np.testing.assert_allclose(tiny["weight_center"] * 1e30, plain["weight_center"], rtol=1e-3)


def test_refusals() -> None:
    describe = kv.receptive_fields.describe
    with pytest.raises(InputError, match=r"shape \(9, 9\) of float64. Pass a single map"):
        describe(np.zeros((9, 9)))
    with pytest.raises(InputError, match="at least 5 pixels a side"):
        describe(np.zeros((2, 3, 9)))
    with pytest.raises(InputError, match="1 of 2 units, first in unit 1"):
        describe(np.stack([np.zeros((5, 5)), np.full((5, 5), np.nan)]))
    with pytest.raises(InputError, match="shape \\(0, 9, 9\\)"):
        describe(np.zeros((0, 9, 9)))
    signals = keras.Sequential([keras.Input((9, 7)), keras.layers.Conv1D(2, 6, name="c")])
    with pytest.raises(InputError, match="1 axes of positions"):
        describe(kv.receptive_fields.maps(signals, "c"))
    with pytest.raises(InputError, match="Received: 0"):
        describe(np.zeros((1, 9, 9)), poor=0)
    with pytest.raises(InputError, match="of the 1 maps"):
        kv.receptive_fields.plot_fits(np.eye(9)[None], units=[1])
