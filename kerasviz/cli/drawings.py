"""From drawn pictures to the files that a command leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasviz
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.printing import printable
from kerasviz.cli.progress import Steps
from kerasviz.plots.pictures import picture_png
from kerasviz.plots.reading import number

if TYPE_CHECKING:
    from kerasviz import Visualization
    from kerasviz.cli.features import Drawn

_DPI = 150


def write_drawings(
    title: str,
    drawn: Sequence[Drawn],
    failures: Mapping[str, str],
    facts: Mapping[str, Any],
    folder: OutputFolder,
    steps: Steps,
) -> Path:
    """Write the page, a PNG a picture, a sheet and the numbers of each group, and a summary.

    Args:
        title: Heading of the page.
        drawn: What was drawn.
        failures: The reason of each group that was not.
        facts: What else the summary says; anything JSON can hold.
        folder: Where to.
        steps: Shows how far it is.

    Returns:
        The path of the page.

    Raises:
        OutputError: A file cannot be written, or the disk is full.
    """
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    groups = write_groups(drawn, folder, steps)
    with steps.step("Writing the page"):
        kerasviz.report.write(
            page, *(one.found for one in drawn), title=title, failures=list(failures.items())
        )
    content = {"kerasviz": kerasviz.__version__, "page": page.name, **facts, "groups": groups}
    content["failures"] = [{"name": name, "reason": text} for name, text in failures.items()]
    folder.write_json(summary, content)
    return page


def write_groups(
    drawn: Sequence[Drawn], folder: OutputFolder, steps: Steps
) -> list[dict[str, Any]]:
    """Write the pictures, the sheet and the numbers of each group; returns what the summary says.

    Args:
        drawn: What was drawn.
        folder: Where to.
        steps: Shows how far it is.

    Raises:
        OutputError: A file cannot be written, or the disk is full.
    """
    total = sum(len(one.found) + 1 for one in drawn)
    with steps.step("Writing pictures", total=total) as advance:
        return [_write_group(one, folder, advance) for one in drawn]


def _write_group(one: Drawn, folder: OutputFolder, advance: Any) -> dict[str, Any]:
    found, name = one.found, one.group.name
    pictures = [_write_picture(found, index, stem, folder, advance) for index, stem in _stems(one)]
    sheet, numbers = folder.file(f"{name}-sheet", ".png"), folder.file(name, ".npz")
    folder.write(sheet, kerasviz.plots.to_png(found.plot(max_images=len(found)), dpi=_DPI))
    found.save(numbers)
    advance()
    return {
        "name": name,
        "sheet": sheet.name,
        "numbers": numbers.name,
        "parameters": found.parameters,
        "provenance": found.provenance,
        "pictures": pictures,
    }


def _stems(one: Drawn) -> list[tuple[int, str]]:
    return list(enumerate(one.group.stems))


def _write_picture(
    found: Visualization, index: int, stem: str, folder: OutputFolder, advance: Any
) -> dict[str, Any]:
    path = folder.file(stem, ".png")
    folder.write(path, picture_png(found.display[index], opacity=found.opacity))
    advance()
    value = float(found.values[index])
    return {
        "name": found.names[index],
        "diagnosis": found.diagnosis[index],
        "value": value if math.isfinite(value) else None,
        "file": path.name,
    }


def remarks(drawn: Sequence[Drawn]) -> list[str]:
    """List what a reader should know before believing the pictures.

    Args:
        drawn: What was drawn.

    Returns:
        One line for each picture with a diagnosis.
    """
    return [
        f"{name}: {text}"
        for one in drawn
        for name, text in zip(one.found.names, one.found.diagnosis, strict=True)
        if text
    ]


def describe(drawn: Sequence[Drawn]) -> list[str]:
    """Say in one line a picture what it shows, and how strongly it excites it.

    Args:
        drawn: What was drawn.

    Returns:
        Lines such as `"block_13/expand:112: 48.9"`.
    """
    return [
        printable(f"{name}: {number(value)}")
        for one in drawn
        for name, value in zip(one.found.names, one.found.values, strict=True)
    ]
