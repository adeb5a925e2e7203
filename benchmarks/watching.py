"""What `TrainingWatcher` costs: epochs with and without it, taking turns, in one run.

    python benchmarks/watching.py [--samples 4096] [--probe 64] [--size 32] [--epochs 3]

Two equal networks (a residual one, 52 layers) are trained by turns, an epoch each, so that a drift
of the machine meets both. Printed are the seconds of each epoch, the ratio of watched to plain for
the first epoch, in which both compile, and for the later ones, and what each part of the watcher
took at its first and at later readings. An epoch should take 20 s or more. Processor time is less
troubled by other programs.
"""

from __future__ import annotations

import argparse
import collections
import os
import statistics
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def network(size: int) -> Any:
    """A small residual network, compiled."""
    import keras
    from keras import layers

    def unit(x: Any, width: int, stride: int, kernel: int = 3) -> Any:
        x = layers.Conv2D(width, kernel, stride, "same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    given = keras.Input((size, size, 3))
    x = layers.ReLU()(unit(given, 32, 1))
    for width in (32, 64, 128):
        for block in range(2):
            stride = 2 if block == 0 and width > 32 else 1
            y = layers.ReLU()(unit(x, width, stride))
            y = unit(y, width, 1)
            x = unit(x, width, stride, 1) if stride > 1 else x
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(given, layers.Dense(10, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def timed_observers(watcher: Any) -> dict[str, list[float]]:
    """Seconds of each reading of each of a watcher's observers, filled as it watches."""
    spent: dict[str, list[float]] = collections.defaultdict(list)

    def timed(name: str, verb: Any) -> Any:
        def run(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return verb(*args)
            finally:
                spent[name].append(time.perf_counter() - start)

        return run

    for observer in watcher._observers:
        for verb in ("start", "look"):
            setattr(observer, verb, timed(observer.name, getattr(observer, verb)))
    return spent


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--probe", type=int, default=64)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    import numpy as np

    import kerasviz as kv

    generator = np.random.default_rng(0)
    shape = (options.samples + options.probe, options.size, options.size, 3)
    x = generator.normal(size=shape).astype("float32")
    y = generator.integers(0, 10, len(x))
    train, probe = (
        (x[options.probe :], y[options.probe :]),
        (x[: options.probe], y[: options.probe]),
    )
    seconds: dict[str, list[float]] = {"plain": [], "watched": []}
    work: dict[str, list[float]] = {"plain": [], "watched": []}
    with tempfile.TemporaryDirectory() as folder:
        watcher = kv.callbacks.TrainingWatcher(folder, probe, strict=True)
        spent = timed_observers(watcher)
        kinds = {
            "plain": (network(options.size), []),
            "watched": (network(options.size), [watcher]),
        }
        for epoch in range(options.epochs):
            for name, (model, callbacks) in kinds.items():
                settings = {"initial_epoch": epoch, "epochs": epoch + 1, "verbose": 0}
                start, worked = time.perf_counter(), time.process_time()
                model.fit(*train, batch_size=32, callbacks=callbacks, **settings)
                took, busy = time.perf_counter() - start, time.process_time() - worked
                seconds[name].append(took)
                work[name].append(busy)
                print(f"epoch {epoch} {name:8} {took:7.1f} s  processor {busy:7.1f} s", flush=True)
    for what, by_name in (("seconds", seconds), ("processor", work)):
        pairs = [b / a for a, b in zip(by_name["plain"], by_name["watched"], strict=True)]
        later = f"{statistics.median(pairs[1:]):.3f}" if len(pairs) > 1 else "-"
        print(f"{what:10} first epoch {pairs[0]:.3f} x plain   later epochs {later} x (median)")
    for name, took in spent.items():
        later = statistics.median(took[1:]) if len(took) > 1 else float("nan")
        print(f"{name:12} first reading {took[0]:6.2f} s   later {later:6.2f} s")


if __name__ == "__main__":
    main()
