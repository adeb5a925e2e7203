"""The scaling that is asked for, or that fits the model."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kerasviz import samples
from kerasviz.cli.preprocessing import choose_preprocessing, parse_preprocessing
from kerasviz.errors import InputError

PIXELS = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0..1", [0, 0.2, 1]),
        ("-1..1", [-1, -0.6, 1]),
        ("0..255", [0, 51, 255]),
        ("keras.applications.mobilenet_v2", [-1, -0.6, 1]),
        ("keras.applications.resnet50", [255 - 103.939, 51 - 116.779, 0 - 123.68]),
    ],
)
def test_scalings(name, expected):
    scaled = parse_preprocessing(name)(PIXELS)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.ravel(), expected, atol=1e-5)
    assert PIXELS.ravel().tolist() == [0, 51, 255]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("0-1", "Closest: 0..1"),
        ("keras.applications.resnet5", "Closest: keras.applications.resnet50"),
        ("os", "'os'"),
        ("keras.applications.imagenet_utils", "must be"),
    ],
)
def test_unknown_scaling(name, words):
    with pytest.raises(InputError) as caught:
        parse_preprocessing(name)
    assert words in str(caught.value)


def test_applications_need_colours():
    with pytest.raises(InputError, match="1 channels"):
        parse_preprocessing("keras.applications.resnet50")(PIXELS[..., :1])


def test_application_and_sample_know_their_own():
    model = keras.Sequential([keras.Input((4,))])
    chosen = choose_preprocessing("keras.applications:ResNet101V2:none", model)
    assert (chosen.name, chosen.assumed) == ("keras.applications.resnet_v2", False)
    np.testing.assert_allclose(chosen(PIXELS).ravel(), [-1, -0.6, 1], atol=1e-6)
    pixels = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
    sample = choose_preprocessing("samples:efficientnet_lite0", model)
    np.testing.assert_array_equal(sample(pixels), samples.preprocess(pixels, size=8))


def beginning_with(*layers):
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, keras.layers.Conv2D(2, 3)])


def preprocessed_inside(application):
    inputs = keras.Input((8, 8, 3))
    x = application.preprocess_input(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 3)(x))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: beginning_with(keras.layers.Rescaling(1 / 255)), "0..255"),
        (lambda: beginning_with(keras.layers.Rescaling(255.0)), "0..1"),
        (lambda: beginning_with(keras.layers.Normalization(mean=120.0, variance=9.0)), "0..255"),
        (lambda: beginning_with(keras.layers.Normalization(mean=0.5, variance=0.1)), "0..1"),
        (
            lambda: beginning_with(
                keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomRotation(0.1)]),
                keras.layers.Rescaling(1 / 127.5, offset=-1),
            ),
            "0..255",
        ),
        (lambda: preprocessed_inside(keras.applications.mobilenet_v2), "0..255"),
        (lambda: preprocessed_inside(keras.applications.resnet50), "0..255"),
        (lambda: keras.applications.EfficientNetB0(weights=None), "0..255"),
        (beginning_with, "0..1"),
    ],
)
def test_a_model_that_scales_by_itself_gets_pixels(model, name):
    chosen = choose_preprocessing("model.keras", model())
    assert chosen.name == name
    assert chosen.assumed == (name == "0..1")
    assert ("--preprocess" in str(chosen)) == chosen.assumed
