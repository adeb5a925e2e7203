"""What initializers give, against what they gave."""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.initial_values import Initial, initial_values

layers: Any = keras.layers
start: Any = keras.initializers

KNOWN: dict[str, Any] = {
    "zeros": start.Zeros(),
    "ones": start.Ones(),
    "constant": start.Constant(0.1),
    "random_normal": start.RandomNormal(0.3, 0.2, seed=1),
    "random_uniform": start.RandomUniform(-1.0, 3.0, seed=1),
    "truncated_normal": start.TruncatedNormal(0.5, 0.3, seed=1),
    "glorot_uniform": start.GlorotUniform(1),
    "glorot_normal": start.GlorotNormal(1),
    "he_uniform": start.HeUniform(1),
    "he_normal": start.HeNormal(1),
    "lecun_uniform": start.LecunUniform(1),
    "lecun_normal": start.LecunNormal(1),
    "fan_out": start.VarianceScaling(3.0, "fan_out", "untruncated_normal", seed=1),
    "orthogonal": start.Orthogonal(2.0, seed=1),
    "identity": start.Identity(2.0),
}
SHAPES = {"dense": (90, 60), "tall": (400, 10), "convolution": (3, 3, 20, 30)}


def first_weight(layer: Any, *shape: int) -> HeldWeight:
    """The first weight of a model of one layer."""
    return held_weights(keras.Sequential([keras.Input(shape), layer]))[0]


def made_of(initializer: Any, shape: tuple[int, ...]) -> HeldWeight:
    """The kernel of a layer with a kernel of that shape."""
    if len(shape) == 2:
        return first_weight(layers.Dense(shape[1], kernel_initializer=initializer), shape[0])
    layer = layers.Conv2D(shape[-1], shape[:2], kernel_initializer=initializer)
    return first_weight(layer, 8, 8, shape[2])


def known(held: HeldWeight) -> Initial:
    """What the initializer gives, which must be known."""
    found = initial_values(held)
    assert found is not None
    return found


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", KNOWN)
def test_keras_initializers(name: str, shape: str) -> None:
    if name == "identity" and shape == "convolution":
        pytest.skip("Keras has no identity of four axes")
    held = made_of(KNOWN[name], SHAPES[shape])
    found, values = known(held), held.values().astype("float64")
    if name in ("zeros", "ones", "constant", "identity"):
        assert abs(found.mean - values.mean()) < 1e-7
        assert abs(found.std - values.std()) < 1e-7
    else:
        error = values.std() / np.sqrt(values.size)
        assert abs(found.mean - values.mean()) < 4 * error
        assert 0.96 < values.std() / found.std < 1.04
        even = found.quantile((np.arange(20_000) + 0.5) / 20_000)
        np.testing.assert_allclose((even.mean(), even.std()), (found.mean, found.std), atol=1e-3)
        assert stats.kstest(values, _distribution(even)).pvalue > 1e-3


def _distribution(points: np.ndarray) -> Any:
    return lambda x: np.searchsorted(points, x) / points.size


def test_constants_have_no_spread() -> None:
    found = known(made_of(start.Constant(0.1), (90, 60)))
    assert (found.mean, found.std) == (float(np.float32(0.1)), 0.0)


def test_weights_of_stock_layers() -> None:
    """Projections of attention, depthwise and separable convolutions, normalization, recurrence."""
    x = keras.Input((9, 24))
    y = layers.MultiHeadAttention(6, 8)(x, x)
    y = layers.GroupQueryAttention(8, 6, 2)(y, y)
    y = layers.SeparableConv1D(20, 3)(layers.DepthwiseConv1D(5, depth_multiplier=4)(y))
    y = layers.AdditiveAttention()([y, y])
    y = layers.Attention(use_scale=True, score_mode="concat")([y, y])
    y = layers.GRU(24)(layers.BatchNormalization()(y))
    for held in held_weights(keras.Model(x, y)):
        found, values = known(held), held.values()
        error = 6 * found.std / np.sqrt(values.size)
        assert abs(values.mean() - found.mean) <= error + 1e-7, held.addresses
        if values.size > 300:
            assert 0.8 < values.std() / found.std < 1.2, held.addresses


def test_what_is_not_known() -> None:
    class Odd(keras.initializers.Initializer):  # type: ignore[misc]
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return keras.random.normal(shape, dtype=dtype)

    class Gate(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.gate = self.add_weight(shape=(3,), name="gate")

        def call(self, x: Any) -> Any:
            return x * self.gate

    assert initial_values(made_of(Odd(), (4, 5))) is None
    assert initial_values(made_of(lambda shape, dtype: keras.ops.ones(shape), (4, 5))) is None
    assert initial_values(first_weight(Gate(), 3)) is None
    lstm = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2)])
    bias = next(held for held in held_weights(lstm) if held.role == "bias")
    assert initial_values(bias) is None


class Exponential(keras.initializers.Initializer):  # type: ignore[misc]
    """A custom initializer that takes a seed, and plays with global states."""

    def __init__(self, scale: float, seed: int | None = None) -> None:
        self.scale, self.seed = scale, seed
        random.random()

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        np.random.random()  # noqa: NPY002
        return -self.scale * keras.ops.log(keras.random.uniform(shape, seed=self.seed, dtype=dtype))

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "seed": self.seed}


def test_custom_initializers_are_drawn() -> None:
    held = made_of(Exponential(0.5), (7, 11))
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    found = known(held)
    assert random.getstate() == states[0]
    np.testing.assert_array_equal(np.random.get_state()[1], states[1][1])  # noqa: NPY002
    np.testing.assert_allclose((found.mean, found.std), (0.5, 0.5), rtol=0.05)
    np.testing.assert_allclose(found.quantile(np.array([0.5]))[0], 0.5 * np.log(2), rtol=0.05)
    assert known(held).mean == found.mean
