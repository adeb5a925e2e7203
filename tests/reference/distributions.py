"""Statistics of arrays in NumPy float64, the whole array at once."""

from __future__ import annotations

import numpy as np


def described(values: np.ndarray) -> dict[str, float]:
    """Population moments, extremes and shares of the finite values of an array."""
    x = np.asarray(values).astype("float64").ravel()
    not_finite = int((~np.isfinite(x)).sum())
    x = x[np.isfinite(x)]
    with np.errstate(all="ignore"):
        d = x - x.mean()
        variance = float((d**2).mean())
        return {
            "count": float(x.size),
            "mean": float(x.mean()),
            "variance": variance,
            "std": variance**0.5,
            "skewness": float((d**3).mean() / np.float64(variance) ** 1.5),
            "kurtosis": float((d**4).mean() / np.float64(variance) ** 2 - 3),
            "min": float(x.min()),
            "max": float(x.max()),
            "zeros": float((x == 0).mean()),
            "not_finite": float(not_finite),
        }


def quantile(values: np.ndarray, q: float) -> float:
    """The least value with at least a share `q` of all at or below it."""
    ordered = np.sort(np.asarray(values, dtype="float64").ravel())
    return float(ordered[max(0, int(np.ceil(q * ordered.size)) - 1)])


def dead_units(values: np.ndarray, axis: int) -> float:
    """Share of units that have one value only; NaN where each has a single value."""
    x = np.moveaxis(np.asarray(values).astype("float64"), axis, -1)
    x = x.reshape(-1, x.shape[-1])
    return float("nan") if len(x) < 2 else float((x == x[0]).all(axis=0).mean())
