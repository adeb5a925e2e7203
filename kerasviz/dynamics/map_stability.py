"""How much explanations of the same images change from epoch to epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kerasviz.dynamics.folder import Run

if TYPE_CHECKING:
    import pandas as pd


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of maps, averaged over samples.

    Args:
        one: `(samples, ...)` maps.
        other: The same shape.

    Returns:
        A number in [-1, 1]; NaN where no sample has two maps that are finite and not constant.
        Equal values share their mean rank.
    """
    found = [_spearman(a.reshape(-1), b.reshape(-1)) for a, b in zip(one, other, strict=True)]
    known = [value for value in found if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def stability(run: Run, name: str, kind: str = "explanations") -> pd.DataFrame:
    """How like the maps of an epoch are to those of the epoch before, and of the last.

    Args:
        run: A run that an `ExplanationWatcher` has written.
        name: Name of the maps, such as "GradCAM".
        kind: Kind of the arrays.

    Returns:
        Index epoch; `with_previous` (NaN for the first) and `with_last`: Spearman's rank
        correlation of each sample's maps, averaged over samples.

    Raises:
        InputError: The run has no such maps.

    Example:

    ```python
    with kv.dynamics.RunWriter("runs/stable") as writer:
        for epoch in range(2):
            maps = np.arange(12.0).reshape(1, 3, 4) * (1 + epoch)
            writer.write_epoch(epoch, arrays={"explanations": {"cam": maps}})
    print(kv.dynamics.stability(kv.dynamics.Run("runs/stable"), "cam"))
    ```
    """
    import pandas as pd

    maps = run.stack(kind, name)
    last, previous, rows = maps[-1], None, []
    for place in range(len(maps)):
        now = maps[place]
        before = math.nan if previous is None else rank_correlation(previous, now)
        rows.append((before, rank_correlation(now, last)))
        previous = now
    index = pd.Index(maps.numbers, name="epoch")
    return pd.DataFrame(rows, index=index, columns=["with_previous", "with_last"])


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return math.nan
    a, b = (_ranks(values) for values in (one, other))
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(np.clip(a @ b / size, -1.0, 1.0)) if size > 0 else math.nan


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[place.reshape(-1)]
