"""What does a layer tell apart over many pictures?

    python examples/activation_atlas.py

Lays out activations of random windows of the sample photos, one each, and draws what excites each
part of the map. Writes activation_atlas.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import kerasviz as kv
from kerasviz import plots, samples

LAYER = "block_12/expand_relu"


def main(per_photo: int, grid: int, icon: int, steps: int, output: Path) -> None:
    """Sample, lay out, draw."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    windows = samples.preprocess(crops(per_photo), 128)

    make = kv.ActivationAtlas(
        model, LAYER, grid=grid, min_samples=2, size=icon, steps=steps, batch_size=20
    )
    atlas = make(windows)

    print(atlas)
    for row, column, names in zip(*atlas.cells.T, atlas.labels, strict=True):
        print(f"({row}, {column}): {'; '.join(names)}")
    output.mkdir(parents=True, exist_ok=True)
    path = output / "activation_atlas.png"
    path.write_bytes(plots.to_png(atlas.plot(labelled=True), dpi=110))
    print(path)


def crops(per_photo: int, seed: int = 0) -> list[np.ndarray]:
    """Square windows of random size and place, of all sample photos."""
    random = np.random.default_rng(seed)
    found = []
    for photo in samples.photos():
        sizes = photo.image.shape[:2]
        for _ in range(per_photo):
            side = random.integers(120, min(sizes) + 1)
            top, left = (random.integers(0, length - side + 1) for length in sizes)
            found.append(photo.image[top : top + side, left : left + side])
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--per-photo", type=int, default=70, help="windows of each photo")
    parser.add_argument("--grid", type=int, default=8, help="cells a side")
    parser.add_argument("--icon", type=int, default=72, help="height and width of a picture")
    parser.add_argument("--steps", type=int, default=96, help="gradient steps per picture")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
