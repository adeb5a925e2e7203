"""The closed form for convolutions: mean and mean square of the channels, position by position.

All fields are symmetric under reflection, so one quarter of the grid stands for the whole.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.special import expit

from kerasviz.attention.moments import affine_moments, normal_nodes
from kerasviz.attention.settings import Settings

NODES = 11


def layers(settings: Settings) -> list[tuple[float, float]]:
    """Expected mean over channels and positions of each layer, and its standard deviation.

    Fluctuations are followed as a covariance of (mean, mean square) at each position, moving in
    step over all positions.
    """
    half = (settings.size + 1) // 2
    mean, variance = settings.input[0], settings.input[1] ** 2
    field = np.stack([np.full((half, half), mean), np.full((half, half), mean**2 + variance)])
    crossed = 2.0 * mean * variance
    spread = np.array([[variance, crossed], [crossed, 4.0 * mean**2 * variance + 2 * variance**2]])
    covariance = np.broadcast_to(spread[:, :, None, None] / settings.size**2, (2, 2, half, half))
    found = []
    for layer in range(settings.depth):
        field, covariance = _layer(field, covariance, settings, is_first=layer == 0)
        std = np.sqrt(np.maximum(covariance[0, 0], 0.0))
        found.append((_average(field[0], settings.size), _average(std, settings.size)))
    return found


def _layer(
    field: np.ndarray, covariance: np.ndarray, settings: Settings, is_first: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The next field, and its covariance by linear response."""

    def mapped(fields: np.ndarray) -> np.ndarray:
        inside = _preactivation(fields, settings, is_first)
        return _channel_moments(*inside, settings, orders=2)

    responses = [
        (mapped(field + source) - mapped(field - source)) / 2.0 for source in _sources(covariance)
    ]
    change = np.stack(responses)
    passed_on = np.einsum("siyx,sjyx->ijyx", change, change)
    return mapped(field), passed_on + _noise(field, settings, is_first)


def _preactivation(
    field: np.ndarray, settings: Settings, is_first: bool, given_input: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over kernels and, in the first layer unless it is given, the input."""
    channels = 1 if is_first else settings.filters
    total = functools.partial(_box_sum, size=settings.size)
    mean, std = settings.kernel
    middle = mean * channels * total(field[0]) + settings.layer_bias[0]
    variance = std**2 * channels * total(field[1]) + settings.layer_bias[1] ** 2
    if is_first and not given_input:
        variance = variance + mean**2 * total(np.maximum(field[1] - field[0] ** 2, 0.0))
    return middle / settings.divisor, np.maximum(variance, 0.0) / settings.divisor**2


def _channel_moments(
    mean: np.ndarray, variance: np.ndarray, settings: Settings, orders: int = 4
) -> np.ndarray:
    """(orders, half, half): E[y^k] of a channel after sigmoid, attention and ReLU."""
    nodes, weights = normal_nodes(NODES)
    values = expit(mean[..., None] + np.sqrt(variance)[..., None] * nodes)
    if settings.attention:
        return affine_moments(values, settings.multiplier, settings.bias, orders) @ weights
    return np.stack([values**order for order in range(1, orders + 1)]) @ weights


def _noise(field: np.ndarray, settings: Settings, is_first: bool) -> np.ndarray:
    """(2, 2, half, half): what drawing the layer's own weights adds to the covariance."""
    inside = _preactivation(field, settings, is_first, given_input=True)
    first, second, third, fourth = _channel_moments(*inside, settings)
    crossed = third - first * second
    rows = [[second - first**2, crossed], [crossed, fourth - second**2]]
    return np.array(rows) / settings.filters


def _sources(covariance: np.ndarray) -> list[np.ndarray]:
    """Two fields (2, half, half), independent of each other, with that covariance."""
    std = np.sqrt(np.maximum(covariance[0, 0], 0.0))
    slope = np.where(std > 0.0, covariance[0, 1] / np.maximum(std, 1e-150), 0.0)
    rest = np.sqrt(np.maximum(covariance[1, 1] - slope**2, 0.0))
    return [np.stack([std, slope]), np.stack([np.zeros_like(rest), rest])]


def _box_sum(quarter: np.ndarray, size: int) -> np.ndarray:
    """Sum over 3×3 positions, zero beyond the border of the whole grid."""
    half = len(quarter)
    padded = np.zeros((half + 2, half + 2))
    padded[1:-1, 1:-1] = quarter
    if size > 1:
        mirrored = size - half
        padded[-1, :] = padded[mirrored, :]
        padded[:, -1] = padded[:, mirrored]
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def _average(quarter: np.ndarray, size: int) -> float:
    """Mean over the whole grid."""
    counts = np.full(len(quarter), 2.0)
    counts[-1] -= size % 2
    return float(counts @ quarter @ counts) / size**2
