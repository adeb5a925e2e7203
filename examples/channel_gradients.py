"""Which channels of a trained network take up the gradient, and which hand it on?

    python examples/channel_gradients.py

For every convolution of a pretrained network and cuts from photos, how much gradient each channel
absorbs and how much it emits. Writes channel_gradients.png: box plots over the cuts, a row a layer.
Prints, for each layer, how unequal its channels are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from kerasviz import plots, samples
from kerasviz.dynamics import ChannelGradients


def main(
    photos: list[str], size: int, per_photo: int, definition: str, alone: bool, output: Path
) -> None:
    """Measure all convolutions on cuts from the photos, and draw some."""
    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    pictures = cuts([photo.image for photo in samples.photos(*photos)], size, per_photo)
    found = ChannelGradients.measure(
        model,
        samples.preprocess(pictures, size),
        definition,
        batch_statistics=alone,
        verbose=0,
    )
    emission = found.table.groupby("layer", sort=False)["emission"]
    summary = emission.agg(["count", "sum", "median", "max"])
    summary["strongest / median"] = summary["max"] / summary["median"]
    print(summary.to_string(float_format="%.3g"))
    output.mkdir(parents=True, exist_ok=True)
    drawn = found.plot(["stem", "block_9/project", "head"])
    (output / "channel_gradients.png").write_bytes(plots.to_png(drawn, dpi=80))
    print(output / "channel_gradients.png")


def cuts(images: list[np.ndarray], size: int, per_photo: int) -> np.ndarray:
    """Squares from each photo, from its left or upper end to the other."""
    found = []
    for image in images:
        side = min(image.shape[:2])
        for share in np.linspace(0, 1, per_photo):
            top, left = (int(share * (length - side)) for length in image.shape[:2])
            found += [image[top : top + side, left : left + side]]
    return np.stack([samples.crop([square], size)[0] for square in found])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos",
        nargs="+",
        default=["coffee", "chelsea", "rocket", "astronaut", "china", "flower"],
    )
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--per-photo", type=int, default=3, help="cuts from each photo")
    parser.add_argument("--definition", choices=["paper", "code"], default="paper")
    parser.add_argument("--alone", action="store_true", help="normalize by each cut's statistics")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
