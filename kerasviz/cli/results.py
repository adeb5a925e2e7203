"""From explanations to the files that a command leaves behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import kerasviz
from kerasviz.cli.drawings import write_groups
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.printing import printable
from kerasviz.cli.progress import Steps

if TYPE_CHECKING:
    from kerasviz import Explanation
    from kerasviz.cli.features import Drawn

_STRONGEST = 5
_DPI = 100


@dataclass(frozen=True, eq=False)
class Results:
    """What a command found out.

    Args:
        title: Heading of the page.
        names: One name an image.
        pictures: Uint8 `(n, height, width, channels)`, what the model saw.
        explanations: By the method's name on the command line.
        skipped: The reason of each method that was left out.
        failures: `(file, reason)` of each image that could not be read.
        facts: What else the summary says; anything JSON can hold.
        image_facts: The same for each image.
        drawn: Pictures of what the model looks for.
    """

    title: str
    names: Sequence[str]
    pictures: NDArray[np.uint8]
    explanations: Mapping[str, Explanation]
    skipped: Mapping[str, str]
    failures: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    image_facts: Sequence[Mapping[str, Any]] = ()
    drawn: Sequence[Drawn] = ()


def write_results(results: Results, folder: OutputFolder, steps: Steps) -> Path:
    """Write the page, the pictures, the numbers and a summary.

    Args:
        results: What to write.
        folder: Where to.
        steps: Shows how far it is.

    Returns:
        The path of the page.

    Raises:
        OutputError: A file cannot be written, or the disk is full.
    """
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    numbers = {name: folder.file(name, ".npz") for name in results.explanations}
    for name, explanation in results.explanations.items():
        explanation.save(numbers[name])
    pictures = _write_pictures(results, folder, steps)
    features = write_groups(results.drawn, folder, steps) if results.drawn else []
    with steps.step("Writing the page"):
        kerasviz.report.write(
            page,
            *results.explanations.values(),
            *(one.found for one in results.drawn),
            images=results.pictures,
            names=results.names,
            title=results.title,
            failures=_all_failures(results),
        )
    content = _summary(results, page, numbers, pictures)
    folder.write_json(summary, content | ({"features": features} if features else {}))
    return page


def _all_failures(results: Results) -> list[tuple[str, str]]:
    return [*results.failures, *results.skipped.items()]


def _write_pictures(results: Results, folder: OutputFolder, steps: Steps) -> dict[str, list[Path]]:
    count = len(results.names) * len(results.explanations)
    files: dict[str, list[Path]] = {}
    with steps.step("Drawing pictures", total=count) as advance:
        for method, explanation in results.explanations.items():
            files[method] = []
            for index, name in enumerate(results.names):
                path = folder.file(f"{Path(name).stem[:40]}-{method}", ".png")
                folder.write(path, _picture(results, explanation, index))
                files[method].append(path)
                advance()
    return files


def _picture(results: Results, explanation: Explanation, index: int) -> bytes:
    figure = kerasviz.plots.grid(
        [explanation[index]],
        images=results.pictures[index : index + 1],
        names=[results.names[index]],
    )
    return kerasviz.plots.to_png(figure, dpi=_DPI)


def _summary(
    results: Results, page: Path, numbers: Mapping[str, Path], pictures: Mapping[str, list[Path]]
) -> dict[str, Any]:
    methods = {
        name: {**_method_facts(explanation), "numbers": numbers[name].name}
        for name, explanation in results.explanations.items()
    }
    images = [
        _image_facts(results, index, {name: files[index].name for name, files in pictures.items()})
        for index in range(len(results.names))
    ]
    return {
        "kerasviz": kerasviz.__version__,
        "page": page.name,
        **results.facts,
        "methods": methods,
        "skipped_methods": dict(results.skipped),
        "images": images,
        "failures": [{"file": name, "reason": reason} for name, reason in results.failures],
    }


def _method_facts(explanation: Explanation) -> dict[str, Any]:
    return {
        "method": explanation.method,
        "layer": explanation.layer,
        "resolution": explanation.resolution,
        "layer_reason": explanation.layer_reason,
        "coverage": explanation.coverage,
        "score_kind": explanation.score_kind,
    }


def _image_facts(results: Results, index: int, pictures: Mapping[str, str]) -> dict[str, Any]:
    explanations = results.explanations
    first = next(iter(explanations.values()))
    extra = results.image_facts[index] if results.image_facts else {}
    return {
        "name": results.names[index],
        **extra,
        "top": [[name, _finite(value)] for name, value in first[index].top(_STRONGEST)[0]],
        "target": first.target_names[index],
        "scores": {name: _finite(found.scores[index]) for name, found in explanations.items()},
        "diagnosis": {
            name: found.diagnosis[index]
            for name, found in explanations.items()
            if found.diagnosis[index]
        },
        "pictures": dict(pictures),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def describe(results: Results) -> list[str]:
    """Say in one line an image what the model thinks and what was explained.

    Args:
        results: What was found out.

    Returns:
        Lines such as `"coffee: espresso 0.87"`.
    """
    first = next(iter(results.explanations.values()))
    return [_line(name, first, index) for index, name in enumerate(results.names)]


def _line(name: str, explanation: Explanation, index: int) -> str:
    (top,) = explanation[index].top(1)
    predicted = f"{top[0][0]} {top[0][1]:.2f}" if top else "no classes"
    target = explanation.target_names[index]
    explained = "" if top and target == top[0][0] else f", explained: {target}"
    return printable(f"{name}: {predicted}{explained}")


def remarks(results: Results) -> list[str]:
    """List what a reader should know before trusting the maps.

    Args:
        results: What was found out.

    Returns:
        One line for each method left out and each map with a diagnosis.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in results.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    skipped = [f"Skipped {', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    return skipped + [
        f"{method}, {name}: {text}"
        for method, explanation in results.explanations.items()
        for name, text in zip(results.names, explanation.diagnosis, strict=True)
        if text
    ]
