"""Tables on stdout: for people, as CSV, as JSON."""

from __future__ import annotations

import json
import math
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any

from kerasviz.cli.printing import printable

if TYPE_CHECKING:
    import pandas as pd

_WIDTH_OUTSIDE_TERMINALS = 10_000


class TableFormat(str, Enum):
    """How a table is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def print_table(table: pd.DataFrame, form: TableFormat = TableFormat.TABLE) -> None:
    """Print a table with its index as the first columns.

    Args:
        table: Numbers and texts.
        form: How to print it.
    """
    _PRINTERS[form](table)


def _print_text(table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    flat = table.reset_index()
    shown = Table(box=None, pad_edge=False)
    for name in flat.columns:
        numeric = all(isinstance(value, int | float) for value in flat[name])
        shown.add_column(str(name), justify="right" if numeric else "left")
    for values in flat.itertuples(index=False, name=None):
        shown.add_row(*(Text(_cell(value)) for value in values))
    width = None if sys.stdout.isatty() else _WIDTH_OUTSIDE_TERMINALS
    Console(file=sys.stdout, width=width, highlight=False).print(shown)


def _cell(value: Any) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def _print_csv(table: pd.DataFrame) -> None:
    print(table.to_csv(), end="")


def _print_json(table: pd.DataFrame) -> None:
    print(json.dumps(records(table), indent=2))


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON can hold them: what is no finite number becomes None."""
    rows = table.reset_index().to_dict("records")
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    is_number = not isinstance(value, float) or math.isfinite(value)
    return value if is_number and not _is_missing(value) else None


def _is_missing(value: Any) -> bool:
    """NaN, or pandas' NA."""
    return type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))


_PRINTERS = {
    TableFormat.TABLE: _print_text,
    TableFormat.CSV: _print_csv,
    TableFormat.JSON: _print_json,
}
