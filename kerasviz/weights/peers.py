"""Which weights look unlike the others of their kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 5
UNUSUAL = 5.0
SCALE = 0.6745
LEAST = 0.02
COLUMNS = ("rank", "score", "unusual", "statistic", "value", "usual", "peers", "sentence")
WORDS = {
    "gain": ("larger weights", "smaller weights"),
    "mean": ("a mean further above zero, in stds,", "a mean further below zero, in stds,"),
    "skewness": ("a longer tail above", "a longer tail below"),
    "kurtosis": ("heavier tails", "lighter tails"),
    "share_near_zero": ("more weights near zero", "fewer weights near zero"),
    "concentration": ("more of the strength in one direction", "strength spread more evenly"),
}


def unusual(table: pd.DataFrame) -> pd.DataFrame:
    """Rank weights by how far their statistics lie from those of their peers.

    Peers are the weights of the same role in layers of the same class, at least 5 together; weights
    without so many are left out. Of each statistic the modified z-score, 0.6745·(x - median)/MAD,
    is taken; the score of a weight is the largest, and above 5 it is called unusual. (The source
    says 3.5 for a single statistic; here are six.)

    Args:
        table: What `kv.weights.summarize` returns.

    Returns:
        DataFrame indexed by `address`, the most unusual first: `rank` from 1 on, `score`,
        `unusual` (score above 5), the `statistic` that stands out most, its `value` and what is
        `usual` (the peers' median), the number of `peers`, and `sentence`. Statistics:

        - `gain`: std × √inputs, which initializers keep equal (for kernels), else std; both as
          logarithms to the base 2 (1 means twice as large);
        - `mean`: mean / std; `skewness`; `share_near_zero`;
        - `kurtosis`: log₂ of (kurtosis + 3), so that one giant is no other than it is;
        - `concentration`: log₂ of spectral norm² × smaller side / norm²: 0 where all singular
          values are equal.

        A statistic counts as spread by at least 0.02 among its peers, so that what differs by
        rounding is not unusual.

    Raises:
        InputError: A table of another kind.

    Reference:
        Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers", for the score.

    Example:

    ```python
    ranking = kv.weights.unusual(kv.weights.summarize(model))
    print(ranking[ranking["unusual"]]["sentence"].to_list())
    ```
    """
    import pandas as pd

    needed = {"layer", "role", "shape", "std", "kurtosis", "share_near_zero", "norm"}
    is_whole = isinstance(table, pd.DataFrame) and needed <= set(table.columns)
    if not is_whole or not all(isinstance(shape, tuple) for shape in table["shape"]):
        lacks = "with shapes as text" if is_whole else "without its columns"
        raise InputError(
            "`table` must be what `kv.weights.summarize` returns. "
            f"Received: {type(table).__name__} {lacks}. Pass it as it came."
        )
    rows: dict[Any, dict[str, Any]] = {}
    for (layer, role), peers in table.groupby(["layer", "role"], sort=False):
        if len(peers) >= FEWEST:
            rows |= _compared(_measures(peers), str(layer), str(role))
    index = pd.Index([*rows], name="address", dtype="object")
    ranking = pd.DataFrame([*rows.values()], index=index, columns=[*COLUMNS[1:]])
    ranking["unusual"] = ranking["unusual"].astype(bool)
    ranking = ranking.sort_values("score", ascending=False, kind="stable")
    ranking.insert(0, "rank", np.arange(1, len(ranking) + 1))
    ranking.attrs = dict(table.attrs)
    return ranking


def _measures(peers: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    named = zip(peers["layer"], peers["role"], peers["shape"], strict=True)
    sides = [_sides(str(layer), str(role), tuple(shape)) for layer, role, shape in named]
    inputs = np.array([max(1, one) for one, _ in sides], "float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        std = peers["std"].where(peers["std"] > 0)
        found = {
            "gain": np.log2(std * np.sqrt(inputs)),
            "mean": peers["mean"] / std,
            "skewness": peers["skewness"],
            "kurtosis": np.log2(peers["kurtosis"] + 3.0),
            "share_near_zero": peers["share_near_zero"],
        }
        if "stable_rank" in peers:
            smaller = np.array([min(pair) for pair in sides], "float64")
            found["concentration"] = np.log2(smaller / peers["stable_rank"])
    return pd.DataFrame(found, index=peers.index)


def _sides(layer: str, role: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs of an output, and outputs, of a weight as a matrix; 1 and 1 for vectors."""
    if len(shape) < 2:
        return 1, 1
    if "Depthwise" in layer or role == "depthwise_kernel":
        return math.prod(shape[:-2]), math.prod(shape[-2:])
    return math.prod(shape[:-1]), shape[-1]


def _compared(measures: pd.DataFrame, layer: str, role: str) -> dict[Any, dict[str, Any]]:
    middle = measures.median()
    spread = (measures - middle).abs().median().clip(lower=LEAST)
    scores = SCALE * (measures - middle) / spread
    found = {}
    for address, row in scores.iterrows():
        if row.notna().any():
            name = str(row.abs().idxmax())
            values: Any = measures[name]
            value, score = float(values.loc[address]), float(row[name])
            found[address] = {
                "score": abs(score),
                "unusual": abs(score) > UNUSUAL,
                "statistic": name,
                "value": value,
                "usual": float(middle[name]),
                "peers": len(measures) - 1,
                "sentence": f"{address}: {WORDS[name][score < 0]} than in the other "
                f"{len(measures) - 1} {layer} weights called {role}; {name} {value:.3g}, usual is "
                f"{middle[name]:.3g} (score {abs(score):.1f}).",
            }
    return found
