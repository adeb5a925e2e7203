"""What the impact simulator is expected to give, without drawing a single random number.

`docs/methods/attention-simulator.md` derives each step.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasviz.attention import mean_field
from kerasviz.attention.moments import attended_moments, normal_nodes, rectified_moments
from kerasviz.attention.settings import Settings

NODES = 24
LARGEST = 1e100


@dataclasses.dataclass(frozen=True)
class Expected:
    """Expected mean of each layer's activations, and its spread from one draw to the next.

    Args:
        means: (depth,); inf beyond 1e50.
        stds: (depth,) standard deviation over draws of all weights.
    """

    means: np.ndarray
    stds: np.ndarray


def expected(settings: Settings) -> Expected:
    """The closed form for a simulation with those settings, with attention if they have it."""
    with np.errstate(all="ignore"):
        found = _dense(settings) if settings.kind == "dense" else mean_field.layers(settings)
    return Expected(np.array([mean for mean, _ in found]), np.array([std for _, std in found]))


@dataclasses.dataclass(frozen=True)
class _Law:
    """Mean (2,) and covariance (2, 2), over draws, of a layer's mean and mean square."""

    mean: np.ndarray
    covariance: np.ndarray


def _dense(settings: Settings) -> list[tuple[float, float]]:
    law = _Law(np.ones(2), np.zeros((2, 2)))
    found: list[tuple[float, float]] = []
    while len(found) < settings.depth:
        law = _dense_layer(law, settings)
        found.append((float(law.mean[0]), float(np.sqrt(max(law.covariance[0, 0], 0.0)))))
        if not law.mean[1] < LARGEST:
            missing = settings.depth - len(found)
            return found + [(np.inf, np.inf)] * missing
    return found


def _dense_layer(law: _Law, settings: Settings) -> _Law:
    """Given the mean A and mean square Q of n inputs, pre-activations are iid normal."""
    units = settings.size**2
    weights, means, squares = _lognormal_nodes(law, correlated=settings.kernel[0] != 0.0)
    mean = settings.kernel[0] * units * means + settings.layer_bias[0]
    variance = settings.kernel[1] ** 2 * units * squares + settings.layer_bias[1] ** 2
    if settings.attention:
        first, second, third, fourth = attended_moments(
            mean, variance, settings.multiplier, settings.bias
        )
    else:
        first, second, third, fourth = rectified_moments(mean, variance)
    found = np.array([weights @ first, weights @ second])
    within = np.array(
        [
            [weights @ (second - first**2), weights @ (third - first * second)],
            [weights @ (third - first * second), weights @ (fourth - second**2)],
        ]
    )
    off = np.stack([first, second]) - found[:, None]
    return _Law(found, (off * weights) @ off.T + within / units)


def _lognormal_nodes(law: _Law, correlated: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and mean squares that stand for a law, taken as lognormal."""
    mean = np.maximum(law.mean, 1e-150)
    ratio = law.covariance / np.outer(mean, mean)
    spread = np.log1p(np.maximum(ratio, -0.99))
    z, weights = normal_nodes(NODES)
    spread[[0, 1], [0, 1]] = np.maximum(spread[[0, 1], [0, 1]], 0.0)
    std = np.sqrt(spread[1, 1])
    squares = mean[1] * np.exp(std * z - spread[1, 1] / 2.0)
    if not correlated:
        return weights, np.full_like(squares, mean[0]), squares
    slope = spread[0, 1] / std if std > 0.0 else 0.0
    rest = np.sqrt(max(spread[0, 0] - slope**2, 0.0))
    first, second = (part.ravel() for part in np.meshgrid(z, z, indexing="ij"))
    means = mean[0] * np.exp(slope * first + rest * second - spread[0, 0] / 2.0)
    return np.outer(weights, weights).ravel(), means, np.repeat(squares, NODES)
