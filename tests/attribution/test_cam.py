"""CAM against the dense weights by hand, and its refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import AddressError, MethodError
from tests.conftest import build
from tests.models import KINDS, Case
from tests.reference import cam as reference

GAP_KINDS = ["gap_functional", "gap_nested", "gap_sequential", "gap_subclassed"]
GAP_KINDS += ["conv1d", "conv3d", "channels_first", "variable_size", "residual"]
RAW = {"resolution": "layer", "rectify": False, "normalize": False}


@pytest.mark.parametrize("case", GAP_KINDS, indirect=True)
def test_equals_the_weighted_sum_by_hand(case: Case) -> None:
    found = kv.CAM(case.model, **RAW)(case.inputs, target=case.index)
    np.testing.assert_allclose(found, reference.cam(case, case.index), rtol=1e-4, atol=1e-5)


def test_all_kinds_with_such_a_head_are_tried() -> None:
    assert {name for name in KINDS if build(name).head} == set(GAP_KINDS)


@pytest.mark.parametrize(
    "case",
    ["functional", "class_token_vit", "segmentation", "multi_input_dict", "recurrent"],
    indirect=True,
)
def test_other_heads_are_refused_by_name_of_what_to_use(case: Case) -> None:
    with pytest.raises(MethodError, match=r"kv\.GradCAM"):
        kv.CAM(case.model)(case.inputs, target=case.target)


def head_after(pooling: object, *more: object) -> keras.Model:
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = pooling(x)
    for layer in more:
        x = layer(x)
    return keras.Model(image, x)


IMAGES = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype("float32")


def test_spellings_of_the_same_head_agree() -> None:
    pooled = layers.GlobalAveragePooling2D
    dense = layers.Dense(3)
    models = [
        head_after(pooled(), dense),
        head_after(lambda x: keras.ops.mean(x, axis=(1, 2)), dense, layers.Softmax()),
        head_after(pooled(), layers.Dropout(0.5), dense, keras.ops.softmax),
        head_after(pooled(keepdims=True), layers.Conv2D(3, 1), layers.Reshape((3,))),
    ]
    kernel, bias = np.random.default_rng(1).normal(size=(4, 3)), np.zeros(3)
    filters = np.random.default_rng(2).normal(size=(3, 3, 2, 4))
    maps = []
    for model in models:
        model.get_layer("conv").set_weights([filters, np.zeros(4)])
        for layer in model.layers:
            if layer.name != "conv" and layer.weights:
                layer.set_weights([kernel.reshape(layer.weights[0].shape), bias])
        cam = kv.CAM(model, **RAW)
        maps.append(cam(IMAGES, target=2))
        assert cam.layer == "conv"
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], rtol=1e-4, atol=1e-5)


def test_a_head_without_dense_layer_shows_the_class_channel() -> None:
    model = head_after(layers.GlobalAveragePooling2D(), layers.Softmax())
    features = kv.activations(model, IMAGES, ["conv"])["conv"]
    np.testing.assert_allclose(kv.CAM(model, **RAW)(IMAGES, target=1), features[..., 1], atol=1e-6)


def test_a_difference_of_classes_is_the_difference_of_maps() -> None:
    case = build("gap_functional")
    cam = kv.CAM(case.model, **RAW)
    one, other = (cam(case.inputs, target=t) for t in (0, 1))
    both = cam(case.inputs, target=kv.targets.Class(0) - kv.targets.Class(1))
    np.testing.assert_allclose(both, one - other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        head_after(layers.GlobalMaxPooling2D(), layers.Dense(3)),
        head_after(layers.GlobalAveragePooling2D(), layers.Dense(5), layers.Dense(3)),
        head_after(layers.GlobalAveragePooling2D(), layers.Dense(5, "relu"), layers.Dense(3)),
        head_after(layers.Flatten(), layers.Dense(3)),
    ],
    ids=["maximum", "two dense", "dense relu dense", "flatten"],
)
def test_heads_that_only_look_alike_are_refused(model: keras.Model) -> None:
    with pytest.raises(MethodError, match="Received"):
        kv.CAM(model)(IMAGES)


def test_another_layer_is_refused() -> None:
    case = build("gap_functional")
    with pytest.raises(AddressError, match=repr(case.layer)):
        kv.CAM(case.model, layer="conv_1")(case.inputs)
