"""A picture as its spectrum."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasviz.features.images.base import Image, Shape
from kerasviz.features.images.pixels import Pixels
from kerasviz.probe.backend import sampling

ops: Any = keras.ops
_GAIN = 4.0


@dataclasses.dataclass(frozen=True)
class Fourier(Image):
    """One complex weight per frequency and channel, scaled as natural photos are: by 1/frequency.

    A gradient step then moves all frequencies by their natural share, which keeps the pictures
    free of the high-frequency pattern that pixels fall into. One, two or three position axes.

    Args:
        size: As in `kv.images.Image`.
        decorrelate: As in `kv.images.Image`.
        alpha: As in `kv.images.Image`.
        bounded: As in `kv.images.Image`.
        standard_deviation: Of the noise to start from.
        decay_power: Exponent of the scaling; 0 treats all frequencies alike, more is smoother.

    Reference:
        Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017, section
        "Preconditioning and Parameterization".
    """

    standard_deviation: float = 0.01
    decay_power: float = 1.0

    def for_positions(self, rank: int) -> Image:
        if 1 <= rank <= 3:
            return self
        return Pixels(self.size, self.decorrelate, self.alpha, self.bounded)

    def initial_values(self, shape: Shape, random: np.random.Generator) -> dict[str, np.ndarray]:
        spectrum = (2, shape[0], shape[-1], *_half(shape[1:-1]))
        noise = random.standard_normal(spectrum, "float32") * np.float32(self.standard_deviation)
        return {"real": noise[0], "imaginary": noise[1]}

    def signal(self, weights: Mapping[str, Any], shape: Shape) -> Any:
        sizes = shape[1:-1]
        scale = self._scale(sizes)
        found = sampling.inverse_fourier(
            weights["real"] * scale, weights["imaginary"] * scale, sizes
        )
        return ops.moveaxis(found, 1, -1) / _GAIN

    def values_of(self, signal: np.ndarray) -> dict[str, np.ndarray]:
        sizes = signal.shape[1:-1]
        axes = tuple(range(2, 2 + len(sizes)))
        spectrum = np.fft.rfftn(np.moveaxis(signal, -1, 1) * _GAIN, axes=axes) / self._scale(sizes)
        return {
            "real": spectrum.real.astype("float32"),
            "imaginary": spectrum.imag.astype("float32"),
        }

    def _scale(self, sizes: Shape) -> np.ndarray:
        frequency = frequencies(sizes)
        lowest = 1.0 / max(sizes)
        scale = np.sqrt(np.prod(sizes)) / np.maximum(frequency, lowest) ** self.decay_power
        return scale.astype("float32")


def _half(sizes: Shape) -> Shape:
    return (*sizes[:-1], sizes[-1] // 2 + 1)


def frequencies(sizes: Shape) -> np.ndarray:
    """Length of each frequency vector of the half spectrum, in cycles per pixel."""
    along = [np.fft.fftfreq(size) for size in sizes[:-1]] + [np.fft.rfftfreq(sizes[-1])]
    return np.sqrt(sum(axis**2 for axis in np.meshgrid(*along, indexing="ij")))
