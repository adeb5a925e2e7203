"""`kerasviz weights`: what a model is made of, and which layers look unusual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.pages import write_description
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import print_table
from kerasviz.cli.weight_links import circuit_part, connection_part
from kerasviz.errors import AddressError, InputError, MethodError

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from kerasviz.report import Section

SHOWN = ("score", "statistic", "value", "usual")
MOST = 10
FACTORS = 3


@dataclass(frozen=True)
class WeightOptions:
    """What the command line asks for; see `kerasviz weights --help`."""

    model: str
    layers: Sequence[str] = ()
    compare: str | None = None
    connections: tuple[str, str] | None = None
    circuits: Sequence[str] = ()
    steps: int = 64
    output: Path = Path("kerasviz-weights")
    imports: Sequence[str] = field(default=())
    debug: bool = False


@dataclass(frozen=True, eq=False)
class _Found:
    """The parts of the page, and the tables that are also files."""

    sections: list[Section] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


def run_weights(options: WeightOptions) -> None:
    """Describe a model's weights.

    Args:
        options: What the command line asks for.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        model = _load(options.model, options, steps)
        other = _load(options.compare, options, steps) if options.compare else None
        found = _Found()
        layers = _layers(model, options, steps)
        layers += _links(model, options, found, steps)
        _unusual(model, found, steps)
        _by_depth(model, found, steps)
        found.sections.extend(layers)
        _banding(model, found, steps)
        if other is not None:
            _compared(model, other, found, steps)
        page = write_description(
            model,
            options.model,
            f"What {model.name} is made of",
            found.sections,
            found.tables,
            folder,
            steps,
        )
    print(page)


def _load(spec: str, options: WeightOptions, steps: Steps) -> keras.Model:
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {spec}"):
        model = load_model(spec, options.imports)
        expect_layers(model)
    return model


def _layers(model: keras.Model, options: WeightOptions, steps: Steps) -> list[Section]:
    """A part of the page for each layer that is named: first of all, for a name may be wrong."""
    from kerasviz import weights
    from kerasviz.report import weights as report

    sections = []
    for address in dict.fromkeys(options.layers):
        with steps.step(f"Reading {address}"):
            found = weights.distribution(model, address)
            sections.append(report.distribution_section(found, address))
        section = _factors(model, address, steps)
        sections.extend([section] if section is not None else [])
    return sections


def _links(
    model: keras.Model, options: WeightOptions, found: _Found, steps: Steps
) -> list[Section]:
    """Parts of the page for the links that are asked for."""
    sections = []
    if options.connections is not None:
        section, table = connection_part(model, *options.connections, options.steps, steps)
        sections.append(section)
        found.tables["connections"] = table
    for number, name in enumerate(dict.fromkeys(options.circuits), 1):
        section, table = circuit_part(model, name, options.steps, steps)
        sections.append(section)
        found.tables[f"circuit_{number}"] = table
    return sections


def _factors(model: keras.Model, address: str, steps: Steps) -> Section | None:
    """The factors of a layer whose kernel has positions; of another, why there are none."""
    from kerasviz import weights
    from kerasviz.report import weights as report

    with steps.step(f"Factorizing {address}"):
        for count in range(FACTORS, 0, -1):
            try:
                found = weights.factorize(model, address, num_factors=count)
            except InputError:  # a small kernel has fewer
                continue
            except (AddressError, MethodError) as error:
                steps.say(f"{address} is not factorized. {error}")
                return None
            return report.factors_section(found, f"What {address} reads where")
    return None


def _unusual(model: keras.Model, found: _Found, steps: Steps) -> None:
    from kerasviz import weights
    from kerasviz.probe.provenance import provenance
    from kerasviz.report import weights as report

    with steps.step("Describing the weights"):
        table = weights.summarize(model)
        ranking = weights.unusual(table)
    with steps.step("Looking for what is wrong"):
        findings, known = weights.diagnose(model), provenance(model)
    for sentence in (*report.findings_in_words(findings), *report.unusual_in_words(ranking)):
        steps.say(sentence)
    if len(ranking):
        print_table(ranking.head(MOST)[[*SHOWN]])
    found.tables.update(weights=table, findings=findings, unusual=ranking)
    found.sections.append(report.unusual_section(findings, ranking, provenance=known))
    found.sections.append(report.summary_section(table))


def _by_depth(model: keras.Model, found: _Found, steps: Steps) -> None:
    from kerasviz import weights
    from kerasviz.report import weights as report

    with steps.step("Drawing weights by depth"):
        try:
            section = report.depth_section(weights.by_depth(model))
        except MethodError as error:
            steps.say(str(error))
            return
    found.sections.insert(1, section)


def _banding(model: keras.Model, found: _Found, steps: Steps) -> None:
    from kerasviz import weights
    from kerasviz.report import weights as report

    with steps.step("Looking for bands"):
        try:
            table = weights.banding(model)
        except MethodError as error:
            steps.say(str(error))
            return
        if len(table):
            found.tables["banding"] = table
            found.sections.append(report.banding_section(table))


def _compared(model: keras.Model, other: keras.Model, found: _Found, steps: Steps) -> None:
    from kerasviz import weights
    from kerasviz.report import weights as report

    with steps.step("Comparing models"):
        table = weights.compare(model, other)
        found.sections.append(report.comparison_section(table))
        found.tables["comparison"] = table
