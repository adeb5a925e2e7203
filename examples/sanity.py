"""Does a map depend on what it claims to explain?

    python examples/sanity.py

A method that explains why a trained network sees a class in a photo must answer differently when
asked about another class, about another photo, or about a network whose last layer is random. For
each method the rank correlation of its maps before and after such a change: 1 means that the map
did not notice. Writes sanity.png.

Reference:
    Adebayo et al. 2018, "Sanity Checks for Saliency Maps".
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import spearmanr

import kerasviz as kv
from kerasviz import plots, samples

SETTINGS: dict[str, dict[str, Any]] = {
    "Saliency": {},
    "GuidedSaliency": {},
    "DeconvNet": {},
    "CAM": {"resolution": "layer"},
    "GradCAM": {"resolution": "layer"},
}


def main(photos: list[str], methods: list[str], size: int, output: Path) -> None:
    """Compare the maps of every method before and after three changes."""
    shape = (size, size, 3)
    model = samples.efficientnet_lite0(input_shape=shape)
    random_top = with_random_top(samples.efficientnet_lite0(input_shape=shape))
    pictures = samples.crop([photo.image for photo in samples.photos(*photos)], size)
    inputs = samples.preprocess(pictures, size)
    classes = model.predict(inputs, verbose=0).argmax(axis=1)
    others = np.roll(classes, 1)

    found: dict[str, dict[str, np.ndarray]] = {}
    for name in methods:
        method, settings = getattr(kv, name), SETTINGS[name]
        explainer = method(model, **settings)
        found[method.title] = {
            "as it is": explainer(inputs, target=classes),
            "another class": explainer(inputs, target=others),
            "another photo": explainer(np.roll(inputs, 1, axis=0), target=classes),
            "last layer random": method(random_top, **settings)(inputs, target=classes),
        }
    table = {title: compared(maps) for title, maps in found.items()}
    print(f"{'':16}", *(f"{change:>18}" for change in next(iter(table.values()))))
    for title, numbers in table.items():
        print(f"{title:16}", *(f"{number:18.2f}" for number in numbers.values()))
    output.mkdir(parents=True, exist_ok=True)
    (output / "sanity.png").write_bytes(plots.to_png(drawn(found, table, pictures), dpi=110))
    print(output / "sanity.png")


def with_random_top(model: keras.Model) -> keras.Model:
    """The model with its last layer's weights drawn from a normal distribution as wide as they."""
    generator = np.random.default_rng(0)
    logits = model.get_layer("logits")
    logits.set_weights([generator.normal(0, w.std(), w.shape) for w in logits.get_weights()])
    return model


def compared(maps: dict[str, np.ndarray]) -> dict[str, float]:
    """Mean rank correlation, over the photos, of the changed maps with the first ones.

    An empty map has no ranks and is left out.
    """
    first, *changes = maps
    return {
        change: float(
            np.nanmean(
                [
                    spearmanr(a, b, axis=None).statistic
                    for a, b in zip(maps[first], maps[change], strict=True)
                ]
            )
        )
        for change in changes
    }


def drawn(
    found: dict[str, dict[str, np.ndarray]],
    table: dict[str, dict[str, float]],
    pictures: np.ndarray,
) -> Figure:
    """The maps of the first photo, a row a change, with the mean correlation over all photos."""
    changes = list(next(iter(found.values())))
    figure = Figure(figsize=(1.75 * len(found), 2 * len(changes)), layout="constrained")
    axes = figure.subplots(len(changes), len(found), squeeze=False)
    for column, (title, maps) in enumerate(found.items()):
        for row, change in enumerate(changes):
            photo = pictures[-1 if change == "another photo" else 0]
            one = axes[row, column]
            one.imshow(plots.blend(photo, clipped(maps[change][0])))
            one.set(xticks=[], yticks=[])
            number = table[title].get(change)
            one.set_title(title if number is None else f"{number:.2f}", fontsize=10)
            if column == 0:
                one.set_ylabel(change)
    return figure


def clipped(heat: np.ndarray) -> np.ndarray:
    """The map with its highest half per cent cut, so that single pixels do not set the scale."""
    return np.clip(heat / max(np.percentile(heat, 99.5), 1e-12), 0, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos",
        nargs="+",
        default=["coffee", "chelsea", "rocket", "astronaut", "china", "flower"],
    )
    parser.add_argument("--methods", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
