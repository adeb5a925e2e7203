"""The numbers that stand for black and white, against the preprocessing that made them."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError
from kerasviz.features.images.value_range import ValueRange, of_application, to_value_range
from kerasviz.probe import scaling

MODULES = scaling.application_modules()
PHOTOS = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("float32")


def named(name, *first, channels=3):
    stack = [keras.Input((8, 8, channels)), *first, keras.layers.Flatten()]
    return keras.Sequential(stack, name=name)


def test_all_applications_are_known():
    assert len(MODULES) >= 15
    assert {"keras.applications.resnet50", "keras.applications.nasnet"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_applications_have_the_range_of_their_preprocessing(module):
    preprocess = importlib.import_module(module).preprocess_input
    expected = preprocess(PHOTOS.copy(), data_format="channels_last")
    found = to_value_range(module, named("any"), 3)
    np.testing.assert_allclose(found.to_input(PHOTOS / 255), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(found.to_picture(expected), PHOTOS / 255, atol=1e-5)
    np.testing.assert_allclose(found.to_input(tf.constant(PHOTOS / 255)), expected, atol=1e-3)


def test_the_three_ways_of_applications():
    assert str(of_application("keras.applications.xception")).startswith("-1..1 (")
    caffe = of_application("keras.applications.vgg16")
    assert caffe.reverse
    np.testing.assert_allclose(caffe.low, [-103.939, -116.779, -123.68], atol=1e-4)
    red = caffe.to_input(np.array([[[1.0, 0.0, 0.0]]]))
    np.testing.assert_allclose(red[0, 0], [-103.939, -116.779, 255 - 123.68], atol=1e-4)
    torch = of_application("keras.applications.densenet")
    assert not torch.reverse
    np.testing.assert_allclose(torch.low, [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], 1e-5)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("resnet50", "resnet50"),
        ("resnet152", "resnet"),
        ("resnet50v2", "resnet_v2"),
        ("vgg19", "vgg19"),
        ("VGG16_finetuned", "vgg16"),
        ("xception", "xception"),
        ("inception_v3", "inception_v3"),
        ("inception_resnet_v2", "inception_resnet_v2"),
        ("mobilenet_1.00_224", "mobilenet"),
        ("mobilenetv2_1.00_224", "mobilenet_v2"),
        ("densenet121", "densenet"),
        ("nasnet_mobile", "nasnet"),
    ],
)
def test_models_are_known_by_name(name, module):
    found = to_value_range(None, named(name), 3)
    assert found == of_application(f"keras.applications.{module}")
    assert module in str(found)
    grey = to_value_range(None, named(name, channels=1), 1)
    assert (grey.low, grey.high, grey.reverse) == (0.0, 1.0, False)


@pytest.mark.parametrize("name", ["net", "my_resnet", "resnet", "efficientnetb0", "convnext_tiny"])
def test_what_nothing_says_is_assumed(name):
    found = to_value_range(None, named(name), 3)
    assert (found.low, found.high) == (0.0, 1.0)
    assert "assumed" in str(found)


@pytest.mark.parametrize(
    ("first", "high"),
    [
        ([keras.layers.Rescaling(1 / 127.5, offset=-1)], 255.0),
        ([keras.layers.RandomFlip(), keras.layers.Rescaling(1 / 255)], 255.0),
        ([keras.layers.Normalization(mean=120.0, variance=9.0)], 255.0),
        ([keras.layers.Rescaling(255.0)], 1.0),
        ([keras.layers.Normalization(mean=0.5, variance=0.1)], 1.0),
        ([keras.layers.Conv2D(2, 3), keras.layers.Rescaling(1 / 255)], 1.0),
    ],
)
def test_models_that_scale_by_themselves_take_bytes(first, high):
    found = to_value_range(None, named("resnet" if high == 1 else "resnet50", *first), 3)
    assert (found.low, found.high, found.reverse) == (0.0, high, False)
    assert ("its own scaling" in str(found)) == (high == 255)


def test_the_sample_network_has_that_of_its_preprocessing():
    found = to_value_range(None, named("efficientnet_lite0"), 3)
    photo = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype("uint8")
    expected = kv.samples.preprocess(photo, size=8)
    np.testing.assert_allclose(found.to_input(photo / 255.0), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        ("0..1", 0, 1),
        ("-1..1", -1, 1),
        ("0..255", 0, 255),
        ((-2, 3), -2, 3),
        ([-0.5, 0.5], -0.5, 0.5),
        (((-1, -2, -3), 4), (-1, -2, -3), 4),
        ((0, np.array([1, 2, 3])), 0, (1, 2, 3)),
        (ValueRange(-3.0, 3.0, True), -3, 3),
    ],
)
def test_ranges_that_are_asked_for(asked, low, high):
    found = to_value_range(asked, named("resnet50"), 3)
    assert (found.low, found.high) == (low, high)
    picture = np.random.default_rng(0).uniform(size=(2, 3, 3))
    shown = picture[..., ::-1] if found.reverse else picture
    expected = shown * (np.asarray(high) - low) + low
    np.testing.assert_allclose(found.to_input(picture), expected, rtol=1e-6)
    np.testing.assert_allclose(found.to_picture(expected), picture, atol=1e-6)


@pytest.mark.parametrize(
    "asked",
    [
        (1, 0),
        (1, 1),
        (0, float("nan")),
        (0, float("inf")),
        (0, (1, 1)),
        ((0, 0), (1, 1, 1)),
        ((0, 0, 5), (1, 1, 1)),
        ("a", "b"),
        (None, 1),
        (((0,), (1,)), 2),
        (0, 1, 2),
        "0..2",
        "keras.applications.imagenet_utils",
        255,
        ValueRange(1.0, 0.0),
        ValueRange((0.0, 0.0), 1.0),
    ],
)
def test_ranges_that_cannot_be(asked):
    with pytest.raises(InputError, match="`value_range` must"):
        to_value_range(asked, named("net"), 3)


def test_a_range_says_what_it_is_and_why():
    assert str(ValueRange()) == "0..1 (as asked for)"
    told = str(of_application("keras.applications.resnet50"))
    assert told == (
        "(-103.9, -116.8, -123.7)..(151.1, 138.2, 131.3), BGR (that of keras.applications.resnet50)"
    )
