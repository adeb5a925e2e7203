"""Input gradients with one tape per sample, and finite differences to judge them by."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tests.models import Case
from tests.reference.scores import Index, index_of, num_samples, sample_of, unit_score


def input_gradients(case: Case, index: Index, *, exact: bool = False) -> list[np.ndarray]:
    """The gradient of each sample's score with respect to its inputs.

    Args:
        case: A differentiable case.
        index: The unit that is explained, for all samples or for each.
        exact: Compute in float64.

    Returns:
        One array per flattened input, of that input's shape.
    """
    model = case.exact_linear_model if exact else case.linear_model
    dtype = "float64" if exact else "float32"
    samples = []
    for i in range(num_samples(case)):
        inputs = keras.tree.map_structure(
            lambda array: tf.constant(array, dtype), sample_of(case.inputs, i)
        )
        with tf.GradientTape() as tape:
            tape.watch(keras.tree.flatten(inputs))
            score = unit_score(case, model(inputs, training=False), index_of(index, i))
        gradients = tape.gradient(score, keras.tree.flatten(inputs), unconnected_gradients="zero")
        samples.append([gradient.numpy() for gradient in gradients])
    return [np.concatenate(arrays) for arrays in zip(*samples, strict=True)]


def saliency(case: Case, index: Index) -> list[np.ndarray]:
    """The largest absolute gradient over the channels, not scaled.

    Returns:
        One array `(batch, *spatial)` per spatial input.
    """
    gradients = input_gradients(case, index)
    return [
        np.abs(gradient).max(axis=case.channel_axis)
        for gradient, spatial in zip(gradients, case.spatial, strict=True)
        if spatial
    ]


def finite_difference(
    function: Callable[[np.ndarray], float],
    point: np.ndarray,
    positions: list[tuple[int, ...]],
    step: float = 1e-5,
) -> np.ndarray:
    """Central differences of a scalar function along some coordinates.

    Args:
        function: Takes a float64 array of `point`'s shape.
        point: Where the derivative is taken.
        positions: Indices into `point`.
        step: Distance to either side.

    Returns:
        One derivative per position.
    """
    derivatives = []
    for position in positions:
        shift = np.zeros(point.shape)
        shift[position] = step
        derivatives.append((function(point + shift) - function(point - shift)) / (2 * step))
    return np.array(derivatives)


def random_positions(
    shape: tuple[int, ...], number: int = 6, seed: int = 0
) -> list[tuple[int, ...]]:
    """Indices of random elements of an array of the given shape."""
    generator = np.random.default_rng(seed)
    return [tuple(int(generator.integers(n)) for n in shape) for _ in range(number)]
