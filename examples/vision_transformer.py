"""What do the heads of a vision transformer look at, and does attention find what counts?

    python examples/vision_transformer.py

Trains a small vision transformer, from nothing and offline, to read a handwritten digit that stands
somewhere on a faint piece of a photo. Where the digit stands is known, so maps can be judged: how
much of a map lies on the digit, for attention rollout, for the class token's last attention, for
Grad-CAM and for saliency. Heads are measured before and after training, since an untrained network
has distances and entropies too. Writes vision_transformer.png and attention_heads.png.

What a run shows: heads of the first layer share the digit's four patches among them, and from there
on tokens are mixtures, so that what the class token looks at in the last layer is hardly where the
digit is, although rollout through all layers is. Distances say nothing here, as the digit may be
anywhere; entropies do. One object on a dull background is the easy case for a map that knows no
class.

References:
    Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words".
    Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers".
"""

from __future__ import annotations

import argparse
import io
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

import kerasviz as kv
from kerasviz import plots

layers, ops = keras.layers, keras.ops
SIZE, PATCH, DIGIT = 20, 4, 8
CELLS = SIZE // PATCH
TRAINING_DIGITS = 1400


def main(epochs: int, samples: int, output: Path) -> None:
    """Train, measure the heads, and compare maps with where the digit is."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    training, testing = Scenes(generator, True), Scenes(generator, False)
    images, boxes, digits = testing.draw()
    shown = images[:samples]
    model = vision_transformer()
    before = kv.attention.head_statistics(model, shown, verbose=0)
    accuracy = train(model, training, epochs, images, digits)
    after = kv.attention.head_statistics(model, shown, verbose=0)
    print(f"{accuracy:.1%} of {len(images)} test digits are read correctly")
    columns = ["normalized_entropy", "distance", "on_class_token", "focused", "closest"]
    for when, table in (("before", before), ("after", after)):
        print(f"\n{when} training\n{table[columns].round(2).to_string()}")

    maps = maps_of(model, shown)
    judge(maps, boxes[:samples])
    output.mkdir(parents=True, exist_ok=True)
    title = f"Test accuracy {accuracy:.1%}; share of the map on the digit (by area {AREA:.0%})"
    figure = drawn(maps, shown[:5], boxes[:5], title)
    (output / "vision_transformer.png").write_bytes(plots.to_png(figure, dpi=75))
    scores = {a: one[0] for a, one in kv.attention.scores(model, shown[:1]).items()}
    heads = plots.attention_maps(scores, enlarged(shown[0]), (CELLS, CELLS))
    depth = plots.heads_by_depth({"untrained": before, "trained": after}, "normalized_entropy")
    beside([heads, depth], output / "attention_heads.png")
    for name in ("vision_transformer.png", "attention_heads.png"):
        print(output / name)


class Scenes:
    """Digits on pieces of photos; training and test share neither digits nor parts of photos.

    Args:
        generator: Where random numbers come from.
        is_training: Which of the two.
    """

    def __init__(self, generator: np.random.Generator, is_training: bool) -> None:
        self._generator = generator
        data = load_digits()
        order = np.random.default_rng(1).permutation(len(data.images))
        part = slice(None, TRAINING_DIGITS) if is_training else slice(TRAINING_DIGITS, None)
        self._digits, self._classes = data.images[order][part] / 16.0, data.target[order][part]
        self._photos = [_half(name, is_training) for name in ("china.jpg", "flower.jpg")]

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images (n, 20, 20, 1), row and column of each digit's corner, classes.

        Each digit stands at one of 16 places that fit the patches, which a small network learns
        in a minute; anywhere else takes it ten times as long.
        """
        number = len(self._digits)
        images = np.zeros((number, SIZE, SIZE, 1), "float32")
        boxes = PATCH * self._generator.integers((SIZE - DIGIT) // PATCH + 1, size=(number, 2))
        for image, digit, (row, column) in zip(images[..., 0], self._digits, boxes, strict=True):
            photo = self._photos[self._generator.integers(len(self._photos))]
            y, x = (self._generator.integers(length - SIZE) for length in photo.shape)
            image[:] = 0.3 * photo[y : y + SIZE, x : x + SIZE]
            place = image[row : row + DIGIT, column : column + DIGIT]
            place[:] = np.maximum(place, digit)
        return images, boxes, self._classes


def _half(name: str, is_left: bool) -> np.ndarray:
    """The left or right half of a photo, grey and small, in [0, 1]."""
    photo = load_sample_image(name).mean(axis=-1)[::4, ::4] / 255.0
    middle = photo.shape[1] // 2
    return photo[:, :middle] if is_left else photo[:, middle:]


class ClassToken(layers.Layer):
    """A learned token in front of the others, and learned positions."""

    def build(self, shape: Any) -> None:
        """`shape` is (batch, tokens, channels)."""
        start = keras.initializers.RandomNormal(0.02, seed=0)
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer=start, name="token")
        size = (1, shape[1] + 1, shape[-1])
        self.position = self.add_weight(shape=size, initializer=start, name="position")

    def call(self, x: Any) -> Any:
        """(batch, tokens + 1, channels)."""
        token = ops.zeros_like(x[:, :1]) + self.token
        return ops.concatenate([token, x], axis=1) + self.position


