"""What the initializers of several tensors give together, and how far weights are from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy import stats

from kerasviz.probe.held_weights import HeldWeight
from kerasviz.probe.initial_values import initial_values

POINTS = 1 << 13
MOST_POINTS = 1 << 19
FEWEST_POINTS = 1 << 8
GRID = 1 << 12
MOST_VALUES = 1 << 17


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """The values of several initialized tensors, pooled.

    Attributes:
        mean: Of a value.
        std: Of a value: within tensors and between their means.
        parts: Per kind of tensor: evenly spaced quantiles of its distribution, ascending, and the
            number of weights that follow it.
    """

    mean: float
    std: float
    parts: tuple[tuple[np.ndarray, int], ...]

    def quantiles(self, probabilities: np.ndarray) -> np.ndarray:
        """Values below which these shares lie."""
        points, weights = self._points()
        order = np.argsort(points, kind="stable")
        reached = np.cumsum(weights[order])
        index = np.searchsorted(reached, probabilities * reached[-1])
        return points[order][np.minimum(index, points.size - 1)]

    def distance(self, representatives: np.ndarray) -> float:
        """Wasserstein-1 distance of values from this distribution, in units of the weights."""
        points, weights = self._points()
        return float(stats.wasserstein_distance(representatives, points, None, weights))

    def distance_by_chance(self) -> float:
        """Expected distance of as many weights, freshly initialized, from their distribution.

        The distribution function F_n of the weights has at each x the variance
        Σ n_i F_i (1 - F_i) / n² around F and is nearly normal, so that the expectation of
        ∫|F_n - F|dx is √(2/π) times the integral of its standard deviation.
        """
        grid = np.unique(self.quantiles((np.arange(GRID) + 0.5) / GRID))
        variance = np.zeros(grid.size)
        for points, count in self.parts:
            below = np.searchsorted(points, grid, side="right") / points.size
            variance += count * below * (1 - below)
        total = sum(count for _, count in self.parts)
        spread = np.sqrt(variance) / total
        return float(np.sqrt(2 / np.pi) * np.sum(spread[:-1] * np.diff(grid)))

    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        points = np.concatenate([points for points, _ in self.parts])
        weights = [np.full(points.size, count / points.size) for points, count in self.parts]
        return points, np.concatenate(weights)


def initial_mixture(weights: Sequence[HeldWeight]) -> Mixture | None:
    """What the initializers of these weights give together; None if one of them is not known."""
    found = [initial_values(held) for held in weights]
    known = [initial for initial in found if initial is not None]
    if len(known) < len(found):
        return None
    counts = np.array([held.size for held in weights], "float64")
    means = np.array([initial.mean for initial in known])
    stds = np.array([initial.std for initial in known])
    mean = float(np.average(means, weights=counts)) if np.ptp(means) else float(means[0])
    variance = float(np.average(stds**2 + (means - mean) ** 2, weights=counts))
    number = int(np.clip(MOST_POINTS // len(known), FEWEST_POINTS, POINTS))
    parts = []
    for initial, held in zip(known, weights, strict=True):
        points = 1 if initial.std == 0 else number
        probabilities = (np.arange(points) + 0.5) / points
        parts.append((initial.quantile(probabilities), held.size))
    return Mixture(mean, float(np.sqrt(variance)), tuple(parts))


def representatives(ordered: np.ndarray) -> np.ndarray:
    """The ascending values themselves; of very many, so many evenly spaced quantiles."""
    count = ordered.size
    if count <= MOST_VALUES:
        return ordered
    middle = (np.arange(MOST_VALUES) * 2 + 1) * count // (2 * MOST_VALUES)
    return ordered[middle]
