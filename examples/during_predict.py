"""Maps for a data set, with its labels as targets.

    python examples/during_predict.py

A window of the network's size slides over a photo that is larger than it. The data set holds every
window once for each question, with the class asked about as its label; `predict` gives one map for
each, and the maps of one question, laid over each other where their windows were, are a map of the
whole photo. Writes during_predict.png.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import kerasviz as kv
from kerasviz import plots, samples


def main(photo: str, classes: list[str], size: int, stride: int, output: Path) -> None:
    """Explain every window of a photo for every class, and lay the maps over each other."""
    image = samples.photos(photo)[0].image
    corners = [
        (row, column)
        for row in range(0, image.shape[0] - size + 1, stride)
        for column in range(0, image.shape[1] - size + 1, stride)
    ]
    labels = [kv.targets.label_index(name, samples.imagenet_labels()) for name in classes]

    def windows() -> Iterator[tuple[np.ndarray, int]]:
        for label, (row, column) in itertools.product(labels, corners):
            window = image[row : row + size, column : column + size]
            yield samples.preprocess(window, size)[0], label

    signature = (tf.TensorSpec((size, size, 3), tf.float32), tf.TensorSpec((), tf.int32))
    dataset = tf.data.Dataset.from_generator(windows, output_signature=signature).batch(32)

    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    cam = kv.GradCAM(model, target="label", normalize=False)
    maps = cam.predict(dataset, verbose=0)

    print(f"{len(maps)} maps of {size} × {size}, traced {cam.num_traces} time(s)")
    evidence = maps.reshape(len(classes), len(corners), size, size)
    wholes = [mean_over(image.shape[:2], corners, one) for one in evidence]
    for name, whole in zip(classes, wholes, strict=True):
        row, column = np.unravel_index(whole.argmax(), whole.shape)
        print(f"{name}: most evidence at row {row}, column {column} of {image.shape[:2]}")
    output.mkdir(parents=True, exist_ok=True)
    for name, whole in zip(classes, wholes, strict=True):
        figure = plots.overlay(image, whole, title=name)
        path = output / f"during_predict_{name.replace(' ', '_')}.png"
        path.write_bytes(plots.to_png(figure, dpi=90))
        print(path)


def mean_over(
    shape: tuple[int, int], corners: list[tuple[int, int]], maps: np.ndarray
) -> np.ndarray:
    """The mean map of all windows that saw a pixel, for every pixel; 0 where none did."""
    total, count = np.zeros(shape), np.zeros(shape)
    size = maps.shape[1]
    for (row, column), one in zip(corners, maps, strict=True):
        total[row : row + size, column : column + size] += one
        count[row : row + size, column : column + size] += 1
    return total / np.maximum(count, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", default="astronaut", help="name of a sample photo")
    parser.add_argument("--classes", nargs="+", default=["space shuttle", "football helmet"])
    parser.add_argument("--size", type=int, default=224, help="height and width of the window")
    parser.add_argument("--stride", type=int, default=36, help="pixels between windows")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
