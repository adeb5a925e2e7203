"""What does a channel read through several layers, and how much of it cancels?

    python examples/expanded_weights.py

Expanded weights of a pretrained network from one block to later ones: first from the weights
alone, then as the mean of the true gradients over cuts from photos. Prints how much of excitation
and inhibition cancels, and how alike the two are. Draws one channel both ways,
expanded_weights.png, in examples/output, or where --output says. About a minute.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import kerasviz as kv


def cuts(names: list[str], per_photo: int, size: int) -> np.ndarray:
    """Squares from each photo, from its left or upper end to the other."""
    found = []
    for photo in kv.samples.photos(*names):
        side = min(photo.image.shape[:2])
        for share in np.linspace(0, 1, per_photo):
            top, left = (int(share * (length - side)) for length in photo.image.shape[:2])
            square = photo.image[top : top + side, left : left + side]
            found.append(kv.samples.crop([square], size)[0])
    return kv.samples.preprocess(np.stack(found), size)


def agreement(one: Any, other: Any) -> float:
    """Mean over targets of the rank correlation between their sources' norms."""
    pairs = zip(one.norms, other.norms, strict=True)
    ranks = [(pd.Series(a).rank(), pd.Series(b).rank()) for a, b in pairs]
    return float(np.mean([a.corr(b) for a, b in ranks]))


def main() -> None:
    """Expand, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output")
    parser.add_argument("--source", default="block_1")
    parser.add_argument("--targets", nargs="+", default=["block_2", "block_4"])
    parser.add_argument("--channel", type=int, default=2, help="of the first target, to draw")
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--photos", nargs="+", default=["coffee", "chelsea", "rocket"])
    parser.add_argument("--per-photo", type=int, default=2)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    model = kv.samples.efficientnet_lite0(input_shape=(arguments.size, arguments.size, 3))
    images = cuts(arguments.photos, arguments.per_photo, arguments.size)
    figures = []
    for target in arguments.targets:
        expander = kv.weights.WeightExpander(model, arguments.source, target)
        both = [expander(), expander(images, verbose=0)]
        for found in both:
            window = " × ".join(map(str, found.size))
            hidden = found.cancellation.mean()
            print(f"{target} by {found.method}: {window}, {hidden:.2%} of each link cancels")
        print(f"{target}: ranks of the links correlate {agreement(*both):+.2f}", flush=True)
        if not figures:
            figures = [found.plot(arguments.channel) for found in both]
    parts = [np.array(Image.open(io.BytesIO(kv.plots.to_png(one, dpi=100)))) for one in figures]
    path = arguments.output / "expanded_weights.png"
    Image.fromarray(np.concatenate(parts)).save(path)
    print(path)


if __name__ == "__main__":
    main()
