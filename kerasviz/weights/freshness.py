"""Whether weights are still what their initializer gives."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np

from kerasviz.probe.held_weights import HeldWeight
from kerasviz.probe.initial_mixture import Mixture
from kerasviz.probe.initial_values import Initial, initial_values, initializer_of
from kerasviz.weights.chunks import finite_chunks

FEWEST = 100
MOST = 1 << 16
POINTS = 1 << 12
CHANCE = 3.0
ROUNDING = 1e-5
MOST_VECTORS = 64
PRECISE, HALF_PRECISE = 1e-4, 3e-2


@dataclasses.dataclass(frozen=True)
class Freshness:
    """How a weight compares with its initializer.

    Attributes:
        fresh: Whether it could have come from the initializer alone.
        ratio: Its Wasserstein distance from the initializer's distribution, over what chance
            gives on average; NaN for constants, and for weights outside of the initializer's range.
        constant: The value that the initializer gives to all of them; NaN where it draws.
    """

    fresh: bool
    ratio: float
    constant: float


def freshness(held: HeldWeight, array: np.ndarray) -> Freshness | None:
    """Compare a weight with its initializer; None where nothing can be said.

    Constants must be equal to all that is there. Of drawn values none may lie outside of the range
    of the initializer, and the Wasserstein distance of at most 65536 of them from its distribution
    must be at most 3 times what chance gives; fewer than 100 are not judged. What was drawn as an
    orthogonal matrix must be one.

    Args:
        held: The weight.
        array: Its values, all finite.
    """
    initial = initial_values(held)
    if initial is None or not array.size:
        return None
    if initial.std == 0:
        equal = all(
            (chunk == chunk.dtype.type(initial.mean)).all() for chunk in finite_chunks(array)
        )
        return Freshness(equal, np.nan, initial.mean)
    if array.size < FEWEST:
        return None
    if _is_outside(initial, array) or not _is_still_orthogonal(held, array):
        return Freshness(False, np.nan, np.nan)
    flat = array.reshape(-1)
    few = np.sort(flat[:: -(-flat.size // MOST)].astype("float64"))
    ratio = _distance(initial, few) / _by_chance(initial, few.size)
    return Freshness(ratio <= CHANCE, ratio, np.nan)


def _is_outside(initial: Initial, array: np.ndarray) -> bool:
    low, high = initial.quantile(np.array([0.0, 1.0]))
    slack = ROUNDING * initial.std
    return any(
        chunk.min() < low - slack or chunk.max() > high + slack for chunk in finite_chunks(array)
    )


def _is_still_orthogonal(held: HeldWeight, array: np.ndarray) -> bool:
    """Whether the vectors of an orthogonal initializer, up to 64 of them, are still orthogonal and
    as long as it made them; True for other initializers."""
    initializer = initializer_of(held)
    if not isinstance(initializer, keras.initializers.Orthogonal) or not initializer.gain:
        return True
    matrix = array.reshape(-1, array.shape[-1])
    vectors = matrix if matrix.shape[0] < matrix.shape[1] else matrix.T
    vectors = vectors[:: -(-len(vectors) // MOST_VECTORS)].astype("float64") / initializer.gain
    off = np.abs(vectors @ vectors.T - np.eye(len(vectors)))
    precise = keras.backend.standardize_dtype(held.variable.dtype) in ("float32", "float64")
    return bool(off.max() < (PRECISE if precise else HALF_PRECISE))


def _distance(initial: Initial, ordered: np.ndarray) -> float:
    probabilities = (np.arange(ordered.size) + 0.5) / ordered.size
    return float(np.abs(ordered - initial.quantile(probabilities)).mean())


def _by_chance(initial: Initial, count: int) -> float:
    points = initial.quantile((np.arange(POINTS) + 0.5) / POINTS)
    return Mixture(initial.mean, initial.std, ((points, count),)).distance_by_chance()
