"""Pictures and a network for the viewport study when none are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasviz import samples
from kerasviz.errors import InputError
from kerasviz.probe.scaling import own_scaling
from kerasviz.probe.seeding import SeededInitializer
from kerasviz.probe.settings import whole

PATCH, NUM_PATCHES, NUM_TEST, EPOCHS, BATCH = 64, 2800, 35, 10, 32
FILTERS = (24, 48, 64, 96)
LEARNING_RATE = 2e-3
SAMPLES = ("efficientnet_lite0", "efficientnet_lite1")
CROP = 224
Preprocess = Callable[[np.ndarray], Any] | None


def viewport_network(
    num_train: int = NUM_PATCHES, epochs: int = EPOCHS, seed: int = 0
) -> keras.Model:
    """A small network that names the photo a patch is of; it takes pictures of any size.

    Four convolutions 3×3 with stride 2 and ReLU (24, 48, 64, 96 channels), global max pooling,
    7 logits. It is trained on `kv.samples.photo_patches` of 64 × 64 pixels that fill its input: it
    has never seen a background. It takes pixels in 0..255.

    Args:
        num_train: Patches to train on.
        epochs: Of training.
        seed: Of weights and of the order of the patches.

    Raises:
        InputError: Settings out of range.
        MissingExtraError: The bundled photos are not installed.
    """
    count, times = whole(num_train, "num_train"), whole(epochs, "epochs")
    layers: Any = keras.layers
    initializer = SeededInitializer("he_normal", whole(seed, "seed", 0))
    picture = keras.Input((None, None, 3), name="picture")
    x = layers.Rescaling(1 / 127.5, -1.0, name="scaling")(picture)
    for place, filters in enumerate(FILTERS, 1):
        settings: dict[str, Any] = {"padding": "same", "kernel_initializer": initializer}
        x = layers.Conv2D(filters, 3, strides=2, name=f"conv_{place}", **settings)(x)
        x = layers.ReLU(name=f"relu_{place}")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(x)
    patches = samples.photo_patches(count, PATCH, num_test=1)
    classes = len(patches.names)
    logits = layers.Dense(classes, kernel_initializer=initializer, name="classes")(x)
    model = keras.Model(picture, logits, name="viewport_network")
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    generator = np.random.default_rng((seed, 7))
    order = np.concatenate([generator.permutation(count) for _ in range(times)])
    x_train, y_train = patches.x_train, patches.y_train
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        model.train_on_batch(x_train[chosen].astype("float32"), y_train[chosen])
    return model


def defaults(
    model: keras.Model | None,
    labels: Any,
    preprocess: Preprocess,
    value_range: tuple[float, float],
    seed: int,
) -> tuple[keras.Model, Any, Any, Preprocess]:
    """Model, pictures, labels and preprocessing where no pictures are given.

    Raises:
        InputError: Settings that need pictures, or a model of which nobody knows what it takes.
    """
    if labels is not None or tuple(value_range) != (0.0, 255.0):
        raise InputError(
            "`labels` and `value_range` must come with `images`. Received: no images. Pass them, "
            "or leave all out for the bundled photos."
        )
    if model is None:
        patches = samples.photo_patches(7, PATCH, seed, num_test=NUM_TEST)
        return viewport_network(seed=seed), patches.x_test, patches.y_test, preprocess
    if preprocess is None and model.name in SAMPLES:
        preprocess = sample_scaling
    if preprocess is None and own_scaling(model) is None:
        raise InputError(
            f"`preprocess` must be given for photos, as '{model.name}' does not scale pixels by "
            "itself. Received: None. Pass such as `lambda frames: frames / 255`."
        )
    photos = [photo.image for photo in samples.photos()]
    return model, samples.crop(photos, CROP), None, preprocess


def sample_scaling(frames: np.ndarray) -> np.ndarray:
    """What the sample networks were trained with, see `kv.samples.preprocess`."""
    return (frames - 127.0) / 128.0
