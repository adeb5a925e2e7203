"""`kerasviz layers`: the addresses of a model, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import TableFormat, print_table

if TYPE_CHECKING:
    import pandas as pd


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
    print_table(table, form)


def _table(spec: str, imports: Sequence[str], steps: Steps) -> pd.DataFrame:
    import kerasviz
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {spec}"):
        model = load_model(spec, imports)
        expect_layers(model)
        return kerasviz.layers(model)
