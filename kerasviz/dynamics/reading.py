"""What a run's journal and files say, as tables and pairs; what is wrong with a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerasviz.dynamics.array_files import UNREADABLE, read_arrays
from kerasviz.dynamics.records import ArrayFile, Record, Timeline
from kerasviz.errors import InputError

HISTOGRAMS = "histograms"
EDGES, COUNTS = "/edges", "/counts"
SNAPSHOT = ["at", "epoch", "step", "part", "time", "kinds"]


def frame_of(timeline: Timeline, at: str) -> pd.DataFrame:
    """All numbers: a row for each epoch or step, a column for each name."""
    rows: dict[int, dict[str, float]] = {number: {} for number in timeline.numbers(at)}
    for record in timeline.records(at):
        rows[record.number] |= record.scalars
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    values = [[row.get(name, np.nan) for name in columns] for row in rows.values()]
    index = pd.Index(list(rows), name=at, dtype="int64")
    return pd.DataFrame(values, index=index, columns=columns, dtype="float64")


def table_of(scalars: pd.DataFrame, group: str) -> pd.DataFrame:
    """The columns "group/address/statistic": index (epoch, address), a column for each statistic.

    Raises:
        InputError: There is no such group.
    """
    known = [name for name in map(str, scalars.columns) if name.count("/") >= 2]
    names = [name for name in known if name.startswith(f"{group}/")]
    if not names:
        groups = sorted({name.partition("/")[0] for name in known})
        raise InputError(
            f"`group` must be one of {groups}. Received: {group!r}. See `run.scalars.columns`."
        )
    split = [name[len(group) + 1 :].rpartition("/") for name in names]
    keys = [(address, statistic) for address, _, statistic in split]
    index = pd.MultiIndex.from_tuples(keys, names=["layer", None])
    found: Any = scalars[names].set_axis(index, axis=1)
    statistics = list(dict.fromkeys(statistic for _, statistic in keys))
    stacked: pd.DataFrame = found.stack("layer", future_stack=True)[statistics]
    return stacked


def snapshots_of(records: Iterable[Record]) -> pd.DataFrame:
    """A row for each record."""
    rows = [(r.at, r.epoch, r.step, r.part, pd.Timestamp(r.time), tuple(r.arrays)) for r in records]
    return pd.DataFrame(rows, columns=SNAPSHOT).astype({"step": "Int64"})


def paired(arrays: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Edges and counts by the name that both begin with."""
    names = [name.removesuffix(EDGES) for name in arrays if name.endswith(EDGES)]
    return {
        name: (arrays[name + EDGES], arrays[name + COUNTS])
        for name in names
        if name + COUNTS in arrays
    }


def fault_of(path: Path, held: ArrayFile) -> str:
    """What is wrong with a file; empty for a sound one."""
    try:
        size = path.stat().st_size
        if size != held.size:
            return f"{size} of {held.size} bytes"
        for name in held.shapes:
            read_arrays(path, [name])
    except FileNotFoundError:
        return "is missing"
    except UNREADABLE as error:
        return f"{type(error).__name__}: {error}"
    return ""


def some(values: list[Any], most: int = 8) -> str:
    """The first of many values, for a message."""
    if len(values) <= most:
        return str(values)
    return f"{values[: most - 1]} and {len(values) - most + 1} more"
