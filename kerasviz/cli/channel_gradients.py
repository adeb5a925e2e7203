"""`kerasviz channel-gradients`: what the channels of convolutions absorb and emit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.failures import say_skipped
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import print_table, records
from kerasviz.errors import InputError

if TYPE_CHECKING:
    import keras

    from kerasviz.cli.inputs import ReadInputs
    from kerasviz.dynamics.absorption import ChannelGradients

_DPI = 150
_DEFINITIONS = ("paper", "code")


@dataclass(frozen=True)
class ChannelGradientOptions:
    """What the command line asks for; see `kerasviz channel-gradients --help`."""

    model: str
    images: Sequence[str]
    layers: Sequence[str] = ()
    definition: str = "paper"
    batch_statistics: bool = False
    preprocess: str | None = None
    output: Path = Path("kerasviz-channel-gradients")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_channel_gradients(options: ChannelGradientOptions) -> bool:
    """Measure absorption and emission, and write a table, a picture and a page.

    Args:
        options: What the command line asks for.

    Returns:
        Whether all images could be read.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    if options.definition not in _DEFINITIONS:
        raise InputError(
            f"Expected --definition {' or '.join(_DEFINITIONS)}. Received: {options.definition}. "
            "Choose one of them."
        )
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        model = _load(options, steps)
        read = _read(options, model, steps)
        with steps.step("Measuring gradients"):
            found = _measure(options, model, read)
        if found.beyond:
            steps.say(f"Left out, in loops or off the way: {', '.join(found.beyond)}.")
        page = _write(options, found, folder, steps)
    say_skipped(read.failures)
    print(page)
    return not read.failures


def _load(options: ChannelGradientOptions, steps: Steps) -> keras.Model:
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {options.model}"):
        model = load_model(options.model, options.imports)
        expect_layers(model)
    return model


def _read(options: ChannelGradientOptions, model: keras.Model, steps: Steps) -> ReadInputs:
    from kerasviz.cli import inputs, preprocessing

    asked = options.preprocess
    scaling = preprocessing.parse_preprocessing(asked) if asked else None
    return inputs.read_inputs(options.images, model, options.model, scaling, steps)


def _measure(
    options: ChannelGradientOptions, model: keras.Model, read: ReadInputs
) -> ChannelGradients:
    from kerasviz.dynamics.absorption import ChannelGradients

    return ChannelGradients.measure(
        model,
        read.inputs,
        options.definition,
        layers=options.layers or None,
        batch_statistics=options.batch_statistics,
        verbose=0,
    )


def _write(
    options: ChannelGradientOptions, found: ChannelGradients, folder: OutputFolder, steps: Steps
) -> Path:
    import kerasviz
    from kerasviz.report.channel_gradients import by_layer, channel_gradients_section

    layers = by_layer(found)
    print_table(layers)
    section = channel_gradients_section(found)
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    with steps.step("Writing the page"):
        table = found.table.to_csv(index=False).encode()
        folder.write(folder.file("channel_gradients", ".csv"), table)
        for caption, figure in section.figures.items():
            picture = figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
            folder.write(folder.file(caption, ".png"), picture)
        kerasviz.report.write(page, section, title=section.title)
        content = {"page": page.name, "model": options.model, **found.provenance}
        content |= {"definition": found.definition, "loss": found.loss, "images": found.count}
        content |= {"batch_statistics": found.batch_statistics, "left_out": list(found.beyond)}
        folder.write_json(summary, {**content, "layers": records(layers)})
    return page
