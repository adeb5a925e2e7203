"""Whether the parts of a profile add up to the training step, and what freezing saves, in one run.

    python benchmarks/profile.py [--repeats 15] [--networks NAME...] [--freezing]

For three networks: the parts that `kv.profile` finds over a step of its own without the profiler
(`coverage`); that step over Keras's own `train_step`, compiled, of a twin; and, for the flat ones,
what the layers take one by one, each alone on its input, over the whole step: the way that was not
taken. All take turns; the figures are medians of ratios of neighbouring runs.
With `--freezing`, the retina's network instead at three input sizes: share of the first layer and
what freezing it, and the one behind it, saves.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import kerasviz as kv
from examples.where_time_goes import retina
from kerasviz.dynamics.timing_settings import StepInputs
from kerasviz.probe.training_step import TrainingStep

LOSS = "sparse_categorical_crossentropy"


def efficientnet(size: tuple[int, int]) -> keras.Model:
    """EfficientNet-Lite0 with random weights."""
    model = kv.samples.efficientnet_lite0(weights=None, input_shape=(*size, 3))
    model.compile("sgd", LOSS)
    return model


def transformer(size: tuple[int, int]) -> keras.Model:
    """Patches, two blocks of attention and dense layers."""
    image = keras.Input((*size, 3))
    x = keras.layers.Conv2D(96, 8, 8, name="patches")(image)
    x = keras.layers.Reshape((-1, 96), name="tokens")(x)
    for number in (1, 2):
        y = keras.layers.LayerNormalization(name=f"norm_{number}")(x)
        y = keras.layers.MultiHeadAttention(4, 24, name=f"attention_{number}")(y, y)
        x = keras.layers.Add(name=f"add_{number}")([x, y])
        y = keras.layers.Dense(384, "gelu", name=f"wide_{number}")(x)
        x = keras.layers.Add(name=f"sum_{number}")([x, keras.layers.Dense(96)(y)])
    x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    model = keras.Model(image, keras.layers.Dense(10, "softmax", name="classes")(x), name="vit")
    model.compile("adam", LOSS)
    return model


NETWORKS = {
    "retina": (retina, (160, 120)),
    "efficientnet-lite0": (efficientnet, (160, 160)),
    "transformer": (transformer, (160, 160)),
}


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    keras.tree.map_structure(lambda tensor: tensor.numpy(), function())
    return time.perf_counter() - start


def keras_step(model: keras.Model, images: Any, labels: Any) -> Callable[[], Any]:
    """Keras's own step, compiled; it trains the model."""
    step = tf.function(lambda x, y: model.train_step((x, y))["loss"])
    x, y = tf.constant(images), tf.constant(labels)
    return lambda: step(x, y)


def layers_alone(model: keras.Sequential, images: Any) -> list[Callable[[], Any]]:
    """Forward and backward of each layer on what the layers before it return."""
    found, x = [], tf.constant(images)
    for number, layer in enumerate(model.layers):

        @tf.function(reduce_retracing=True)
        def step(x: Any, layer: Any = layer, first: bool = number == 0) -> Any:
            sources = [v.value for v in layer.trainable_variables] + ([] if first else [x])
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
            return tape.gradient(y, sources) or [y]

        found.append(lambda step=step, x=x: tf.reduce_sum(step(x)[0][:1]))
        x = layer(x, training=True)
    return found


def coverage(name: str, build: Callable[..., keras.Model], size: Any, repeats: int) -> None:
    """Print what the parts add up to."""
    generator = np.random.default_rng(0)
    images = generator.random((8, *size, 3), dtype="float32")
    labels = generator.integers(0, 10, 8)
    model, twin = build(size), build(size)
    found = kv.profile(model, images, labels, freezing=0, repeats=repeats, seconds=600, verbose=0)
    batch = StepInputs(model, images, labels, None, None)
    ours = TrainingStep(model, batch.arrays, True).compile().timed
    theirs = keras_step(twin, images, labels)
    alone = layers_alone(twin, images) if isinstance(twin, keras.Sequential) else []
    for function in (ours, theirs, *alone):
        function()
        function()
    ratios, sums = [], []
    for _ in range(repeats):
        whole = ours()
        ratios.append(whole / timed(theirs))
        sums.append(sum(map(timed, alone)) / whole)
    told = f"{name}: step {1000 * found.seconds:.0f} ms, coverage {found.coverage:.3f}, "
    told += f"other {found.other / found.parts.sum():.1%}, "
    told += f"step / Keras's train_step {statistics.median(ratios):.3f}"
    if alone:
        told += f", layers one by one / step {statistics.median(sums):.3f}"
    print(told, flush=True)


def freezing(repeats: int, kernel_sizes: list[int], units: int, samples: int) -> None:
    """Print what the first layer takes, and what freezing it saves, at three sizes."""
    generator = np.random.default_rng(0)
    for kernel_size in kernel_sizes:
        for size in ((143, 107), (160, 120), (179, 143)):
            images = generator.random((samples, *size, 3), dtype="float32")
            labels = generator.integers(0, 10, samples)
            model = retina(size, kernel_size, units)
            found = kv.profile(
                model, images, labels, freezing=[1, 2], repeats=repeats, seconds=600, verbose=0
            )
            first = found.table.set_index("address").loc["conv_1"]
            pool = found.table.set_index("address").loc["pool_1"]
            saved = ", ".join(
                f"up to {row['up_to']} {row['saving']:.1%} ± {row['spread'] / 2:.1%}"
                for _, row in found.freezing.iterrows()
            )
            print(
                f"kernel {kernel_size}, {size[0]}x{size[1]}: step {1000 * found.seconds:.0f} ms, "
                f"conv_1 forward {first['forward_share']:.1%}, backward "
                f"{first['backward_share']:.1%}, pool_1 backward {pool['backward_share']:.1%}, "
                f"freezing saves {saved}, "
                f"coverage {found.coverage:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--kernel-sizes", nargs="+", type=int, default=[3, 9])
    parser.add_argument("--units", type=int, default=128, help="of the retina's dense layer")
    parser.add_argument("--batch-size", type=int, default=4, help="with --freezing")
    parser.add_argument("--freezing", action="store_true")
    options = parser.parse_args()
    if options.freezing:
        freezing(options.repeats, options.kernel_sizes, options.units, options.batch_size)
    else:
        for name in options.networks:
            coverage(name, *NETWORKS[name], options.repeats)
