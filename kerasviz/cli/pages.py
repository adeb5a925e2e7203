"""What a command that describes a model leaves: a page, its pictures, tables and a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.tables import records

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from kerasviz.report import Section

_DPI = 150


def write_description(
    model: keras.Model,
    name: str,
    title: str,
    sections: Sequence[Section],
    tables: Mapping[str, pd.DataFrame],
    folder: OutputFolder,
    steps: Steps,
) -> Path:
    """Write all of it; returns the path of the page.

    Args:
        model: What is described.
        name: What the command line called it.
        title: Of the page.
        sections: Parts of the page; their pictures are also files.
        tables: By the name of their file; they are also in the summary.
        folder: Where to.
        steps: Tells what is done.

    Raises:
        OutputError: A file can't be written.
    """
    import kerasviz
    from kerasviz.plots import to_png
    from kerasviz.probe.provenance import provenance

    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    content: dict[str, Any] = {"page": page.name, "model": name, **provenance(model)}
    content["tables"] = {key: records(table) for key, table in tables.items()}
    with steps.step("Writing the page"):
        for key, table in tables.items():
            folder.write(folder.file(key, ".csv"), table.to_csv().encode())
        for section in sections:
            for caption, figure in section.figures.items():
                picture = figure if isinstance(figure, bytes) else to_png(figure, dpi=_DPI)
                folder.write(folder.file(caption, ".png"), picture)
        kerasviz.report.write(page, *sections, title=title)
        folder.write_json(summary, content)
    return page
