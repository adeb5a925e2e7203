"""How much one setting of the network decides, against the luck of the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

USUAL = {"kernel_size": 9, "activation": "relu", "pooling": "none", "bottleneck": 1}
FACTORS = {
    "kernel size": "kernel_size",
    "activation": "activation",
    "pooling": "pooling",
    "bottleneck": "bottleneck",
}
COLUMNS = (
    "factor", "measure", "layer", "variants", "seeds", "lowest", "low", "highest", "high",
    "share", "p_value",
)  # fmt: skip


def measures(table: pd.DataFrame, training: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """(measure, layer) → values indexed by variant and seed; the layer of an accuracy is ""."""
    accuracy = training.groupby(["variant", "seed"])["val_accuracy"].last()
    found: dict[tuple[str, str], pd.Series] = {("val_accuracy", ""): accuracy}
    for layer, part in table.groupby("layer", sort=False):
        units = part.groupby(["variant", "seed"])
        found["orientation_std", str(layer)] = units["orientation_std"].median()
        found["gabor", str(layer)] = units["type"].agg(
            lambda kinds: float((kinds == "gabor").mean())
        )
    return found


def groups(variants: Mapping[str, Mapping[str, Any]], setting: str) -> list[list[str]]:
    """Variants that differ in one setting only, with two or more values of it."""
    alike: dict[Any, dict[str, Any]] = {}
    for name, given in variants.items():
        alike.setdefault(rest_of(given, setting), {})[name] = {**USUAL, **given}[setting]
    return [list(named) for named in alike.values() if len(set(named.values())) > 1]


def rest_of(given: Mapping[str, Any], setting: str) -> tuple[tuple[str, str], ...]:
    """All settings of a variant but one, the usual ones among them."""
    whole = {**USUAL, **given}
    return tuple(sorted((key, str(value)) for key, value in whole.items() if key != setting))


def of_variants(series: pd.Series, *variants: str) -> np.ndarray:
    """Values of variants, without NaN, of a series indexed by variant and seed."""
    own = series[series.index.get_level_values("variant").isin(variants)]
    return own.dropna().to_numpy("float64")


def effect(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """(share of the variance that lies between the groups, η²; p-value of the F test).

    NaN where fewer than two groups have values, or none has two of them.
    """
    from scipy import stats

    filled = [np.asarray(one, "float64") for one in values if len(one)]
    if len(filled) < 2 or sum(map(len, filled)) <= len(filled):
        return float("nan"), float("nan")
    everything = np.concatenate(filled)
    whole = np.sum((everything - everything.mean()) ** 2)
    if not whole:
        return 0.0, float("nan")
    between = sum(len(one) * (one.mean() - everything.mean()) ** 2 for one in filled)
    degrees = len(filled) - 1, len(everything) - len(filled)
    within = max(whole - between, 0.0)
    ratio = np.inf if not within else (between / degrees[0]) / (within / degrees[1])
    return float(between / whole), float(stats.f.sf(ratio, *degrees))


def factor_table(
    table: pd.DataFrame, training: pd.DataFrame, variants: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """See `FieldStudy.factors`."""
    import pandas as pd

    found = measures(table, training)
    rows = [
        _row(factor, measure, layer, {name: of_variants(series, name) for name in group})
        for factor, setting in FACTORS.items()
        for group in groups(variants, setting)
        for (measure, layer), series in found.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(factor: str, measure: str, layer: str, values: dict[str, np.ndarray]) -> dict[str, Any]:
    means = {name: float(one.mean()) for name, one in values.items() if len(one)}
    lowest = min(means, key=means.__getitem__, default="")
    highest = max(means, key=means.__getitem__, default="")
    share, p_value = effect(list(values.values()))
    return {
        "factor": factor,
        "measure": measure,
        "layer": layer,
        "variants": len(values),
        "seeds": max(map(len, values.values())),
        "lowest": lowest,
        "low": means.get(lowest, float("nan")),
        "highest": highest,
        "high": means.get(highest, float("nan")),
        "share": share,
        "p_value": p_value,
    }
