"""Linear decoding of where a picture is, tested on pictures that were not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PENALTIES = 10.0 ** np.arange(-4, 4)
FOLDS = 5
MOST_FEATURES = 1536
CONSTANT = 1e-5


def pooled(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Means over the cells of a grid: `(n, height, width, channels)` → `(n, cells · channels)`.

    Features of other ranks are flattened.
    """
    if values.ndim != 4:
        return values.reshape(len(values), -1)
    for axis, cells in ((1, grid[0]), (2, grid[1])):
        values = _cells(values, axis, cells)
    return values.reshape(len(values), -1)


def globally(values: np.ndarray) -> np.ndarray:
    """Means over all positions: `(n, …, channels)` → `(n, channels)`."""
    return values.mean(axis=tuple(range(1, values.ndim - 1))) if values.ndim > 2 else values


def _cells(values: np.ndarray, axis: int, cells: int) -> np.ndarray:
    length = values.shape[axis]
    edges = np.linspace(0, length, min(cells, length) + 1).round().astype(int)
    sums = np.add.reduceat(values, edges[:-1], axis=axis, dtype="float64")
    sizes = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
    return (sums / sizes).astype("float32")


class Sketch:
    """Folds many features into at most 1536: each is added, with a random sign, to one of them.

    Fewer stay as they are. It is linear, and inner products keep their expectation.

    Args:
        seed: Of the signs and places.

    Reference:
        Charikar, Chen, Farach-Colton 2002, "Finding frequent items in data streams".
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._matrices: dict[int, Any] = {}

    def __call__(self, features: np.ndarray) -> np.ndarray:
        count = features.shape[1]
        if count <= MOST_FEATURES:
            return features.astype("float32")
        if count not in self._matrices:
            self._matrices[count] = self._matrix(count)
        return np.asarray(self._matrices[count].T.dot(features.T).T, "float32")

    def _matrix(self, count: int) -> Any:
        from scipy import sparse

        generator = np.random.default_rng((self._seed, 2, count))
        signs = generator.choice(np.array([-1.0, 1.0], "float32"), count)
        places = generator.integers(0, MOST_FEATURES, count)
        return sparse.csr_matrix((signs, (np.arange(count), places)), (count, MOST_FEATURES))


def similarity(features: np.ndarray) -> np.ndarray:
    """Inner products `(n, n)` of standardized features, divided by their number.

    Features that do not vary count as none.
    """
    values = np.asarray(features, "float64")
    mean, std = values.mean(axis=0), values.std(axis=0)
    varying = std > CONSTANT * np.maximum(np.abs(mean), 1e-12)
    if not varying.any():
        return np.zeros((len(values), len(values)))
    scaled = (values[:, varying] - mean[varying]) / std[varying]
    return np.asarray(scaled @ scaled.T) / int(varying.sum())


def folds_of(groups: np.ndarray, seed: int) -> np.ndarray:
    """(n,) the fold of each row: rows of one group share it, up to five folds of equal size."""
    names, places = np.unique(groups, return_inverse=True)
    order = np.random.default_rng((seed, 3)).permutation(len(names))
    return np.asarray((order % min(FOLDS, len(names)))[places])


def held_out_predictions(kernel: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Predictions of ridge regression for each fold, learned from all others.

    The penalty is chosen for each target and fold among eight powers of ten, by folds that are
    held out from the others in turn.

    Args:
        kernel: (n, n) inner products of features.
        targets: (n, targets).
        folds: (n,) from 0 on; at least three.

    Returns:
        (n, targets).
    """
    count = int(folds.max()) + 1
    errors = np.zeros((count, len(PENALTIES), targets.shape[1]))
    for one in range(count):
        for other in range(one):
            learned = (folds != one) & (folds != other)
            tested = (folds == one) | (folds == other)
            misses = ridge_path(kernel, targets, learned, tested) - targets[tested]
            of_one = folds[tested] == one
            errors[other] += np.square(misses[:, of_one]).sum(axis=1)
            errors[one] += np.square(misses[:, ~of_one]).sum(axis=1)
    found = np.empty(targets.shape)
    for fold in range(count):
        tested = folds == fold
        path = ridge_path(kernel, targets, ~tested, tested)
        best = errors[fold][::-1].argmin(axis=0)
        best = len(PENALTIES) - 1 - best
        found[tested] = path[best, :, np.arange(targets.shape[1])].T
    return found


def ridge_path(
    kernel: np.ndarray, targets: np.ndarray, learned: np.ndarray, tested: np.ndarray
) -> np.ndarray:
    """(penalties, tested, targets) predictions of ridge regression with an intercept, in its dual
    form: k (K + λ)⁻¹ y, with K and k centred on what was learned from."""
    own, other = kernel[np.ix_(learned, learned)], kernel[np.ix_(tested, learned)]
    means = own.mean(axis=0)
    middle = means.mean()
    other = other - other.mean(axis=1, keepdims=True) - means + middle
    own = own - means - means[:, None] + middle
    values, vectors = np.linalg.eigh(own)
    values = np.clip(values, 0.0, None)
    level = targets[learned].mean(axis=0)
    rotated = vectors.T @ (targets[learned] - level)
    shares = rotated / (values[None, :, None] + PENALTIES[:, None, None])
    return np.asarray((other @ vectors) @ shares + level)


def sums_of(
    targets: np.ndarray, predictions: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, ...]:
    """By group: how many rows (groups,), and the sums (groups, targets) of squared errors, targets
    and squared targets."""
    names, places = np.unique(groups, return_inverse=True)
    middle = targets - targets.mean(axis=0)
    parts: Sequence[np.ndarray] = (np.square(targets - predictions), middle, np.square(middle))
    found = [np.zeros((len(names), targets.shape[1])) for _ in parts]
    for total, part in zip(found, parts, strict=True):
        np.add.at(total, places, part)
    return (np.bincount(places).astype(float), *found)


def explained(sums: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """(draws, targets) R² = 1 - Σ(y - ŷ)² / Σ(y - ȳ)², each group counted so often.

    Args:
        sums: What `sums_of` returns.
        weights: (draws, groups).
    """
    count, errors, values, squares = sums
    total = weights @ squares - np.square(weights @ values) / (weights @ count)[:, None]
    safe = np.where(total > 0, total, np.nan)
    return np.asarray(1.0 - (weights @ errors) / safe)
