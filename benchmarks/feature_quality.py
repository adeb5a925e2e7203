"""Do the pictures show what they claim? EfficientNet-Lite0's are put back into it and into Lite1.

    python benchmarks/feature_quality.py [--classes 20] [--channels 8] [--size 160] [--steps 512]

Classes: for how many of the pictures the class is the network's first answer, and where it ranks
for EfficientNet-Lite1, which was trained apart and not used for the pictures (chance: 1 in 1,000).
Channels: which share of the patches of the sample photos (the positions of the layer) excites the
channel less than the picture's patches do, on average and at best. Layers before their ReLU6, in
which nothing is cut off at 6.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BLOCKS = (1, 3, 6, 10, 13)
BATCH = 10


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--steps", type=int, default=512)
    options = parser.parse_args()
    import numpy as np

    import kerasviz as kv

    open_size = (None, None, 3)
    model = kv.samples.efficientnet_lite0(input_shape=open_size)
    second = kv.samples.efficientnet_lite1(input_shape=open_size)
    image = kv.images.Fourier(size=options.size)
    chosen = np.random.default_rng(0).choice(1000, options.classes, replace=False)
    own, other = [], []
    for start in range(0, len(chosen), BATCH):
        classes = chosen[start : start + BATCH].tolist()
        pictures = kv.ActivationMaximization(model, classes, image)(options.steps, verbose=2)
        own += _ranks(model, pictures, classes)
        other += _ranks(second, pictures, classes)
    if own:
        print(f"classes: first answer of the network itself {own.count(0)} of {len(own)}")
        print(
            f"classes: second network: first answer {other.count(0)}, among the first five "
            f"{sum(rank < 5 for rank in other)}, median rank {np.median(other) + 1:g} of 1000",
            flush=True,
        )
    photos = kv.samples.preprocess([photo.image for photo in kv.samples.photos()])
    for layer in (f"block_{number}/expand_normalization" for number in BLOCKS):
        channels = np.random.default_rng(1).choice(
            kv.layers(model).loc[layer, "output_shape"][-1], options.channels, replace=False
        )
        names = [f"{layer}:{channel}" for channel in channels]
        pictures = kv.ActivationMaximization(model, names, image)(options.steps, verbose=0)
        drawn = kv.activations(model, pictures, [layer])[layer]
        own = [drawn[i, ..., channel].ravel() for i, channel in enumerate(channels)]
        seen = kv.activations(model, photos, [layer])[layer][..., channels]
        seen = seen.reshape(-1, options.channels)
        for word, reached in (
            ("on average", np.mean(own, axis=1)),
            ("at best", np.max(own, axis=1)),
        ):
            shares = 100 * (seen < reached).mean(axis=0)
            print(
                f"{layer}: {word} above {shares.min():.2f} % (worst of {options.channels} "
                f"channels), {np.median(shares):.2f} % (median) of {len(seen)} patches",
                flush=True,
            )


def _ranks(model: Any, pictures: Any, classes: Any) -> list[int]:
    import numpy as np

    scores = model.predict(pictures, verbose=0)
    own = scores[np.arange(len(classes)), classes]
    return [int((row > value).sum()) for row, value in zip(scores, own, strict=True)]


if __name__ == "__main__":
    main()
