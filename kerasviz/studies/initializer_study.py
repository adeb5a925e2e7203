"""The initialization study: one small network, seven initializers, before and after training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from kerasviz.dynamics.comparison import compare_initializers
from kerasviz.dynamics.comparison_result import Comparison
from kerasviz.studies.small_pictures import CLASSES, SIZE, small_pictures

LEARNING_RATE = 1e-4
TAPS = {
    "blocks": ("block_1", "block_2", "block_3"),
    "before ReLU": ("conv_1", "conv_2", "conv_3", "dense"),
}
WEIGHTS = ("conv_1/kernel", "conv_2/kernel", "conv_3/kernel", "dense/kernel")


def initializer_network(initializer: Any = "glorot_uniform") -> keras.Model:
    """The network of the study, compiled: 32×32×3 → 10 logits.

    Three convolutions 3×3 of 16 channels with ReLU, a 2×2 max pool after the first two, 512 units
    with ReLU, 10 logits; biases start at 0. Adam with learning rate 1e-4.

    Args:
        initializer: Of all kernels.
    """
    layers: Any = keras.layers
    convolution: dict[str, Any] = {"padding": "same", "kernel_initializer": initializer}
    picture = x = keras.Input((SIZE, SIZE, 3), name="picture")
    for place in (1, 2, 3):
        x = layers.Conv2D(16, 3, name=f"conv_{place}", **convolution)(x)
        x = layers.ReLU(name="block_3" if place == 3 else f"relu_{place}")(x)
        x = layers.MaxPooling2D(name=f"block_{place}")(x) if place < 3 else x
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, kernel_initializer=initializer, name="dense")(x)
    x = layers.ReLU(name="dense_relu")(x)
    logits = layers.Dense(CLASSES, kernel_initializer=initializer, name="classes")(x)
    model = keras.Model(picture, logits, name="initializer_network")
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def initializers(
    data: Any = "patches",
    *,
    initializers: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    epochs: int = 50,
    num_train: int | None = None,
    num_samples: int = 512,
    progress: Callable[[str, int, int], object] | None = None,
) -> Comparison:
    """Train one small network from several initializers; measure weights and features.

    The network is that of `initializer_network`; inputs are scaled to [-1, 1], batches hold 64.
    Measured are the kernels of the convolutions and of the first dense layer, and features at seven
    places: the outputs of the three blocks, and before their ReLUs the convolutions and the first
    dense layer; on training and validation samples and on uniform noise.

    Args:
        data: "patches": 4096 patches of photos, their classes the seven photos, and a quarter as
            many for validation, all bundled. "cifar10": what `keras.datasets` downloads once. Or
            `((x_train, y_train), (x_validation, y_validation))` with pictures `(n, 32, 32, 3)` in
            [0, 255] and classes below 10.
        initializers: Name → initializer; None: the seven of
            `kv.dynamics.standard_initializers`.
        seeds: One run of each initializer a seed.
        epochs: Of training.
        num_train: Use only so many training samples; of patches, cut so many. None: all.
        num_samples: How many samples of each kind of input features are measured on.
        progress: Called after each epoch with the initializer's name, the seed, and how many
            epochs are done.

    Returns:
        A `kv.dynamics.Comparison`.

    Raises:
        InputError: Settings out of range, data of another shape, or CIFAR-10 out of reach.

    Example:

    ```python
    found = kv.studies.initializers(
        initializers={"zeros": "zeros"}, seeds=[0], epochs=1, num_train=64, num_samples=16
    )
    print(found.words())
    ```
    """
    train, validation = small_pictures(data, num_train)
    return compare_initializers(
        initializer_network,
        ((train[0] / 127.5 - 1, train[1]), (validation[0] / 127.5 - 1, validation[1])),
        initializers,
        seeds=seeds,
        epochs=epochs,
        layers=TAPS,
        weights=WEIGHTS,
        num_samples=num_samples,
        progress=progress,
    )
