"""Gradient ascent on a picture, written out: an eager loop, tapes, and optimizers in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tests.reference.pictures import COLOURS

Weights = dict[str, np.ndarray]
Update = Callable[[list[np.ndarray], list[np.ndarray]], list[np.ndarray]]


def ascended(
    start: Mapping[str, np.ndarray],
    picture: Callable[[Mapping[str, Any]], Any],
    value: Callable[[Any], Any],
    update: Update,
    steps: int,
) -> tuple[Weights, np.ndarray]:
    """The weights after some steps, and (steps, num_images) the value before each.

    Args:
        start: Weights to start from.
        picture: Weights as tensors → pictures.
        value: Pictures → (num_images,).
        update: An optimizer: weights and the gradients of the value → new weights.
        steps: How many.
    """
    names, held = list(start), [np.array(a, "float32") for a in start.values()]
    history = []
    for _ in range(steps):
        tensors = [tf.constant(a) for a in held]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            values = value(picture(dict(zip(names, tensors, strict=True))))
        gradients = tape.gradient(values, tensors, unconnected_gradients="zero")
        history.append(values.numpy())
        held = update(held, [g.numpy() for g in gradients])
    return dict(zip(names, held, strict=True)), np.array(history)


def plain(rate: float) -> Update:
    """Steps along the gradient."""
    return lambda weights, gradients: [
        w + np.float32(rate) * g for w, g in zip(weights, gradients, strict=True)
    ]


class Adam:
    """Kingma and Ba's Adam, uphill."""

    def __init__(self, rate: float) -> None:
        self.rate, self.step = rate, 0
        self.moments: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(
        self, weights: Sequence[np.ndarray], gradients: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """One step."""
        self.step += 1
        if not self.moments:
            self.moments = [(np.zeros(w.shape), np.zeros(w.shape)) for w in weights]
        self.moments = [
            (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.astype("float64") ** 2)
            for (m, v), g in zip(self.moments, gradients, strict=True)
        ]
        return [
            np.asarray(
                w
                + self.rate
                * (m / (1 - 0.9**self.step))
                / (np.sqrt(v / (1 - 0.999**self.step)) + 1e-7),
                "float32",
            )
            for w, (m, v) in zip(weights, self.moments, strict=True)
        ]


class RMSprop:
    """Hinton's RMSprop, uphill, on the gradient of each picture at length one."""

    def __init__(self, rate: float, rho: float) -> None:
        self.rate, self.rho = rate, rho
        self.squares: list[np.ndarray] = []

    def __call__(
        self, weights: Sequence[np.ndarray], gradients: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """One step."""
        unit = [np.stack([one / np.linalg.norm(one) for one in g]) for g in gradients]
        squares = self.squares or [np.zeros(w.shape) for w in weights]
        self.squares = [
            self.rho * s + (1 - self.rho) * g**2 for s, g in zip(squares, unit, strict=True)
        ]
        return [
            np.asarray(w + self.rate * g / np.sqrt(s + 1e-7), "float32")
            for w, g, s in zip(weights, unit, self.squares, strict=True)
        ]


def mixed(signal: Any) -> Any:
    """RGB in [0, 1] from the three colour directions of natural photos."""
    longest = max(np.sqrt((COLOURS[:, i] ** 2).sum()) for i in range(3))
    return tf.sigmoid(
        tf.einsum("...c,dc->...d", signal, tf.constant(COLOURS / longest, tf.float32))
    )


def fourier(weights: Mapping[str, Any], height: int, width: int) -> Any:
    """(num_images, height, width, 3) in [0, 1] from a spectrum, frequencies by 1/f."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.maximum(np.sqrt(rows**2 + columns**2), 1 / max(height, width))
    scale = (np.sqrt(height * width) / frequency).astype("float32")
    spectrum = tf.complex(weights["real"] * scale, weights["imaginary"] * scale)
    return mixed(tf.transpose(tf.signal.irfft2d(spectrum, (height, width)), (0, 2, 3, 1)) / 4)
