"""What pattern in the picture excites a channel?

    python examples/reconstruction.py

DeconvNet projects one activation back to the input. First for a small network with max pooling,
trained here on scikit-learn's digits; then for the ImageNet network, which has no max pooling, so
that the way back does not know the photo: only the first layers give a pattern.
Writes reconstruction_digits.png and reconstruction_photos.png.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits

import kerasviz as kv
from kerasviz import plots, samples

DIGIT_LAYERS = ("conv_1", "conv_2", "conv_3")
PHOTO_LAYERS = ("block_1/depthwise_relu", "block_3/expand_relu")
PHOTOS = ("coffee", "chelsea", "rocket", "astronaut", "china", "flower")
TILE = 64
Pair = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Case:
    """A network, the pictures it looks at, and what to show of it."""

    name: str
    model: keras.Model
    inputs: np.ndarray
    pictures: np.ndarray
    layers: Sequence[str]
    channels: int
    strongest: int
    whole: bool


def main(channels: int, epochs: int, size: int, output: Path) -> None:
    """Reconstruct the strongest activations of both networks."""
    output.mkdir(parents=True, exist_ok=True)
    images, labels = digit_images()
    network = digit_network(images, labels, epochs)
    shown = images[1500:]
    report(Case("digits", network, shown, shown, DIGIT_LAYERS, channels, 3, True), output)

    pictures = samples.crop([photo.image for photo in samples.photos(*PHOTOS)], size)
    network = samples.efficientnet_lite0(input_shape=(size, size, 3))
    inputs = samples.preprocess(pictures, size)
    report(
        Case("photos", network, inputs, pictures / 255.0, PHOTO_LAYERS, 2 * channels, 1, False),
        output,
    )


def report(case: Case, output: Path) -> None:
    """Draw the strongest channels of each layer; print how much the picture decides."""
    deconvnet = kv.DeconvNet(case.model)
    activations = kv.activations(case.model, case.inputs, case.layers)
    rows = {}
    for layer, values in activations.items():
        rows[layer] = [
            pair(case, deconvnet, layer, channel, index)
            for channel in selective(values)[: case.channels]
            for index in np.argsort(-values[..., channel].max(axis=(1, 2)))[: case.strongest]
        ]
        likeness = likeness_of_two(case, deconvnet, layer, values)
        print(f"{case.name} {layer}: one activation, two pictures: correlation {likeness:.3f}")
    path = output / f"reconstruction_{case.name}.png"
    path.write_bytes(plots.to_png(drawn(rows, case.strongest), dpi=100))
    print(path)


def selective(values: np.ndarray) -> np.ndarray:
    """Channels by how far their maximum lies above their mean, in standard deviations."""
    flat = values.reshape(-1, values.shape[-1])
    excess = (flat.max(axis=0) - flat.mean(axis=0)) / (flat.std(axis=0) + 1e-6)
    return np.argsort(-np.where(flat.max(axis=0) > 0.5, excess, 0.0))


def pair(case: Case, deconvnet: kv.DeconvNet, layer: str, channel: int, index: int) -> Pair:
    """The picture (or the part that counts) and the pattern that excites the channel in it."""
    found = deconvnet.reconstruct(case.inputs[index : index + 1], layer, int(channel))[0]
    strength = np.abs(found).max(axis=-1)
    pattern = 0.5 + 0.5 * found / strength.max()
    if case.whole:
        return case.pictures[index], pattern
    seen = strength > 0.01 * strength.max()
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return case.pictures[index][window], pattern[window]


def likeness_of_two(case: Case, deconvnet: kv.DeconvNet, layer: str, values: np.ndarray) -> float:
    """Correlation of the reconstructions of one activation that is strong in two pictures."""
    second = np.sort(values, axis=0)[-2]
    row, column, channel = np.unravel_index(second.argmax(), second.shape)
    two = np.argsort(-values[:, row, column, channel])[:2]
    found = deconvnet.reconstruct(case.inputs[two], layer, int(channel), (row, column))
    return float(np.corrcoef(found.reshape(2, -1))[0, 1])


def digit_images() -> Pair:
    """The 1797 digits of scikit-learn, enlarged to 16 × 16, and their labels."""
    digits = load_digits()
    images = [
        Image.fromarray(image.astype("float32") / 16).resize((16, 16)) for image in digits.images
    ]
    return np.stack([np.asarray(image) for image in images])[..., None], digits.target


def digit_network(images: np.ndarray, labels: np.ndarray, epochs: int) -> keras.Model:
    """A small network with max pooling, trained on the first 1500 digits."""
    keras.utils.set_random_seed(0)
    settings = {"padding": "same", "activation": "relu"}
    model = keras.Sequential(
        [
            keras.Input(images.shape[1:]),
            keras.layers.Conv2D(16, 3, name="conv_1", **settings),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, name="conv_2", **settings),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, name="conv_3", **settings),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:1500], labels[:1500], epochs=epochs, verbose=0)
    _, accuracy = model.evaluate(images[1500:], labels[1500:], verbose=0)
    print(f"digits: {accuracy:.1%} of {len(images) - 1500} held-out digits right")
    return model


def drawn(rows: dict[str, list[Pair]], together: int) -> Figure:
    """A row a layer: pictures, below each its pattern; `together` columns belong to a channel."""
    strips = {layer: strip(pairs, together) for layer, pairs in rows.items()}
    height, width = next(iter(strips.values())).shape[:2]
    figure = Figure(figsize=(9, 9 * len(rows) * (height + 24) / width), layout="constrained")
    every = np.ravel(figure.subplots(len(rows), 1))
    for axes, (layer, picture) in zip(every, strips.items(), strict=True):
        axes.imshow(picture)
        axes.set_title(layer, loc="left", fontsize=9)
        axes.set_axis_off()
    return figure


def strip(pairs: list[Pair], together: int) -> np.ndarray:
    """All pairs side by side, with white between channels."""
    columns = [np.concatenate([tile(part) for part in one]) for one in pairs]
    gap = np.full((2 * TILE, 6, 3), 255, "uint8")
    for position in range(len(columns) - together, 0, -together):
        columns.insert(position, gap)
    return np.concatenate(columns, axis=1)


def tile(picture: np.ndarray) -> np.ndarray:
    """A picture with values in [0, 1] as a square of uint8 colours, its pixels kept visible."""
    colors = np.broadcast_to(picture, (*picture.shape[:2], 3))
    pixels = Image.fromarray(np.rint(255 * colors.clip(0, 1)).astype("uint8"))
    return np.asarray(pixels.resize((TILE, TILE), Image.Resampling.NEAREST))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=4, help="channels shown for each layer")
    parser.add_argument("--epochs", type=int, default=20, help="training of the digit network")
    parser.add_argument("--size", type=int, default=224, help="height and width of the photos")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
