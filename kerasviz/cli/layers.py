"""`kerasviz layers`: the addresses of a model, as a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from kerasviz.cli.printing import printable
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras

if TYPE_CHECKING:
    import pandas as pd

_WIDTH_OUTSIDE_TERMINALS = 10_000


class TableFormat(str, Enum):
    """How a table is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def run_layers(model: str, imports: Sequence[str], form: TableFormat, debug: bool = False) -> None:
    """Print every layer of a model with its address.

    Args:
        model: As `load_model` takes it.
        imports: Modules of custom classes.
        form: How to print.
        debug: Keep TensorFlow's log.

    Raises:
        ModelFileError: The model cannot be loaded.
        MethodError: It is a SavedModel, which has no layers to show.
    """
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(debug)
        table = _table(model, imports, steps)
    _PRINTERS[form](table)


def _table(spec: str, imports: Sequence[str], steps: Steps) -> pd.DataFrame:
    import kerasviz
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {spec}"):
        model = load_model(spec, imports)
        expect_layers(model)
        return kerasviz.layers(model)


def _print_table(table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False)
    for name in ("address", *table.columns):
        shown.add_column(name, justify="right" if name in ("parameters", "calls") else "left")
    for address, *values in table.itertuples(name=None):
        shown.add_row(*(Text(_cell(value)) for value in (address, *values)))
    width = None if sys.stdout.isatty() else _WIDTH_OUTSIDE_TERMINALS
    Console(file=sys.stdout, width=width, highlight=False).print(shown)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def _print_csv(table: pd.DataFrame) -> None:
    print(table.to_csv(), end="")


def _print_json(table: pd.DataFrame) -> None:
    print(json.dumps(table.reset_index().to_dict("records"), indent=2))


_PRINTERS = {
    TableFormat.TABLE: _print_table,
    TableFormat.CSV: _print_csv,
    TableFormat.JSON: _print_json,
}
