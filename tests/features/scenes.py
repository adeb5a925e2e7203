"""Objectives on given inputs: what they are worth, in one graph for all that are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasviz.features.objectives import Objective, Scene
from kerasviz.features.objectives.base import features_of
from kerasviz.probe.run import run


def values(
    model: keras.Model,
    objectives: Sequence[Objective],
    inputs: Any,
    pictures: Any = None,
    opacity: Any = None,
    labels: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """What each objective is worth, in order.

    Args:
        model: The model that sees the inputs.
        objectives: What is asked.
        inputs: Arrays in the model's own structure, one row per picture.
        pictures: What regularizers look at: an array in [0, 1]; None: the inputs.
        opacity: (num_images,) or None.
        labels: Class names.
    """
    count, held = len(keras.tree.flatten(inputs)[0]), references(model, objectives)

    @tf.function(autograph=False)
    def computed(inputs: Any) -> list[Any]:
        scene = Scene(
            run(model, inputs),
            count,
            {"image": keras.tree.flatten(inputs)[0] if pictures is None else tf.constant(pictures)},
            dict(enumerate(keras.tree.flatten(inputs))),
            None if opacity is None else tf.constant(opacity, tf.float32),
            lambda units: labels,
            held,
        )
        return [objective.values(scene) for objective in objectives]

    tensors = keras.tree.map_structure(tf.constant, inputs)
    return [np.asarray(value) for value in computed(tensors)]


def references(model: keras.Model, objectives: Sequence[Objective]) -> dict[int, np.ndarray]:
    """What the photos of the objectives excite, channels last."""
    found = {}
    for photos in [photos for objective in objectives for photos in objective.photos]:

        @tf.function(autograph=False)
        def excited(inputs: Any, layer: str) -> Any:
            return features_of(run(model, inputs), layer)

        found[id(photos)] = excited(tf.constant(photos.inputs), photos.layer).numpy()
    return found
