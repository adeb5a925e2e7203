"""What does a layer tell apart, at every position of a photo?

    python examples/understanding.py

Writes activation_grid.png: what the layer sees in each part of a photo; neuron_groups.png: which of
its channels are active together, where, and what excites each group; semantic_dictionary.png: the
strongest channels at one position; spatial_attribution.png: what four positions of a late layer
draw on; dataset_examples.png: the parts of the photos that excite four channels most.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import kerasviz as kv
from kerasviz import plots, samples

LAYER = "block_10/expand_relu"
EYE = (5, 4)
EARLY, LATE = "block_4/add", "block_13/add"
PHOTOS = ("coffee", "chelsea", "rocket", "astronaut")
OTHERS = ("china", "flower")


def main(size: int, cell: int, icon: int, steps: int, num_groups: int, output: Path) -> None:
    """Ask a layer of the sample network about four photos."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    photos = samples.preprocess([photo.image for photo in samples.photos(*PHOTOS)], size)
    settings = {"size": icon, "steps": steps, "batch_size": 13}
    output.mkdir(parents=True, exist_ok=True)

    groups = kv.NeuronGroups(model, LAYER, num_groups=num_groups, **settings)(photos)
    print(f"{groups}: shares {groups.shares.round(3)}")
    save(groups.plot(), output / "neuron_groups.png")

    grid = kv.ActivationGrid(model, LAYER, cell=cell, **settings)(photos[1])
    save(grid.plot(), output / "activation_grid.png")

    words = kv.semantic_dictionary(model, LAYER, photos[1], EYE, num=5, **settings)
    print(f"{words}: {words.share:.0%} of the activation there")
    save(words.plot(), output / "semantic_dictionary.png")

    found = kv.AttributionSpatial(model, EARLY, LATE)(photos[1])
    save(found.plot(), output / "spatial_attribution.png")
    why = kv.AttributionChannel(model, LAYER)(photos)
    for sample, name in enumerate(why.targets):
        print(f"{name}: score {why.scores[sample]:.2f}, channels {why.top(3, sample)}")

    windows = samples.preprocess(crops(), size // 2)
    best = kv.dataset_examples(model, LAYER, words.channels[:4], windows, num=7)
    save(best.plot(), output / "dataset_examples.png")


def crops(per_photo: int = 25, seed: int = 0) -> list[np.ndarray]:
    """Square windows of random size and place, of the sample photos."""
    random = np.random.default_rng(seed)
    found = []
    for photo in samples.photos(*PHOTOS, *OTHERS):
        sizes = photo.image.shape[:2]
        for _ in range(per_photo):
            side = random.integers(120, min(sizes) + 1)
            top, left = (random.integers(0, length - side + 1) for length in sizes)
            found.append(photo.image[top : top + side, left : left + side])
    return found


def save(figure: Figure, path: Path) -> None:
    """Write a figure and say where."""
    path.write_bytes(plots.to_png(figure, dpi=110))
    print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224, help="height and width of the photos")
    parser.add_argument("--cell", type=int, default=2, help="positions a side in one cell")
    parser.add_argument("--icon", type=int, default=80, help="height and width of a picture")
    parser.add_argument("--steps", type=int, default=96, help="gradient steps per picture")
    parser.add_argument("--num-groups", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
