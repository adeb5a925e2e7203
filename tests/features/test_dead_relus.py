"""A ReLU that is shut for a whole picture lets through what would open it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.probe.backend import rectifiers

RELU = {
    "relu": (tf.nn.relu, np.inf),
    "relu6": (tf.nn.relu6, 6.0),
    "maximum": (lambda x: tf.maximum(x, 0.0), np.inf),
    "where": (lambda x: tf.where(x > 0, x, tf.zeros_like(x)), np.inf),
}
INPUTS = np.array(
    [[-1.0, -2.0, -3.0], [-1.0, 2.0, -3.0], [7.0, -2.0, 8.0], [-0.5, -0.1, -9.0]], "float32"
)
UPSTREAM = np.array(
    [[1.0, -2.0, 3.0], [1.0, -2.0, 3.0], [-1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]], "float32"
)


def by_hand(x: np.ndarray, upstream: np.ndarray, cap: float) -> np.ndarray:
    """The redirected rule, sample by sample."""
    found = np.zeros_like(x)
    for i in range(len(x)):
        own = np.where((x[i] > 0) & (x[i] < cap), upstream[i], 0.0)
        if own.any():
            found[i] = own
            continue
        for k in range(x.shape[1]):
            opens = upstream[i, k] > 0 if x[i, k] <= 0 else upstream[i, k] < 0
            found[i, k] = upstream[i, k] if opens else 0.0
    return found


@pytest.mark.parametrize("name", RELU)
def test_the_rule_against_loops(name: str) -> None:
    function, cap = RELU[name]

    @tf.function
    def gradient(x: tf.Tensor) -> tuple[tf.Tensor, int]:
        score = tf.reduce_sum(function(x) * UPSTREAM, axis=1)
        (found,), coverage = rectifiers.gradients(score, [x], "redirected")
        assert (coverage.rewritten, coverage.total) == (1, 1)
        return found

    np.testing.assert_array_equal(gradient(tf.constant(INPUTS)), by_hand(INPUTS, UPSTREAM, cap))


def test_a_leak_needs_no_help() -> None:
    @tf.function
    def gradient(x: tf.Tensor) -> tf.Tensor:
        score = tf.reduce_sum(tf.nn.leaky_relu(x, 0.1) * UPSTREAM, axis=1)
        return rectifiers.gradients(score, [x], "redirected")[0][0]

    expected = np.where(INPUTS > 0, UPSTREAM, 0.1 * UPSTREAM)
    np.testing.assert_allclose(gradient(tf.constant(INPUTS)), expected, rtol=1e-6)


def shut() -> keras.Model:
    """Its channels are shut for pictures around grey and open for bright ones."""
    picture = keras.Input((8, 8, 3))
    bias = keras.initializers.Constant(-0.6)
    conv = keras.layers.Conv2D(
        2, 1, activation="relu", kernel_initializer="ones", bias_initializer=bias, name="conv"
    )
    x = conv(keras.layers.Rescaling(1 / 3)(picture))
    return keras.Model(picture, keras.layers.GlobalAveragePooling2D()(x))


def drawn(steps: int, redirected_steps: int | None) -> kv.ActivationMaximization:
    visualizer = kv.ActivationMaximization(
        shut(), "conv:1", value_range=(0, 1), redirected_steps=redirected_steps
    )
    visualizer(steps=steps, verbose=0)
    return visualizer


def test_a_dead_channel_is_opened() -> None:
    assert drawn(64, 0).values()[0] == 0.0
    visualizer = drawn(64, None)
    assert visualizer.values()[0] > 0.02
    assert visualizer.coverage.startswith("rewrote 1 of 1 ReLU")


def test_help_goes_on_while_a_picture_is_stuck() -> None:
    few = drawn(200, 1)
    assert few.values()[0] > 0.02
    assert few.trajectory[0, 0] == 0.0


def test_living_pictures_are_not_changed() -> None:
    keras.utils.set_random_seed(0)
    picture = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv", bias_initializer="ones")(picture)
    model = keras.Model(picture, keras.layers.Flatten()(x))
    found = [
        kv.ActivationMaximization(model, "conv:1", value_range=(0, 1), redirected_steps=k)
        for k in (0, 32)
    ]
    plain, helped = (visualizer(steps=32, verbose=0) for visualizer in found)
    np.testing.assert_allclose(plain, helped, atol=1e-5)


def test_relus_out_of_reach_are_named_and_left() -> None:
    sequence = keras.Input((6, 3))
    x = keras.layers.SimpleRNN(4, activation="relu", name="loop")(sequence)
    model = keras.Model(sequence, keras.layers.Dense(2)(x))
    visualizer = kv.ActivationMaximization(model, 1)
    visualizer(steps=4, verbose=0)
    assert visualizer.coverage.startswith("dead ReLU left as they are")
    assert "loop" in visualizer.coverage
