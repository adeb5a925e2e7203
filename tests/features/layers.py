"""What the tests of this room share: the layer of a case, as arrays, and a linear network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import kerasviz as kv
from tests.models import Case

KINDS = (
    "functional_in_functional",
    "sequential_without_input",
    "subclassed_nested",
    "shared_layer",
    "multi_input",
    "mixed_float16",
    "conv1d",
    "conv3d",
    "channels_first",
    "embedding",
)


def features_of(case: Case) -> np.ndarray:
    """(batch, *positions, channels) of the case's layer, by another way."""
    found = kv.activations(case.model, case.inputs, [case.layer])[case.layer]
    return np.moveaxis(found.astype("float32"), case.channel_axis, -1)


def sample(inputs: Any, index: int) -> Any:
    """One sample, without a batch axis."""
    return keras.tree.map_structure(lambda array: array[index], inputs)


def part(inputs: Any, count: int) -> Any:
    """The first samples."""
    return keras.tree.map_structure(lambda array: array[:count], inputs)


def linear_network(seed: int = 0) -> keras.Model:
    """Two convolutions and a dense layer without any nonlinearity or bias."""
    image = keras.Input((6, 5, 2))
    settings: dict[str, Any] = {"padding": "same", "use_bias": False}
    x = keras.layers.Conv2D(3, 3, name="first", **settings)(image)
    x = keras.layers.Conv2D(4, 3, strides=2, name="second", **settings)(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False, name="head")(x))
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(generator.normal(size=weight.shape))
    return model


def identity_network(channels: int, size: tuple[int, int] = (4, 6)) -> keras.Model:
    """A network whose layer "same" returns the input itself."""
    image = keras.Input((*size, channels))
    layer = keras.layers.Conv2D(channels, 1, use_bias=False, name="same")
    x = keras.layers.GlobalAveragePooling2D()(layer(image))
    model = keras.Model(image, keras.layers.Dense(2, name="head")(x))
    layer.set_weights([np.eye(channels)[None, None]])
    return model
