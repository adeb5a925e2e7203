"""Many results on one page: one HTML file that opens offline, on any device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kerasviz.errors import InputError
from kerasviz.report.drawings import Drawing, drawings_from
from kerasviz.report.overview import methods_of, provenance_of, summary_of
from kerasviz.report.pictures import Image, figure_image
from kerasviz.report.samples import Sample, samples_from
from kerasviz.report.section import Section
from kerasviz.report.tables import Table, table_of
from kerasviz.report.templates import template

if TYPE_CHECKING:
    from kerasviz.attribution.explanation import Explanation
    from kerasviz.features.visualization import Visualization

TITLE = "What the model looks at"
SAMPLES_TITLE = "Where it looks"
PICTURES_TITLE = "What it looks for"


@dataclass(frozen=True)
class Part:
    """A section as the template needs it."""

    title: str
    paragraphs: list[str]
    figures: list[Image]
    tables: list[Table]
    samples: list[Sample]
    drawings: list[Drawing]
    links: list[tuple[str, str]]


def write(
    path: str | os.PathLike[str],
    *sections: Section | Explanation | Visualization,
    images: Any = None,
    names: Sequence[str] | None = None,
    title: str = TITLE,
    failures: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write results to one HTML file that needs no other file and no network.

    Args:
        path: The file; it is replaced in one step, missing folders are made.
        *sections: `Section`s, `Explanation`s and `Visualization`s. Explanations given here must
            be of the same inputs and are shown side by side, visualizations one below the other;
            use a `Section` for each group otherwise.
        images: Pictures to show instead of the preprocessed inputs of those explanations, of any
            size, one a sample (a dict of those for a model with several inputs).
        names: One name a sample, such as its file name.
        title: Title of the page.
        failures: Pairs of a name and a reason: what could not be done.

    Returns:
        The path.

    Raises:
        InputError: When there is nothing to show, or things that don't belong together.
        OutputError: When the file can't be written.

    Example:
        >>> import tempfile
        >>> from kerasviz import report
        >>> section = report.Section("Weights", text="All of them are small.")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = report.write(f"{folder}/page.html", section, title="My model")
        >>> page.name
        'page.html'
    """
    from kerasviz.files import write_atomically

    page = render(*sections, images=images, names=names, title=title, failures=failures)
    return write_atomically(path, lambda file: file.write(page.encode("utf-8", "replace")))


def render(
    *sections: Section | Explanation | Visualization,
    images: Any = None,
    names: Sequence[str] | None = None,
    title: str = TITLE,
    failures: Sequence[tuple[str, str]] = (),
) -> str:
    """The page that `write` writes, as text. Takes the same arguments, but for the path."""
    grouped = _grouped(sections, images, names)
    if not grouped and not failures:
        raise InputError(
            "`sections` must hold at least one Section, Explanation or Visualization. "
            "Received: none. Pass what `explain` or `visualize` returned."
        )
    parts = [_part(section) for section in grouped]
    explanations = [item for section in grouped for item in section.explanations]
    drawn = [item for section in grouped for item in section.visualizations]
    return template("page.html.jinja").render(
        title=title,
        summary=summary_of(explanations, sum(len(part.samples) for part in parts), drawn),
        failures=list(failures),
        parts=parts,
        explained=bool(explanations),
        drawn=bool(drawn),
        methods=methods_of(explanations, drawn),
        provenance=provenance_of([*explanations, *drawn, *(s for s in grouped if s.provenance)]),
    )


def _grouped(sections: Sequence[Any], images: Any, names: Sequence[str] | None) -> list[Section]:
    """Sections in order; bare results of a kind become one section where the first one stood."""
    bare: dict[str, list[Any]] = {"explained": [], "drawn": []}
    found: list[Any] = []
    for item in sections:
        kind = None if isinstance(item, Section) else _kind(item)
        if kind is not None:
            bare[kind].append(item)
        if kind is None or len(bare[kind]) == 1:
            found.append(kind or item)
    together = {
        "explained": Section(
            SAMPLES_TITLE, explanations=bare["explained"], images=images, names=names
        ),
        "drawn": Section(PICTURES_TITLE, visualizations=bare["drawn"]),
    }
    return [together[item] if isinstance(item, str) else item for item in found]


def _kind(item: Any) -> str:
    if hasattr(item, "maps"):
        return "explained"
    if hasattr(item, "display") and hasattr(item, "history"):
        return "drawn"
    raise InputError(
        "`sections` must be Sections, Explanations or Visualizations. "
        f"Received: {type(item).__name__}. Put figures, tables and text in a `Section`."
    )


def _part(section: Section) -> Part:
    paragraphs = [text.strip() for text in section.text.split("\n\n")]
    explained = section.explanations
    return Part(
        title=section.title,
        paragraphs=[text for text in paragraphs if text],
        figures=[figure_image(figure, caption) for caption, figure in section.figures.items()],
        tables=[table_of(frame, caption) for caption, frame in section.tables.items()],
        samples=samples_from(explained, section.images, section.names) if explained else [],
        drawings=drawings_from(section.visualizations),
        links=[(words, quote(page)) for words, page in section.links.items()],
    )
