"""Maps lie on the input as the model looks at it: whatever moves, crops or adds axes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import kerasviz as kv

IMAGES = np.random.default_rng(0).normal(size=(3, 16, 12, 3)).astype("float32")
FIRST = {"data_format": "channels_first"}
GENERATOR = np.random.default_rng(1)
WEIGHTS = [GENERATOR.normal(size=s) for s in [(3, 3, 3, 4), (4,), (3, 3, 4, 5), (5,), (5, 4), (4,)]]
METHODS = [kv.Saliency, kv.GradCAM, kv.CAM]


def network(
    shape: tuple[int | None, ...],
    prepare: Callable[[Any], Any],
    weights: Any = WEIGHTS,
    **order: Any,
) -> keras.Model:
    """Two convolutions and an average after some preparation; the same weights in every order."""
    image = keras.Input(shape)
    x = layers.Conv2D(4, 3, activation="relu", name="conv_1", **order)(prepare(image))
    x = layers.Conv2D(5, 3, activation="relu", name="conv_2", **order)(x)
    x = layers.GlobalAveragePooling2D(**order)(x)
    model = keras.Model(image, layers.Dense(4, name="head")(x))
    model.set_weights(weights)
    return model


def same(x: Any) -> Any:
    return x


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("prepare", "order", "move"),
    [
        (layers.Permute((3, 1, 2)), FIRST, (0, 1, 2, 3)),
        (layers.Permute((2, 3, 1)), {}, (0, 3, 1, 2)),
        (lambda x: ops.moveaxis(x, 1, -1)[..., ::-1][..., ::-1], {}, (0, 3, 1, 2)),
        (lambda x: ops.reshape(ops.reshape(x, (-1, 192, 3)), (-1, 16, 12, 3)), {}, (0, 1, 2, 3)),
    ],
    ids=["to channels first", "to channels last", "by slices", "flat and back"],
)
def test_the_order_of_axes_is_followed(
    method: type, prepare: Any, order: dict[str, str], move: tuple[int, ...]
) -> None:
    images = IMAGES.transpose(move)
    expected = method(network((16, 12, 3), same))(IMAGES, target=1)
    found = method(network(images.shape[1:], prepare, **order))(images, target=1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_turns_the_picture_gets_its_map_turned_back(method: type) -> None:
    turned = [w.transpose(1, 0, 2, 3) if w.ndim == 4 else w for w in WEIGHTS]
    expected = method(network((16, 12, 3), same))(IMAGES, target=1)
    model = network((16, 12, 3), layers.Permute((2, 1, 3)), turned)
    np.testing.assert_allclose(method(model)(IMAGES, target=1), expected, atol=1e-4)


@pytest.mark.parametrize("method", [kv.GradCAM, kv.CAM])
def test_axes_that_move_after_the_convolutions(method: type) -> None:
    image = keras.Input((16, 12, 3))
    x = layers.Conv2D(5, 3, name="conv")(image)
    x = layers.ReLU(name="late")(layers.Permute((3, 1, 2))(x))
    model = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D(**FIRST)(x)))
    plain = layers.ReLU()(model.get_layer("conv").output)
    same_model = keras.Model(image, model.layers[-1](layers.GlobalAveragePooling2D()(plain)))
    found = method(model)
    expected = method(same_model)(IMAGES, target=1)
    np.testing.assert_allclose(found(IMAGES, target=1), expected, atol=1e-4)
    assert found.layer == "late"


ONE_CHANNEL = [w[:, :, :1] if w.shape == (3, 3, 3, 4) else w for w in WEIGHTS]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "prepare",
    [layers.Reshape((16, 12, 1)), lambda x: ops.expand_dims(x, -1), lambda x: x[..., None]],
    ids=["reshape", "expand", "index"],
)
def test_pictures_without_channel_axis(method: type, prepare: Any) -> None:
    expected = method(network((16, 12, 1), same, ONE_CHANNEL))(IMAGES[..., :1], target=1)
    found = method(network((16, 12), prepare, ONE_CHANNEL))(IMAGES[..., 0], target=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_layer_without_the_positions_of_the_input_keeps_its_own_size() -> None:
    flat = network((192,), layers.Reshape((16, 12, 1)), ONE_CHANNEL)
    why = kv.GradCAM(flat).explain(IMAGES[..., 0].reshape(3, 192), target=1)
    expected = kv.GradCAM(network((16, 12, 1), same, ONE_CHANNEL), resolution="layer")
    np.testing.assert_allclose(why.maps, expected(IMAGES[..., :1], target=1), atol=1e-5)
    assert "the layer's own size" in why.layer_reason


def film(sequences: bool) -> keras.Model:
    frames = keras.Input((3, 8, 6, 2))
    x = layers.ConvLSTM2D(4, 3, return_sequences=sequences, name="memory")(frames)
    pool = layers.GlobalAveragePooling3D if sequences else layers.GlobalAveragePooling2D
    return keras.Model(frames, layers.Dense(4)(pool()(x)))


def test_a_memory_of_frames_keeps_time_or_says_that_it_has_none() -> None:
    frames = GENERATOR.normal(size=(2, 3, 8, 6, 2)).astype("float32")
    assert kv.Saliency(film(True))(frames).shape == (2, 3, 8, 6)
    whole, last = (kv.GradCAM(film(kept)).explain(frames, target=1) for kept in (True, False))
    assert whole.maps.shape == (2, 3, 8, 6)
    assert last.maps.shape == (2, 6, 4)
    assert "own size" in last.layer_reason
    assert "own size" not in whole.layer_reason


@pytest.mark.parametrize("kind", ["STFTSpectrogram", "MelSpectrogram"])
def test_sounds_seen_as_spectrograms(kind: str) -> None:
    settings: dict[str, Any] = {"mode": "log", "frame_length": 64, "frame_step": 32}
    if kind == "MelSpectrogram":
        settings = {"fft_length": 64, "sequence_stride": 32, "num_mel_bins": 16}
        settings |= {"sampling_rate": 800, "max_freq": 400}
    shape = (512, 1) if kind == "STFTSpectrogram" else (512,)
    sound = keras.Input(shape)
    x = getattr(layers, kind)(**settings)(sound)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Reshape((*x.shape[1:], 1))(x))
    size = x.shape[1:3]
    model = keras.Model(sound, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    sounds = GENERATOR.normal(size=(2, *shape)).astype("float32")
    assert kv.Saliency(model)(sounds, target=1).shape == (2, 512)
    why = kv.GradCAM(model).explain(sounds, target=1)
    assert (why.maps.shape, why.layer) == ((2, *size), "conv")
    assert "own size" in why.layer_reason


def test_token_numbers_have_positions_whatever_their_type() -> None:
    words = np.random.default_rng(2).integers(0, 9, (3, 8))
    stack = [layers.Embedding(9, 4), layers.Conv1D(5, 3), layers.GlobalAveragePooling1D()]
    undeclared = keras.Sequential([*stack, layers.Dense(4)])
    undeclared(words)
    numbers = keras.Input((8,), dtype="float32")
    declared = keras.Model(numbers, undeclared(numbers))
    for method in (kv.GradCAM, kv.CAM):
        expected = method(undeclared, rectify=False)(words, target=1)
        assert expected.shape == (3, 8)
        for model, given in ((undeclared, words.astype("float32")), (declared, words)):
            found = method(model, rectify=False)(given, target=1)
            np.testing.assert_allclose(found, expected, atol=1e-5)


CROPS = {
    "center": (layers.CenterCrop(8, 6), slice(4, 12), slice(3, 9)),
    "cropping": (layers.Cropping2D(((1, 3), (2, 0))), slice(1, 13), slice(2, 12)),
    "slices": (lambda x: x[:, 2:-2, 4:], slice(2, 14), slice(4, 12)),
    "turned": (lambda x: ops.transpose(x, (0, 2, 1, 3))[:, :8, 3:], slice(3, 16), slice(0, 8)),
}


@pytest.mark.parametrize("shape", [(16, 12, 3), (None, None, 3)], ids=["fixed", "open"])
@pytest.mark.parametrize("name", CROPS)
def test_a_map_lies_in_the_window_that_the_model_crops(
    name: str, shape: tuple[int | None, ...]
) -> None:
    prepare, rows, columns = CROPS[name]
    turned = name == "turned"
    weights = [w.transpose(1, 0, 2, 3) if turned and w.ndim == 4 else w for w in WEIGHTS]
    found = kv.GradCAM(network(shape, prepare, weights), rectify=False)(IMAGES, target=1)
    window = IMAGES[:, rows, columns]
    plain = network(window.shape[1:], same)
    expected = np.zeros((3, 16, 12))
    expected[:, rows, columns] = kv.GradCAM(plain, rectify=False)(window, target=1)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_margin_that_the_model_adds_is_cut_off_again() -> None:
    found = kv.GradCAM(
        network((16, 12, 3), layers.ZeroPadding2D(((6, 2), (4, 8)))), normalize=False
    )
    padded = np.pad(IMAGES, ((0, 0), (6, 2), (4, 8), (0, 0)))
    whole = kv.GradCAM(network((24, 24, 3), same), normalize=False, resolution="layer")
    expected = keras.ops.image.resize(whole(padded, target=1)[..., None], (22, 22))[..., 0]
    np.testing.assert_allclose(
        found(IMAGES, target=1), expected[:, 5:21, 3:15], rtol=1e-4, atol=1e-5
    )


def test_padding_that_the_first_convolution_eats_changes_nothing() -> None:
    by_layer = network((16, 12, 3), layers.ZeroPadding2D(1))
    found = kv.GradCAM(by_layer, normalize=False)
    layer = kv.GradCAM(by_layer, normalize=False, resolution="layer")(IMAGES, target=1)
    expected = keras.ops.image.resize(layer[..., None], (16, 12))[..., 0]
    np.testing.assert_allclose(found(IMAGES, target=1), expected, rtol=1e-4, atol=1e-5)


def test_a_picture_that_the_model_mirrors_is_not_stretched_over_the_input() -> None:
    why = kv.GradCAM(network((16, 12, 3), lambda x: x[:, ::-1])).explain(IMAGES, target=1)
    assert why.maps.shape == (3, 12, 8)
    assert "could not be followed" in why.layer_reason


@pytest.mark.parametrize(
    "between",
    [
        layers.GroupNormalization(2),
        layers.Dense(4, activation="relu"),
        lambda x: ops.reshape(ops.reshape(x, (-1, 16, 12, 2, 2)), (-1, 16, 12, 4)),
        lambda x: ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2),
    ],
    ids=["groups", "dense", "split channels", "repeat"],
)
def test_the_axes_are_followed_through_reshapes(between: Any) -> None:
    image = keras.Input((16, 12, 3))
    x = layers.Dense(4, name="colors")(image)
    x = layers.Conv2D(4, 3, padding="same", name="late")(between(x))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    why = kv.GradCAM(model, rectify=False).explain(IMAGES, target=1)
    assert (why.layer, why.maps.shape) == ("late", (3, 16, 12))
    assert "own size" not in why.layer_reason


def test_the_features_of_a_sequence_are_its_channels() -> None:
    sequence = keras.Input((9, 5))
    x = layers.Dense(4, activation="relu", name="steps")(sequence)
    model = keras.Model(sequence, layers.Dense(3)(layers.Flatten()(x)))
    given = GENERATOR.normal(size=(2, 9, 5)).astype("float32")
    assert kv.Saliency(model)(given, target=1).shape == (2, 9)
    assert kv.GradCAM(model, rectify=False)(given, target=1).shape == (2, 9)
