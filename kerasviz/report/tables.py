"""pandas tables as rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """A table cell: its text, and whether it is a number (set to the right)."""

    text: str
    numeric: bool


@dataclass(frozen=True)
class Table:
    """What the template needs for a `<table>`."""

    caption: str
    headers: list[Cell]
    rows: list[list[Cell]]


def table_of(frame: pd.DataFrame, caption: str) -> Table:
    """A table of the page; the index is shown unless it only counts rows."""
    if not hasattr(frame, "columns"):
        raise InputError(
            "`tables` must hold pandas DataFrames. "
            f"Received: {type(frame).__name__} for {caption!r}. Wrap it in `pandas.DataFrame`."
        )
    shown = frame if _only_counts(frame) else frame.reset_index(allow_duplicates=True)
    rows = [[_cell(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    numeric = [all(cell.numeric for cell in column) for column in zip(*rows, strict=True)]
    numeric = numeric or [False] * len(shown.columns)
    headers = [
        Cell(_header(column), flag) for column, flag in zip(shown.columns, numeric, strict=True)
    ]
    return Table(caption, headers, rows)


def _only_counts(frame: pd.DataFrame) -> bool:
    return type(frame.index).__name__ == "RangeIndex" and frame.index.name is None


def _header(column: Any) -> str:
    parts = column if isinstance(column, Sequence) and not isinstance(column, str) else [column]
    return " ".join(str(part) for part in parts if str(part))


def _cell(value: Any) -> Cell:
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", numeric=False)
    if isinstance(value, float | np.floating):
        return Cell(f"{value:.4g}", numeric=True)
    return Cell(str(value), numeric=isinstance(value, int | np.integer))
