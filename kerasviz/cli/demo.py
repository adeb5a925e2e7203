"""`kerasviz demo`: a real network, real photos, every method, a few features, one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kerasviz.cli.outputs import OutputFolder
from kerasviz.cli.progress import Steps
from kerasviz.cli.quiet import import_keras

if TYPE_CHECKING:
    from kerasviz.cli.features import Drawn

FEATURES = tuple(f"block_13/expand:{channel}" for channel in range(4, 8))
SIZE = 112
STEPS = 96


def run_demo(output: Path, debug: bool = False) -> None:
    """Explain the sample network's answers for the sample photos, and draw what it looks for.

    Args:
        output: Folder for the page and the pictures.
        debug: Keep TensorFlow's log.

    Raises:
        OutputError: The folder cannot be written.
        MissingExtraError: The packages of the extra `demo` are not installed.
    """
    folder = OutputFolder(output)
    with Steps() as steps:
        with steps.step("Starting TensorFlow"):
            import_keras(debug)
        page = _explain_samples(folder, steps)
    print(page)


def _explain_samples(folder: OutputFolder, steps: Steps) -> Path:
    from kerasviz import samples
    from kerasviz.cli.methods import choose_methods, run_methods
    from kerasviz.cli.results import Results, describe, write_results

    with steps.step("Loading EfficientNet-Lite0 and the photos"):
        photos = samples.photos()
        model = samples.efficientnet_lite0()
        pictures = samples.crop([photo.image for photo in photos])
    explanations, skipped = run_methods(
        model,
        choose_methods([], None),
        samples.preprocess(pictures),
        None,
        samples.imagenet_labels(),
        steps.step,
    )
    results = Results(
        title="What EfficientNet-Lite0 looks at, and what it looks for",
        names=[photo.name for photo in photos],
        pictures=pictures,
        explanations=explanations,
        skipped=skipped,
        facts={"model": "samples:efficientnet_lite0"},
        image_facts=[
            {"licence": photo.licence, "credit": photo.credit, "source": photo.source}
            for photo in photos
        ],
        drawn=_draw_features(steps),
    )
    page = write_results(results, folder, steps)
    print(*describe(results), sep="\n")
    return page


def _draw_features(steps: Steps) -> list[Drawn]:
    from kerasviz import ActivationMaximization, images, samples
    from kerasviz.cli.features import draw, layer_groups

    with steps.step("Loading EfficientNet-Lite0 for pictures of any size"):
        model = samples.efficientnet_lite0(input_shape=(None, None, 3))
        (group,) = layer_groups(model, FEATURES)
        image = images.Fourier(size=SIZE)
        visualizer = ActivationMaximization(model, group.target, image=image)
    return [draw(visualizer, group, STEPS, steps.step)]
