"""Slow versions of what describes receptive fields, written from the definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tests.reference.intercept import edited


def gabor(
    size: int,
    orientation: float,
    wavelength: float,
    phase: float,
    center: tuple[float, float],
    sigmas: tuple[float, float],
) -> np.ndarray:
    """A Gabor function, pixel by pixel, with y going up.

    Args:
        size: Height and width.
        orientation: Degrees of the stripes, counterclockwise from lying ones.
        wavelength: Pixels.
        phase: Degrees.
        center: Row and column.
        sigmas: Across and along the stripes.
    """
    found = np.empty((size, size))
    stripes = math.radians(orientation)
    normal = stripes - math.pi / 2
    for row in range(size):
        for column in range(size):
            right, up = column - center[1], center[0] - row
            u = right * math.cos(normal) + up * math.sin(normal)
            v = right * math.cos(stripes) + up * math.sin(stripes)
            envelope = math.exp(-0.5 * (u / sigmas[0]) ** 2 - 0.5 * (v / sigmas[1]) ** 2)
            wave = math.cos(2 * math.pi * u / wavelength + math.radians(phase))
            found[row, column] = envelope * wave
    return found


def difference_of_gaussians(
    size: int,
    center: tuple[float, float],
    sigmas: tuple[float, float],
    weights: tuple[float, float],
) -> np.ndarray:
    """Two round Gaussians, the second subtracted."""
    found = np.empty((size, size))
    for row in range(size):
        for column in range(size):
            squared = (row - center[0]) ** 2 + (column - center[1]) ** 2
            parts = [
                w * math.exp(-squared / (2 * s * s)) for s, w in zip(sigmas, weights, strict=True)
            ]
            found[row, column] = parts[0] - parts[1]
    return found


def bar_scores(one: np.ndarray) -> tuple[np.ndarray, float]:
    """Best score at each of 50 angles of the normal, and the width at which the best of all is.

    Args:
        one: A square map.
    """
    size = len(one)
    middle = (size - 1) / 2
    widths = [1.0 * (size / 2) ** (w / 29) for w in range(30)]
    table = np.zeros((50, 30))
    places = np.arange(size) - middle
    for a in range(50):
        angle = math.pi * a / 50
        along = math.cos(angle) * places[None, :] + math.sin(angle) * places[:, None]
        for w, width in enumerate(widths):
            phases = -size / 2 + np.arange(30) * size / 29
            inside = width / 2 + 0.5 - np.abs(along - phases[:, None, None])
            bars = np.minimum(np.maximum(inside, 0.0), 1.0)
            scores = ((bars - bars.mean(axis=(1, 2), keepdims=True)) * (one - one.mean())).mean(
                axis=(1, 2)
            )
            table[a, w] = np.abs(scores).max()
    best = int(table.max(axis=0).argmax())
    return table[:, best], widths[best]


def unit_gradient(
    model: keras.Model, inputs: np.ndarray, address: str, unit: int, channel_axis: int
) -> np.ndarray:
    """The gradient of the middle unit of a channel by the inputs, by an eager tape."""
    return _by_inputs(model, inputs, address, lambda y: _middle(y, unit, channel_axis))


def _by_inputs(
    model: keras.Model, inputs: np.ndarray, address: str, score: Callable[[tf.Tensor], tf.Tensor]
) -> np.ndarray:
    recorded: list[tf.Tensor] = []

    def keep(output: tf.Tensor) -> tf.Tensor:
        recorded.append(output)
        return output

    pictures = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        with edited(model, address, keep):
            model(pictures, training=False)
        value = tf.reduce_sum(tf.cast(score(recorded[0]), tf.float32))
    return np.asarray(tape.gradient(value, pictures))


def _middle(output: tf.Tensor, unit: int, channel_axis: int) -> tf.Tensor:
    axis = channel_axis % len(output.shape)
    place = [unit if a == axis else size // 2 for a, size in enumerate(output.shape)]
    return output[(slice(None), *place[1:])]
