"""`kerasviz attention`: what a model's attention weights say, and what gates and heads do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.failures import say_skipped
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.pages import write_description
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import print_table
from kerasviz.errors import InputError, MethodError

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from kerasviz.report import Section

SHOWN = ("count", "mean", "mean_low", "mean_high", "median", "std", "share_positive", "sign_test")


@dataclass(frozen=True)
class AttentionOptions:
    """What the command line asks for; see `kerasviz attention --help`."""

    model: str
    images: Sequence[str] = ()
    data: Path | None = None
    groups: Sequence[str] = ()
    compare: Sequence[str] = ()
    preprocess: str | None = None
    output: Path = Path("kerasviz-attention")
    imports: Sequence[str] = field(default=())
    debug: bool = False


@dataclass(frozen=True, eq=False)
class _Found:
    """The parts of the page, and the tables that are also files."""

    sections: list[Section]
    tables: dict[str, pd.DataFrame]


def run_attention(options: AttentionOptions) -> bool:
    """Describe the attention of a model.

    Args:
        options: What the command line asks for.

    Returns:
        Whether all images could be read.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    if options.images and options.data:
        raise InputError(
            "Expected images, or --data FILE, or neither. Received: both. Name one of them."
        )
    groups = parse_groups(options.groups)
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        page, failures = _describe(options, groups, folder, steps)
    say_skipped(failures)
    print(page)
    return not failures


def parse_groups(texts: Sequence[str]) -> dict[str, list[str]] | None:
    """Turn each `NAME=PATTERN` into an entry; None without any.

    Raises:
        InputError: A text without "=", or with nothing on one side.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, _, pattern = text.partition("=")
        if not name or not pattern:
            raise InputError(
                "`--group` must be NAME=PATTERN, a regular expression of weight addresses. "
                f"Received: {text!r}. Write e.g. --group 'semi=.*semi_local.*'."
            )
        found.setdefault(name, []).append(pattern)
    return found or None


def _describe(
    options: AttentionOptions,
    groups: dict[str, list[str]] | None,
    folder: OutputFolder,
    steps: Steps,
) -> tuple[Path, list[tuple[str, str]]]:
    model = _load(options.model, options, steps)
    others = {spec: _load(spec, options, steps) for spec in options.compare}
    inputs, failures = _inputs(options, model, steps)
    found = _weights(options, model, others, groups, steps)
    if inputs is not None:
        _on_data(model, inputs, found, steps)
    page = write_description(
        model,
        options.model,
        f"What the attention of {model.name} says",
        found.sections,
        found.tables,
        folder,
        steps,
    )
    return page, failures


def _load(spec: str, options: AttentionOptions, steps: Steps) -> keras.Model:
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {spec}"):
        model = load_model(spec, options.imports)
        expect_layers(model)
    return model


def _inputs(
    options: AttentionOptions, model: keras.Model, steps: Steps
) -> tuple[Any, list[tuple[str, str]]]:
    """What to run the model on, None without anything; and the images that cannot be read."""
    from kerasviz.cli import inputs, preprocessing

    if options.data:
        return inputs.read_arrays(options.data), []
    if not options.images:
        return None, []
    scaling = preprocessing.parse_preprocessing(options.preprocess) if options.preprocess else None
    read = inputs.read_inputs(options.images, model, options.model, scaling, steps)
    return read.inputs, read.failures


def _weights(
    options: AttentionOptions,
    model: keras.Model,
    others: Mapping[str, keras.Model],
    groups: dict[str, list[str]] | None,
    steps: Steps,
) -> _Found:
    from kerasviz import attention
    from kerasviz.probe.provenance import provenance
    from kerasviz.report import attention as report

    with steps.step("Describing the weights"):
        table = attention.summarize(model, groups)
        values, known = attention.weights(model, groups), provenance(model)
        section = report.weights_section(values, table, provenance=known)
    found = _Found([section], {"weights": table})
    for sentence in report.weights_in_words(table):
        steps.say(sentence)
    if others:
        with steps.step("Comparing models"):
            comparison = attention.compare({options.model: model, **others}, groups)
            found.sections.append(report.comparison_section(comparison))
            found.tables["comparison"] = comparison
    print_table(table[list(SHOWN)])
    return found


def _on_data(model: keras.Model, inputs: Any, found: _Found, steps: Steps) -> None:
    """Add what gates and heads do, and say what cannot be told."""
    from kerasviz import attention
    from kerasviz.report import attention as report

    missing = []
    with steps.step("Running the model"):
        try:
            gates = attention.statistics(model, inputs, verbose=0)
            found.sections.append(report.gates_section(gates))
            found.tables["gates"] = gates.table
        except MethodError as error:
            missing.append(str(error))
        try:
            heads = attention.head_statistics(model, inputs, verbose=0)
            found.sections.append(report.heads_section(heads))
            found.tables["heads"] = heads
        except MethodError as error:
            missing.append(str(error))
    for reason in missing:
        steps.say(reason)
