"""`kerasviz report`: the page of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras

if TYPE_CHECKING:
    from kerasviz.dynamics.folder import Run


def run_report(
    folder: Path, output: Path | None, debug: bool = False, fits: int | None = None
) -> None:
    """Write the page of a run that watchers kept, and print what is to be noticed.

    Each layer whose receptive fields were watched gets a page of its own beside it.

    Args:
        folder: The run's folder.
        output: The page; None: `report.html` in the folder.
        debug: Keep TensorFlow's log.
        fits: At how many snapshots receptive fields are fitted; None: a few.

    Raises:
        KerasvizError: It is no run, nothing was finished in it, or the page cannot be written.
    """
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(debug)
        import kerasviz
        from kerasviz.dynamics.folder import Run
        from kerasviz.report.developing import FITS
        from kerasviz.report.training import run_sections

        page = output or folder / "report.html"
        with steps.step(f"Reading {folder}"):
            run = Run(folder)
            pages = _pages(run, page)
            sections = run_sections(run, {layer: one.name for layer, one in pages.items()})
        for sentence in sections[0].text.split("\n\n")[:-1]:
            steps.say(sentence)
        name = run.manifest.get("model") or folder.name
        count = FITS if fits is None else fits
        for layer, one in pages.items():
            with steps.step(f"Writing the page of {layer}"):
                kerasviz.report.development(run, layer, one, fits=count)
        with steps.step("Writing the page"):
            kerasviz.report.write(page, *sections, title=f"How {name} got there")
    print(page)


def _pages(run: Run, page: Path) -> dict[str, Path]:
    """Where the page of each layer goes whose receptive fields were watched."""
    from kerasviz.receptive_fields.kept import developed_layers
    from kerasviz.report.developing import page_name

    layers = developed_layers(run)
    return {
        layer: page.with_name(page_name(layer, number, page.stem))
        for number, layer in enumerate(layers, start=1)
    }
