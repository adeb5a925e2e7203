"""A model that is not a plain stack: two inputs, one nested network that looks at both.

    python examples/any_model.py

The model says how similar two photos are to the network's eye. The left photo shows a cat, the
right one is a collage, half cat and half cup; the similarity must come from the cat. Every call
site of the shared network has an address of its own, and each input gets its own map.
Writes any_model.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np

import kerasviz as kv
from kerasviz import plots, samples


def similarity_model(size: int) -> keras.Model:
    """Two photos in, the cosine of their features out; one encoder, called twice."""
    classifier = samples.efficientnet_lite0(input_shape=(size, size, 3))
    features = classifier.get_layer("pool").output
    encoder = keras.Model(classifier.input, features, name="encoder")
    left = keras.Input((size, size, 3), name="left")
    right = keras.Input((size, size, 3), name="right")
    cosine = keras.layers.Dot(axes=1, normalize=True, name="cosine")
    return keras.Model([left, right], cosine([encoder(left), encoder(right)]), name="similarity")


def main(size: int, output: Path) -> None:
    """Explain the similarity of a cat and a collage, for both orders of the collage."""
    model = similarity_model(size)
    cat, cup = samples.crop([photo.image for photo in samples.photos("chelsea", "coffee")], size)
    half = size // 2
    quarter = slice(size // 4, size // 4 + half)
    cat_first = np.concatenate([cat[:, quarter], cup[:, quarter]], axis=1)
    cup_first = np.concatenate([cup[:, quarter], cat[:, quarter]], axis=1)
    pictures = {"left": np.stack([cat, cat]), "right": np.stack([cat_first, cup_first])}
    inputs = {name: samples.preprocess(picture, size) for name, picture in pictures.items()}

    cam = kv.GradCAM(model, labels=["similarity"])
    why = cam.explain(inputs)

    print(kv.layers(model).loc[["encoder/head_relu", "encoder", "encoder@2/head_relu", "cosine"]])
    print(why.layer, why.resolution, sep="\n")
    right = why.maps["right"]
    shares = [
        right[0, :, :half].sum() / right[0].sum(),
        right[1, :, half:].sum() / right[1].sum(),
    ]
    print("similarity", why.scores.round(3))
    print("share of the right map that lies on the cat", np.round(shares, 3))
    output.mkdir(parents=True, exist_ok=True)
    first = {name: picture[:1] for name, picture in pictures.items()}
    figure = plots.grid(why[:1], first, names=["one pair"])
    (output / "any_model.png").write_bytes(plots.to_png(figure, dpi=90))
    print(output / "any_model.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224, help="height and width of the input")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
