"""Non-negative factors of kernels, one side of which may have a sign."""

from __future__ import annotations

import numpy as np

from kerasviz.features.neuron_groups import factorized

SIDES = ("input", "output")


def one_sided(
    values: np.ndarray, num_factors: int, side: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Maps and directions of kernels: weights ≈ Σ map · direction.

    Args:
        values: (*window, inputs, neurons), not all zero.
        num_factors: At most what `most_factors` says.
        side: "input": V = [relu(W), relu(-W)] side by side over the inputs, (neurons · positions ×
            2 · inputs) ≈ A·B; maps A ≥ 0, directions B₊ - B₋. "output": the same over the neurons,
            (2 · neurons · positions × inputs) ≈ A·B; maps A₊ - A₋, directions B ≥ 0.
        seed: For the randomized decomposition to start from.

    Returns:
        Maps (neurons, *window, factors) in the units of the weights, directions (factors, inputs)
        of length one, the factor that explains most first.
    """
    rows = np.moveaxis(values, -1, 0)
    is_input = side == "input"
    parts = np.maximum(np.stack([rows, -rows]), 0.0)
    if is_input:
        parts = np.concatenate([parts[0], parts[1]], axis=-1)
    amounts, found, _, _ = factorized(parts, num_factors, seed)
    if is_input:
        half = rows.shape[-1]
        maps = amounts.reshape(*rows.shape[:-1], num_factors)
        directions = found[:, :half] - found[:, half:]
    else:
        signed = amounts.reshape(2, *rows.shape[:-1], num_factors)
        maps, directions = signed[0] - signed[1], found
    lengths = np.linalg.norm(directions, axis=-1)
    return maps * lengths, directions / np.where(lengths > 0, lengths, 1.0)[:, None]


def unit_scaled(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Float32 values, the largest from a half to 1, and the power of two that makes them the given
    ones: squares of weights like 1e-30 or 1e30 are no numbers of float32."""
    exponent = int(np.frexp(np.abs(values).max(initial=0.0))[1])
    return np.ldexp(values, -exponent).astype("float32"), exponent


def most_factors(values: np.ndarray, side: str) -> int:
    """The largest number of factors that a factorization can have."""
    *_, inputs, neurons = values.shape
    rows = neurons * int(np.prod(values.shape[:-2]))
    return min(rows, 2 * inputs) if side == "input" else min(2 * rows, inputs)


def unexplained(values: np.ndarray, maps: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(neurons,) ‖W - Σ map · direction‖² / ‖W‖²; NaN for a neuron without weights."""
    rows = np.moveaxis(values, -1, 0)
    rest = np.square(rows - maps @ directions)
    axes = tuple(range(1, rows.ndim))
    totals = np.square(rows).sum(axis=axes, dtype="float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(rest.sum(axis=axes, dtype="float64") / totals)


def alike_first(maps: np.ndarray) -> np.ndarray:
    """An order in which neurons of like maps stand beside each other, whatever their strength.

    The leaves of an average-linkage tree of the cosines between maps, arranged so that neighbours
    are as near as can be; above 256 neurons in the order of the tree itself. Neurons without
    weights come last.
    """
    from scipy.cluster import hierarchy

    flat = maps.reshape(len(maps), -1).astype("float64")
    norms = np.linalg.norm(flat, axis=-1)
    used, unused = np.flatnonzero(norms > 0), np.flatnonzero(norms == 0)
    if used.size > 2:
        points = flat[used] / norms[used, None]
        tree = hierarchy.linkage(points, "average", optimal_ordering=used.size <= 256)
        used = used[hierarchy.leaves_list(tree)]
    return np.concatenate([used, unused])
