"""Do networks that end in global average pooling grow banded weights?

    python examples/weight_banding.py

Trains small networks to tell in which order three textures lie above each other: with global
average pooling at the end, with a Flatten in its place, and with pooling on images turned by 90°.
Prints the index of banding of each convolution with its p-value, and draws the index of the first
seed's networks, weight_banding.png, and what their third convolutions read where,
weight_banding_factors.png. In examples/output, or where --output says. About two minutes.
"""

from __future__ import annotations

import argparse
import io
import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers
from PIL import Image

import kerasviz as kv

SIZE = 24
TEXTURES = ("astronaut", "coffee", "rocket")
ORDERS = list(itertools.permutations(range(len(TEXTURES))))
CONDITIONS = ("average pooling", "flatten", "average pooling, turned")
SHOWN = "conv_3"
TILES = 11


def strata(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of three textures in layers of random height; the class is their order."""
    generator = np.random.default_rng(seed)
    patches = kv.samples.photo_patches(300, SIZE, seed=seed, names=TEXTURES)
    pools = [patches.x_train[patches.y_train == kind] for kind in range(len(TEXTURES))]
    labels = generator.integers(0, len(ORDERS), num)
    images = np.empty((num, SIZE, SIZE, 3), "float32")
    for image, label in zip(images, labels, strict=True):
        first = generator.integers(5, SIZE - 12)
        ends = (0, first, generator.integers(first + 5, SIZE - 5), SIZE)
        for place, kind in enumerate(ORDERS[label]):
            pool = pools[kind]
            band = slice(ends[place], ends[place + 1])
            image[band] = pool[generator.integers(len(pool))][band] / 127.5 - 1.0
    return images, labels


def network(pooled: bool) -> keras.Model:
    """Four convolutions of 3 x 3, and what ends them."""
    image = keras.Input((SIZE, SIZE, 3))
    x = image
    for number, filters in enumerate((16, 24, 32, 32), 1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D()(x) if number < 3 else x
    x = layers.GlobalAveragePooling2D()(x) if pooled else layers.Flatten()(x)
    name = "average_pooling" if pooled else "flatten"
    return keras.Model(image, layers.Dense(len(ORDERS), name="classes")(x), name=name)


def trained(condition: str, seed: int, num: int, epochs: int) -> tuple[keras.Model, float]:
    """A network and its accuracy on images that it was not trained on."""
    keras.utils.set_random_seed(seed)
    model = network(pooled=condition != "flatten")
    sets = [strata(num, 2 * seed), strata(max(60, num // 4), 2 * seed + 1)]
    if condition.endswith("turned"):
        sets = [(np.rot90(images, axes=(1, 2)).copy(), labels) for images, labels in sets]
    model.compile(
        keras.optimizers.AdamW(3e-3, weight_decay=0.02),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*sets[0], batch_size=50, epochs=epochs, verbose=0)
    return model, model.evaluate(*sets[1], batch_size=100, verbose=0)[1]


def stacked(figures: list[Any]) -> Image.Image:
    """Figures of one width, one below the other."""
    parts = [np.array(Image.open(io.BytesIO(kv.plots.to_png(one, dpi=100)))) for one in figures]
    return Image.fromarray(np.concatenate(parts))


def main() -> None:
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--num", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=12)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    tables: dict[tuple[str, int], pd.DataFrame] = {}
    figures = []
    for condition in arguments.conditions:
        for seed in range(arguments.seeds):
            model, accuracy = trained(condition, seed, arguments.num, arguments.epochs)
            table = kv.weights.banding(model)
            told = (
                f"{name} {row['index']:+.2f} (p {row.p_value:.4f})"
                for name, row in table.iterrows()
            )
            print(f"{condition}, seed {seed}: right {accuracy:.0%};  {'  '.join(told)}", flush=True)
            tables[condition, seed] = table
            if seed == 0:
                found = kv.weights.factorize(model, SHOWN)
                title = f"{condition}: {SHOWN}, index {table.loc[SHOWN, 'index']:+.2f}"
                figures.append(found.plot(max_neurons=TILES, title=title))
    print(pd.concat(tables)["index"].groupby(level=[0, 2]).mean().unstack().round(2).to_string())
    firsts = {
        f"{condition}: {name}": row
        for condition in arguments.conditions
        for name, row in tables[condition, 0].iterrows()
    }
    together = kv.plots.weight_banding(pd.DataFrame(firsts).T, title="Bands by how a network ends")
    for name, picture in (
        ("weight_banding.png", Image.open(io.BytesIO(kv.plots.to_png(together, dpi=100)))),
        ("weight_banding_factors.png", stacked(figures)),
    ):
        picture.save(arguments.output / name)
        print(arguments.output / name)


if __name__ == "__main__":
    main()
