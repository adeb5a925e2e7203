"""The reconstruction of Zeiler and Fergus (2014) of one activation, on plain arrays.

Forward through convolutions (stride 1, size kept), rectifiers and 2x2 max pooling, then back:
unpool to the recorded switches, rectify, filter with the transposed kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.reference.convolution import convolve, convolve_transposed, max_pool, unpool


class Convolution(NamedTuple):
    """A stage with kernel `(rows, columns, channels, filters)` and bias `(filters,)`."""

    kernel: np.ndarray
    bias: np.ndarray


RELU = "relu"
POOL = "pool"
Stage = Convolution | str


def forward(image: np.ndarray, stages: Sequence[Stage]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The activation after the last stage, `(height, width, channels)`, and all switches."""
    signal, switches = image[np.newaxis], []
    for stage in stages:
        if isinstance(stage, Convolution):
            signal = convolve(signal, stage.kernel, stage.bias)
        elif stage == RELU:
            signal = np.maximum(signal, 0)
        else:
            signal, switch = max_pool(signal)
            switches.append(switch)
    return signal[0], switches


def reconstruct(
    image: np.ndarray, stages: Sequence[Stage], unit: tuple[int, int, int] | None = None
) -> np.ndarray:
    """Keep one activation of the last stage and project it back to the image.

    Args:
        image: Shape `(height, width, channels)`.
        stages: `Convolution`s, "relu" and "pool", from the image up.
        unit: Row, column and channel of the activation to keep; the largest if None.

    Returns:
        Float64, the image's shape.
    """
    activation, switches = forward(image, stages)
    kept = np.zeros(activation.shape)
    position = unit or np.unravel_index(activation.argmax(), activation.shape)
    kept[position] = activation[position]
    return _back(kept[np.newaxis], stages, switches)[0]


def _back(signal: np.ndarray, stages: Sequence[Stage], switches: list[np.ndarray]) -> np.ndarray:
    remaining = list(switches)
    for stage in reversed(stages):
        if isinstance(stage, Convolution):
            signal = convolve_transposed(signal, stage.kernel)
        elif stage == RELU:
            signal = np.maximum(signal, 0)
        else:
            signal = unpool(signal, remaining.pop())
    return signal
