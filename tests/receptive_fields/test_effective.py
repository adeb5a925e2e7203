"""Effective receptive fields: the Gaussian of uniform stacks, and averages over inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import InputError, MethodError
from kerasviz.receptive_fields.effective import field_size, field_std
from tests.conftest import build
from tests.reference import unit_fields as reference

Effective = kv.receptive_fields.EffectiveReceptiveField


@pytest.mark.parametrize(("depth", "kernel"), [(8, 3), (4, 5)])
def test_the_spread_of_uniform_stacks_is_known(depth: int, kernel: int) -> None:
    """Luo et al., section 2.1: n uniform kernels of k give a std of √(n(k² - 1)/12)."""
    stack = [layers.Conv2D(1, kernel, padding="same", use_bias=False) for _ in range(depth)]
    model = keras.Sequential([keras.Input((33, 31, 1)), *stack])
    model.set_weights([np.full(w.shape, 1 / w.size) for w in model.get_weights()])
    found = Effective(model, -1, num_samples=2)()
    np.testing.assert_allclose(found.std, np.sqrt(depth * (kernel**2 - 1) / 12), rtol=1e-3)
    assert found.reach == (depth * (kernel - 1) + 1,) * 2
    assert not found.is_cut
    row = np.ones(1)
    for _ in range(depth):
        row = np.convolve(row, np.full(kernel, 1 / kernel))
    ideal = np.outer(row, row)
    assert found.size == pytest.approx(np.sqrt((ideal > 0.0455 * ideal.max()).sum()))
    assert found.ratio == pytest.approx(found.size / found.reach[0])


def test_the_variance_of_random_stacks_has_that_spread() -> None:
    """Luo et al., section 2.2: with random weights it is the variance of the gradient that spreads
    so; its magnitude, the root of that, is wider."""
    kernels = [layers.Conv2D(32, 3, use_bias=False) for _ in range(4)]
    model = keras.Sequential([keras.Input((9, 9, 1)), *kernels])
    values = np.random.default_rng(2)
    model.set_weights([values.normal(size=w.shape) for w in model.get_weights()])
    found = Effective(model, -1, channel="each", num_samples=1)()
    ideal = np.sqrt(4 * 8 / 12)
    np.testing.assert_allclose(field_std(found.map.astype("float64") ** 2), ideal, rtol=0.05)
    assert min(found.std) > 1.1 * ideal


@pytest.fixture(scope="module")
def slow() -> Any:
    """A model, and the gradients of all units by three images."""
    case = build("functional")
    trunk = keras.Model(case.model.inputs, case.model.get_layer(case.layer).output)
    images = case.inputs[:3]
    return case, np.array([reference.unit_gradients(trunk, images[i : i + 1]) for i in range(3)])


@pytest.mark.parametrize("channel", ["each", 2])
def test_it_is_the_mean_magnitude_of_slow_gradients(slow: Any, channel: int | str) -> None:
    case, units = slow
    images = case.inputs[:3]
    chosen = units if channel == "each" else units[:, 2:3]
    expected = np.abs(chosen).mean(axis=(0, 1, -1))
    method = Effective(case.model, case.layer, channel=channel, batch_size=8)
    found = method(images)
    np.testing.assert_allclose(found.map, expected, rtol=1e-4, atol=1e-6)
    assert found.size == pytest.approx(np.sqrt((expected > 0.0455 * expected.max()).sum()))
    streamed = method.predict(images, batch_size=2, verbose=0)
    np.testing.assert_allclose(streamed.map, expected, rtol=1e-4, atol=1e-6)
    assert streamed.num_samples == 3
    if channel == "each":
        return
    noisy = Effective(case.model, case.layer, channel=channel, num_samples=3, seed=7)()
    noise = [reference.noise((16, 12, 3), 7, i) for i in range(3)]
    again = method(np.concatenate(noise))
    np.testing.assert_allclose(noisy.map, again.map, rtol=1e-4, atol=1e-6)
    assert noisy.map.any()


def test_sizes_and_spreads_of_known_maps() -> None:
    one = np.zeros((5, 7))
    one[2, 2:6] = [1.0, 0.05, 0.04, 1.0]
    assert field_size(one) == pytest.approx(np.sqrt(3))
    assert field_size(np.zeros((3, 3))) == 0.0
    assert field_size(np.array([1.0, 1.0, 0.0])) == 2.0
    line = np.array([0.0, 1.0, 0.0, 1.0])
    assert field_std(line) == (1.0,)


def test_calls_trace_once_and_models_stay(tmp_path: Path) -> None:
    case = build("conv1d")
    method = Effective(case.model, case.layer)
    found = method(case.inputs)
    trunk = keras.Model(case.model.inputs, case.model.get_layer(case.layer).output)
    units = [reference.unit_gradients(trunk, case.inputs[i : i + 1]) for i in range(7)]
    expected = np.abs(np.sum(units, axis=1)).mean(axis=(0, -1))
    np.testing.assert_allclose(found.map, expected, rtol=1e-4, atol=1e-6)
    traces = method._reader.num_traces
    method(case.inputs[:3])
    method.predict(case.inputs, batch_size=4, verbose=0)
    assert method._reader.num_traces == traces
    again = kv.receptive_fields.EffectiveField.load(found.save(tmp_path / "field.npz"))
    np.testing.assert_array_equal(again.map, found.map)
    assert (again.std, again.reach, again.layer) == (found.std, found.reach, found.layer)


def test_empty_fields_and_refusals() -> None:
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, layers.Conv2D(2, 3, activation="relu", name="conv")(image))
    model.set_weights([np.ones((3, 3, 1, 2)), np.array([-1e3, -1e3])])
    found = Effective(model, "conv")(np.zeros((1, 4, 4, 1)))
    assert "shut" in found.diagnosis
    assert found.size == 0.0
    assert np.isnan(found.ratio)
    with pytest.raises(InputError, match="`channel` must"):
        Effective(model, "conv", channel="all")
    with pytest.raises(InputError, match="`channel` must be below 2"):
        Effective(model, "conv", channel=2)(np.zeros((1, 4, 4, 1)))
    with pytest.raises(InputError, match="shape"):
        Effective(model, "conv")(np.zeros((1, 4, 5, 1)))
    model.set_weights([np.full((3, 3, 1, 2), np.nan), np.zeros(2)])
    with pytest.raises(MethodError, match="finite"):
        Effective(model, "conv")()
    table = keras.Sequential([keras.Input((6,)), layers.Dense(3, name="dense")])
    with pytest.raises(MethodError, match="positions"):
        Effective(table, "dense")()
