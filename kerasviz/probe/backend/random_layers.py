"""Layers of random weights, drawn and applied in one compiled call each."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

SEEDED = tf.TensorSpec((5,), tf.int32)
NORMALS = tf.TensorSpec((5, 2), tf.float32)
KERNEL, LAYER_BIAS, MULTIPLIER, BIAS, INPUT = range(5)


def _normal(shape: Any, seeds: Any, normals: Any, tensor: int) -> Any:
    """What `keras.initializers.RandomNormal(mean, std, seed)` draws for a whole number as seed."""
    seed = tf.stack([seeds[tensor], 0])
    mean, std = normals[tensor, 0], normals[tensor, 1]
    return tf.random.stateless_normal(shape, seed, mean, std)


def _attended(x: Any, seeds: Any, normals: Any, flags: Any) -> Any:
    """x·M + B and ReLU along the last axis, for those networks that have attention."""
    shape = tf.shape(x)[-1:]
    multiplier = _normal(shape, seeds, normals, MULTIPLIER)
    bias = _normal(shape, seeds, normals, BIAS)
    flags = tf.reshape(flags, (-1, *[1] * (x.shape.rank - 1)))
    return tf.where(flags, tf.nn.relu(x * multiplier + bias), x)


def _overflowing(x: Any) -> Any:
    """Infinite where float32 was left: inf - inf is no number, and ReLU would keep it."""
    return tf.where(tf.math.is_finite(x), x, tf.constant(float("inf"), x.dtype))


def _means(x: Any) -> Any:
    return tf.reduce_mean(tf.cast(x, tf.float64), axis=range(1, x.shape.rank))


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec((None, None)),
        SEEDED,
        NORMALS,
        tf.TensorSpec((None,), tf.bool),
    ],
)
def _dense(x: Any, seeds: Any, normals: Any, flags: Any) -> Any:
    size = tf.shape(x)[-1]
    kernel = _normal(tf.stack([size, size]), seeds, normals, KERNEL)
    x = tf.nn.relu(tf.matmul(x, kernel) + _normal([size], seeds, normals, LAYER_BIAS))
    x = _overflowing(_attended(x, seeds, normals, flags))
    return x, _means(x)


@tf.function(
    autograph=False,
    input_signature=[
        tf.TensorSpec((None, None, None, None)),
        SEEDED,
        NORMALS,
        tf.TensorSpec((None,), tf.bool),
        tf.TensorSpec((), tf.int32),
        tf.TensorSpec((), tf.float32),
    ],
)
def _convolution(x: Any, seeds: Any, normals: Any, flags: Any, filters: Any, divisor: Any) -> Any:
    kernel = _normal(tf.stack([3, 3, tf.shape(x)[-1], filters]), seeds, normals, KERNEL)
    bias = _normal(tf.stack([filters]), seeds, normals, LAYER_BIAS)
    x = tf.nn.conv2d(x, kernel, 1, "SAME") + bias
    x = tf.nn.relu(tf.sigmoid(x / divisor))
    x = _overflowing(_attended(x, seeds, normals, flags))
    return x, _means(x)


class RandomLayers:
    """Layers for networks that share all random numbers; some of them may have attention.

    Everything is an argument of the graph, so that it is traced once per process.

    Args:
        normals: (5, 2) mean and standard deviation of a kernel, a bias, the multiplier and the
            bias of the attention, and an input.
        flags: (networks,) bool: which of them have attention.
    """

    def __init__(self, normals: Any, flags: Any) -> None:
        self._normals = tf.constant(normals, tf.float32)
        self._flags = tf.constant(flags, tf.bool)

    def dense(self, x: Any, seeds: Any) -> tuple[Any, Any]:
        """Dense layer of as many units as it has inputs, ReLU; with attention x·M + B and ReLU.

        Args:
            x: (networks, units) float32.
            seeds: (5,) whole numbers, one for each of the `normals`.

        Returns:
            The same shape, infinite where float32 overflows, and the means (networks,) as float64.
        """
        return _dense(x, tf.constant(seeds, tf.int32), self._normals, self._flags)

    def convolution(self, x: Any, seeds: Any, filters: int, divisor: float) -> tuple[Any, Any]:
        """3×3 convolution with zeros at the border, divided, sigmoid, ReLU; attention as `dense`.

        Args:
            x: (networks, height, width, channels) float32.
            seeds: As for `dense`.
            filters: Channels of the result.
            divisor: What the convolution, bias included, is divided by.

        Returns:
            (networks, height, width, filters), and the means (networks,) as float64.
        """
        sizes = tf.constant(filters, tf.int32), tf.constant(divisor, tf.float32)
        return _convolution(x, tf.constant(seeds, tf.int32), self._normals, self._flags, *sizes)

    def ones(self, shape: tuple[int, ...]) -> Any:
        """(networks, *shape) of ones."""
        return tf.ones((len(self._flags), *shape))

    def random_input(self, shape: tuple[int, ...], seeds: Any) -> Any:
        """(networks, *shape), the same numbers for all networks."""
        drawn = _normal((1, *shape), tf.constant(seeds, tf.int32), self._normals, INPUT)
        return tf.repeat(drawn, len(self._flags), axis=0)


def channel_mean(x: Any) -> Any:
    """(networks, height, width, channels) -> (networks, height, width)."""
    return tf.reduce_mean(x, axis=-1)
