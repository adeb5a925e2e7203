"""`kerasviz study viewport`: pictures at positions and distances in a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasviz.cli.failures import say_skipped
from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras
from kerasviz.cli.receptive_fields import parse_size
from kerasviz.cli.tables import print_table, records
from kerasviz.errors import ImageFileError, InputError

if TYPE_CHECKING:
    import keras

    from kerasviz.studies import Viewport

_DPI = 150
_SIDE = 224


@dataclass(frozen=True)
class ViewportOptions:
    """What the command line asks for; see `kerasviz study viewport --help`."""

    images: Sequence[str] = ()
    model: str | None = None
    frame: str | None = None
    background: str = "grey"
    positions: int = 12
    layers: Sequence[str] = ()
    preprocess: str | None = None
    seed: int = 0
    output: Path = Path("kerasviz-viewport")
    imports: Sequence[str] = field(default=())
    debug: bool = False


def run_viewport(options: ViewportOptions) -> bool:
    """Measure detection and decoding, and write tables, a picture and a page.

    Args:
        options: What the command line asks for.

    Returns:
        Whether all images could be read.

    Raises:
        KerasvizError: What is asked for cannot be done; the message says why.
    """
    if options.images and options.model is None:
        raise InputError(
            "Expected --model with images. Received: images alone. Name a model, or no images."
        )
    frame = parse_size(options.frame)
    frame = (frame, frame) if isinstance(frame, int) else frame
    folder = OutputFolder(options.output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(options.debug)
        given, failures = _given(options, steps)
        found = _measure(options, frame, given, steps)
        with steps.step("Writing the page"):
            page = _write(options, found, folder)
    print(*found.words(), sep="\n")
    say_skipped(failures)
    print(page)
    return not failures


def _given(options: ViewportOptions, steps: Steps) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Model, pictures and scaling, those that there are; and which files cannot be read."""
    if options.model is None:
        return {}, []
    from kerasviz.cli.models import load_model
    from kerasviz.cli.saved_models import expect_layers

    with steps.step(f"Loading {options.model}"):
        model = load_model(options.model, options.imports, any_size=True)
        expect_layers(model)
    given: dict[str, Any] = {"model": model, "preprocess": _scaling(options, model, steps)}
    if not options.images:
        return given, []
    images, failures = _images(options, model, steps)
    return {**given, "images": images}, failures


def _scaling(options: ViewportOptions, model: keras.Model, steps: Steps) -> Callable[[Any], Any]:
    from kerasviz.cli import models, preprocessing
    from kerasviz.studies.viewport_data import sample_scaling

    spec = str(options.model)
    if options.preprocess is None and spec.startswith(models.SAMPLES):
        return sample_scaling
    if options.preprocess is not None:
        return preprocessing.parse_preprocessing(options.preprocess)
    chosen = preprocessing.choose_preprocessing(spec, model)
    steps.say(f"Values: {chosen}.")
    return chosen


def _images(
    options: ViewportOptions, model: keras.Model, steps: Steps
) -> tuple[list[Any], list[tuple[str, str]]]:
    """Central squares of the files, in 0..255."""
    from kerasviz.cli.images import ImageLayout, image_layout, read_images

    layout = ImageLayout(_SIDE, _SIDE, image_layout(model).channels)
    with steps.step("Reading images", total=len(options.images)) as advance:
        read, failures = read_images(options.images, layout, advance)
    if not read:
        first, reason = failures[0]
        raise ImageFileError(
            f"Expected images that can be read. Received: {first}, which {reason}."
        )
    return [image.pixels for image in read], failures


def _measure(options: ViewportOptions, frame: Any, given: dict[str, Any], steps: Steps) -> Viewport:
    from kerasviz.studies import viewport

    with steps.step("Showing frames and decoding"):
        return viewport(
            **given,
            frame=frame,
            positions=options.positions,
            background=options.background,
            layers=options.layers or None,
            seed=options.seed,
        )


def _write(options: ViewportOptions, found: Viewport, folder: OutputFolder) -> Path:
    import kerasviz
    from kerasviz.report.viewport import viewport_section

    section = viewport_section(found)
    tables = {"detection": found.detection, "decoding": found.decoding}
    for name, table in {**tables, "placements": found.placements}.items():
        folder.write(folder.file(name, ".csv"), table.to_csv(index=False).encode())
    found.save(folder.file("viewport", ".npz"))
    for caption, figure in section.figures.items():
        picture = figure if isinstance(figure, bytes) else kerasviz.plots.to_png(figure, _DPI)
        folder.write(folder.file(caption.lower(), ".png"), picture)
    page, summary = folder.file("report", ".html"), folder.file("summary", ".json")
    kerasviz.report.write(page, section, title=section.title)
    content: dict[str, Any] = {"page": page.name, **found.provenance, "words": found.words()}
    content |= {"named": options.model, "parameters": found.parameters}
    content |= {name: records(table) for name, table in tables.items()}
    folder.write_json(summary, content)
    print_table(found.detection)
    return page
