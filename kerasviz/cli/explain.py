"""`kerasviz explain`: the user's model, the user's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.failures import say_skipped
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras

if TYPE_CHECKING:
    import keras

    from kerasviz.cli.inputs import ReadInputs


@dataclass(frozen=True)
class ExplainOptions:
    """What the command line asks for; see `kerasviz explain --help`."""

    model: str
    images: Sequence[str]
    methods: Sequence[str] = ()
    layer: str | None = None
    target: str | None = None
    preprocess: str | None = None
    labels: Path | None = None
    output: Path = Path("kerasviz-explain")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_explain(options: ExplainOptions) -> bool:
    """Explain a model's answers for images.

    Args:
        options: What the command line asks for.

    Returns:
        Whether all images could be read.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        page, failures = _explain(options, folder, steps)
    say_skipped(failures)
    print(page)
    return not failures


def _explain(
    options: ExplainOptions, folder: OutputFolder, steps: Steps
) -> tuple[Path, list[tuple[str, str]]]:
    from kerasviz.cli.methods import choose_methods, run_methods
    from kerasviz.cli.results import Results, describe, remarks, write_results

    requests = choose_methods(options.methods, options.layer)
    case = _prepare(options, steps)
    read = case.read
    explanations, skipped = run_methods(
        case.model, requests, read.inputs, case.targets, case.labels, steps.step
    )
    results = Results(
        title=f"What {case.model.name} looks at",
        names=read.names,
        pictures=read.pictures[..., :3],
        explanations=explanations,
        skipped=skipped,
        failures=read.failures,
        facts={"model": options.model, "preprocessing": str(read.preprocessing)},
        image_facts=[{"file": image.path} for image in read.images],
    )
    page = write_results(results, folder, steps)
    for remark in remarks(results):
        steps.say(remark)
    print(*describe(results), sep="\n")
    return page, read.failures


@dataclass(frozen=True, eq=False)
class _Case:
    """A model and images, ready for the methods."""

    model: keras.Model
    labels: Sequence[str] | None
    targets: Sequence[int] | None
    read: ReadInputs


def _prepare(options: ExplainOptions, steps: Steps) -> _Case:
    from kerasviz.cli import images, inputs, labels, models, preprocessing, targets

    given = labels.read_labels(options.labels) if options.labels else None
    scaling = preprocessing.parse_preprocessing(options.preprocess) if options.preprocess else None
    with steps.step(f"Loading {options.model}"):
        model = models.load_model(options.model, options.imports)
    images.image_layout(model)
    known = labels.labels_for(model, given)
    asked = targets.parse_targets(options.target, known, len(options.images))
    read = inputs.read_inputs(options.images, model, options.model, scaling, steps)
    return _Case(model, given, asked and [asked[image.position] for image in read.images], read)
