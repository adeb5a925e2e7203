"""`kerasviz study`: experiments from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.tables import print_table, records
from kerasviz.errors import InputError

if TYPE_CHECKING:
    from kerasviz.dynamics.comparison_result import Comparison
    from kerasviz.studies.field_study_result import FieldStudy

_DPI = 150
_DATA = ("patches", "cifar10")
_PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class InitializerOptions:
    """What the command line asks for; see `kerasviz study initializers --help`."""

    data: str = "patches"
    epochs: int = 50
    seeds: int = 3
    num_train: int | None = None
    output: Path = Path("kerasviz-initializers")
    debug: bool = False


def run_initializers(options: InitializerOptions) -> None:
    """Train from each initializer and seed; write tables, pictures and a page.

    Args:
        options: What the command line asks for.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    _check_data(options.data)
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        found = _train(options, _data(options.data), steps)
        with steps.step("Writing the page"):
            page = _write(options, found, folder)
    print(*found.words(), sep="\n")
    print(page)


def _data(asked: str) -> Any:
    """What `kv.studies.initializers` takes: a name, or the arrays of a file."""
    if asked in _DATA:
        return asked
    from kerasviz.cli.inputs import read_arrays

    found = read_arrays(Path(asked))
    names = list(found) if isinstance(found, dict) else ["a single array"]
    if not isinstance(found, dict) or not set(_PARTS) <= found.keys():
        raise InputError(
            f"Expected a .npz file with {', '.join(_PARTS)}. Received: {asked}, which holds "
            f"{', '.join(names) or 'nothing'}. Write it with `numpy.savez`."
        )
    parts = [found[name] for name in _PARTS]
    return (parts[0], parts[1]), (parts[2], parts[3])


def _train(options: InitializerOptions, data: Any, steps: Steps) -> Comparison:
    from kerasviz.dynamics.usual_initializers import standard_initializers
    from kerasviz.studies.initializer_study import initializers

    named = standard_initializers()
    text = f"Training from {len(named)} initializers, {options.seeds} × {options.epochs} epochs"
    with steps.step(text, total=len(named) * options.seeds * options.epochs) as advance:
        return initializers(
            data,
            initializers=named,
            seeds=range(options.seeds),
            epochs=options.epochs,
            num_train=options.num_train,
            progress=_each_epoch(advance),
        )


def _each_epoch(advance: Callable[[], None]) -> Callable[[str, int, int], None]:
    return lambda *_: advance()


def _write(options: InitializerOptions, found: Comparison, folder: OutputFolder) -> Path:
    import kerasviz
    from kerasviz.report.initializers import initializers_section, last_epoch

    section = initializers_section(found)
    tables = {
        "findings": found.findings(),
        "weights": found.weights.table,
        "features": found.features.table,
        "training": found.training,
    }
    for name, table in tables.items():
        folder.write(folder.file(name, ".csv"), table.to_csv(index=False).encode())
    for caption, figure in section.figures.items():
        picture = figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
        folder.write(folder.file(caption.lower(), ".png"), picture)
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    kerasviz.report.write(page, section, title=section.title)
    content = {"page": page.name, "data": options.data, "seeds": list(found.seeds)}
    content |= {**found.provenance, "words": found.words()}
    folder.write_json(summary, {**content, "findings": records(tables["findings"])})
    print_table(last_epoch(found))
    return page


@dataclass(frozen=True)
class FieldOptions:
    """What the command line asks for; see `kerasviz study receptive-fields --help`."""

    variants: tuple[str, ...] = ()
    data: str = "patches"
    epochs: int = 20
    seeds: int = 3
    num_train: int | None = None
    color: bool = False
    learning_rate: float = 1e-4
    noise: int | None = None
    pooling: str = "none"
    output: Path = Path("kerasviz-receptive-fields")
    debug: bool = False


def run_receptive_fields(options: FieldOptions) -> None:
    """Train the variants from each seed; write tables, pictures and a page.

    Args:
        options: What the command line asks for.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    _check_data(options.data)
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        found = _train_variants(options, folder.path / "trainings", steps)
        with steps.step("Writing the page"):
            page = _write_fields(options, found, folder)
    print(*found.words(), sep="\n")
    print(page)


def _train_variants(options: FieldOptions, kept: Path, steps: Steps) -> FieldStudy:
    from kerasviz.studies.field_study import receptive_fields, retina_variants

    known = retina_variants(options.pooling)
    unknown = [name for name in options.variants if name not in known]
    if unknown:
        raise InputError(
            f"Expected --variant to be one of {', '.join(known)}. Received: {unknown[0]}. "
            "Leave it out for all."
        )
    chosen = {name: known[name] for name in options.variants or known}
    text = f"Training {len(chosen)} variants, {options.seeds} × {options.epochs} epochs"
    with steps.step(text, total=len(chosen) * options.seeds * options.epochs) as advance:
        return receptive_fields(
            chosen,
            seeds=range(options.seeds),
            epochs=options.epochs,
            data=_data(options.data),
            num_train=options.num_train,
            colors=3 if options.color else 1,
            learning_rate=options.learning_rate,
            samples=options.noise,
            folder=kept,
            progress=_each_epoch(advance),
        )


def _write_fields(options: FieldOptions, found: FieldStudy, folder: OutputFolder) -> Path:
    import kerasviz
    from kerasviz.report.field_study import field_study_section

    section = field_study_section(found)
    tables = {
        "findings": found.findings(),
        "factors": found.factors(),
        "units": found.table,
        "training": found.training,
    }
    for name, table in tables.items():
        folder.write(folder.file(name, ".csv"), table.to_csv(index=False).encode())
    for caption, figure in section.figures.items():
        picture = figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
        folder.write(folder.file(caption.lower(), ".png"), picture)
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    kerasviz.report.write(page, section, title=section.title)
    content: dict[str, Any] = {"page": page.name, "data": options.data, "seeds": list(found.seeds)}
    content |= {**found.provenance, "variants": found.variants, "words": found.words()}
    folder.write_json(summary, {**content, "summary": records(found.summary())})
    print_table(found.summary())
    return page


def _check_data(data: str) -> None:
    if data not in _DATA and Path(data).suffix != ".npz":
        raise InputError(
            f"Expected --data {', '.join(_DATA)} or a .npz file. Received: {data}. "
            "Choose one of them."
        )
