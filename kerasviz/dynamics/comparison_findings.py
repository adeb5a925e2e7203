"""Three claims about what training does to weights and features, tested over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.dynamics.comparison_result import Comparison

NEAR = 0.1
MEAN = "weight mean near 0"
GROWTH = "weight variance grows"
DEPTH = "feature variance grows with depth"
ALL_LAYERS = "all layers"
HOLDS = {
    "yes": "holds for",
    "partly": "holds in some places, is open in others, for",
    "mixed": "holds in some places, does not in others, for",
    "no": "does not hold for",
    "unclear": "is open for",
    "undefined": "is undefined (a variance is 0, or not finite) for",
}


def findings(found: Comparison, confidence: float) -> pd.DataFrame:
    """The table of `Comparison.findings`."""
    import pandas as pd

    if not 0 < confidence < 1:
        raise InputError(
            f"`confidence` must be between 0 and 1. Received: {confidence!r}. Pass such as 0.95."
        )
    rows = []
    for name in found.initializers:
        rows += _of_weights(found, name, MEAN, _distance, confidence)
        rows += _of_weights(found, name, GROWTH, _growth, confidence)
        rows += _of_features(found, name, confidence)
    return pd.DataFrame(rows)


def _of_weights(
    found: Comparison,
    name: str,
    finding: str,
    effect: Callable[[Any, Any], tuple[Any, Any]],
    confidence: float,
) -> list[dict[str, Any]]:
    table = _finite(found.weights.table)
    table = table[table["initializer"] == name]
    rows = []
    for layer in dict.fromkeys(table["layer"]):
        one = table[table["layer"] == layer]
        before, after = (one[one["trained"] == state].set_index("seed") for state in (False, True))
        values, earlier = effect(before, after)
        labels = {"finding": finding, "initializer": name, "group": "", "inputs": ""}
        rows.append({**labels, "layer": layer, **_estimated(finding, values, earlier, confidence)})
    return [*rows, _worst(rows, finding)]


def _finite(table: pd.DataFrame) -> pd.DataFrame:
    """The table with NaN for what was measured beside values that are not finite."""
    columns = ["mean", "std", "variance"]
    kept: Any = table[columns].where(table["not_finite"] == 0).to_dict("series")
    return table.assign(**kept)


def _distance(before: Any, after: Any) -> tuple[np.ndarray, np.ndarray]:
    """|mean| / std, after and before training."""
    with np.errstate(divide="ignore", invalid="ignore"):
        after, before = (
            np.abs(one["mean"].to_numpy()) / one["std"].to_numpy() for one in (after, before)
        )
    return after, before


def _growth(before: Any, after: Any) -> tuple[np.ndarray, np.ndarray]:
    """ln of the ratio of variances; there is none before training."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(after["variance"].to_numpy() / before["variance"].to_numpy())
    return ratio, np.full(len(ratio), np.nan)


def _of_features(found: Comparison, name: str, confidence: float) -> Iterator[dict[str, Any]]:
    table = _finite(found.features.table)
    table = table[table["initializer"] == name]
    for group, layers in found.groups.items():
        if len(layers) < 2:
            continue
        for inputs in dict.fromkeys(table["inputs"]):
            one = table[table["inputs"] == inputs]
            after, before = (
                slopes(one[one["trained"] == state], layers, found.seeds) for state in (True, False)
            )
            labels = {"finding": DEPTH, "initializer": name, "group": group, "inputs": inputs}
            yield {**labels, "layer": "", **_estimated(DEPTH, after, before, confidence)}


def slopes(table: pd.DataFrame, layers: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
    """Of each seed, the least-squares slope of ln(variance) over the layers' places."""
    variance = table.pivot(index="seed", columns="layer", values="variance")
    with np.errstate(divide="ignore"):
        logs = np.log(variance.loc[[*seeds], [*layers]].to_numpy())
    places = np.arange(len(layers)) - (len(layers) - 1) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(logs @ places / (places**2).sum())


def _estimated(
    finding: str, values: np.ndarray, before: np.ndarray, confidence: float
) -> dict[str, Any]:
    low, high = interval(values, confidence)
    with np.errstate(invalid="ignore"):
        estimate, earlier = float(np.mean(values)), float(np.mean(before))
    return {
        "estimate": estimate,
        "low": max(low, 0.0) if finding == MEAN else low,
        "high": high,
        "before": earlier,
        "seeds": len(values),
        "holds": _verdict(finding, estimate, low, high),
    }


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Student's t interval of the mean; NaN for one value, or where some are not finite."""
    from scipy import stats

    if len(values) < 2 or not np.isfinite(values).all():
        return np.nan, np.nan
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - reach), float(values.mean() + reach)


def _verdict(finding: str, estimate: float, low: float, high: float) -> str:
    if not np.isfinite(estimate):
        return "undefined"
    below, above = ("yes", "no") if finding == MEAN else ("no", "yes")
    border = NEAR if finding == MEAN else 0.0
    if high < border:
        return below
    return above if low > border else "unclear"


def _worst(rows: Sequence[dict[str, Any]], finding: str) -> dict[str, Any]:
    """All layers together: the layer that speaks most against the claim; it holds if all do."""
    defined = [row for row in rows if row["holds"] != "undefined"]
    sign = -1.0 if finding == MEAN else 1.0
    worst = min(defined or rows, key=lambda row: sign * row["estimate"])
    verdicts = {row["holds"] for row in rows}
    order = ("no", "undefined", "unclear", "yes")
    return {**worst, "layer": ALL_LAYERS, "holds": next(one for one in order if one in verdicts)}


def words(table: pd.DataFrame) -> list[str]:
    """A sentence a claim."""
    said = []
    for finding in dict.fromkeys(table["finding"]):
        rows = table[table["finding"] == finding]
        verdicts = {name: _overall(part) for name, part in rows.groupby("initializer", sort=False)}
        parts = []
        for verdict in HOLDS:
            names = [str(name) for name, one in verdicts.items() if one == verdict]
            parts += [f"{HOLDS[verdict]} {', '.join(names)}"] if names else []
        said.append(f"{finding[0].upper()}{finding[1:]}: {'; '.join(parts)}.")
    return said


def _overall(rows: pd.DataFrame) -> str:
    """The verdict of an initializer over layers, groups and kinds of input."""
    together = rows[rows["layer"] == ALL_LAYERS]
    single = rows if together.empty else rows[rows["layer"] != ALL_LAYERS]
    verdicts = set(single["holds"])
    if len(verdicts) == 1:
        return str(verdicts.pop())
    if "yes" in verdicts:
        return "mixed" if "no" in verdicts else "partly"
    return "unclear" if "unclear" in verdicts else "no"
