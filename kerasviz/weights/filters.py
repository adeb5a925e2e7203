"""Filters that do nothing, and filters that say what another one says."""

from __future__ import annotations

import numpy as np

from kerasviz.weights.chunks import CHUNK

FAINT = 0.01
FEWEST_INPUTS = 3
ALIKE = 0.9999
FEWEST_FOR_ALIKE = 8
DIRECTIONS = 64
BLOCK = 1 << 10
SLACK = 1e-5
TRIES = 8
SEED = 20


def filter_norms(matrices: np.ndarray) -> np.ndarray:
    """(groups, outputs) norms of the columns, in float64, a chunk at a time."""
    groups, rows, columns = matrices.shape
    squares = np.zeros((groups, columns))
    step = max(1, CHUNK // (groups * columns))
    for start in range(0, rows, step):
        part = matrices[:, start : start + step].astype("float64")
        squares += np.square(part, out=part).sum(axis=1)
    return np.sqrt(squares)


def dead(matrices: np.ndarray, norms: np.ndarray) -> tuple[np.ndarray, float]:
    """Which filters are all zero or have less than 1 % of the median norm of the layer's filters.

    Of filters of fewer than 3 weights, which chance can make small, only those that are all zero.

    Args:
        matrices: (groups, inputs, outputs).
        norms: What `filter_norms` gives.

    Returns:
        Numbers of the filters, groups one after the other, and the median norm.
    """
    flat = norms.reshape(-1)
    median = float(np.median(flat))
    bound = FAINT * median if matrices.shape[1] >= FEWEST_INPUTS else 0.0
    return np.flatnonzero((flat == 0) | (flat < bound)), median


def repeated(matrices: np.ndarray, norms: np.ndarray) -> list[tuple[int, int, float]]:
    """Filters that point where an earlier one of their group does, or straight away from it.

    Unit vectors a, b of cosine above 0.9999 are at most √0.0002 apart, and no farther when both
    are projected on orthonormal directions: 64 of them find the candidates, the filters
    themselves decide. Filters of fewer than 8 weights are not judged: chance makes some alike.

    Args:
        matrices: (groups, inputs, outputs); filters of norm 0 are left out.
        norms: What `filter_norms` gives.

    Returns:
        Triples (filter, the earlier one, their cosine, negative for a negated copy).
    """
    groups, rows, columns = matrices.shape
    if rows < FEWEST_FOR_ALIKE or columns < 2:
        return []
    directions = _directions(rows)
    return [
        (group * columns + one, group * columns + other, cosine)
        for group in range(groups)
        for one, other, cosine in _repeated(matrices[group], norms[group], directions)
    ]


def _directions(rows: int) -> np.ndarray:
    """Orthonormal: each direction sums rows of its own with random signs."""
    if rows <= DIRECTIONS:
        return np.eye(rows)
    generator = np.random.default_rng(SEED)
    places = generator.permutation(rows) % DIRECTIONS
    signs = generator.choice([-1.0, 1.0], rows)
    found = np.zeros((rows, DIRECTIONS))
    found[np.arange(rows), places] = signs / np.sqrt(np.bincount(places))[places]
    return found


def _repeated(
    matrix: np.ndarray, norms: np.ndarray, directions: np.ndarray
) -> list[tuple[int, int, float]]:
    used = np.flatnonzero(norms > 0)
    points = _projected(matrix, directions)[:, used] / norms[used]
    points = points.astype("float32")
    squares = np.square(points).sum(axis=0)
    found = []
    for start in range(0, used.size, BLOCK):
        block = slice(start, start + BLOCK)
        apart = squares[: start + BLOCK, None] + squares[None, block]
        apart -= 2 * np.abs(points[:, : start + BLOCK].T @ points[:, block])
        near = apart <= 2 * (1 - ALIKE) + SLACK
        near &= np.arange(len(apart))[:, None] < np.arange(start, start + near.shape[1])
        for column in np.flatnonzero(near.any(axis=0)):
            one = int(used[start + column])
            for place in np.flatnonzero(near[:, column])[:TRIES]:
                other = int(used[place])
                cosine = _cosine(matrix, norms, one, other)
                if abs(cosine) > ALIKE:
                    found.append((one, other, cosine))
                    break
    return found


def _projected(matrix: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(directions, outputs), a block of rows at a time."""
    found = np.zeros((directions.shape[1], matrix.shape[1]))
    step = max(1, 4 * CHUNK // matrix.shape[1])
    for start in range(0, len(matrix), step):
        part = matrix[start : start + step].astype("float64")
        found += directions[start : start + step].T @ part
    return found


def _cosine(matrix: np.ndarray, norms: np.ndarray, one: int, other: int) -> float:
    product = np.vdot(matrix[:, one].astype("float64"), matrix[:, other].astype("float64"))
    return float(product / norms[one] / norms[other])
