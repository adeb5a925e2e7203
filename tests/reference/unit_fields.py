"""Receptive fields of units, re-derived slowly: one unit, one input and one gradient at a time."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def middle_of(features: Any, channel_axis: int) -> Any:
    """(units,) of (1, …): the entry in the middle of every axis but channels."""
    rank = len(features.shape)
    channel_axis %= rank
    place = [
        slice(None) if axis == channel_axis else features.shape[axis] // 2 for axis in range(rank)
    ]
    place[0] = 0
    return features[tuple(place)]


def unit_gradients(trunk: Any, sample: Any, channel_axis: int = -1) -> np.ndarray:
    """(units, …) gradients of the middle unit of each channel by one sample, one tape per unit.

    Args:
        trunk: From inputs to the features of the layer.
        sample: (1, …) the input, in float.
        channel_axis: Of input and features.
    """
    found = []
    count = middle_of(trunk(tf.constant(sample)), channel_axis).shape[0]
    for unit in range(count):
        x = tf.Variable(sample)
        with tf.GradientTape() as tape:
            score = middle_of(trunk(x), channel_axis)[unit]
        gradient = tf.convert_to_tensor(tape.gradient(score, x)).numpy()[0]
        found.append(np.moveaxis(gradient, channel_axis % len(sample.shape) - 1, -1))
    return np.array(found)


def noise(shape: tuple[int, ...], seed: int, number: int, place: int = 0) -> np.ndarray:
    """(1, …) sample of that number of the noise for one input."""
    generator = np.random.default_rng((seed, number, place))
    return generator.standard_normal((1, *shape), dtype="float32")


def triggered(trunk: Any, shape: tuple[int, ...], num: int, seed: int) -> np.ndarray:
    """(units, …) Σ|y| x / Σ|y|, sample by sample."""
    above: Any = 0.0
    below: Any = 0.0
    for number in range(num):
        x = noise(shape, seed, number)
        weights = np.abs(keras.ops.convert_to_numpy(middle_of(trunk(tf.constant(x)), -1)))
        above = above + np.multiply.outer(weights.astype("float64"), x[0])
        below = below + weights.astype("float64")
    return above / below.reshape(-1, *[1] * len(shape))


def stacked_kernels(kernels: list[np.ndarray]) -> np.ndarray:
    """(units, h, w, colours) what a stack of convolutions without activations, strides and padding
    multiplies its input with: full convolutions of the kernels (h, w, in, out)."""
    whole = kernels[0]
    for kernel in kernels[1:]:
        height, width = whole.shape[0] + kernel.shape[0] - 1, whole.shape[1] + kernel.shape[1] - 1
        next_one = np.zeros((height, width, whole.shape[2], kernel.shape[3]))
        for y, x in np.ndindex(kernel.shape[:2]):
            part = np.einsum("abcd,de->abce", whole, kernel[y, x])
            next_one[y : y + whole.shape[0], x : x + whole.shape[1]] += part
        whole = next_one
    return np.moveaxis(whole, -1, 0)
