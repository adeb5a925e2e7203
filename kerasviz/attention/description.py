"""One row of the table of attention weights: everything that is said of one group and role."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from kerasviz.attention import intervals
from kerasviz.errors import KerasvizWarning
from kerasviz.probe.held_weights import HeldWeight
from kerasviz.probe.initial_mixture import Mixture, initial_mixture, representatives

NAN = float("nan")
OUTLINE = 257
ENDS = ("low", "high")


@dataclasses.dataclass(frozen=True, eq=False)
class Description:
    """What is known of the weights of one group and role.

    Attributes:
        row: Column to number, as in the table.
        ordered: The finite weights, ascending; of very many, evenly spaced quantiles of them.
        initial: Evenly spaced quantiles of what the initializers give; empty where not known.
    """

    row: dict[str, Any]
    ordered: np.ndarray
    initial: tuple[float, ...]


def describe(
    name: str, weights: Sequence[HeldWeight], depth: int | None, confidence: float
) -> Description:
    """The statistics of weights that are taken as one.

    Args:
        name: Of group and role, for the warning.
        weights: Tensors, pooled.
        depth: Gates in sequence; None where not known.
        confidence: Of the intervals, between 0 and 1.

    Returns:
        A `Description`. One copy of the weights is made, in their own precision.
    """
    values, not_finite = _finite(gathered(weights), name)
    values.sort()
    counts = {"count": values.size, "tensors": len(weights), "not_finite": not_finite}
    mixture = initial_mixture(weights)
    outline = () if mixture is None else _outline(mixture)
    if not values.size:
        return Description(counts | _unknown(confidence), values, outline)
    found = intervals.moments(values)
    few = representatives(values)
    row = counts | _moments(values, found, confidence) | _signs(values, confidence)
    row |= _compound(row, depth) | _against_initial(found, few, mixture)
    return Description(row, few, outline)


def gathered(weights: Sequence[HeldWeight], dtype: str | None = None) -> np.ndarray:
    """The values of several tensors in one new flat array; one tensor is read at a time."""
    common = dtype or max((held.value_dtype for held in weights), key=("float32", "float64").index)
    values = np.empty(sum(held.size for held in weights), common)
    start = 0
    for held in weights:
        values[start : start + held.size] = held.values()
        start += held.size
    return values


def _finite(values: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    is_finite = np.isfinite(values)
    not_finite = int(values.size - np.count_nonzero(is_finite))
    if not not_finite:
        return values, 0
    warnings.warn(
        f"{not_finite} of the {values.size} weights of {name} are NaN or infinite. The statistics "
        "are those of the others; the column `not_finite` counts them.",
        KerasvizWarning,
        stacklevel=5,
    )
    return values[is_finite], not_finite


def _outline(mixture: Mixture) -> tuple[float, ...]:
    return tuple(mixture.quantiles((np.arange(OUTLINE) + 0.5) / OUTLINE).tolist())


def _moments(ordered: np.ndarray, found: intervals.Moments, confidence: float) -> dict[str, Any]:
    middle = ordered[(ordered.size - 1) // 2 : ordered.size // 2 + 1].astype("float64")
    return (
        {"mean": float(found.mean)}
        | _ends("mean", intervals.mean_interval(found, confidence))
        | {"median": float(middle.mean())}
        | _ends("median", intervals.median_interval(ordered, confidence))
        | {"variance": float(found.variance), "std": float(found.std)}
        | _ends("std", intervals.std_interval(ordered, found, confidence))
    )


def _signs(ordered: np.ndarray, confidence: float) -> dict[str, Any]:
    zero = ordered.dtype.type(0)  # of another dtype it would have all weights copied
    negative = int(np.searchsorted(ordered, zero, side="left"))
    positive = ordered.size - int(np.searchsorted(ordered, zero, side="right"))
    share = intervals.share_interval(positive, ordered.size, confidence)
    return (
        {"share_positive": positive / ordered.size}
        | _ends("share_positive", share)
        | {
            "zeros": ordered.size - positive - negative,
            "sign_test": float(intervals.sign_test(positive, negative)),
        }
    )


def _compound(row: dict[str, Any], depth: int | None) -> dict[str, Any]:
    """(1 + mean) ** depth, and the same of both ends of the mean's interval."""
    if depth is None:
        return {"depth": NAN, "compound": NAN} | _ends("compound", (NAN, NAN))
    ends = (row["mean_low"], row["mean_high"])
    powers = [(1 + end) ** depth if end >= -1 else NAN for end in ends]
    return {"depth": depth, "compound": (1 + row["mean"]) ** depth} | _ends("compound", powers)


def _against_initial(
    found: intervals.Moments, few: np.ndarray, mixture: Mixture | None
) -> dict[str, float]:
    names = ("initial_mean", "initial_std", "shift", "shift_test", "drift", "drift_by_chance")
    if mixture is None:
        return dict.fromkeys(names, NAN)
    shift, p = intervals.shift_test(found, mixture.mean)
    numbers = (
        mixture.mean,
        mixture.std,
        float(shift),
        float(p),
        mixture.distance(few),
        mixture.distance_by_chance(),
    )
    return dict(zip(names, numbers, strict=True))


def _unknown(confidence: float) -> dict[str, Any]:
    """The columns of a row without a single finite weight."""
    zero = np.zeros(2)
    found = intervals.moments(zero)
    row = _moments(zero, found, confidence) | _signs(zero, confidence)
    row |= _compound(row, None) | _against_initial(found, zero, None)
    return dict.fromkeys(row, NAN)


def _ends(name: str, ends: Sequence[Any]) -> dict[str, float]:
    return {f"{name}_{end}": float(value) for end, value in zip(ENDS, ends, strict=True)}


def difference(one: Description, other: Description, confidence: float) -> dict[str, float]:
    """How `one` differs from `other`: means with Welch's interval and test, and the distance.

    Reference:
        Welch, "The generalization of Student's problem when several different population
        variances are involved", Biometrika 34 (1947), 28-35.
    """
    names = ("difference", "difference_low", "difference_high", "welch_test", "distance")
    counts = np.array([one.row["count"], other.row["count"]])
    if counts.min() < 2:
        return dict.fromkeys(names, NAN)
    gap = one.row["mean"] - other.row["mean"]
    errors = np.array([one.row["variance"], other.row["variance"]]) / (counts - 1)
    error = float(np.sqrt(errors.sum()))
    distance = float(stats.wasserstein_distance(one.ordered, other.ordered))
    if error == 0:
        return dict(zip(names, (gap, gap, gap, float(gap == 0), distance), strict=True))
    freedom = errors.sum() ** 2 / np.sum(errors**2 / (counts - 1))
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(gap) / error, freedom))
    return dict(zip(names, (gap, gap - reach, gap + reach, p, distance), strict=True))
