"""Where does the time of a training step go, and what would freezing the first layers save?

    python examples/where_time_goes.py

A small network like the retina (a wide first convolution, pooling, a bottleneck of one channel,
two convolutions, two dense layers) is measured at three input sizes. Writes where_time_goes.png
(time by layer) and freezing.png; prints the figures and what they say.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

import kerasviz as kv


def retina(size: tuple[int, int], kernel_size: int = 9, units: int = 128) -> keras.Model:
    """Convolutions of 32, 1, 32 and 32 channels, pooled early."""
    settings = {"padding": "same", "activation": "elu"}
    model = keras.Sequential(
        [
            keras.Input((*size, 3)),
            layers.Conv2D(32, kernel_size, name="conv_1", **settings),
            layers.AveragePooling2D(2, name="pool_1"),
            layers.Conv2D(1, kernel_size, name="bottleneck", **settings),
            layers.AveragePooling2D(2, name="pool_2"),
            layers.Conv2D(32, kernel_size, name="conv_3", **settings),
            layers.Conv2D(32, kernel_size, name="conv_4", **settings),
            layers.Flatten(name="flatten"),
            layers.Dense(units, activation="elu", name="dense"),
            layers.Dense(10, activation="softmax", name="classes"),
        ],
        name="retina",
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def main(
    sizes: list[str], kernel_size: int, units: int, batch_size: int, seconds: float, output: Path
) -> None:
    """Measure, print, draw."""
    wanted = [tuple(map(int, size.split("x"))) for size in sizes]
    middle = wanted[len(wanted) // 2]
    generator = np.random.default_rng(0)
    images = generator.random((batch_size, *middle, 3), dtype="float32")
    labels = generator.integers(0, 10, batch_size)
    found = kv.profile(
        retina(middle, kernel_size, units),
        images,
        labels,
        input_sizes=wanted,
        build=lambda size: retina(size, kernel_size, units),
        freezing=4,
        seconds=seconds,
        verbose=0,
    )
    print(found)
    print(found.table[["address", "forward", "backward", "share"]].to_string(index=False))
    print(found.sizes.to_string(index=False, float_format="%.3g"))
    print(*found.advice(), sep="\n")
    output.mkdir(parents=True, exist_ok=True)
    figures = {"where_time_goes": found.plot(), "freezing": found.plot_freezing()}
    for name, figure in figures.items():
        (output / f"{name}.png").write_bytes(kv.plots.to_png(figure, dpi=110))
        print(output / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["143x107", "160x120", "179x143"])
    parser.add_argument("--kernel-size", type=int, default=9)
    parser.add_argument("--units", type=int, default=128, help="of the hidden dense layer")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=25.0, help="how long to measure")
    parser.add_argument("--output", type=Path, default=Path("examples/output"))
    main(**vars(parser.parse_args()))
