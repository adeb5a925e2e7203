"""Statistics of weights in plain NumPy, as they are written in books."""

from __future__ import annotations

from typing import Any

import numpy as np


def statistics(values: Any) -> dict[str, float]:
    """Of all finite values, in float64."""
    x = np.asarray(values).astype("float64").reshape(-1)
    x = x[np.isfinite(x)]
    d, std = x - x.mean(), x.std()
    with np.errstate(divide="ignore", invalid="ignore"):
        z = d / std if std > 0 else np.full_like(d, np.nan)
    return {
        "count": x.size,
        "mean": x.mean(),
        "median": np.median(x),
        "variance": x.var(),
        "std": std,
        "skewness": (z**3).mean(),
        "kurtosis": (z**4).mean() - 3,
        "share_positive": (x > 0).mean(),
        "share_near_zero": (np.abs(x) <= 0.01 * std).mean(),
        "norm": np.linalg.norm(x),
    }


def dense_convolution(kernel: np.ndarray, groups: int, depthwise: bool = False) -> np.ndarray:
    """A kernel as one matrix (positions · all input channels, output channels), zeros written out.

    Args:
        kernel: (…, inputs of a group, outputs); depthwise (…, inputs, outputs of each).
        groups: How many groups of inputs there are.
        depthwise: Whether each input has outputs of its own.
    """
    inputs, outputs = kernel.shape[-2:]
    taps = kernel.reshape(-1, inputs, outputs)
    if depthwise:
        found = np.zeros((len(taps), inputs, inputs * outputs))
        for channel in range(inputs):
            columns = slice(channel * outputs, (channel + 1) * outputs)
            found[:, channel, columns] = taps[:, channel]
    else:
        found = np.zeros((len(taps), inputs * groups, outputs))
        each = outputs // groups
        for group in range(groups):
            rows, columns = (
                slice(group * inputs, (group + 1) * inputs),
                slice(group * each, (group + 1) * each),
            )
            found[:, rows, columns] = taps[:, :, columns]
    return found.reshape(-1, found.shape[-1])


def repeated(matrix: np.ndarray, bound: float = 0.9999) -> list[int]:
    """Columns whose |cosine| with an earlier one is above the bound."""
    norms = np.linalg.norm(matrix.astype("float64"), axis=0)
    unit = matrix / np.where(norms > 0, norms, 1)
    cosines = np.abs(unit.T @ unit)
    return [j for j in range(matrix.shape[1]) if (cosines[:j, j] > bound).any()]


def wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Between two samples of equal size."""
    gaps = np.sort(one.reshape(-1).astype("float64")) - np.sort(other.reshape(-1).astype("float64"))
    return float(np.abs(gaps).mean())
