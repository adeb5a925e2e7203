"""A picture as a small network from coordinates to colours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from kerasviz.features.images.base import Image, Shape
from kerasviz.features.images.pixels import Pixels

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True)
class CPPN(Image):
    """A compositional pattern-producing network: smooth shapes, at any resolution.

    Each picture has a network of its own, from the coordinates of a pixel to its colour; its
    activation is atan(x) beside atan(x)², each brought to variance one. Inputs without positions
    are drawn as `Pixels`.

    Args:
        size: As in `kv.images.Image`.
        decorrelate: As in `kv.images.Image`; False unless asked for.
        alpha: As in `kv.images.Image`.
        bounded: As in `kv.images.Image`.
        layers: Number of hidden layers.
        units: Units of each hidden layer.

    Reference:
        Stanley, "Compositional pattern producing networks", 2007; as an image parameterization:
        Mordvintsev et al., "Differentiable Image Parameterizations", Distill 2018.
    """

    decorrelate: bool | None = False
    layers: int = 8
    units: int = 24

    learning_rate: ClassVar[float] = 0.005

    def for_positions(self, rank: int) -> Image:
        return self if rank else Pixels(self.size, self.decorrelate, self.alpha, self.bounded)

    def initial_values(self, shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
        count, rank, channels = shape[0], len(shape) - 2, shape[-1]
        values: dict[str, np.ndarray] = {}
        width = rank
        for i in range(self.layers):
            deviation = np.float32(np.sqrt(1.0 / width))
            noise = random.standard_normal((count, width, self.units), "float32")
            values[f"kernel_{i}"] = noise * deviation
            values[f"bias_{i}"] = np.zeros((count, 1, self.units), "float32")
            width = 2 * self.units
        values["kernel_out"] = np.zeros((count, width, channels), "float32")
        values["bias_out"] = np.zeros((count, 1, channels), "float32")
        return values

    def signal(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        x: Any = ops.convert_to_tensor(coordinates(shape[1:-1]))[None]
        for i in range(self.layers):
            x = ops.arctan(ops.matmul(x, weights[f"kernel_{i}"]) + weights[f"bias_{i}"])
            x = ops.concatenate([x / 0.67, ops.square(x) / 0.6], axis=-1)
        x = ops.matmul(x, weights["kernel_out"]) + weights["bias_out"]
        return ops.reshape(x, shape)


def coordinates(sizes: Shape) -> np.ndarray:
    """(points, rank): each pixel's coordinates, of mean 0 and variance 1 along each axis."""
    axes = [np.linspace(-np.sqrt(3), np.sqrt(3), size) for size in sizes]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.stack([axis.ravel() for axis in grid], axis=-1).astype("float32")
