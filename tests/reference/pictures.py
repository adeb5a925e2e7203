"""How weights spell a picture, in NumPy loops and float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def coloured(signal: np.ndarray) -> np.ndarray:
    """Each pixel's first three numbers as amounts of the three colour directions."""
    longest = max(np.sqrt((COLOURS[:, i] ** 2).sum()) for i in range(3))
    result = np.array(signal, "float64")
    for pixel in np.ndindex(signal.shape[:-1]):
        result[pixel][:3] = (COLOURS / longest) @ np.asarray(signal[pixel][:3], "float64")
    return result


def fourier(
    real: np.ndarray, imaginary: np.ndarray, sizes: Sequence[int], decay_power: float
) -> np.ndarray:
    """(count, *sizes, channels) from (count, channels, *half spectrum): a sum of waves.

    Each frequency weighs √(number of pixels) / frequency^decay_power, the mean (frequency 0) as
    the lowest frequency of the longest axis; the sum is divided by 4.
    """
    count, channels = real.shape[:2]
    result = np.zeros((count, *sizes, channels))
    grid = np.meshgrid(*[np.arange(size) for size in sizes], indexing="ij")
    for index in np.ndindex(*sizes):
        signed = [k if k <= n // 2 else k - n for k, n in zip(index, sizes, strict=True)]
        cycles = [k / n for k, n in zip(signed, sizes, strict=True)]
        length = max(np.sqrt(sum(c**2 for c in cycles)), 1 / max(sizes))
        weight = np.sqrt(np.prod(sizes)) / length**decay_power / np.prod(sizes) / 4
        angle = 2 * np.pi * sum(k * x / n for k, x, n in zip(index, grid, sizes, strict=True))
        held, sign = index, 1
        if index[-1] > sizes[-1] // 2:
            held, sign = tuple(-k % n for k, n in zip(index, sizes, strict=True)), -1
        for i in range(count):
            for channel in range(channels):
                a, b = real[(i, channel, *held)], sign * imaginary[(i, channel, *held)]
                wave = a * np.cos(angle) - b * np.sin(angle)
                result[i, ..., channel] += weight * wave
    return result


def enlarged(coarse: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """(count, *positions, channels) at other sizes: linear between the centres of the pixels,
    constant beyond the outermost ones, one axis after another."""
    result = np.asarray(coarse, "float64")
    for axis, size in enumerate(sizes, start=1):
        held = result.shape[axis]
        at = (np.arange(size) + 0.5) * held / size - 0.5
        result = np.apply_along_axis(
            lambda line, at=at, held=held: np.interp(at, np.arange(held), line), axis, result
        )
    return result


def network(weights: Mapping[str, np.ndarray], layers: int, sizes: Sequence[int]) -> np.ndarray:
    """(count, *sizes, channels): a small network's colour at each pixel, one pixel at a time."""
    count, _, channels = weights["kernel_out"].shape
    result = np.zeros((count, *sizes, channels))
    for i in range(count):
        for pixel in np.ndindex(*sizes):
            x = np.array(
                [np.sqrt(3) * (2 * p / (n - 1) - 1) for p, n in zip(pixel, sizes, strict=True)]
            )
            for layer in range(layers):
                x = np.arctan(x @ weights[f"kernel_{layer}"][i] + weights[f"bias_{layer}"][i][0])
                x = np.concatenate([x / 0.67, x**2 / 0.6])
            result[(i, *pixel)] = x @ weights["kernel_out"][i] + weights["bias_out"][i][0]
    return result
