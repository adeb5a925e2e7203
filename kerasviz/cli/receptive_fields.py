"""`kerasviz receptive-fields`: what the layers of a model can see."""

from __future__ import annotations

import dataclasses
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

    from kerasviz.cli.inputs import ReadInputs
    from kerasviz.receptive_fields import EffectiveField, ReceptiveFields, UnitFields

_DPI = 150
_MOST_UNITS = 24
_LARGEST = 64
_SHOWN = ("type", "size", "stride", "units", "covering")


@dataclass(frozen=True)
class ReceptiveFieldOptions:
    """What the command line asks for; see `kerasviz receptive-fields --help`."""

    model: str
    images: Sequence[str] = ()
    layers: Sequence[str] = ()
    input_size: str | None = None
    input: str | None = None
    preprocess: str | None = None
    output: Path = Path("kerasviz-receptive-fields")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_receptive_fields(options: ReceptiveFieldOptions) -> bool:
    """Compute receptive fields, and write a table, a picture and a page.

    Args:
        options: What the command line asks for.

    Returns:
        Whether all images could be read.

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
        layers = list(dict.fromkeys(options.layers))
        for address in layers:
            found.field(address)
        read = _read(options, model, found, steps) if options.images else None
        asked = {"input": options.input, "size": size}
        measured = [_measured(asked, model, address, read, found, steps) for address in layers]
        page = _write(options, found, read, measured, folder, steps)
    failures = read.failures if read else []
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


def _read(
    options: ReceptiveFieldOptions, model: keras.Model, found: ReceptiveFields, steps: Steps
) -> ReadInputs:
    from kerasviz.cli import inputs, preprocessing

    asked = options.preprocess
    scaling = preprocessing.parse_preprocessing(asked) if asked else None
    size = found.input_size if len(found.input_size) == 2 else None
    return inputs.read_inputs(options.images, model, options.model, scaling, steps, size)


def _measured(
    asked: dict[str, Any],
    model: keras.Model,
    address: str,
    read: ReadInputs | None,
    found: ReceptiveFields,
    steps: Steps,
) -> tuple[EffectiveField, UnitFields | None]:
    """The effective field of a layer, and the fields of its first units if they are small."""
    from kerasviz.receptive_fields import EffectiveReceptiveField, GradientReceptiveField

    with steps.step(f"Differentiating {address}"):
        effective = EffectiveReceptiveField(model, address, **asked, batch_size=8)
        field = effective(None if read is None else read.inputs)
        if max(part.stop - part.start for part in found.field(address)) > _LARGEST:
            return field, None
        gradient = GradientReceptiveField(model, address, **asked)
        fill = 0.5 if read is None else round(float(read.inputs.mean()), 3)
        return field, gradient(fill, units=range(min(_MOST_UNITS, gradient.num_units)))


def _write(
    options: ReceptiveFieldOptions,
    found: ReceptiveFields,
    read: ReadInputs | None,
    measured: Sequence[tuple[EffectiveField, UnitFields | None]],
    folder: OutputFolder,
    steps: Steps,
) -> Path:
    import kerasviz
    from kerasviz.report.receptive_fields import (
        effective_table,
        listed,
        receptive_fields_in_words,
        receptive_fields_section,
    )

    layers = list(options.layers) or None
    table = listed(found, layers)
    print_table(table[[name for name in table.columns if name.startswith(_SHOWN)]])
    for sentence in receptive_fields_in_words(found):
        steps.say(sentence)
    effective = [field for field, _ in measured]
    used = effective_table(effective)
    if measured:
        print_table(used)
    section = receptive_fields_section(
        found,
        None if read is None else read.images[0].pixels,
        layers,
        effective=effective,
        units=[units for _, units in measured if units is not None],
    )
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    with steps.step("Writing the page"):
        folder.write(folder.file("receptive_fields", ".csv"), found.table.to_csv().encode())
        pictures = {
            caption: figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
            for caption, figure in section.figures.items()
        }
        for caption, picture in pictures.items():
            folder.write(folder.file(caption, ".png"), picture)
        drawn = dataclasses.replace(section, figures=pictures)
        kerasviz.report.write(page, drawn, title=section.title)
        content: dict[str, Any] = {"page": page.name, "model": options.model, **found.provenance}
        content |= {"input": found.input, "input_size": list(found.input_size)}
        content |= {"layers": records(found.table), "effective": records(used)}
        folder.write_json(summary, content)
    return page
