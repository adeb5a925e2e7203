"""Gradients of middle units, and what they say about units that are not linear."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.receptive_fields.nonlinearity import spread
from kerasviz.receptive_fields.unit_gradients import UnitGradients
from tests.conftest import build
from tests.models import Case
from tests.reference.fields import unit_gradient

PICTURE_KINDS = (
    "functional",
    "sequential_without_input",
    "subclassed_nested",
    "shared_layer",
    "channels_first",
    "mixed_float16",
)
CONVOLUTION = keras.layers.Conv2D


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Two linear convolutions, and a ReLU behind."""
    keras.utils.set_random_seed(1)
    picture = keras.Input((7, 6, 2))
    x = CONVOLUTION(3, 3, name="first", bias_initializer="ones")(picture)
    x = CONVOLUTION(2, 2, name="second")(x)
    return keras.Model(picture, keras.layers.ReLU(name="relu")(x))


@pytest.mark.parametrize("case", PICTURE_KINDS, indirect=True)
def test_gradients_on_many_models(case: Case) -> None:
    inputs = np.asarray(case.inputs)[:2]
    reader = UnitGradients(case.model, case.layer)
    found = reader.unit_gradients(inputs)
    unit = int(np.abs(found).max(axis=(0, 2, 3, 4)).argmax())
    slow = unit_gradient(case.model, inputs, case.layer, unit, case.channel_axis)
    expected = np.moveaxis(slow, case.channel_axis, -1)
    scale = np.abs(expected).max()
    assert scale > 0
    tolerance = 5e-3 if case.name == "mixed_float16" else 1e-5
    np.testing.assert_allclose(found[:, unit] / scale, expected / scale, atol=tolerance)
    assert reader.num_traces == 2


def test_a_linear_unit_has_the_kernel_as_its_field(network) -> None:
    reader = UnitGradients(network, "first")
    found = reader.unit_gradients(np.zeros((1, 7, 6, 2)))[0]
    assert found.shape == (3, 7, 6, 2)
    kernel = network.get_layer("first").get_weights()[0]
    for unit in range(3):
        np.testing.assert_allclose(found[unit, 2:5, 2:5], kernel[..., unit], rtol=1e-6)
        assert np.count_nonzero(found[unit]) == kernel[..., unit].size


def test_a_linear_unit_is_not_complex_and_fully_linear(network) -> None:
    table = kv.receptive_fields.complexity(network, "second")
    np.testing.assert_allclose(table["complexity"], 0, atol=1e-7)
    assert table["active"].tolist() == [10, 10]
    pictures = np.random.default_rng(0).uniform(size=(300, 7, 6, 2)).astype("float32")
    linear = kv.receptive_fields.linearity(network, "second", pictures, batch_size=77)
    np.testing.assert_allclose(linear["linearity"], 1, atol=1e-4)


def test_a_rectified_unit_is_as_linear_as_half_of_a_normal_distribution() -> None:
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), CONVOLUTION(2, 3, activation="relu", name="conv")]
    )
    noise = np.random.default_rng(0).normal(size=(4000, 4, 4, 1)).astype("float32")
    found = kv.receptive_fields.linearity(model, "conv", noise, [1, 0], batch_size=4000)
    expected = 0.25 / (0.5 - 0.5 / np.pi)
    np.testing.assert_allclose(found["linearity"], expected, atol=0.05)
    assert found.index.tolist() == [1, 0]


def test_spread_is_what_the_definition_says() -> None:
    fields = np.random.default_rng(0).normal(size=(4, 2, 3, 3, 1))
    fields[2, 0] = 0
    fields[:, 1] = fields[:1, 1] * np.array([1, 2, 3, 4])[:, None, None, None]
    asked = []

    def gradients(pictures, units):
        asked.append(list(units))
        return fields[:, units]

    table = spread(gradients, np.zeros((4, 3, 3, 1)), [0, 1])
    kept = [one / np.sqrt((one**2).mean()) for one in fields[[0, 1, 3], 0]]
    assert table.loc[0, "complexity"] == pytest.approx(np.std(kept, axis=0).mean())
    assert table.loc[1, "complexity"] == pytest.approx(0, abs=1e-12)
    assert table["active"].tolist() == [3, 4]
    assert asked == [[0], [1]]


def test_a_unit_that_switches_is_complex() -> None:
    picture = keras.Input((5, 5, 1))
    sums = CONVOLUTION(2, 3, name="conv", kernel_initializer="ones")(picture)
    model = keras.Model(picture, keras.layers.Multiply(name="square")([sums, sums]))
    first = kv.receptive_fields.complexity(model, "square", [1], noise=0.01, seed=1)
    again = kv.receptive_fields.complexity(model, "square", [1], noise=0.01, seed=1)
    other = kv.receptive_fields.complexity(model, "square", [1], noise=0.01, seed=2)
    signs = np.sign(
        np.random.default_rng(1).normal(0, 0.01, (10, 5, 5, 1))[:, 1:4, 1:4].sum((1, 2))
    )
    height = (25 / 9) ** 0.5
    assert first["complexity"][1] == pytest.approx(height * signs.std() * 9 / 25, rel=1e-4)
    assert again.equals(first)
    assert not other.equals(first)


def test_a_dead_unit_has_neither() -> None:
    dead = CONVOLUTION(1, 3, activation="relu", name="conv", bias_initializer="ones")
    model = keras.Sequential([keras.Input((5, 5, 1)), dead])
    dead.set_weights([np.zeros((3, 3, 1, 1)), -np.ones(1)])
    table = kv.receptive_fields.complexity(model, "conv")
    assert np.isnan(table.loc[0, "complexity"])
    assert table.loc[0, "active"] == 0
    noise = np.random.default_rng(0).normal(size=(20, 5, 5, 1)).astype("float32")
    assert kv.receptive_fields.linearity(model, "conv", noise).isna().all(axis=None)


def test_the_model_is_left_alone(network) -> None:
    before = [w.copy() for w in network.get_weights()], dict(vars(network.get_layer("first")))
    kv.receptive_fields.complexity(network, "first", [0], num_starts=2)
    with pytest.raises(AddressError):
        kv.receptive_fields.complexity(network, "first", [3])
    for w, old in zip(network.get_weights(), before[0], strict=True):
        np.testing.assert_array_equal(w, old)
    assert vars(network.get_layer("first")).keys() == before[1].keys()


def test_refusals(network) -> None:
    complexity, linearity = kv.receptive_fields.complexity, kv.receptive_fields.linearity
    with pytest.raises(MethodError, match="two position axes of known size"):
        complexity(build("conv1d").model, build("conv1d").layer)
    with pytest.raises(MethodError, match="one input"):
        complexity(build("multi_input").model, build("multi_input").layer)
    with pytest.raises(AddressError, match="Closest"):
        complexity(network, "firts")
    with pytest.raises(InputError, match="`noise` one above 0"):
        complexity(network, "first", noise=0.0)
    with pytest.raises(InputError, match="from 2 on"):
        complexity(network, "first", num_starts=1)
    with pytest.raises(InputError, match="at least 10 pictures"):
        linearity(network, "first", np.zeros((9, 7, 6, 2), "float32"))
    with pytest.raises(InputError, match="one array of pictures"):
        linearity(network, "first", iter([]))
