"""Least squares of a few bounded parameters, from several starts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.optimize import leastsq
from scipy.special import expit, logit

NEAR_BOUND = 1e-3
TOLERANCE = 1e-5
STEPS = 60
POLISHED = 2
AMPLITUDES = 2
Parts = tuple[np.ndarray, np.ndarray]


class Surface(Protocol):
    """A function of the pixels with parameters, of which the first two are amplitudes.

    Attributes:
        low: Lower bounds of the parameters, -inf for none.
        high: Upper bounds, inf for none.
    """

    low: np.ndarray
    high: np.ndarray

    def parts(self, parameters: np.ndarray) -> Parts:
        """The two maps (…, pixels) of which the surface is the sum, weighted by the amplitudes,
        for parameters (…, parameters)."""

    def derivatives(self, parameters: np.ndarray, parts: Parts) -> np.ndarray:
        """(pixels, parameters) derivatives of the flat surface, whose `parts` are these."""


def best_fit(surface: Surface, one: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, float]:
    """The parameters with the least squares among those that the starts lead to.

    Each start gets its best amplitudes; the two that leave least are polished by Levenberg's and
    Marquardt's method. Parameters stay inside their bounds because it goes by their logistic
    coordinates; those without finite bounds go as they are.

    Args:
        surface: What is fitted.
        one: Map (height, width).
        starts: (starts, parameters), moved inside the bounds; their amplitudes do not matter.

    Returns:
        The parameters, and their sum of squared residuals.
    """
    target = one.ravel().astype("float64")
    scale = _Scale(surface.low, surface.high)
    found = []
    for start in _promising(surface, starts, target):
        descent = _Descent(surface, scale, target)
        with np.errstate(over="ignore", invalid="ignore"):
            coordinates, _, report, _, _ = leastsq(
                descent.left,
                scale.outside(start),
                Dfun=descent.slopes,
                full_output=True,
                xtol=TOLERANCE,
                ftol=TOLERANCE,
                gtol=TOLERANCE,
                maxfev=STEPS,
            )
        found.append((float(report["fvec"] @ report["fvec"]), scale.inside(coordinates)))
    squares, parameters = min(found, key=lambda pair: pair[0])
    return parameters, squares


def drawn(surface: Surface, parameters: np.ndarray) -> np.ndarray:
    """The flat map of a surface."""
    first, second = surface.parts(parameters)
    return np.asarray(parameters[0] * first + parameters[1] * second)


def centroid(energy: np.ndarray) -> tuple[float, float]:
    """Row and column of the middle of what is not negative."""
    rows, columns, total = energy.sum(axis=1), energy.sum(axis=0), energy.sum()
    return (
        float(rows @ np.arange(len(rows)) / total),
        float(columns @ np.arange(len(columns)) / total),
    )


def peak(values: np.ndarray) -> tuple[float, float]:
    """Row and column of the highest value."""
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return float(row), float(column)


def _promising(surface: Surface, starts: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The starts that leave least with their best amplitudes, with these."""
    parts = np.stack(surface.parts(starts), axis=1)
    product, along = parts @ parts.transpose(0, 2, 1), parts @ target
    ridge = 1e-6 * np.trace(product, axis1=1, axis2=2)[:, None, None] * np.eye(AMPLITUDES)
    amplitudes = np.linalg.solve(product + ridge, along[..., None])[..., 0]
    bent = np.einsum("si,sij,sj->s", amplitudes, product, amplitudes)
    left = bent - 2.0 * np.einsum("si,si->s", amplitudes, along)
    best = np.argsort(left, kind="stable")[:POLISHED]
    return np.concatenate([amplitudes, starts[:, AMPLITUDES:]], axis=1)[best]


class _Scale:
    """Bounded parameters and their coordinates without bounds."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self._bounded = np.isfinite(low)
        self._low = np.where(self._bounded, low, 0.0)
        self._width = np.where(self._bounded, high - self._low, 1.0)

    def inside(self, coordinates: np.ndarray) -> np.ndarray:
        moved = self._low + self._width * expit(coordinates)
        return np.where(self._bounded, moved, coordinates)

    def slopes(self, coordinates: np.ndarray) -> np.ndarray:
        share = expit(coordinates)
        return np.where(self._bounded, self._width * share * (1.0 - share), 1.0)

    def outside(self, parameters: np.ndarray) -> np.ndarray:
        share = np.where(self._bounded, (parameters - self._low) / self._width, 0.5)
        share = np.clip(share, NEAR_BOUND, 1.0 - NEAR_BOUND)
        return np.where(self._bounded, logit(share), parameters)


class _Descent:
    """What is left of a target and its slopes, where the slopes are asked for after the rest."""

    def __init__(self, surface: Surface, scale: _Scale, target: np.ndarray) -> None:
        self._surface, self._scale, self._target = surface, scale, target
        self._at: np.ndarray | None = None

    def left(self, coordinates: np.ndarray) -> np.ndarray:
        parameters = self._scale.inside(coordinates)
        self._parts = first, second = self._surface.parts(parameters)
        self._at = coordinates.copy()
        return np.asarray(parameters[0] * first + parameters[1] * second - self._target)

    def slopes(self, coordinates: np.ndarray) -> np.ndarray:
        if self._at is None or (self._at != coordinates).any():
            self.left(coordinates)
        parameters = self._scale.inside(coordinates)
        found = self._surface.derivatives(parameters, self._parts)
        return found * self._scale.slopes(coordinates)
