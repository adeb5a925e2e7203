"""Receptive fields by differentiating: where the gradient of one unit is not zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kerasviz as kv
from kerasviz.probe.backend.compiled import unoptimized

SAMPLES = 48


def open_up(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give a model of the test's own positive weights, so that no path cancels or is shut."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if np.issubdtype(keras.backend.standardize_dtype(weight.dtype), np.integer):
            continue
        if weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(np.zeros(shape))
        elif weight.name in ("gamma", "moving_variance"):
            weight.assign(np.ones(shape))
        else:
            fan_in = int(np.prod(shape[:-1])) or 1
            weight.assign(generator.uniform(0.5, 1.5, shape) / fan_in)
    return model


Unit = tuple[Any, ...]


def supports(
    model: keras.Model, inputs: Any, units: Sequence[tuple[str, Unit]], which: int = 0
) -> list[np.ndarray]:
    """Per layer and unit, a bool array of the input's shape without batch: where its gradient is
    not zero.

    Max pooling hands the gradient to one position only, so it is gathered over many inputs.
    """
    generator = np.random.default_rng(1)
    arrays = [
        generator.uniform(0.2, 1.0, (SAMPLES, *array.shape[1:])).astype(array.dtype)
        for array in keras.tree.flatten(inputs)
    ]
    taps = kv.Activations(model, sorted({layer for layer, _ in units}))

    @tf.function
    def gradients(*tensors: Any) -> list[Any]:
        packed = keras.tree.pack_sequence_as(inputs, tensors)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(tensors[which])
            found = taps(packed)
            scores = [_score(found[layer], unit) for layer, unit in units]
        return [tape.gradient(score, tensors[which]) for score in scores]

    with unoptimized():
        found = gradients(*(tf.constant(array) for array in arrays))
    return [(np.asarray(gradient) != 0).any(axis=0) for gradient in found]


def _score(output: Any, unit: Unit) -> Any:
    return tf.reduce_sum(tf.cast(output, tf.float32)[(slice(None), *unit)])


def bounds(support: np.ndarray, axis: int) -> tuple[int, int]:
    """First and last position along an axis at which anything is not zero."""
    others = tuple(other for other in range(support.ndim) if other != axis)
    places = np.flatnonzero(support.any(axis=others))
    return int(places[0]), int(places[-1])
