"""`kerasviz explain`: the user's model, the user's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.failures import say_error
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.errors import ImageFileError

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from kerasviz.cli.images import ReadImage
    from kerasviz.cli.preprocessing import Preprocessing


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
    for name, reason in failures:
        say_error(f"Expected an image. Received: {name}, which {reason}. It was skipped.")
    print(page)
    return not failures


def _explain(
    options: ExplainOptions, folder: OutputFolder, steps: Steps
) -> tuple[Path, list[tuple[str, str]]]:
    from kerasviz.cli.methods import choose_methods, run_methods
    from kerasviz.cli.results import Results, describe, remarks, write_results

    requests = choose_methods(options.methods, options.layer)
    case = _prepare(options, steps)
    images, failures = case.images, case.failures
    explanations, skipped = run_methods(
        case.model, requests, case.inputs, case.targets, case.labels, steps.step
    )
    results = Results(
        title=f"What {case.model.name} looks at",
        names=_names(images),
        pictures=case.pictures[..., :3],
        explanations=explanations,
        skipped=skipped,
        failures=failures,
        facts={"model": options.model, "preprocessing": str(case.preprocessing)},
        image_facts=[{"file": image.path} for image in images],
    )
    page = write_results(results, folder, steps)
    for remark in remarks(results):
        steps.say(remark)
    print(*describe(results), sep="\n")
    return page, failures


@dataclass(frozen=True, eq=False)
class _Case:
    """A model and images, ready for the methods."""

    model: keras.Model
    labels: Sequence[str] | None
    targets: Sequence[int] | None
    images: Sequence[ReadImage]
    failures: list[tuple[str, str]]
    preprocessing: Preprocessing
    pictures: NDArray[np.uint8]
    inputs: NDArray[np.float32]


def _prepare(options: ExplainOptions, steps: Steps) -> _Case:
    import numpy as np

    from kerasviz.cli import images, labels, models, preprocessing, targets

    given = labels.read_labels(options.labels) if options.labels else None
    scaling = preprocessing.parse_preprocessing(options.preprocess) if options.preprocess else None
    with steps.step(f"Loading {options.model}"):
        model = models.load_model(options.model, options.imports)
    layout = images.image_layout(model)
    known = labels.labels_for(model, given)
    asked = targets.parse_targets(options.target, known, len(options.images))
    with steps.step("Reading images", total=len(options.images)) as advance:
        found, failures = images.read_images(options.images, layout, advance)
    if not found:
        raise ImageFileError(_none_left(failures))
    scaling = scaling or preprocessing.choose_preprocessing(options.model, model)
    steps.say(f"Images: shorter side resized and centre cut to {layout}. Values: {scaling}.")
    pictures = np.stack([image.pixels for image in found])
    return _Case(
        model=model,
        labels=given,
        targets=asked and [asked[image.position] for image in found],
        images=found,
        failures=failures,
        preprocessing=scaling,
        pictures=pictures,
        inputs=layout.arrange(scaling(pictures)),
    )


def _none_left(failures: Sequence[tuple[str, str]]) -> str:
    named = "; ".join(f"{name}, which {reason}" for name, reason in failures[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    return f"Expected at least one image. Received: {named}{more}."


def _names(images: Sequence[ReadImage]) -> list[str]:
    """The files' names, or their paths where the same name comes twice."""
    names = [Path(image.path).name for image in images]
    return [
        name if names.count(name) == 1 else image.path
        for name, image in zip(names, images, strict=True)
    ]
