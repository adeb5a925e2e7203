"""Maps for a data set, with its labels as targets.

    python examples/during_predict.py

A window of the network's size slides over a photo that is larger than it. The data set holds every
window once for each question, with the class asked about as its label; `predict` gives one map for
each. The maps of one question, laid over each other where their windows were, are a map of the
whole photo. Writes during_predict.png.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

import kerasviz as kv
from kerasviz import plots, samples

Corner = tuple[int, int]


def main(photo: str, classes: list[str], size: int, stride: int, output: Path) -> None:
    """Explain every window of a photo for every class, and lay the maps over each other."""
    image = samples.photos(photo)[0].image
    corners = corners_of(image.shape[:2], size, stride)
    labels = [kv.targets.label_index(name, samples.imagenet_labels()) for name in classes]

    model = samples.efficientnet_lite0(input_shape=(size, size, 3))
    cam = kv.GradCAM(model, target="label", normalize=False)
    maps = cam.predict(dataset_of(image, corners, labels, size), verbose=0)

    print(f"{len(maps)} maps of {size} × {size}, traced {cam.num_traces} time(s)")
    by_class = maps.reshape(len(classes), len(corners), size, size)
    wholes = [mean_over(image.shape[:2], corners, windows) for windows in by_class]
    for name, whole in zip(classes, wholes, strict=True):
        row, column = np.unravel_index(whole.argmax(), whole.shape)
        print(f"{name}: most evidence ({whole.max():.3f}) at row {row}, column {column}")
    output.mkdir(parents=True, exist_ok=True)
    picture = plots.to_png(drawn(image, classes, wholes), dpi=100)
    (output / "during_predict.png").write_bytes(picture)
    print(output / "during_predict.png")


def corners_of(shape: Sequence[int], size: int, stride: int) -> list[Corner]:
    """The upper left corners of all windows."""
    starts = [range(0, length - size + 1, stride) for length in shape]
    return list(itertools.product(*starts))


def dataset_of(
    image: np.ndarray, corners: list[Corner], labels: list[int], size: int
) -> tf.data.Dataset:
    """Batches of (window, label), made one by one as they are needed."""

    def windows() -> Iterator[tuple[np.ndarray, int]]:
        for label, (row, column) in itertools.product(labels, corners):
            window = image[row : row + size, column : column + size]
            yield samples.preprocess(window, size)[0], label

    signature = (tf.TensorSpec((size, size, 3), tf.float32), tf.TensorSpec((), tf.int32))
    dataset = tf.data.Dataset.from_generator(windows, output_signature=signature)
    count = tf.data.experimental.assert_cardinality(len(labels) * len(corners))
    return dataset.apply(count).batch(32)


def mean_over(shape: Sequence[int], corners: list[Corner], maps: np.ndarray) -> np.ndarray:
    """The mean of all windows that saw a pixel, for every pixel; 0 where none did."""
    total, count = np.zeros(shape), np.zeros(shape)
    size = maps.shape[1]
    for (row, column), window in zip(corners, maps, strict=True):
        total[row : row + size, column : column + size] += window
        count[row : row + size, column : column + size] += 1
    return total / np.maximum(count, 1)


def drawn(image: np.ndarray, names: list[str], maps: list[np.ndarray]) -> Figure:
    """The photo, and every map over it, each scaled by its own peak."""
    figure = Figure(figsize=(3 * (len(maps) + 1), 3.2), layout="constrained")
    pictures = [image, *(plots.blend(image, one / max(one.max(), 1e-12)) for one in maps)]
    axes = figure.subplots(1, len(pictures))
    for one, picture, name in zip(axes, pictures, ["the photo", *names], strict=True):
        one.imshow(picture)
        one.set_title(name)
        one.set_axis_off()
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", default="astronaut", help="name of a sample photo")
    parser.add_argument("--classes", nargs="+", default=["space shuttle", "football helmet"])
    parser.add_argument("--size", type=int, default=224, help="height and width of the window")
    parser.add_argument("--stride", type=int, default=36, help="pixels between windows")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
