"""The page of a development: the fields of every unit of a layer, with a slider over time."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.receptive_fields.development import Development
from kerasviz.receptive_fields.kept import developed_layers
from kerasviz.report.development_frames import strips
from kerasviz.report.section import Section
from kerasviz.report.templates import source, template

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.dynamics.folder import Run

FITS = 8
MOST_TIMES = 60
READ = (
    "The gradient of each unit in the middle of the layer by the input, before training and each "
    "time that the watcher looked. Grey is zero. Likeness is the cosine with the last map: a unit "
    "that comes close to 1 early has found its shape early, not necessarily a good one."
)
MEASURES = {
    "error": "Unexplained by the better of two fits, Gabor and difference of Gaussians",
    "with_last": "Likeness to the last map (cosine)",
    "strength": "Strength beside the strongest unit",
}


@dataclass(frozen=True)
class Page:
    """What the template needs."""

    layer: str
    facts: list[tuple[str, str]]
    note: str
    units: list[tuple[int, Any]]
    frame: tuple[int, int]
    data: dict[str, Any]


def development(
    run: Run | str | os.PathLike[str],
    layer: str,
    path: str | os.PathLike[str],
    *,
    fits: int = FITS,
    title: str | None = None,
) -> Path:
    """Write one page on which the fields of a layer's units are seen to develop.

    A slider over the snapshots, a play button, a picture of every unit, and over time the error of
    fits, likeness to the last map, or strength. One HTML file that needs no other and no network.
    Add "#5" to its address to open it at 5 epochs.

    Args:
        run: What a `kv.callbacks.ReceptiveFieldWatcher` has written: a `kv.dynamics.Run`, or its
            folder.
        layer: Address of the layer.
        path: The file; it is replaced in one step, missing folders are made.
        fits: At how many snapshots, evenly spaced, to fit Gabors and differences of Gaussians:
            some hundredths of a second a unit each. 0: none. Maps that can't be fitted are shown
            without.
        title: Title of the page; None: the layer's.

    Returns:
        The path.

    Raises:
        InputError: No run, or no such layer in it.
        OutputError: The file can't be written.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.ReceptiveFieldWatcher("runs/paged", layers=["encoder/conv"])
    model.fit(images, labels, epochs=2, callbacks=[watcher], verbose=0)
    page = kv.report.development("runs/paged", "encoder/conv", "conv.html", fits=0)
    ```
    """
    from kerasviz.dynamics.folder import Run
    from kerasviz.files import write_atomically

    found = Development(run if isinstance(run, Run) else Run(run), layer)
    text = _rendered(_page(found, fits), title or f"{layer}: how its fields developed")
    return write_atomically(path, lambda file: file.write(text.encode("utf-8", "replace")))


def development_sections(run: Run, pages: Mapping[str, str] | None = None) -> list[Section]:
    """A section of the fields of all layers that were watched; none where there are none.

    Args:
        run: A run that is open; nothing is written to it.
        pages: Address of a layer to the name of its page, which stands beside this one.
    """
    layers = developed_layers(run)
    if not layers:
        return []
    figures, left_out = {}, []
    for layer in layers:
        try:
            found = Development(run, layer)
            figures[f"{layer}: {len(found)} snapshots are kept"] = found.plot()
        except InputError as error:
            left_out.append(f"{layer} is not drawn. {error}")
    links = {f"{layer}: every unit, with a slider": name for layer, name in (pages or {}).items()}
    text = "\n\n".join([READ, *left_out])
    return [Section("How receptive fields developed", text=text, figures=figures, links=links)]


def page_name(layer: str, number: int, stem: str) -> str:
    """The name of a layer's page that stands beside a page of that stem."""
    plain = "".join(one if one.isalnum() and one.isascii() else "-" for one in layer)[-60:]
    return f"{stem}-{number}-{plain}.html"


def _page(found: Development, fits: int) -> Page:
    table, note = _table(found, fits)
    places = found.some(MOST_TIMES)
    places = sorted({*places, *(found.some(fits) if "error" in table else [])})
    images, frame = strips(found, places)
    numbers = [found.numbers[place] for place in places]
    measures = [
        {
            "name": name,
            "title": words,
            "low": -1 if table[name].min() < 0 else 0,
            "values": _values(table, name, numbers),
        }
        for name, words in MEASURES.items()
        if name in table
    ]
    last = found[-1]
    size = " × ".join(map(str, last.size)) or f"{last.maps.shape[-1]} features"
    shown = "" if len(places) == len(found) else f", {len(places)} of them shown"
    cut = ", cut by the border" if last.is_cut else ""
    facts = [
        ("Units", str(len(found.units))),
        ("Snapshots", f"{len(found)}{shown}"),
        ("Fields", f"{size}{cut}"),
        ("Gradient at", _stimulus(last.parameters)),
        ("Model", str(last.provenance.get("model", ""))),
    ]
    return Page(
        layer=found.layer,
        facts=facts,
        note=note,
        units=list(zip(map(int, found.units), images, strict=True)),
        frame=frame,
        data={
            "unit": found.unit,
            "numbers": numbers,
            "measures": measures,
            "types": _values(table, "type", numbers) if "type" in table else None,
        },
    )


def _table(found: Development, fits: int) -> tuple[pd.DataFrame, str]:
    """The table with fits, or, where that can't be, without and the reason."""
    try:
        return found.table(fits), ""
    except InputError as error:
        if not fits or not isinstance(fits, int):
            raise
        return found.table(), f"There are no fits. {error}"


def _values(table: pd.DataFrame, name: str, numbers: list[int]) -> list[list[Any]]:
    """A list a time of one value a unit; None for what is not known."""
    rows = [table[name].loc[number].tolist() for number in numbers]
    return [[_plain(value) for value in row] for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return round(float(value), 3) if value is not None and np.isfinite(value) else None


def _stimulus(parameters: Mapping[str, Any]) -> str:
    samples = parameters.get("samples")
    return f"{samples} samples of noise" if samples else f"constant {parameters.get('fill'):g}"


def _rendered(page: Page, title: str) -> str:
    script = source("development.js.jinja")
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    allowed = f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
    return template("development.html.jinja").render(
        title=title, page=page, read=READ, script=script, allowed=allowed
    )
