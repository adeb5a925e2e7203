"""Theoretical fields are where gradients are not zero, on every kind of model with positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasviz as kv
from tests.models import KINDS
from tests.reference.receptive_fields import bounds, open_up, supports

# Ids and 8-bit photos cannot be differentiated by; the others here have the same graph up to the
# layer as a kind that is tried.
LEFT_OUT = {
    *("embedding", "uint8_input", "recurrent", "sequential_with_input", "functional_subclass"),
    *("softmax_own_layer", "softmax_activation_layer", "softmax_op", "softmax_in_call"),
    *("softmax_nested", "sigmoid_head", "sigmoid_multi_label", "linear_regression"),
    *("gap_sequential", "gap_nested", "gap_functional", "multi_output_second", "multi_output"),
    *("loaded_from_h5", "loaded_from_keras", "mixed_bfloat16", "multi_output_dict"),
    *("class_token_vit", "functional_in_sequential", "mixed_float16", "nested_with_two_outputs"),
    *("loaded_with_custom_layer", "random_in_training", "subclassed_nested", "segmentation"),
    *("activity_regularized", "sequential_in_functional", "gap_subclassed", "multi_input_dict"),
}
INPUTS = {"shared_encoder": "right", "multi_input": "color"}
POSITIONS = {"shared_encoder": 1}


def check(
    model: keras.Model,
    inputs: Any,
    names: Sequence[str],
    channel_axis: int = -1,
    which: int = 0,
    **settings: Any,
) -> None:
    """Compare a border unit and a central one of each layer with their gradients."""
    fields = kv.receptive_fields.ReceptiveFields.measure(model, **settings)
    front = (slice(None),) if channel_axis == 1 else ()
    units = [
        (name, unit)
        for name in names
        for shape in [fields.sites[name].shape]
        for unit in ((0,) * len(shape), tuple((size - 1) // 2 for size in shape))
    ]
    found = supports(model, inputs, [(name, (*front, *unit)) for name, unit in units], which)
    first = 1 if channel_axis == 1 else 0
    for (name, unit), support in zip(units, found, strict=True):
        box = fields.field(name, unit)
        seen = [bounds(support, first + axis) for axis in range(len(box))]
        assert [(part.start, part.stop - 1) for part in box] == seen, (name, unit)


@pytest.mark.parametrize("name", sorted(set(KINDS) - LEFT_OUT))
def test_every_kind_of_model(name: str) -> None:
    case = KINDS[name]()
    settings: dict[str, Any] = {"input_name": INPUTS[name]} if name in INPUTS else {}
    if name in ("variable_size", "sequential_without_input"):
        settings["input_size"] = case.input_sizes[0]
    model = open_up(case.model)
    which = POSITIONS.get(name, 0)
    check(model, case.inputs, [case.layer], case.channel_axis, which, **settings)


def branches(shape: tuple[int, ...], stacks: dict[str, list[layers.Layer]]) -> keras.Model:
    """One model with a branch for each stack of layers; see `ends`."""
    picture = keras.Input(shape)
    outputs = []
    for name, stack in stacks.items():
        x = picture
        for layer in stack:
            x = layer(x)
        outputs.append(layers.Identity(name=f"{name}_end")(x))
    return open_up(keras.Model(picture, outputs))


def ends(stacks: dict[str, list[layers.Layer]]) -> list[str]:
    """Addresses of the ends of branches."""
    return [f"{name}_end" for name in stacks]


class DilatedOp(layers.Layer):
    """Dilates by the attribute of the operation; the layers of Keras move positions for it."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 2, shape[-1], 2), name="kernel")

    def call(self, inputs: Any) -> Any:
        return tf.nn.conv2d(inputs, self.kernel, strides=1, padding="SAME", dilations=(2, 3))


PICTURES: dict[str, Callable[[], list[layers.Layer]]] = {
    "dilated": lambda: [layers.Conv2D(2, 3, dilation_rate=2, padding="same")],
    "dilated_op": lambda: [layers.Conv2D(2, 2), DilatedOp()],
    "dilated_twice": lambda: [
        layers.Conv2D(2, 3, dilation_rate=(2, 3), padding="same"),
        layers.DepthwiseConv2D(3, dilation_rate=2, padding="same"),
    ],
    "transposed": lambda: [layers.Conv2DTranspose(2, 3, strides=2, padding="same")],
    "transposed_odd": lambda: [
        layers.Conv2D(2, 3, strides=2),
        layers.Conv2DTranspose(2, 4, strides=3),
    ],
    "nearest": lambda: [layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3, padding="same")],
    "bilinear": lambda: [
        layers.MaxPooling2D(2),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Conv2D(2, 3, strides=2, padding="same"),
    ],
    "resized": lambda: [layers.Conv2D(2, 3), layers.Resizing(7, 9)],
    "cubic": lambda: [layers.UpSampling2D(2, interpolation="bicubic")],
    "cropped": lambda: [
        layers.Cropping2D(((2, 1), (0, 3))),
        layers.ZeroPadding2D(((1, 2), (2, 0))),
        layers.AveragePooling2D(3, 2),
    ],
    "grouped": lambda: [layers.Conv2D(4, (3, 2), groups=2, strides=2, padding="same")],
    "patches": lambda: [
        layers.Reshape((3, 4, 2, 5, 4)),
        layers.Permute((1, 3, 2, 4, 5)),
        layers.Reshape((6, 80)),
        layers.Dense(3),
    ],
    "turned": lambda: [layers.Permute((2, 1, 3)), layers.Conv2D(2, (5, 3), padding="same")],
    "normalized": lambda: [layers.Conv2D(2, 3), layers.LayerNormalization()],
    "everything": lambda: [layers.Conv2D(2, 3), layers.GroupNormalization(1)],
    "flattened": lambda: [layers.Conv2D(2, 3, strides=4), layers.Flatten()],
}


