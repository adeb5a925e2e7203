"""A small model of the way from the eye to the cortex: a bottleneck between convolutions."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.errors import InputError
from kerasviz.probe.seeding import SeededInitializer, derived
from kerasviz.probe.settings import whole
from kerasviz.studies.small_pictures import CLASSES, SIZE

CHANNELS = 32
UNITS = 1024
LEARNING_RATE = 1e-4
POOLING = {
    "none": (),
    "early": ("conv_1", "bottleneck"),
    "late": ("mid", "last"),
    "everywhere": ("conv_1", "bottleneck", "mid", "last"),
}
LAYERS = ("bottleneck", "mid", "last")


def retina(
    kernel_size: int = 9,
    activation: str = "relu",
    pooling: str = "none",
    bottleneck: int | None = 1,
    colors: int = 1,
    seed: int = 0,
    learning_rate: float = LEARNING_RATE,
) -> keras.Model:
    """The network of the study of receptive fields, compiled: 32×32 pictures → 10 probabilities.

    Convolution 32 (`conv_1`), convolution of `bottleneck` channels (`bottleneck`: the optic nerve),
    convolutions 32 (`mid`) and 32 (`last`), each square, padded "same" and followed by the
    activation (`mid_activation`) and, where `pooling` says so, by average pooling 2×2 (`mid_pool`);
    1024 units (`dense`), 10 classes (`classes`). The convolutions themselves are linear, so that
    the gradient of a unit exists on a blank picture too. Trained by Adam.

    Args:
        kernel_size: Of all convolutions, from 1 on.
        activation: Keras's name of an activation.
        pooling: "none", "early" (after `conv_1` and `bottleneck`), "late" (after `mid` and `last`)
            or "everywhere".
        bottleneck: Channels of the second convolution; None: 32, no bottleneck.
        colors: Channels of the pictures, 1 or 3.
        seed: Of all initial weights.
        learning_rate: Of Adam.

    Returns:
        A functional model that takes (batch, 32, 32, colors).

    Raises:
        InputError: A setting out of range.

    Reference:
        Lindsey, Ocko, Ganguli, Deny, ICLR 2019, arXiv:1901.00945.

    Example:

    ```python
    model = kv.studies.retina(kernel_size=3, pooling="everywhere")
    print(model.get_layer("last_pool").output.shape)
    ```
    """
    _check(activation, pooling, colors, learning_rate)
    layers: Any = keras.layers
    kernel = whole(kernel_size, "kernel_size")
    narrow = CHANNELS if bottleneck is None else whole(bottleneck, "bottleneck")
    initializer = SeededInitializer("glorot_uniform", derived(whole(seed, "seed", 0)))
    settings: dict[str, Any] = {"padding": "same", "kernel_initializer": initializer}
    picture = x = keras.Input((SIZE, SIZE, colors), name="picture")
    widths = {"conv_1": CHANNELS, "bottleneck": narrow, "mid": CHANNELS, "last": CHANNELS}
    for name, channels in widths.items():
        x = layers.Conv2D(channels, kernel, name=name, **settings)(x)
        x = layers.Activation(activation, name=f"{name}_activation")(x)
        if name in POOLING[pooling]:
            x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(UNITS, kernel_initializer=initializer, name="dense")(x)
    x = layers.Activation(activation, name="dense_activation")(x)
    x = layers.Dense(CLASSES, kernel_initializer=initializer, name="classes")(x)
    classes = layers.Softmax(name="softmax")(x)
    model = keras.Model(picture, classes, name="retina")
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def _check(activation: Any, pooling: Any, colors: Any, learning_rate: Any) -> None:
    if isinstance(learning_rate, bool) or not 0 < learning_rate < float("inf"):
        raise InputError(
            f"`learning_rate` must be a number above 0. Received: {learning_rate!r}. Try 1e-4."
        )
    if not isinstance(pooling, str) or pooling not in POOLING:
        raise InputError(
            f"`pooling` must be one of {tuple(POOLING)}. Received: {pooling!r}. Choose one of them."
        )
    if isinstance(colors, bool) or colors not in (1, 3):
        raise InputError(f"`colors` must be 1 or 3. Received: {colors!r}. Choose 1 for grey.")
    try:
        is_known = isinstance(activation, str) and callable(keras.activations.get(activation))
    except ValueError:
        is_known = False
    if not is_known:
        raise InputError(
            "`activation` must be Keras's name of an activation. Received: "
            f'{activation!r}. Try "gelu"; see `keras.activations`.'
        )
