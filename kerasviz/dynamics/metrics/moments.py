"""Count, mean, variance, skewness, kurtosis and extremes of a stream of numbers."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.dynamics.metrics.statistic import Statistic, flat

ops: Any = keras.ops

FIELDS = ("count", "mean", "m2", "m3", "m4", "min", "max", "zeros", "not_finite")


class Moments(Statistic):
    """Moments and extremes of all values seen, as a Keras metric.

    The central moments of each batch are computed in float64 about the batch's own mean and merged
    pairwise, so that neither a mean far from zero nor the number of batches costs precision:
    float32 values of mean 1e4 and standard deviation 1 give the variance that NumPy computes in
    float64. The same merging joins batches, the replicas of a strategy, and shards
    (`merge_state`). TensorFlow reads float32 numbers below 1.2e-38 as zero, and so does this.

    Args:
        name: Optional Keras name.

    Call arguments:
        values: Real numbers of any shape and dtype; may be empty. NaN and infinity are counted and
            left out of all else.
        sample_weight: None, or weights whose axes are the first ones of `values`, or which
            broadcast to it. Values whose weight is not above 0 are left out.

    Returns:
        `result()` is a dict of float64 scalars: `count` (the sum of the weights), `mean`,
        `variance` and `std` of the population (ddof 0), `skewness` m₃/m₂^1.5, `kurtosis` m₄/m₂² - 3
        (0 for a normal distribution), `min`, `max`, `zeros` (share of exact zeros, 0 to 1), and
        `not_finite` (how many values were NaN or infinite). NaN where it is not defined: all but
        the counts without data, skewness and kurtosis of constants.

    Raises:
        InputError: Values that are not real numbers, or weights that do not fit.

    Reference:
        Chan, Golub, LeVeque 1982, "Updating Formulae and a Pairwise Algorithm for Computing Sample
        Variances", eq. 2.1; Pébay 2008, "Formulas for Robust, One-Pass Parallel Computation of
        Covariances and Arbitrary-Order Statistical Moments", eqs. 3.1, 3.4 and 3.5.

    Example:

    ```python
    moments = kv.dynamics.Moments()
    moments.update_state(np.array([1.0, 2.0, 6.0]))
    print(float(moments.result()["mean"]))  # 3.0
    ```
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(len(FIELDS), name=name)

    def state_of(self, values: Any, sample_weight: Any) -> Any:
        """The state of one batch, float64 `(9,)`."""
        values, weights = flat(values, sample_weight)
        x = ops.cast(values, "float64")
        has_weight = ops.ones_like(x, dtype="bool") if weights is None else weights > 0.0
        finite = ops.logical_and(ops.isfinite(x), has_weight)
        one = ops.ones_like(x) if weights is None else weights
        not_finite = ops.sum(ops.where(finite, ops.zeros_like(x), one))
        w = ops.where(finite, one, ops.zeros_like(x))
        count, low, high = ops.sum(w), *extremes(x, finite)
        safe = ops.where(count > 0.0, count, ops.ones_like(count))
        shifted = ops.where(finite, x - low, ops.zeros_like(x))
        shift = ops.sum(shifted if weights is None else w * shifted) / safe
        d = ops.where(finite, shifted - shift, ops.zeros_like(x))
        squares, weighted = d * d, d if weights is None else w * d
        m2, m3, m4 = (ops.sum(weighted * part) for part in (d, squares, squares * d))
        zeros = ops.sum(ops.where(ops.equal(x, 0.0), w, ops.zeros_like(x)))
        return ops.stack([count, low + shift, m2, m3, m4, low, high, zeros, not_finite])

    def merged(self, a: Any, b: Any) -> Any:
        """The state of what two states were made of."""
        return merged_moments(a, b)

    def result_of(self, state: Any) -> dict[str, Any]:
        """What a state of shape `(…, 9)` says."""
        count, mean, m2, m3, m4, low, high, zeros, not_finite = _fields(state)
        nothing = ops.full_like(count, float("nan"))
        variance = ops.where(count > 0.0, m2 / count, nothing)
        spread = ops.where(variance > 0.0, variance, nothing)
        return {
            "count": count,
            "mean": ops.where(count > 0.0, mean, nothing),
            "variance": variance,
            "std": ops.sqrt(variance),
            "skewness": m3 / count / (spread * ops.sqrt(spread)),
            "kurtosis": m4 / count / (spread * spread) - 3.0,
            "min": ops.where(count > 0.0, low, nothing),
            "max": ops.where(count > 0.0, high, nothing),
            "zeros": zeros / count,
            "not_finite": not_finite,
        }


def merged_moments(a: Any, b: Any) -> Any:
    """Pairwise merging of states of shape `(…, 9)`."""
    (na, mean_a, a2, a3, a4, *rest_a), (nb, mean_b, b2, b3, b4, *rest_b) = _fields(a), _fields(b)
    n = na + nb
    safe = ops.where(n > 0.0, n, ops.ones_like(n))
    p, q, d = na / safe, nb / safe, mean_b - mean_a
    pqn, d2 = p * nb, d * d
    m2 = a2 + b2 + d2 * pqn
    m3 = a3 + b3 + d2 * d * pqn * (p - q) + 3.0 * d * (p * b2 - q * a2)
    m4 = a4 + b4 + d2 * d2 * pqn * (p * p - p * q + q * q)
    m4 = m4 + 6.0 * d2 * (p * p * b2 + q * q * a2) + 4.0 * d * (p * b3 - q * a3)
    low, high = merged_extremes((na, *rest_a[:2]), (nb, *rest_b[:2]))
    zeros, not_finite = rest_a[2] + rest_b[2], rest_a[3] + rest_b[3]
    mean = ops.where(na > 0.0, mean_a + d * q, mean_b)
    return ops.stack([n, mean, m2, m3, m4, low, high, zeros, not_finite], axis=-1)


def extremes(x: Any, finite: Any) -> tuple[Any, Any]:
    """Least and largest of the values that are marked; 0 and 0 where none is."""
    endless = ops.full_like(x, float("inf"))
    low = ops.min(ops.where(finite, x, endless), axis=0, initial=float("inf"))
    high = ops.max(ops.where(finite, x, -endless), axis=0, initial=-float("inf"))
    none = low > high
    return ops.where(none, ops.zeros_like(low), low), ops.where(none, ops.zeros_like(high), high)


def merged_extremes(a: Any, b: Any) -> tuple[Any, Any]:
    """Least and largest of two (count, least, largest), of which one may be empty."""
    (na, low_a, high_a), (nb, low_b, high_b) = a, b
    low = ops.where(nb > 0.0, ops.where(na > 0.0, ops.minimum(low_a, low_b), low_b), low_a)
    high = ops.where(nb > 0.0, ops.where(na > 0.0, ops.maximum(high_a, high_b), high_b), high_a)
    return low, high


def _fields(state: Any) -> list[Any]:
    return [state[..., place] for place in range(len(FIELDS))]