def vision_transformer(channels: int = 48, depth: int = 3, heads: int = 4) -> keras.Model:
    """Stock layers only, but for the class token."""
    image = keras.Input((SIZE, SIZE, 1), name="image")
    x = layers.Conv2D(channels, PATCH, strides=PATCH, name="patches")(image)
    x = layers.Reshape((CELLS * CELLS, channels), name="tokens")(x)
    x = ClassToken(name="class_token")(x)
    for block in range(1, depth + 1):
        normal = layers.LayerNormalization(name=f"block_{block}_norm")(x)
        attention = layers.MultiHeadAttention(heads, channels // heads, name=f"attention_{block}")
        x = layers.Add(name=f"block_{block}_mixed")([x, attention(normal, normal)])
        hidden = layers.LayerNormalization(name=f"block_{block}_norm_2")(x)
        hidden = layers.Dense(2 * channels, "gelu", name=f"block_{block}_expand")(hidden)
        hidden = layers.Dense(channels, name=f"block_{block}_contract")(hidden)
        x = layers.Add(name=f"block_{block}")([x, hidden])
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x[:, 0]), name="vit")


def train(
    model: keras.Model, scenes: Scenes, epochs: int, images: np.ndarray, digits: np.ndarray
) -> float:
    """Train on digits at new places each epoch; the test accuracy at the end."""
    steps = epochs * -(-TRAINING_DIGITS // 64)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=4e-3, warmup_steps=min(60, steps // 2)
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    for _ in range(epochs):
        drawn_images, _, classes = scenes.draw()
        model.fit(drawn_images, classes, batch_size=64, verbose=0)
    return float(model.evaluate(images, digits, verbose=0)[1])


AREA = DIGIT**2 / SIZE**2


def maps_of(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """(n, 20, 20) maps of each method, one value a patch where the method has no more.

    Some of Grad-CAM's maps are empty: all evidence at its layer speaks against the class.
    """
    last = list(kv.attention.scores(model, images[:1]))[-1]
    attention = kv.attention.scores(model, images, last)[last].mean(axis=1)[:, 0, 1:]
    coarse = {
        "Attention rollout": kv.AttentionRollout(model, resolution="layer").predict(
            images, verbose=0
        ),
        "Last attention": attention.reshape(-1, CELLS, CELLS),
        "Grad-CAM": kv.GradCAM(model, resolution="layer").predict(images, verbose=0),
    }
    found = {name: np.kron(one, np.ones((1, PATCH, PATCH))) for name, one in coarse.items()}
    return found | {"Saliency": kv.Saliency(model).predict(images, verbose=0)}


def judge(maps: dict[str, np.ndarray], boxes: np.ndarray) -> None:
    """Print how much of the maps lies on the digit, and how often the hottest spot does."""
    print(f"\n{'':18}share of the map on the digit   hottest spot on it   empty maps")
    print(f"{'by area alone':18}{AREA:29.2f}{AREA:21.2f}")
    for name, heat in maps.items():
        there = heat.any(axis=(1, 2))
        shares = on_digit(heat, boxes)[there].mean() if there.any() else float("nan")
        hottest = np.mean([_inside(one, box) for one, box in zip(heat, boxes, strict=True)])
        print(f"{name:18}{shares:29.2f}{hottest:21.2f}{np.sum(~there):13}")


def on_digit(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n,) share of each map on the digit's square; NaN for an empty map."""
    inside = [
        one[row : row + DIGIT, column : column + DIGIT].sum()
        for one, (row, column) in zip(heat, boxes, strict=True)
    ]
    total = heat.sum(axis=(1, 2))
    return np.array(inside) / np.where(total > 0, total, np.nan)


def _inside(heat: np.ndarray, box: np.ndarray) -> bool:
    place = np.unravel_index(heat.argmax(), heat.shape)
    return bool(heat.any() and np.all((place >= box) & (place < box + DIGIT)))


def drawn(maps: dict[str, np.ndarray], images: np.ndarray, boxes: np.ndarray, title: str) -> Figure:
    """A column an image: itself, then each method's map, scaled by its own peak, over it."""
    shares = {name: on_digit(heat[: len(images)], boxes) for name, heat in maps.items()}
    figure = Figure(figsize=(1.55 * len(images) + 0.6, 1.72 * (len(maps) + 1) + 0.5))
    figure.set_layout_engine("constrained")
    axes: Any = figure.subplots(len(maps) + 1, len(images), squeeze=False)
    for column, (image, (y, x)) in enumerate(zip(images, boxes, strict=True)):
        for row, name in enumerate(["Image", *maps]):
            cell, photo = axes[row, column], enlarged(image)
            scale = len(photo) / SIZE
            if row:
                heat = maps[name][column]
                fine = np.kron(heat / max(heat.max(), 1e-12), np.ones((int(scale),) * 2))
                photo = plots.blend(photo, fine)
                share = shares[name][column]
                cell.set_title("empty" if np.isnan(share) else f"{share:.0%}", fontsize=9)
            cell.imshow(photo, cmap="gray", vmin=0.0, vmax=1.0)
            corners = np.array([(x, y), (x + 8, y), (x + 8, y + 8), (x, y + 8), (x, y)]) * scale
            cell.plot(*(corners - 0.5).T, color="white", linewidth=2.4)
            cell.plot(*(corners - 0.5).T, color="black", linewidth=1.0, linestyle="--")
            cell.set(xticks=[], yticks=[])
            if column == 0:
                cell.set_ylabel(name, fontsize=10)
    colors = ScalarMappable(Normalize(0.0, 1.0), ListedColormap(plots.color_bar()[0]))
    bar = figure.colorbar(colors, ax=axes, location="bottom", shrink=0.5, aspect=40)
    bar.set_label("share of each map's own peak", fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def enlarged(image: np.ndarray) -> np.ndarray:
    """(160, 160) with square pixels."""
    return np.kron(image[..., 0], np.ones((8, 8)))


def beside(figures: list[Figure], path: Path) -> None:
    """Save figures side by side, each as high as the highest."""
    pictures = [Image.open(io.BytesIO(plots.to_png(figure, dpi=130))) for figure in figures]
    height = max(picture.height for picture in pictures)
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture.convert("RGB"), (left, (height - picture.height) // 2))
        left += picture.width
    sheet.save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--samples", type=int, default=200, help="test images that are explained")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    warnings.simplefilter("ignore", kv.errors.KerasvizWarning)
    main(**vars(parser.parse_args()))
