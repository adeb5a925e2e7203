"""`kerasviz profile`: where the time of a training step goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import print_table, records
from kerasviz.errors import InputError

if TYPE_CHECKING:
    import keras

    from kerasviz.dynamics.timing_result import Profile

_DPI = 150
_SQUARES = "squares"
_SIZE = re.compile(r"\d+(x\d+)*")


@dataclass(frozen=True)
class ProfileOptions:
    """What the command line asks for; see `kerasviz profile --help`."""

    model: str
    input_sizes: Sequence[str] = ()
    batch_size: int = 8
    loss: str = _SQUARES
    optimizer: str = "adam"
    freezing: int = 4
    seconds: float = 60.0
    output: Path = Path("kerasviz-profile")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_profile(options: ProfileOptions) -> None:
    """Measure a training step on random inputs, and write tables, pictures and a page.

    Args:
        options: What the command line asks for.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    sizes = [_size(text) for text in options.input_sizes]
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        model = _load(options, steps)
        with steps.step(f"Measuring, for {options.seconds:g} seconds and the time to compile"):
            found = _measure(options, model, sizes)
        page = _write(options, found, folder, steps)
    print(page)


def _size(text: str) -> tuple[int, ...]:
    if not _SIZE.fullmatch(text):
        raise InputError(
            f"`--input-size` must be a size such as 143x107. Received: {text!r}. Repeat the option "
            "for several sizes."
        )
    return tuple(map(int, text.split("x")))


def _load(options: ProfileOptions, steps: Steps) -> keras.Model:
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {options.model}"):
        model = load_model(options.model, options.imports)
        expect_layers(model)
    return model


def _measure(
    options: ProfileOptions, model: keras.Model, sizes: Sequence[tuple[int, ...]]
) -> Profile:
    import kerasviz
    from kerasviz.probe.inputs import random_inputs

    inputs = random_inputs(model, options.batch_size, sizes[0] if sizes else None)
    try:
        model.compile(options.optimizer)
    except ValueError as error:
        raise InputError(
            f"`--optimizer` must be the name of an optimizer of Keras. Received: "
            f"{options.optimizer!r}. Try adam or sgd."
        ) from error
    return kerasviz.profile(
        model,
        inputs,
        loss=_loss(options.loss),
        input_sizes=sizes if len(sizes) > 1 else (),
        freezing=options.freezing,
        seconds=options.seconds,
        verbose=0,
    )


def _loss(name: str) -> Callable[[Any, Any], Any]:
    """The loss of all outputs against zeros; how long it takes does not depend on the targets."""
    import keras

    ops: Any = keras.ops
    try:
        chosen = None if name == _SQUARES else keras.losses.get(name)
    except ValueError as error:
        raise InputError(
            f"`--loss` must be '{_SQUARES}' or the name of a loss of Keras. Received: {name!r}. "
            "Try mse, categorical_crossentropy or sparse_categorical_crossentropy."
        ) from error

    def of_output(output: Any) -> Any:
        output = ops.cast(output, "float32")
        if chosen is None:
            return ops.mean(ops.square(output))
        classes = ops.zeros(ops.shape(output)[:-1], "int32")
        targets = classes if name.startswith("sparse") else ops.zeros_like(output)
        return ops.mean(chosen(targets, output))

    return lambda _, outputs: sum(map(of_output, keras.tree.flatten(outputs)))


def _write(options: ProfileOptions, found: Profile, folder: OutputFolder, steps: Steps) -> Path:
    import kerasviz
    from kerasviz.report.profile import profile_section

    section = profile_section(found)
    for table in section.tables.values():
        print_table(table)
        print()
    for sentence in found.advice():
        print(sentence)
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    with steps.step("Writing the page"):
        folder.write(folder.file("layers", ".csv"), found.table.to_csv(index=False).encode())
        found.save(folder.file("profile", ".npz"))
        for caption, figure in section.figures.items():
            picture = figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
            folder.write(folder.file(caption, ".png"), picture)
        kerasviz.report.write(page, section, title=section.title)
        content = {"page": page.name, "model": options.model, **found.provenance}
        content |= {"seconds": found.seconds, "coverage": found.coverage, "runs": found.runs}
        content |= {"batch_size": found.batch_size, "loss": options.loss, "method": found.method}
        content |= {"optimizer": options.optimizer, "advice": found.advice()}
        tables = {name: records(table) for name, table in section.tables.items()}
        folder.write_json(summary, {**content, "parts": found.parts.to_dict(), "tables": tables})
    return page
