"""`kerasviz visualize`: what the user's model looks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.failures import say_error
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.errors import InputError, KerasvizError

if TYPE_CHECKING:
    from kerasviz import ActivationMaximization
    from kerasviz.cli.features import Drawn, Group


@dataclass(frozen=True)
class VisualizeOptions:
    """What the command line asks for; see `kerasviz visualize --help`."""

    model: str
    layers: Sequence[str] = ()
    classes: Sequence[str] = ()
    steps: int | None = None
    size: int | None = None
    seed: int = 0
    preset: str = "lucid"
    preprocess: str | None = None
    labels: Path | None = None
    output: Path = Path("kerasviz-visualize")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_visualize(options: VisualizeOptions) -> bool:
    """Draw what excites layers, channels and classes of a model.

    Args:
        options: What the command line asks for.

    Returns:
        Whether all pictures could be drawn.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    if not options.layers and not options.classes:
        raise InputError(
            "Expected layers to draw, as LAYER or LAYER:CHANNEL, or --class CLASS. Received: "
            "neither. `kerasviz layers MODEL` lists the layers."
        )
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        page, failures = _visualize(options, folder, steps)
    for name, reason in failures.items():
        say_error(f"{name} was not drawn: {reason}")
    print(page)
    return not failures


def _visualize(
    options: VisualizeOptions, folder: OutputFolder, steps: Steps
) -> tuple[Path, Mapping[str, str]]:
    from kerasviz.cli import drawings

    prepared = _prepare(options, steps)
    drawn, failures = _draw(options, prepared, steps)
    title = f"What {drawn[0].found.provenance['model']} looks for"
    page = drawings.write_drawings(title, drawn, failures, {"model": options.model}, folder, steps)
    for remark in drawings.remarks(drawn):
        steps.say(remark)
    print(*drawings.describe(drawn), sep="\n")
    return page, failures


def _draw(
    options: VisualizeOptions,
    prepared: Sequence[tuple[Group, ActivationMaximization]],
    steps: Steps,
) -> tuple[list[Drawn], dict[str, str]]:
    """What was drawn, and why the rest was not; raises when nothing was."""
    from kerasviz.cli.features import draw
    from kerasviz.features.presets import preset

    count = preset(options.preset).steps if options.steps is None else options.steps
    drawn: list[Drawn] = []
    failures: dict[str, KerasvizError] = {}
    for group, visualizer in prepared:
        try:
            drawn.append(draw(visualizer, group, count, steps.step))
        except KerasvizError as error:
            failures[group.name] = error
    if not drawn:
        raise next(iter(failures.values()))
    return drawn, {name: str(error) for name, error in failures.items()}


def _prepare(options: VisualizeOptions, steps: Steps) -> list[tuple[Group, ActivationMaximization]]:
    """A visualizer a group: what can be refused without drawing is refused here."""
    from kerasviz import ActivationMaximization
    from kerasviz.cli import features, labels, models, saved_models
    from kerasviz.features.presets import preset

    given = labels.read_labels(options.labels) if options.labels else None
    value_range = _value_range(options)
    image = preset(options.preset).image
    if options.size is not None:
        image = dataclasses.replace(image, size=options.size)
    with steps.step(f"Loading {options.model}"):
        model = models.load_model(options.model, options.imports, any_size=True)
        saved_models.expect_layers(model)
        known = labels.labels_for(model, given)
        groups = [
            *features.layer_groups(model, options.layers),
            *features.class_group(model, options.classes, known),
        ]
        prepared = [
            (
                group,
                ActivationMaximization(
                    model,
                    group.target,
                    image=image,
                    value_range=value_range,
                    preset=options.preset,
                    labels=known,
                    seed=options.seed,
                ),
            )
            for group in groups
        ]
    for remark in filter(None, (group.remark for group in groups)):
        steps.say(remark)
    steps.say(features.pictures_text(model, prepared[0][1], value_range))
    return prepared


def _value_range(options: VisualizeOptions) -> str | None:
    """`--preprocess`, or the application's own; None: the model says, or 0..1 is assumed."""
    from kerasviz.cli import models, preprocessing
    from kerasviz.probe import scaling

    if options.preprocess:
        return preprocessing.parse_preprocessing(options.preprocess).name
    if options.model.startswith(models.APPLICATIONS):
        module = models.application_module(options.model)
        return f"{scaling.PREFIX}{module.__name__.rpartition('.')[2]}"
    return None
