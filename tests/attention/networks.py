"""What the tests of this room share: weights that say something, and a small grasp network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import kerasviz as kv

SMALL: dict[str, Any] = {
    "filters": (8, 12),
    "blocks": (1, 2),
    "dilation_rates": (1, 3),
    "decoder_filters": (6, 5),
    "head_filters": 4,
    "ratio": 2,
    "local_ratio": 0.5,
}


def randomized(layer: Any, seed: int = 0) -> Any:
    """Give a built layer or model weights of which none is 0 or 1, biases and statistics too."""
    generator = np.random.default_rng(seed)
    for weight in layer.weights:
        shape = tuple(weight.shape)
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(generator.uniform(0.6, 1.4, shape))
        elif len(shape) > 1:
            fan_in = float(np.prod(shape[:-1]))
            weight.assign(generator.normal(size=shape) * np.sqrt(2 / fan_in))
        else:
            weight.assign(generator.normal(size=shape) * 0.3)
    return layer


def small_network(input_shape: tuple[int | None, ...] = (16, 12, 4), **settings: Any) -> Any:
    """A grasp network of 3 blocks a modality, with randomized weights."""
    network = kv.attention.rgbd_grasp_network(input_shape, **{**SMALL, **settings})
    return randomized(network)


def scenes(*shape: int, seed: int = 0) -> np.ndarray:
    """RGB in [0, 1] and depth from -100 to 1500."""
    generator = np.random.default_rng(seed)
    color = generator.uniform(size=(*shape, 3))
    depth = generator.uniform(-100, 1500, (*shape, 1))
    return np.concatenate([color, depth], axis=-1).astype("float32")


def reloaded(model: keras.Model, path: Any) -> keras.Model:
    """The model, saved to a `.keras` file and loaded from it in safe mode."""
    model.save(path)
    return keras.saving.load_model(path, safe_mode=True)
