"""Gradient receptive fields of all units: kerasviz and the same by hand, in one run.

    python benchmarks/receptive_fields.py [--size 32] [--units 256] [--batch-size 32] [--rounds 7]

By hand means: one `tf.function` that tiles a constant input over a batch of units, runs the trunk
up to the layer, and takes the gradient of each sample's unit in the middle of the layer. Both take
turns, so that a drift of the machine meets both; compiling is timed apart. The model takes any
size; weights are random, as the arithmetic is the same.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LAYER = "last"


def network(size: int, units: int) -> Any:
    """Five convolutions, two poolings, and a head that nobody asks about."""
    import keras
    from keras import layers

    image = keras.Input((size, size, 3))
    x = image
    for place, filters in enumerate((32, 64, 64, 128)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{place}")(x)
        x = layers.MaxPooling2D()(x) if place < 2 else x
    x = layers.Conv2D(units, 3, padding="same", activation="relu", name=LAYER)(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(512, 3, activation="relu")(x))
    return keras.Model(image, layers.Dense(10, "softmax")(x))


def by_hand(model: Any, size: int, units: int, batch_size: int) -> Callable[[], Any]:
    """The batched gradient as one would write it for this model only."""
    import keras
    import numpy as np
    import tensorflow as tf

    trunk = keras.Model(model.inputs, model.get_layer(LAYER).output)

    @tf.function
    def some(numbers: Any) -> Any:
        x = tf.fill((tf.shape(numbers)[0], size, size, 3), 0.5)
        with tf.GradientTape() as tape:
            tape.watch(x)
            features = trunk(x, training=False)
            middle = features[:, features.shape[1] // 2, features.shape[2] // 2]
            scores = tf.gather(middle, numbers, batch_dims=1)
        return tape.gradient(scores, x)

    def run() -> Any:
        starts = range(0, units, batch_size)
        numbers = [tf.range(start, min(start + batch_size, units)) for start in starts]
        return np.concatenate([some(one).numpy() for one in numbers])

    return run


def by_kerasviz(model: Any, size: int, units: int, batch_size: int) -> Callable[[], Any]:
    """The same by kerasviz."""
    import kerasviz as kv

    return kv.receptive_fields.GradientReceptiveField(model, LAYER, batch_size=batch_size)


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = network(options.size, options.units)
    settings = (model, options.size, options.units, options.batch_size)
    makers = {"by hand": by_hand, "kerasviz": by_kerasviz}
    runs, first, found = {}, {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        runs[name] = make(*settings)
        runs[name]()
        first[name] = time.perf_counter() - start
        found[name] = runs[name]()
    fields = found["kerasviz"]
    box = tuple(slice(a, a + n) for a, n in zip(fields.start, fields.size, strict=True))
    whole = found["by hand"]
    difference = np.abs(whole[(slice(None), *box)] - fields.maps).max() / np.abs(whole).max()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    print(f"{options.units} units of {options.size} px, largest difference {difference:.1e}")
    for name, times in seconds.items():
        pairs = [a / b for a, b in zip(times, seconds["by hand"], strict=True)]
        print(
            f"{name:10} first {first[name]:6.1f} s   then {statistics.median(times):7.3f} s, "
            f"{statistics.median(pairs):5.2f} x by hand"
        )


if __name__ == "__main__":
    main()
