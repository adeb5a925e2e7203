"""`kerasviz report`: the page of a training run."""

from __future__ import annotations

from pathlib import Path

from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras


def run_report(folder: Path, output: Path | None, debug: bool = False) -> None:
    """Write the page of a run that watchers kept, and print what is to be noticed.

    Args:
        folder: The run's folder.
        output: The page; None: `report.html` in the folder.
        debug: Keep TensorFlow's log.

    Raises:
        KerasvizError: It is no run, nothing was finished in it, or the page cannot be written.
    """
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(debug)
        import kerasviz
        from kerasviz.dynamics.folder import Run
        from kerasviz.report.training import run_sections

        with steps.step(f"Reading {folder}"):
            run = Run(folder)
            sections = run_sections(run)
        for sentence in sections[0].text.split("\n\n")[:-1]:
            steps.say(sentence)
        name = run.manifest.get("model") or folder.name
        with steps.step("Writing the page"):
            page = output or folder / "report.html"
            kerasviz.report.write(page, *sections, title=f"How {name} got there")
    print(page)
