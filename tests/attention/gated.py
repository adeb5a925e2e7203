"""Models with gates, spelled in many ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

ops: Any = keras.ops
Squash = Callable[[Any], Any]


def _manual(x: Any) -> Any:
    return 1.0 / (1.0 + ops.exp(-x))


SQUASHES: dict[str, tuple[Squash, float, float]] = {
    "sigmoid": (ops.sigmoid, 0.0, 1.0),
    "sigmoid_twice": (lambda x: ops.sigmoid(ops.sigmoid(x)), 0.5, 1 / (1 + np.exp(-1.0))),
    "hard_sigmoid": (ops.hard_sigmoid, 0.0, 1.0),
    "relu6": (lambda x: ops.relu6(x + 3.0) * (1.0 / 6.0), 0.0, 1.0),
    "manual": (_manual, 0.0, 1.0),
    "tanh": (lambda x: 0.5 * (1.0 + ops.tanh(x)), 0.0, 1.0),
    "softmax": (ops.softmax, 0.0, 1.0),
    "residual": (lambda x: 1.0 + ops.tanh(x), 0.0, 2.0),
}


class Squeeze(layers.Layer):
    """Squeeze-and-excitation whose product is computed inside of its `call`."""

    def __init__(self, units: int, squash: Squash = ops.sigmoid, **settings: Any) -> None:
        super().__init__(**settings)
        self.squash = squash
        self.reduce = layers.Dense(3, "relu", name="reduce", dtype=self.dtype_policy)
        self.expand = layers.Dense(units, name="expand", dtype=self.dtype_policy)

    def call(self, inputs: Any) -> Any:
        axes = tuple(range(1, len(inputs.shape) - 1))
        gate = self.squash(self.expand(self.reduce(ops.mean(inputs, axis=axes, keepdims=True))))
        return inputs * gate


class Attend(layers.Layer):
    """CBAM-like: a gate of channels, then one of positions, in one `call`."""

    def __init__(self, units: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.expand = layers.Dense(units, name="expand")
        self.look = layers.Conv2D(1, 3, padding="same", name="look")

    def call(self, inputs: Any) -> Any:
        inputs = inputs * ops.sigmoid(self.expand(ops.mean(inputs, axis=(1, 2), keepdims=True)))
        pooled = ops.concatenate(
            [ops.mean(inputs, -1, keepdims=True), ops.max(inputs, -1, keepdims=True)], axis=-1
        )
        return inputs * ops.sigmoid(self.look(pooled))


class Lasting(keras.Model):
    """A subclassed model around one layer, built by a call."""

    def __init__(self, inner: layers.Layer, **settings: Any) -> None:
        super().__init__(**settings)
        self.conv = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")
        self.inner = inner
        self.head = layers.Dense(2, name="head")

    def call(self, inputs: Any) -> Any:
        return self.head(ops.mean(self.inner(self.conv(inputs)), axis=(1, 2)))


def images(count: int = 7, seed: int = 0) -> np.ndarray:
    """(count, 6, 8, 3) noise."""
    return np.random.default_rng(seed).normal(size=(count, 6, 8, 3)).astype("float32")


def around(inner: Any, final: bool = True) -> keras.Model:
    """Convolution, `inner`, mean, dense, with weights far from zero."""
    image = keras.Input((6, 8, 3), name="image")
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv")(image)
    x = inner(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return strong(keras.Model(image, layers.Dense(2, name="head")(x) if final else x))


def strong(model: keras.Model, seed: int = 3) -> keras.Model:
    """The model with normal weights, so that gates differ."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(0.0, 0.6, variable.shape))
    return model
