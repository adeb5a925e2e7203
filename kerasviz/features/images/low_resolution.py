"""Pictures made of coarser ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.images.base import Image, Shape
from kerasviz.probe.backend import sampling


@dataclasses.dataclass(frozen=True)
class LowResolution(Image):
    """One weight per coarse pixel and channel, enlarged linearly.

    Args:
        size: As in `kv.images.Image`.
        decorrelate: As in `kv.images.Image`.
        alpha: As in `kv.images.Image`.
        bounded: As in `kv.images.Image`.
        factor: How many pixels of the picture one weight spans, along each axis.
        standard_deviation: Of the noise to start from.
    """

    factor: int = 4
    standard_deviation: float = 0.01

    def initial_values(self, shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            "coarse": _noise(random, shape, [_checked(self.factor)], self.standard_deviation)[0]
        }

    def signal(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        return sampling.resize_linear(weights["coarse"], shape[1:-1])


@dataclasses.dataclass(frozen=True)
class Laplacian(Image):
    """The sum of pictures at 1, 1/2, 1/4, … of the resolution.

    Args:
        size: As in `kv.images.Image`.
        decorrelate: As in `kv.images.Image`.
        alpha: As in `kv.images.Image`.
        bounded: As in `kv.images.Image`.
        levels: How many resolutions.
        standard_deviation: Of the noise to start from, at each level.

    Reference:
        Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", 1983.
    """

    levels: int = 4
    standard_deviation: float = 0.01

    def initial_values(self, shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
        factors = [2**level for level in range(_checked(self.levels))]
        noise = _noise(random, shape, factors, self.standard_deviation)
        return {f"level_{level}": values for level, values in enumerate(noise)}

    def signal(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        levels = [
            sampling.resize_linear(weights[f"level_{i}"], shape[1:-1]) for i in range(self.levels)
        ]
        return sum(levels[1:], levels[0])

    def values_of(self, signal: np.ndarray) -> dict[str, np.ndarray]:
        shape = signal.shape
        empty = self.initial_values(shape, np.random.default_rng(0))
        return {name: np.zeros_like(value) for name, value in empty.items()} | {"level_0": signal}


def _noise(
    random: np.random.Generator, shape: Shape, factors: Sequence[int], deviation: float
) -> list[np.ndarray]:
    shapes = [(shape[0], *(-(-s // f) for s in shape[1:-1]), shape[-1]) for f in factors]
    return [random.standard_normal(s, "float32") * np.float32(deviation) for s in shapes]


def _checked(number: int) -> int:
    if not isinstance(number, int) or number < 1:
        raise InputError(
            f"`factor` and `levels` must be whole numbers from 1 on. Received: {number!r}."
        )
    return number
