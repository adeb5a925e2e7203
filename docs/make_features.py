"""Draw the pictures of docs/gallery.md that show what layers look for.

    python docs/make_features.py [LAYER...]

Five layers of EfficientNet-Lite0, the first eight channels of each, 256 steps at 128 × 128 pixels:
about ten minutes on two cores. Writes docs/images/features_*.jpg.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

import kerasviz as kv
from kerasviz import samples

FOLDER = Path(__file__).parent / "images"
LAYERS = tuple(f"block_{block}/expand" for block in (1, 3, 6, 10, 13))
CHANNELS = range(8)
SIZE = 128
STEPS = 256
GAP = 6


def main(layers: list[str]) -> None:
    """Draw the named layers, or all."""
    model = samples.efficientnet_lite0(input_shape=(None, None, 3))
    for layer in layers or LAYERS:
        channels = kv.objectives.channel(layer, CHANNELS)
        image = kv.images.Fourier(size=SIZE)
        found = kv.ActivationMaximization(model, channels, image=image).visualize(STEPS)
        write(strip(found.display), FOLDER / f"features_{layer.partition('/')[0]}.jpg")


def strip(pictures: np.ndarray) -> np.ndarray:
    """Pictures side by side in two rows, white between them."""
    padded = np.pad(pictures, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=1.0)
    rows = [np.concatenate(list(row), axis=1) for row in np.array_split(padded, 2)]
    return np.concatenate(rows)[:-GAP, :-GAP]


def write(sheet: np.ndarray, goal: Path) -> None:
    """A JPEG file of the sheet, pixel by pixel."""
    pixels = np.rint(sheet * 255).astype(np.uint8)
    options = {"quality": 88, "subsampling": 0, "optimize": True, "progressive": True}
    imsave(goal, pixels, format="jpeg", pil_kwargs=options)
    print(f"{goal}: {goal.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
