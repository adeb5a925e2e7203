"""Many results on one page: one HTML file that opens offline, on any device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Template

from kerasviz.errors import InputError
from kerasviz.report.overview import methods_of, provenance_of, summary_of
from kerasviz.report.pictures import Image, figure_image
from kerasviz.report.samples import Sample, samples_from
from kerasviz.report.section import Section
from kerasviz.report.tables import Table, table_of

if TYPE_CHECKING:
    from kerasviz.attribution.explanation import Explanation

TITLE = "What the model looks at"
SAMPLES_TITLE = "Where it looks"


@dataclass(frozen=True)
class Part:
    """A section as the template needs it."""

    title: str
    paragraphs: list[str]
    figures: list[Image]
    tables: list[Table]
    samples: list[Sample]


def write(
    path: str | os.PathLike[str],
    *sections: Section | Explanation,
    images: Any = None,
    names: Sequence[str] | None = None,
    title: str = TITLE,
    failures: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write results to one HTML file that needs no other file and no network.

    Args:
        path: The file; it is replaced in one step, missing folders are made.
        *sections: `Section`s and `Explanation`s. Explanations given here must be of the same
            inputs and are shown side by side; use a `Section` for each group otherwise.
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
    *sections: Section | Explanation,
    images: Any = None,
    names: Sequence[str] | None = None,
    title: str = TITLE,
    failures: Sequence[tuple[str, str]] = (),
) -> str:
    """The page that `write` writes, as text. Takes the same arguments, but for the path."""
    grouped = _grouped(sections, images, names)
    if not grouped and not failures:
        raise InputError(
            "`sections` must hold at least one Section or Explanation. Received: none. "
            "Pass what `explain` returned."
        )
    parts = [_part(section) for section in grouped]
    explanations = [item for section in grouped for item in section.explanations]
    return _template().render(
        title=title,
        summary=summary_of(explanations, sum(len(part.samples) for part in parts)),
        failures=list(failures),
        parts=parts,
        methods=methods_of(explanations),
        provenance=provenance_of(explanations),
    )


def _grouped(sections: Sequence[Any], images: Any, names: Sequence[str] | None) -> list[Section]:
    """Sections in order, with all bare explanations as one section where the first one stood."""
    bare = [item for item in sections if not isinstance(item, Section)]
    for item in bare:
        _check_explanation(item)
    together = Section(SAMPLES_TITLE, explanations=bare, images=images, names=names)
    kept = [item for item in sections if isinstance(item, Section) or item is bare[0]]
    return [item if isinstance(item, Section) else together for item in kept]


def _check_explanation(item: Any) -> None:
    if not hasattr(item, "maps"):
        raise InputError(
            "`sections` must be Sections or Explanations. "
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
    )


@cache
def _template() -> Template:
    source = files("kerasviz.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)
