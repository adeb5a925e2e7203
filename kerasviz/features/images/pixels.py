"""A picture as its pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasviz.features.images.base import Image, Shape


@dataclasses.dataclass(frozen=True)
class Pixels(Image):
    """One weight per pixel and channel: the plain way, which finds high-frequency patterns.

    Args:
        size: As in `kv.images.Image`.
        decorrelate: As in `kv.images.Image`.
        alpha: As in `kv.images.Image`.
        bounded: As in `kv.images.Image`.
        standard_deviation: Of the noise to start from.
    """

    standard_deviation: float = 0.01

    def initial_values(self, shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
        noise = random.standard_normal(shape, "float32") * np.float32(self.standard_deviation)
        return {"pixels": noise}

    def signal(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        return weights["pixels"]

    def values_of(self, signal: np.ndarray) -> dict[str, np.ndarray]:
        return {"pixels": signal}
