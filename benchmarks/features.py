"""Activation maximization: kerasviz, the same steps by hand, and tf-keras-vis, in one run.

    python benchmarks/features.py [--model MobileNetV2] [--size 128] [--steps 512] [--images 1]

The three take turns, a chunk of steps each, so that a drift of the machine meets all of them.
Compiling is timed apart. By hand means: one `tf.function` per step with the Fourier image, one
projective transform, the trunk up to the layer, and Keras's Adam. Weights are random (the
arithmetic is the same), so no download is needed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CHUNK = 64


def by_hand(model: Any, layer: str, size: int, images: int) -> Callable[[int], None]:
    """Gradient ascent on channel 0 of a layer as one would write it for this model only."""
    import keras
    import numpy as np
    import tensorflow as tf

    trunk = keras.Model(model.inputs, model.get_layer(layer).output)
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    scale = size / np.maximum(np.sqrt(rows**2 + columns**2), 1 / size)
    scale = tf.constant(scale, tf.float32)
    noise = np.random.default_rng(0).normal(0, 0.01, (2, images, 3, size, size // 2 + 1))
    real, imaginary = (tf.Variable(part.astype("float32")) for part in noise)
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], "float32")
    mixing = tf.constant((root / np.linalg.norm(root, axis=0).max()).T)
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build([real, imaginary])
    scales = tf.constant([1 + i / 50 for i in range(-5, 6)], tf.float32)
    angles = tf.constant([*range(-10, 11), 0, 0, 0, 0, 0], tf.float32)

    def warp(pictures: Any) -> Any:
        angle = angles[tf.random.uniform((), 0, 26, tf.int32)] * (np.pi / 180)
        factor = 1.0 / scales[tf.random.uniform((), 0, 11, tf.int32)]
        shift = tf.random.uniform((2,), -4, 5, tf.int32) + tf.random.uniform((2,), -2, 3, tf.int32)
        shift = tf.cast(shift, tf.float32)
        cosine, sine = factor * tf.cos(angle), factor * tf.sin(angle)
        middle = (size - 1) / 2
        dx = middle - cosine * middle + sine * middle + shift[0]
        dy = middle - sine * middle - cosine * middle + shift[1]
        matrix = tf.stack([cosine, -sine, dx, sine, cosine, dy, 0.0, 0.0])[None]
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=pictures,
            transforms=matrix,
            output_shape=[size, size],
            fill_value=0.5,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            spectrum = tf.complex(real * scale, imaginary * scale)
            signal = tf.transpose(tf.signal.irfft2d(spectrum, [size, size]), (0, 2, 3, 1)) / 4
            pictures = tf.sigmoid(signal @ mixing)
            activation = trunk(warp(pictures), training=False)
            loss = -tf.reduce_sum(tf.reduce_mean(activation[..., 0], axis=(1, 2)))
        optimizer.apply(tape.gradient(loss, [real, imaginary]), [real, imaginary])

    def run(steps: int) -> None:
        for _ in range(steps):
            step()

    return run


def kerasviz_steps(model: Any, layer: str, size: int, images: int) -> Callable[[int], None]:
    """The same by kerasviz."""
    import kerasviz as kv

    visualizer = kv.ActivationMaximization(
        model,
        kv.objectives.channel(layer, 0),
        num_images=images,
        value_range="0..1",
        redirected_steps=0,
    )
    return lambda steps: visualizer.fit(steps, verbose=0)


def peer_steps(model: Any, layer: str, size: int, images: int) -> Callable[[int], None]:
    """tf-keras-vis with its default settings, on the same unit."""
    import keras
    import numpy as np
    from tf_keras_vis.activation_maximization import ActivationMaximization

    trunk = keras.Model(model.inputs, model.get_layer(layer).output)
    visualizer = ActivationMaximization(trunk, clone=False)
    start = np.random.default_rng(0).random((images, size, size, 3)).astype("float32")

    def run(steps: int) -> None:
        visualizer(
            lambda output: output[..., 0], seed_input=start, input_range=(0.0, 1.0), steps=steps
        )

    return run


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="MobileNetV2")
    parser.add_argument("--layer", default="block_10_expand")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--images", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import keras

    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, options.model)
    model = build(weights=None, input_shape=(options.size, options.size, 3))
    settings = (model, options.layer, options.size, options.images)
    makers = {"by hand": by_hand, "kerasviz": kerasviz_steps, "tf-keras-vis": peer_steps}
    runs, first = {}, {}
    for name, make in makers.items():
        start = time.perf_counter()
        runs[name] = make(*settings)
        runs[name](CHUNK)
        first[name] = time.perf_counter() - start
    chunks: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.steps // CHUNK):
        for name, run in runs.items():
            start = time.perf_counter()
            run(CHUNK)
            chunks[name].append(time.perf_counter() - start)
    print(f"{options.model}, {options.layer}, {options.images} of {options.size} px")
    for name, seconds in chunks.items():
        pairs = [a / b for a, b in zip(seconds, chunks["by hand"], strict=True)]
        print(
            f"{name:13} first {CHUNK} steps {first[name]:6.1f} s   then {sum(seconds):7.1f} s for "
            f"{options.steps} steps, {1000 * statistics.median(seconds) / CHUNK:6.1f} ms a step, "
            f"{statistics.median(pairs):5.2f} x by hand"
        )


if __name__ == "__main__":
    main()
