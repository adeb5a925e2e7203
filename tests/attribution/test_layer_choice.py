"""Which layer is chosen where paths run in parallel, end in positions, or mix several inputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import MethodError

IMAGES = np.random.default_rng(0).normal(size=(2, 12, 10, 3)).astype("float32")


def towers(merge: bool, flat: bool) -> keras.Model:
    """A stem, two towers, and their union: as pictures or as vectors."""
    image = keras.Input((12, 10, 3))
    stem = layers.Conv2D(4, 3, activation="relu", name="stem")(image)
    parts = [layers.Conv2D(4, 3, name=name)(stem) for name in ("left", "right")]
    if flat:
        parts = [layers.GlobalAveragePooling2D()(part) for part in parts]
    x = layers.Concatenate(name="union")(parts) if merge else layers.Add(name="union")(parts)
    x = x if flat else layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3)(x))


@pytest.mark.parametrize("merge", [True, False], ids=["concatenate", "add"])
def test_of_parallel_branches_their_union_is_shown(merge: bool) -> None:
    assert kv.GradCAM(towers(merge, flat=False)).layer == "union"
    why = kv.GradCAM(towers(merge, flat=True)).explain(IMAGES, target=1)
    assert why.layer == "stem"
    assert why.layer_reason == "the last layer with positions that every path to the score passes"


def test_a_path_around_every_layer_is_reported() -> None:
    image = keras.Input((12, 10, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.Concatenate()([features, layers.GlobalAveragePooling2D()(image)])
    why = kv.GradCAM(keras.Model(image, layers.Dense(3)(x))).explain(IMAGES, target=1)
    assert why.layer == "conv"
    assert "other paths to the score pass it by" in why.layer_reason


def test_the_mask_of_tokens_is_no_path_of_its_own() -> None:
    words = np.random.default_rng(1).integers(1, 9, (2, 6))
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True),
            layers.LSTM(5, return_sequences=True, name="memory"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    )
    why = kv.GradCAM(model).explain(words, target=1)
    assert (why.layer, why.layer_reason) == ("memory", "the last layer with positions")


@pytest.mark.parametrize("final", [None, "softmax", "layer", "resized"])
def test_the_head_of_a_segmentation_is_not_its_evidence(final: str | None) -> None:
    image = keras.Input((12, 10, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv")(image)
    activation = "softmax" if final == "softmax" else None
    x = layers.Conv2D(3, 1, activation=activation, name="head")(x)
    if final == "layer":
        x = layers.Softmax()(x)
    elif final == "resized":
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    assert kv.GradCAM(keras.Model(image, x)).layer == "conv"


def test_a_network_of_one_convolution_still_has_a_map() -> None:
    image = keras.Input((12, 10, 3))
    model = keras.Model(image, layers.Conv2D(3, 1, name="only")(image))
    assert kv.GradCAM(model).layer == "only"


def two_heads(same: bool) -> keras.Model:
    """The sum of two dense heads, on one pooled layer or on two."""
    image = keras.Input((12, 10, 3))
    first = layers.Conv2D(4, 3, activation="relu", name="first")(image)
    second = first if same else layers.Conv2D(4, 3, name="second")(first)
    heads = [layers.Dense(3)(layers.GlobalAveragePooling2D()(x)) for x in (first, second)]
    return keras.Model(image, layers.Add()(heads))


@pytest.mark.parametrize("same", [True, False])
def test_cam_refuses_the_sum_of_two_heads(same: bool) -> None:
    with pytest.raises(MethodError, match=r"both depend on the input.*kv\.GradCAM"):
        kv.CAM(two_heads(same))(IMAGES)


def test_cam_sees_through_a_bias_on_either_side() -> None:
    image = keras.Input((12, 10, 3))
    features = layers.Conv2D(4, 3, name="conv")(image)
    pooled = layers.GlobalAveragePooling2D()(features)
    head = layers.Dense(3)
    plain = keras.Model(image, head(pooled))
    shifted = keras.Model(image, keras.ops.add(np.ones(3, "float32"), head(pooled)))
    expected = kv.CAM(plain)(IMAGES, target=1)
    np.testing.assert_allclose(kv.CAM(shifted)(IMAGES, target=1), expected, atol=1e-6)


def pair() -> keras.Model:
    """Two pictures of one size; only the second is pooled into the score by a GAP head."""
    left, right = keras.Input((12, 10, 3), name="left"), keras.Input((12, 10, 3), name="right")
    gate = layers.Dense(1, "sigmoid", name="gate")(layers.Flatten()(left))
    seen = layers.Conv2D(4, 3, activation="relu", name="seen")(right)
    outputs = layers.Dense(3)(layers.GlobalAveragePooling2D()(seen))
    return keras.Model([left, right], [outputs, gate])


def test_cam_belongs_to_the_input_that_its_layer_sees() -> None:
    maps = kv.CAM(pair(), target={0: 1})([IMAGES, IMAGES])
    assert list(maps) == ["right"]


def test_saliency_of_a_layer_belongs_to_the_input_that_it_sees() -> None:
    case: Any = pair()
    why = kv.Saliency(case, layer="seen", target={0: 1}).explain([IMAGES, 2 * IMAGES])
    assert list(why.maps) == ["right"]
    np.testing.assert_array_equal(why.inputs["right"], 2 * IMAGES)


def test_saliency_of_a_layer_that_mixes_inputs_says_so() -> None:
    inputs = [keras.Input((12, 10, 3), name=name) for name in ("left", "right")]
    mixed = layers.Conv2D(4, 3, name="mixed")(layers.Concatenate()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(mixed)))
    why = kv.Saliency(model, layer="mixed").explain([IMAGES, IMAGES], target=1)
    assert list(why.maps) == ["left", "right"]
    np.testing.assert_array_equal(why.maps["left"], why.maps["right"])
    assert "mixes the inputs left, right" in why.layer_reason