@pytest.mark.parametrize("part", range(3))
def test_layers_of_pictures(part: int) -> None:
    chosen = {name: make() for name, make in [*PICTURES.items()][part::3]}
    check(branches((12, 10, 4), chosen), np.zeros((1, 12, 10, 4), "float32"), ends(chosen))


class LookingBack(layers.Layer):
    """Attention that looks back only."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = layers.MultiHeadAttention(2, 3, name="attention")

    def call(self, inputs: Any) -> Any:
        return self.attention(inputs, inputs, use_causal_mask=True)


class Attending(layers.Layer):
    """Attention without a layer for it, by the way that is named."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def call(self, x: Any) -> Any:
        scores, steps = ops.matmul(x, ops.transpose(x, (0, 2, 1))), ops.arange(x.shape[1])
        allowed = ops.expand_dims(steps, 0) <= ops.expand_dims(steps, 1)
        if self.way == "added":
            scores = scores + np.triu(np.full((7, 7), -1e9, "float32"), 1)
        elif self.way == "chosen":
            near = ops.logical_and(allowed, steps[None] > steps[:, None] - 3)
            scores = ops.where(near, scores, -1e9)
        elif self.way == "shifted":
            scores = ops.where(ops.any(~allowed[..., None], axis=-1), scores - 1e9, scores)
        weights = 2.0 * ops.softmax(scores)
        if self.way == "added":
            return tf.matmul(x, weights, transpose_a=True, transpose_b=True) / 3.0
        turned = ops.transpose(weights, (0, 2, 1))
        if self.way == "chosen":
            return ops.transpose(ops.matmul(turned, x), (0, 2, 1)) / 3.0
        return ops.matmul(ops.transpose(x, (0, 2, 1)), turned) / 3.0


class KerasAttending(layers.Layer):
    def __init__(self, layer: type[layers.Layer]) -> None:
        super().__init__()
        self.attention = layer()

    def call(self, inputs: Any) -> Any:
        return self.attention([inputs, inputs], use_causal_mask=True)


def test_attention_with_a_mask_sees_what_that_leaves() -> None:
    chosen: dict[str, list[layers.Layer]] = {
        way: [layers.Dense(3), Attending(way), layers.Permute((2, 1))]
        for way in ("added", "chosen", "shifted")
    }
    chosen["dot"] = [layers.Dense(3), KerasAttending(layers.Attention)]
    chosen["additive"] = [layers.Dense(3), KerasAttending(layers.AdditiveAttention)]
    check(branches((7, 3), chosen), np.zeros((1, 7, 3), "float32"), ends(chosen))


class Winner(layers.Layer):
    """The place of the largest of each column, and how large the products down it are."""

    def call(self, inputs: Any) -> Any:
        place = ops.cast(ops.argmax(inputs, axis=1, keepdims=True), "float32")
        return place + ops.cumprod(inputs, axis=1)


def test_places_and_products() -> None:
    model = keras.Sequential([keras.Input((6, 5, 1)), Winner(name="winner")])
    fields = kv.receptive_fields.ReceptiveFields.measure(model)
    assert fields.field("winner", (2, 3)) == (slice(0, 6), slice(3, 4))


def test_layers_of_sequences() -> None:
    chosen = {
        "causal": [
            layers.Conv1D(2, 3, padding="causal"),
            layers.Conv1D(2, 2, dilation_rate=4, padding="causal"),
        ],
        "separable": [layers.SeparableConv1D(3, 5, strides=2, padding="same")],
        "transposed_1d": [layers.MaxPooling1D(3), layers.Conv1DTranspose(2, 2, strides=2)],
        "recurrent": [layers.Conv1D(2, 3), layers.SimpleRNN(2, return_sequences=True)],
        "attention_back": [layers.Conv1D(4, 2, strides=2), LookingBack()],
    }
    check(branches((13, 3), chosen), np.zeros((1, 13, 3), "float32"), ends(chosen))
