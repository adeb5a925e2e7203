"""`kerasviz receptive-fields`: what the layers of a model can see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.failures import say_skipped
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import print_table, records
from kerasviz.errors import InputError

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasviz.receptive_fields import ReceptiveFields

_DPI = 150
_SHOWN = ("type", "size", "stride", "units", "covering")


@dataclass(frozen=True)
class ReceptiveFieldOptions:
    """What the command line asks for; see `kerasviz receptive-fields --help`."""

    model: str
    image: str | None = None
    layers: Sequence[str] = ()
    input_size: str | None = None
    input: str | None = None
    output: Path = Path("kerasviz-receptive-fields")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_receptive_fields(options: ReceptiveFieldOptions) -> bool:
    """Compute receptive fields, and write a table, a picture and a page.

    Args:
        options: What the command line asks for.

    Returns:
        Whether the image, if there is one, could be read.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    size = parse_size(options.input_size)
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        model = _load(options, steps)
        with steps.step("Following the graph"):
            from kerasviz.receptive_fields import ReceptiveFields

            found = ReceptiveFields.measure(model, size, input_name=options.input)
        for address in options.layers:
            found.field(address)
        image, failures = _image(options, model, found, steps)
        page = _write(options, found, image, folder, steps)
    say_skipped(failures)
    print(page)
    return not failures


def parse_size(text: str | None) -> tuple[int, ...] | int | None:
    """Turn "224" into a number and "224x160" or "224,160" into several; None stays None.

    Raises:
        InputError: Anything else.
    """
    if text is None:
        return None
    parts = text.lower().replace("x", ",").split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise InputError(
            "`--input-size` must be a whole number, or HEIGHTxWIDTH. "
            f"Received: {text!r}. Write e.g. --input-size 224x160."
        )
    sizes = tuple(int(part) for part in parts)
    return sizes if len(sizes) > 1 else sizes[0]


def _load(options: ReceptiveFieldOptions, steps: Steps) -> keras.Model:
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {options.model}"):
        model = load_model(options.model, options.imports)
        expect_layers(model)
    return model


def _image(
    options: ReceptiveFieldOptions, model: keras.Model, found: ReceptiveFields, steps: Steps
) -> tuple[np.ndarray | None, list[tuple[str, str]]]:
    """The picture to draw on as the model sees it, None without one; and why it cannot be read."""
    from kerasviz.cli.images import image_layout, read_images

    if options.image is None:
        return None, []
    layout = image_layout(model)
    with steps.step("Reading the image", total=1) as advance:
        read, failures = read_images([options.image], layout, advance)
    return (read[0].pixels if read else None), failures


def _write(
    options: ReceptiveFieldOptions,
    found: ReceptiveFields,
    image: np.ndarray | None,
    folder: OutputFolder,
    steps: Steps,
) -> Path:
    import kerasviz
    from kerasviz.report.receptive_fields import (
        listed,
        receptive_fields_in_words,
        receptive_fields_section,
    )

    layers = list(options.layers) or None
    table = listed(found, layers)
    print_table(table[[name for name in table.columns if name.startswith(_SHOWN)]])
    for sentence in receptive_fields_in_words(found):
        steps.say(sentence)
    section = receptive_fields_section(found, image, layers)
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    with steps.step("Writing the page"):
        folder.write(folder.file("receptive_fields", ".csv"), found.table.to_csv().encode())
        for caption, figure in section.figures.items():
            picture = figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
            folder.write(folder.file(caption, ".png"), picture)
        kerasviz.report.write(page, section, title=section.title)
        content: dict[str, Any] = {"page": page.name, "model": options.model, **found.provenance}
        content |= {"input": found.input, "input_size": list(found.input_size)}
        folder.write_json(summary, {**content, "layers": records(found.table)})
    return page
