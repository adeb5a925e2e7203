"""Running random networks layer by layer, with and without attention on the same weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.attention.settings import Settings
from kerasviz.probe.backend.random_layers import RandomLayers, channel_mean

TENSORS = 5
LAYERS = 1000


@dataclasses.dataclass(frozen=True)
class Measured:
    """What networks of several seeds gave.

    Args:
        means: (networks, seeds, depth) mean of each layer's activations; inf after an overflow.
        images: (networks, seeds, size, size) float32 of the last layer.
    """

    means: np.ndarray
    images: np.ndarray


def tensor_seeds(seed: int, layer: int) -> list[int]:
    """The whole numbers that `keras.initializers.RandomNormal` would take for a layer.

    5·(1000·seed + layer) + tensor, with layers from 1 on (0 for the input), and the tensors
    kernel 0, bias 1, multiplier 2, bias of the attention 3, input 4.
    """
    first = TENSORS * (LAYERS * seed + layer)
    return list(range(first, first + TENSORS))


def progress_bar(total: int, verbose: Any) -> Callable[[], object]:
    """Keras's progress bar over so many layers, as the function to call after each.

    Args:
        total: How many.
        verbose: "auto" or 1 to show it, 0 not to.
    """
    shown = 0 if verbose in (0, "0", False) else 1
    bar = keras.utils.Progbar(total, verbose=shown, unit_name="layer")
    return lambda: bar.add(1)


def run(
    settings: Settings,
    flags: Sequence[bool],
    seeds: Sequence[int],
    progress: Callable[[], object],
) -> Measured:
    """Run the networks of every seed.

    Only one layer's weights are in memory at a time.

    Args:
        settings: What the networks are made of.
        flags: One a network: whether it has attention. All share their weights.
        seeds: One a draw.
        progress: Called after each layer of each seed.
    """
    shape = (len(flags), len(seeds))
    means = np.empty((*shape, settings.depth))
    images = np.empty((*shape, settings.size, settings.size), np.float32)
    layers = RandomLayers(_normals(settings), list(flags))
    network = _dense if settings.kind == "dense" else _convolutional
    for index, seed in enumerate(seeds):
        picture: Any = None
        for layer, (x, layer_means) in enumerate(network(layers, settings, seed)):
            means[:, index, layer] = np.asarray(layer_means)
            progress()
            picture = x
        images[:, index] = _picture(settings, picture)
    return Measured(means, images)


def _dense(layers: RandomLayers, settings: Settings, seed: int) -> Iterator[tuple[Any, Any]]:
    x = layers.ones((settings.size**2,))
    for layer in range(1, settings.depth + 1):
        x, means = layers.dense(x, tensor_seeds(seed, layer))
        yield x, means


def _convolutional(
    layers: RandomLayers, settings: Settings, seed: int
) -> Iterator[tuple[Any, Any]]:
    x = layers.random_input((settings.size, settings.size, 1), tensor_seeds(seed, 0))
    for layer in range(1, settings.depth + 1):
        seeds = tensor_seeds(seed, layer)
        x, means = layers.convolution(x, seeds, settings.filters, settings.divisor)
        yield x, means


def _picture(settings: Settings, x: Any) -> np.ndarray:
    pictures = x if settings.kind == "dense" else channel_mean(x)
    return np.reshape(np.asarray(pictures), (-1, settings.size, settings.size))


def _normals(settings: Settings) -> list[tuple[float, float]]:
    """In the order of the tensors' seeds."""
    names = ("kernel", "layer_bias", "multiplier", "bias", "input")
    return [getattr(settings, name) for name in names]
