"""Triggered averages against what probability says, and sample by sample."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import InputError, MethodError
from tests.reference import unit_fields as reference

NUM = 4096


@pytest.fixture(scope="module")
def model() -> keras.Model:
    image = keras.Input((5, 5, 1), name="image")
    x = layers.Conv2D(3, 3, name="linear")(image)
    model = keras.Model(image, layers.ReLU(name="relu")(x))
    kernel = np.random.default_rng(3).normal(size=(3, 3, 1, 3))
    model.set_weights([kernel, np.array([0.0, 0.0, 2.0])])
    return model


def units_of(model: keras.Model) -> np.ndarray:
    kernel = np.moveaxis(model.get_weights()[0], -1, 0)
    norms = np.linalg.norm(kernel.reshape(3, -1), axis=1)
    return kernel / norms.reshape(3, 1, 1, 1)


def test_a_rectified_unit_shows_its_weights(model: keras.Model) -> None:
    """E[ReLU(w·x) x] = w/2 and E[ReLU(w·x)] = ‖w‖/√(2π)."""
    found = kv.receptive_fields.triggered_average(model, "relu", NUM, batch_size=512)
    expected = np.sqrt(np.pi / 2) * units_of(model)
    for unit in (0, 1):
        difference = np.abs(found.maps[unit] - expected[unit]).max()
        assert difference < 4 * found.errors[unit]
    np.testing.assert_allclose(found.errors[:2], np.sqrt(np.pi / NUM), rtol=0.1)


def test_magnitudes_hide_a_linear_unit_and_signs_show_it(model: keras.Model) -> None:
    """|w·x| is even, so that its average is 0; with a bias b it is, by Stein's lemma,
    w E[sign(y)] / E|y|."""
    even = kv.receptive_fields.triggered_average(model, "linear", NUM, batch_size=512)
    signed = kv.receptive_fields.triggered_average(
        model, "linear", NUM, weight="signed", batch_size=512
    )
    expected = np.sqrt(np.pi / 2) * units_of(model)
    for unit in (0, 1):
        assert np.abs(even.maps[unit]).max() < 4 * even.errors[unit]
        assert np.abs(signed.maps[unit] - expected[unit]).max() < 4 * signed.errors[unit]
    kernel = np.moveaxis(model.get_weights()[0], -1, 0)[2]
    draws = np.linalg.norm(kernel) * np.random.default_rng(0).normal(size=10**6) + 2.0
    biased = kernel * np.sign(draws).mean() / np.abs(draws).mean()
    assert np.abs(even.maps[2] - biased).max() < 4 * even.errors[2]


def test_it_is_the_sum_sample_by_sample(model: keras.Model) -> None:
    found = kv.receptive_fields.triggered_average(model, "relu", 10, seed=4, batch_size=4)
    expected = reference.triggered(model, (5, 5, 1), 10, seed=4)
    np.testing.assert_allclose(found.maps, expected[:, 1:4, 1:4], atol=1e-5)


def test_silence_and_wrong_settings(model: keras.Model) -> None:
    silent = keras.models.clone_model(model)
    kernel, _ = model.get_weights()
    silent.set_weights([kernel, np.array([0.0, 0.0, -100.0])])
    found = kv.receptive_fields.triggered_average(silent, "relu", 8)
    assert [bool(text) for text in found.diagnosis] == [False, False, True]
    assert not found.maps[2].any()
    with pytest.raises(InputError, match="`weight` must be one of"):
        kv.receptive_fields.triggered_average(model, "relu", weight="square")
    silent.set_weights([kernel * np.nan, np.zeros(3)])
    with pytest.raises(MethodError, match="finite"):
        kv.receptive_fields.triggered_average(silent, "relu", 8)
