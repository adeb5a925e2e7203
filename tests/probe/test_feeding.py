"""Which layers feed a layer, in graphs of every shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from kerasviz.probe.feeding import feeding

SAME: dict[str, Any] = {"padding": "same"}


def conv(name: str, filters: int = 4, **settings: Any) -> Any:
    return layers.Conv2D(filters, 3, name=name, **SAME | settings)


def chain() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = layers.MaxPooling2D()(layers.ReLU()(conv("a")(image)))
    x = layers.DepthwiseConv2D(3, name="apart", **SAME)(x)
    x = conv("grouped apart", groups=4)(conv("b")(layers.ReLU()(x)))
    x = layers.SeparableConv2D(5, 3, name="separable", **SAME)(x)
    x = layers.Conv2DTranspose(4, 2, strides=2, name="up")(x)
    x = layers.Flatten()(conv("mixed in pairs", groups=2)(x))
    return keras.Model(image, layers.Dense(3, name="last")(layers.Dense(5, name="dense")(x)))


def normalized() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="n_a")(conv("a")(image))
    y = conv("b")(layers.ReLU(name="relu")(x))
    z = layers.BatchNormalization(name="n_b")(y)
    z = layers.Concatenate(name="both")([y, z])  # b is read past its normalization
    return keras.Model(image, conv("c")(z))


def residual() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = conv("stem")(image)
    y = conv("in_2")(layers.ReLU()(conv("in_1")(x)))
    x = layers.Add(name="add_1")([x, y])
    y = conv("second")(x)
    return keras.Model(image, conv("end")(layers.Add(name="add_2")([x, y])))


def branches() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = conv("stem")(image)
    y = conv("wide")(conv("reduce")(x))
    z = conv("pooled")(layers.AveragePooling2D(2, 1, **SAME)(x))
    joined = layers.Concatenate(name="joined")([y, conv("one")(x), z])
    return keras.Model(image, conv("end")(joined), name="trunk")


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = conv("first"), conv("second")
        self.trunk = branches()

    def call(self, inputs: Any) -> Any:
        x = self.second(keras.ops.relu(self.first(inputs)))
        return self.trunk(x[..., :3])


def subclassed() -> keras.Model:
    model = Subclassed()
    model(keras.ops.zeros((1, 8, 8, 3)))
    return model


def shared() -> keras.Model:
    one, two = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    trunk = keras.Sequential([keras.Input((8, 8, 3)), conv("inner", 3)], name="trunk")
    x = layers.Add()([trunk(one), trunk(trunk(two))])
    return keras.Model([one, two], conv("end")(x))


def strips() -> keras.Model:
    signal = keras.Input((20, 2))
    x = layers.Conv1D(4, 3, dilation_rate=2, dtype="mixed_float16", name="a")(signal)
    return keras.Model(signal, layers.Conv1D(4, 3, name="b")(x))


def loop() -> keras.Model:
    clip = keras.Input((2, 8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), conv("inside")])
    x = layers.TimeDistributed(inner, name="loop")(clip)
    return keras.Model(clip, layers.Conv3D(4, 2, name="after")(x))


def unrolled() -> keras.Model:
    signal = keras.Input((3, 2))
    x = layers.LSTM(4, return_sequences=True, unroll=True, name="lstm")(signal)
    return keras.Model(signal, layers.Conv1D(4, 2, name="after")(x))


CASES: list[tuple[Callable[[], keras.Model], str, dict[str, tuple[str, ...]]]] = [
    (chain, "a", {"a": ()}),
    (chain, "b", {"b": ("a",), "a": ()}),
    (chain, "apart", {"apart": (), "absent": ()}),
    (chain, "grouped apart", {"grouped apart": ("a",), "a": ()}),
    (chain, "separable", {"separable": ("b",), "b": ("a",)}),
    (chain, "up", {"up": ("separable",), "separable": ("b",)}),
    (chain, "dense", {"dense": ("mixed in pairs",), "mixed in pairs": ("up",)}),
    (chain, "last", {"last": ("dense",), "dense": ("mixed in pairs",)}),
    (normalized, "b", {"b": ("n_a",), "n_a": ()}),
    (normalized, "relu", {"relu": ()}),
    (normalized, "c", {"c": ("b",), "b": ("n_a",)}),
    (residual, "second", {"second": ("in_2", "stem"), "in_2": ("in_1",), "stem": ()}),
    (residual, "add_2", {"add_2": ("in_2", "in_1", "stem"), "in_2": ("in_1",)}),
    (branches, "end", {"end": ("pooled", "one", "wide"), "wide": ("reduce",), "one": ("stem",)}),
    (branches, "joined", {"joined": ("reduce", "stem"), "reduce": ("stem",), "stem": ()}),
    (subclassed, "trunk/stem", {"trunk/stem": ("second",), "second": ("first",)}),
    (shared, "end", {"end": ("trunk@3/inner", "trunk/inner"), "trunk/inner": ()}),
    (strips, "b", {"b": ("a",), "a": ()}),
    (unrolled, "after", {"after": ("lstm",), "lstm": ()}),
    (loop, "after", {"after": ("loop",), "loop": ()}),
]


IDS = [f"{build.__name__}-{layer}" for build, layer, _ in CASES]


@pytest.mark.parametrize(("build", "layer", "expected"), CASES, ids=IDS)
def test_layers_before(
    build: Callable[[], keras.Model], layer: str, expected: dict[str, tuple[str, ...]]
) -> None:
    found = feeding(build(), layer)
    assert found[layer] == expected[layer]
    for address, before in expected.items():
        assert found.get(address, ()) == before
