"""Scores before the softmax or sigmoid, and the axis of the classes, each against a closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasviz as kv
from kerasviz.errors import TargetError

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(3, 5)).astype("float32")
KERNEL = RANDOM.normal(size=(5, 4)).astype("float32")
LOGITS = VECTORS @ KERNEL
PICTURES = RANDOM.normal(size=(3, 6, 5, 2)).astype("float32")
FILTERS = RANDOM.normal(size=(2, 4)).astype("float32")
PIXELS = PICTURES @ FILTERS
SERIES = RANDOM.normal(size=(3, 6, 2)).astype("float32")
STEPS = SERIES @ FILTERS
Outputs = Callable[[Any], Any]


def fixed(values: np.ndarray) -> keras.initializers.Initializer:
    return keras.initializers.Constant(values)


def over_vectors(final: Outputs, **settings: Any) -> keras.Model:
    vector = keras.Input((5,))
    dense = layers.Dense(4, use_bias=False, kernel_initializer=fixed(KERNEL), **settings)
    return keras.Model(vector, final(dense(vector)))


def over_series(final: Outputs, filters: np.ndarray = FILTERS) -> keras.Model:
    series = keras.Input((6, 2))
    dense = layers.Dense(filters.shape[1], use_bias=False, kernel_initializer=fixed(filters))
    return keras.Model(series, final(dense(series)))


def convolution(
    filters: np.ndarray, kind: type = layers.Conv2D, rank: int = 2, **settings: Any
) -> keras.layers.Layer:
    kernel = fixed(filters.reshape(*(1,) * rank, *filters.shape))
    return kind(filters.shape[1], 1, kernel_initializer=kernel, **settings)


def over_pictures(
    final: Outputs, filters: np.ndarray = FILTERS, first: bool = False, **settings: Any
) -> keras.Model:
    shape = (2, 6, 5) if first else (6, 5, 2)
    layout = "channels_first" if first else "channels_last"
    picture = keras.Input(shape)
    return keras.Model(
        picture, final(convolution(filters, data_format=layout, **settings)(picture))
    )


def explained(model: keras.Model | kv.Saliency, inputs: np.ndarray, target: Any) -> Any:
    explainer = model if isinstance(model, kv.Saliency) else kv.Saliency(model)
    return explainer.explain(inputs, target=target)


class InsideCall(keras.Model):
    """A model whose squashing function is an operation in its `call`."""

    def __init__(self, final: Outputs) -> None:
        super().__init__()
        self.dense = layers.Dense(4, use_bias=False, kernel_initializer=fixed(KERNEL))
        self.final = final

    def call(self, inputs: Any) -> Any:
        """Dense, then the function."""
        return self.final(self.dense(inputs))


def softmax(values: np.ndarray) -> np.ndarray:
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


VECTOR_HEADS: dict[str, tuple[Callable[[], keras.Model], np.ndarray, str]] = {
    "temperature": (
        lambda: over_vectors(lambda z: ops.softmax(z / 4.0)),
        LOGITS / 4,
        "before softmax",
    ),
    "reshaped": (
        lambda: over_vectors(lambda z: layers.Reshape((4,))(layers.Softmax()(z))),
        LOGITS,
        "before softmax",
    ),
    "identity": (
        lambda: over_vectors(lambda z: layers.Identity()(layers.Softmax()(z))),
        LOGITS,
        "before softmax",
    ),
    "cast": (
        lambda: over_vectors(lambda z: ops.cast(ops.softmax(ops.cast(z, "float64")), "float32")),
        LOGITS,
        "before softmax",
    ),
    "float32_activation_layer": (
        lambda: over_vectors(
            lambda z: layers.Activation("softmax", dtype="float32")(z), dtype="mixed_float16"
        ),
        LOGITS,
        "before softmax",
    ),
    "activation_layer": (
        lambda: over_vectors(layers.Activation("softmax")),
        LOGITS,
        "before softmax",
    ),
    "in_call": (lambda: InsideCall(lambda z: ops.softmax(z)), LOGITS, "before softmax"),
    "tensorflow_in_call": (lambda: InsideCall(tf.nn.softmax), LOGITS, "before softmax"),
    "log_softmax": (lambda: over_vectors(ops.log_softmax), LOGITS, "before log-softmax"),
    "sigmoids": (lambda: over_vectors(ops.sigmoid), LOGITS, "before sigmoid"),
    "sigmoids_side_by_side": (
        lambda: over_vectors(
            lambda z: ops.concatenate([ops.sigmoid(z[:, :1]), ops.sigmoid(z[:, 1:])], axis=1)
        ),
        LOGITS,
        "before sigmoid",
    ),
    "sigmoids_stacked": (
        lambda: over_vectors(lambda z: ops.stack([ops.sigmoid(z[:, i]) for i in range(4)], axis=1)),
        LOGITS,
        "before sigmoid",
    ),
    "mean_of_softmaxes": (
        lambda: over_vectors(lambda z: layers.Average()([ops.softmax(z), ops.softmax(2 * z)])),
        (softmax(LOGITS) + softmax(2 * LOGITS)) / 2,
        "output as it is",
    ),
    "scaled_softmax": (
        lambda: over_vectors(lambda z: 3.0 * ops.softmax(z)),
        3 * softmax(LOGITS),
        "output as it is",
    ),
    "softmax_beside_sigmoid": (
        lambda: over_vectors(
            lambda z: ops.concatenate([ops.softmax(z[:, :2]), ops.sigmoid(z[:, 2:])], axis=1)
        ),
        np.concatenate([softmax(LOGITS[:, :2]), 1 / (1 + np.exp(-LOGITS[:, 2:]))], axis=1),
        "output as it is",
    ),
    "tanh": (lambda: over_vectors(ops.tanh), np.tanh(LOGITS), "output as it is"),
    "linear": (lambda: over_vectors(lambda z: z), LOGITS, "output as it is"),
}


@pytest.mark.parametrize("name", VECTOR_HEADS)
def test_what_a_score_of_a_vector_is(name: str) -> None:
    build, expected, kind = VECTOR_HEADS[name]
    model = build()
    model(VECTORS)
    limits = {"rtol": 2e-2, "atol": 1e-2} if name.startswith("float32") else {"rtol": 1e-4}
    explainer = kv.Saliency(model)
    for target in range(4):
        why = explained(explainer, VECTORS, target)
        np.testing.assert_allclose(why.scores, expected[:, target], **limits)
        assert why.score_kind == kind
    predicted = explained(explainer, VECTORS, None)
    outputs = model.predict(VECTORS, verbose=0)
    np.testing.assert_array_equal(predicted.targets, outputs.argmax(axis=1))


def test_of_softmaxes_side_by_side_the_most_probable_class_is_predicted() -> None:
    shift = np.float32([0, 0, 50, 52])

    def groups(z: Any) -> Any:
        z = z * 0.01 + ops.convert_to_tensor(shift) + ops.convert_to_tensor([9.0, 0, 0, 0])
        return ops.concatenate([ops.softmax(z[:, :2]), ops.softmax(z[:, 2:])], axis=-1)

    why = explained(over_vectors(groups), VECTORS, None)
    np.testing.assert_array_equal(why.targets, [0, 0, 0])
    np.testing.assert_allclose(why.scores, LOGITS[:, 0] * 0.01 + 9, rtol=1e-4)


def first(z: np.ndarray) -> np.ndarray:
    return z.transpose(0, 3, 1, 2)


PICTURE_HEADS: dict[str, tuple[Callable[[], keras.Model], bool, str]] = {
    "softmax_of_axis_1": (
        lambda: over_pictures(layers.Softmax(axis=1), first=True),
        True,
        "before softmax",
    ),
    "softmax_op_of_axis_1": (
        lambda: over_pictures(lambda z: ops.softmax(z, axis=1), first=True),
        True,
        "before softmax",
    ),
    "softmax_of_axis_minus_3": (
        lambda: over_pictures(layers.Softmax(axis=-3), first=True),
        True,
        "before softmax",
    ),
    "log_softmax_of_axis_1": (
        lambda: over_pictures(lambda z: ops.log_softmax(z, axis=1), first=True),
        True,
        "before log-softmax",
    ),
    "sigmoid_after_channels_first": (
        lambda: over_pictures(ops.sigmoid, first=True),
        True,
        "before sigmoid",
    ),
    "sigmoid_after_transposed_channels_first": (
        lambda: over_pictures(
            lambda z: convolution(
                np.eye(4, dtype="float32"),
                layers.Conv2DTranspose,
                data_format="channels_first",
                activation="sigmoid",
            )(z),
            first=True,
        ),
        True,
        "before sigmoid",
    ),
    "sigmoid_after_enlargement": (
        lambda: over_pictures(
            lambda z: ops.sigmoid(layers.UpSampling2D(1, data_format="channels_first")(z)),
            first=True,
        ),
        True,
        "before sigmoid",
    ),
    "channels_first_made_last": (
        lambda: over_pictures(lambda z: ops.sigmoid(layers.Permute((2, 3, 1))(z)), first=True),
        True,
        "before sigmoid",
    ),
    "linear_channels_first": (
        lambda: over_pictures(lambda z: z, first=True),
        True,
        "output as it is",
    ),
    "scaled_channels_first": (
        lambda: over_pictures(lambda z: 1.0 * z + 0.0, first=True, use_bias=False),
        True,
        "output as it is",
    ),
    "softmax_of_axis_1_after_channels_last": (
        lambda: over_pictures(lambda z: ops.softmax(layers.Permute((3, 1, 2))(z), axis=1)),
        False,
        "before softmax",
    ),
    "softmax_of_axis_2_made_last": (
        lambda: over_pictures(
            lambda z: layers.Permute((1, 3, 2))(ops.softmax(layers.Permute((1, 3, 2))(z), axis=2))
        ),
        False,
        "before softmax",
    ),
    "softmax_channels_last": (lambda: over_pictures(ops.softmax), False, "before softmax"),
    "channels_last_made_first": (
        lambda: over_pictures(lambda z: layers.Permute((3, 1, 2))(ops.softmax(z))),
        False,
        "before softmax",
    ),
    "sigmoid_made_first": (
        lambda: over_pictures(lambda z: layers.Permute((3, 1, 2))(ops.sigmoid(z))),
        False,
        "before sigmoid",
    ),
    "pixels_in_a_row": (
        lambda: over_pictures(lambda z: ops.softmax(ops.reshape(z, (-1, 30, 4)))),
        False,
        "before softmax",
    ),
    "rows_after_the_softmax": (
        lambda: over_pictures(lambda z: layers.Reshape((30, 4))(ops.softmax(z))),
        False,
        "before softmax",
    ),
    "rows_of_channels_first": (
        lambda: over_pictures(lambda z: layers.Reshape((4, 30))(ops.sigmoid(z)), first=True),
        True,
        "before sigmoid",
    ),
}


@pytest.mark.parametrize("name", PICTURE_HEADS)
def test_the_classes_of_pixels_lie_along_the_right_axis(name: str) -> None:
    build, is_first, kind = PICTURE_HEADS[name]
    model, inputs = kv.Saliency(build()), first(PICTURES) if is_first else PICTURES
    for target in range(4):
        why = explained(model, inputs, target)
        expected = PIXELS[..., target].mean(axis=(1, 2))
        np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)
        assert why.score_kind == kind
    with pytest.raises(TargetError, match="from 0 to 3"):
        explained(model, inputs, 4)
    votes = PIXELS.reshape(3, -1, 4).argmax(axis=-1)
    most = [np.bincount(row, minlength=4).argmax() for row in votes]
    np.testing.assert_array_equal(explained(model, inputs, None).targets, most)


def test_a_mask_over_channels_first() -> None:
    mask = np.zeros((6, 5))
    mask[1:3, 2:] = 1
    for final in (layers.Softmax(axis=1), ops.sigmoid):
        model = over_pictures(final, first=True)
        why = explained(model, first(PICTURES), kv.targets.Mask(mask, 2))
        expected = PIXELS[:, 1:3, 2:, 2].mean(axis=(1, 2))
        np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)


def test_volumes_with_channels_first() -> None:
    volume = keras.Input((2, 3, 4, 5))
    settings = {"kind": layers.Conv3D, "rank": 3, "data_format": "channels_first"}
    z = convolution(FILTERS, **settings)(volume)
    values = RANDOM.normal(size=(2, 2, 3, 4, 5)).astype("float32")
    why = explained(keras.Model(volume, ops.sigmoid(z)), values, 3)
    expected = np.einsum("bcdhw,ck->bkdhw", values, FILTERS)[:, 3].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)


def test_tokens_of_a_channels_first_trunk_have_their_classes_last() -> None:
    picture = keras.Input((2, 6, 5))
    x = convolution(FILTERS, data_format="channels_first")(picture)
    tokens = ops.transpose(ops.reshape(x, (-1, 4, 30)), (0, 2, 1))
    model = keras.Model(picture, layers.Lambda(lambda z: z[:, ::1])(tokens))
    why = explained(model, first(PICTURES), 3)
    expected = PIXELS[..., 3].mean(axis=(1, 2))
    np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)


SERIES_HEADS: dict[str, Callable[[], keras.Model]] = {
    "softmax": lambda: over_series(ops.softmax),
    "log_softmax": lambda: over_series(ops.log_softmax),
    "sigmoid": lambda: over_series(ops.sigmoid),
    "linear": lambda: over_series(lambda z: z),
    "per_step": lambda: over_series(layers.TimeDistributed(layers.Activation("softmax"))),
    "stacked": lambda: over_series(
        lambda z: ops.stack([ops.softmax(z[:, t]) for t in range(6)], axis=1)
    ),
    "stacked_last": lambda: over_series(
        lambda z: ops.stack([ops.softmax(z[:, t]) for t in range(6)], axis=2)
    ),
    "joined": lambda: over_series(
        lambda z: ops.concatenate([ops.softmax(z[:, :2]), ops.softmax(z[:, 2:])], axis=1)
    ),
    "softmax_over_axis_1": lambda: over_series(
        lambda z: ops.softmax(ops.transpose(z, (0, 2, 1)), axis=1)
    ),
}


@pytest.mark.parametrize("name", SERIES_HEADS)
def test_what_a_score_of_a_series_is(name: str) -> None:
    model = kv.Saliency(SERIES_HEADS[name]())
    for target in range(4):
        why = explained(model, SERIES, target)
        expected = STEPS[..., target].mean(axis=1)
        np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)
    assert (why.score_kind == "output as it is") == (name == "linear")


ONE_UNIT_HEADS: dict[str, tuple[Callable[[], keras.Model], np.ndarray, np.ndarray]] = {
    "vector": (
        lambda: over_vectors(lambda z: ops.sigmoid(z[:, :1])),
        VECTORS,
        LOGITS[:, 0],
    ),
    "squeezed_vector": (
        lambda: over_vectors(lambda z: ops.squeeze(ops.sigmoid(z[:, :1]), axis=-1)),
        VECTORS,
        LOGITS[:, 0],
    ),
    "expanded_vector": (
        lambda: over_vectors(lambda z: ops.expand_dims(ops.sigmoid(z[:, 0]), -1)),
        VECTORS,
        LOGITS[:, 0],
    ),
    "steps": (
        lambda: over_series(ops.sigmoid, FILTERS[:, :1]),
        SERIES,
        STEPS[..., 0],
    ),
    "pixels": (
        lambda: over_pictures(ops.sigmoid, FILTERS[:, :1]),
        PICTURES,
        PIXELS[..., 0],
    ),
    "pixels_channels_first": (
        lambda: over_pictures(ops.sigmoid, FILTERS[:, :1], first=True),
        first(PICTURES),
        PIXELS[..., 0],
    ),
    "squeezed_pixels": (
        lambda: over_pictures(lambda z: ops.squeeze(ops.sigmoid(z), -1), FILTERS[:, :1]),
        PICTURES,
        PIXELS[..., 0],
    ),
    "pixels_squeezed_before": (
        lambda: over_pictures(lambda z: ops.sigmoid(layers.Reshape((6, 5))(z)), FILTERS[:, :1]),
        PICTURES,
        PIXELS[..., 0],
    ),
    "pixels_squeezed_and_expanded": (
        lambda: over_pictures(
            lambda z: layers.Reshape((6, 5, 1))(ops.squeeze(ops.sigmoid(z), -1)), FILTERS[:, :1]
        ),
        PICTURES,
        PIXELS[..., 0],
    ),
}


@pytest.mark.parametrize("name", ONE_UNIT_HEADS)
def test_one_sigmoid_unit_is_two_classes_wherever_it_stands(name: str) -> None:
    build, inputs, logits = ONE_UNIT_HEADS[name]
    model = kv.Saliency(build())
    mean = logits.reshape(3, -1).mean(axis=1)
    for target, sign in ((1, 1), (0, -1)):
        why = explained(model, inputs, target)
        np.testing.assert_allclose(why.scores, sign * mean, rtol=1e-4, atol=1e-5)
        assert why.score_kind == "before sigmoid"
    most = (logits > 0).reshape(3, -1).mean(axis=1) > 0.5
    np.testing.assert_array_equal(explained(model, inputs, None).targets, most)
    with pytest.raises(TargetError, match="from 0 to 1"):
        explained(model, inputs, 2)


@pytest.mark.parametrize("name", [n for n, (_, _, z) in ONE_UNIT_HEADS.items() if z.ndim > 1])
def test_a_mask_of_one_sigmoid_unit_is_of_two_classes(name: str) -> None:
    build, inputs, logits = ONE_UNIT_HEADS[name]
    model = kv.Saliency(build())
    mask = np.zeros(logits.shape[1:])
    mask[2:4] = 1
    for target, sign in ((1, 1), (0, -1)):
        why = explained(model, inputs, kv.targets.Mask(mask, target))
        expected = sign * logits[:, 2:4].reshape(3, -1).mean(axis=1)
        np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(TargetError, match="from 0 to 1"):
        explained(model, inputs, kv.targets.Mask(mask, 2))


@pytest.mark.parametrize(
    ("outputs", "received"),
    [
        (lambda z: None, "returns None"),
        (lambda z: "text", "returns 'text'"),
        (lambda z: 5, "returns 5"),
        (lambda z: [], r"returns \[\]"),
        (lambda z: ops.mean(z), r"shape \(\)"),
        (lambda z: z[:, :0], r"shape \(None, 0\)"),
        (lambda z: tf.strings.as_string(z), "dtype=string"),
        (lambda z: tf.cast(z, tf.complex64), "dtype=complex64"),
        (lambda z: tf.numpy_function(lambda a: a, [z], tf.float32), "unknown rank"),
        (tf.RaggedTensor.from_tensor, "RaggedTensor"),
    ],
)
def test_outputs_that_are_no_numbers_are_refused(outputs: Outputs, received: str) -> None:
    model = InsideCall(outputs)
    model(VECTORS)
    for target in (None, 1):
        with pytest.raises(TargetError, match=received):
            kv.Saliency(model)(VECTORS, target=target)


def test_outputs_beside_the_only_one_that_holds_numbers() -> None:
    model = InsideCall(lambda z: {"kind": ops.softmax(z), "loss": None, "mean": ops.mean(z)})
    model(VECTORS)
    np.testing.assert_allclose(explained(model, VECTORS, 2).scores, LOGITS[:, 2], rtol=1e-4)
    np.testing.assert_allclose(
        explained(model, VECTORS, lambda found: found["kind"][:, 2]).scores,
        LOGITS[:, 2],
        rtol=1e-4,
    )
    with pytest.raises(TargetError, match=r"one of the outputs .'kind', 'mean'.*'loss'"):
        explained(model, VECTORS, {"loss": 0})


def test_nested_outputs_are_named_by_their_path() -> None:
    model = InsideCall(lambda z: {"a": {"x": z, "y": 2 * z}, "b": 3 * z})
    model(VECTORS)
    for name, factor in (("a/x", 1), ("a/y", 2), ("b", 3)):
        why = explained(model, VECTORS, {name: 1})
        np.testing.assert_allclose(why.scores, factor * LOGITS[:, 1], rtol=1e-4)
    with pytest.raises(TargetError, match="'a/x', 'a/y', 'b'"):
        explained(model, VECTORS, 1)
