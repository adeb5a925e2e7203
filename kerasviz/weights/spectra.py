"""The largest singular value of a weight, without the decomposition of all of it."""

from __future__ import annotations

import numpy as np
from scipy.sparse import linalg

from kerasviz.weights.chunks import CHUNK

GRAM = 1024
TOLERANCE = 1e-5
SEED = 20


def spectral_norm(matrices: np.ndarray, norm: float) -> float:
    """The largest singular value of a block-diagonal matrix.

    Where a side of the blocks is at most 1024, the eigenvalues of the small Gram matrix, summed in
    float64 (LAPACK); else Lanczos iterations (ARPACK) to a relative error of 1e-5 at most, with
    products in the precision of the weights.

    Args:
        matrices: (groups, rows, columns), finite.
        norm: Frobenius norm of all of it.
    """
    if norm == 0:
        return 0.0
    _, rows, columns = matrices.shape
    if min(rows, columns) > GRAM:
        return max(_iterated(matrix, norm) for matrix in matrices)
    turned = matrices if columns <= rows else matrices.transpose(0, 2, 1)
    return max(_from_gram(part, norm) for part in _parts(turned))


def _parts(matrices: np.ndarray) -> list[np.ndarray]:
    """Groups together as long as they fit a chunk."""
    size = max(1, CHUNK // (matrices.shape[1] * matrices.shape[2]))
    return [matrices[start : start + size] for start in range(0, len(matrices), size)]


def _from_gram(matrices: np.ndarray, norm: float) -> float:
    _, rows, columns = matrices.shape
    gram = np.zeros((len(matrices), columns, columns))
    step = max(1, CHUNK // columns)
    for start in range(0, rows, step):
        part = matrices[:, start : start + step].astype("float64") / norm
        gram += np.matmul(part.transpose(0, 2, 1), part)
    return norm * float(np.sqrt(max(np.linalg.eigvalsh(gram).max(), 0.0)))


def _iterated(matrix: np.ndarray, norm: float) -> float:
    """Of one matrix, by products of blocks of its rows with vectors."""
    wide = matrix.shape[0] < matrix.shape[1]
    rows, columns = matrix.shape
    step = max(1, 16 * CHUNK // columns)
    dtype = np.promote_types(matrix.dtype, "float32")
    blocks = [matrix[start : start + step] for start in range(0, rows, step)]

    def forwards(vector: np.ndarray) -> np.ndarray:
        x = vector.astype(dtype)
        found = [block.astype(dtype, copy=False) @ x for block in blocks]
        return np.concatenate(found).astype("float64") / norm

    def backwards(vector: np.ndarray) -> np.ndarray:
        y = vector.astype(dtype)
        found = np.zeros(columns)
        for place, block in enumerate(blocks):
            found += y[place * step : (place + 1) * step] @ block.astype(dtype, copy=False)
        return found / norm

    def both(vector: np.ndarray) -> np.ndarray:
        return forwards(backwards(vector)) if wide else backwards(forwards(vector))

    size = min(matrix.shape)
    gram = linalg.LinearOperator((size, size), matvec=both, dtype="float64")
    start = np.random.default_rng(SEED).normal(size=size)
    largest = linalg.eigsh(gram, 1, which="LA", v0=start, tol=TOLERANCE, return_eigenvectors=False)
    return norm * float(np.sqrt(max(largest[0], 0.0)))
