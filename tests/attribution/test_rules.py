"""The guided and the deconvolution rule, however a model spells its ReLUs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv
from kerasviz.errors import MethodError, RewriteError
from tests.conftest import build
from tests.models import EXTRA_SPELLINGS, SPELLINGS, Case
from tests.reference import deconvnet, guided
from tests.reference.deconvnet import Convolution

ALL_SPELLINGS = [*SPELLINGS, *EXTRA_SPELLINGS]
RULES = {"guided": kv.GuidedSaliency, "deconvolution": kv.DeconvNet, "plain": kv.Saliency}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", ALL_SPELLINGS, indirect=True)
def test_every_spelling(case: Case, rule: str) -> None:
    why = RULES[rule](case.model, reduction=None, normalize=False).explain(
        case.inputs, target=case.index
    )
    expected = guided.input_gradient(case, case.index, rule)
    np.testing.assert_allclose(why.maps, expected, atol=2e-6)
    count = case.num_rectifiers
    assert why.coverage == ("" if rule == "plain" else f"rewrote {count} of {count} ReLU")


def test_the_rules_differ() -> None:
    case = build("argument")
    found = [guided.input_gradient(case, case.index, rule) for rule in RULES]
    assert np.abs(found[0] - found[1]).max() > 0.1
    assert np.abs(found[0] - found[2]).max() > 0.1


def test_guided_is_the_plain_gradient_where_all_is_positive() -> None:
    image = keras.Input((6, 6, 2))
    positive = {"kernel_initializer": keras.initializers.RandomUniform(0, 1, seed=1)}
    x = layers.Conv2D(3, 3, activation="relu", **positive)(image)
    model = keras.Model(image, layers.Dense(2, **positive)(layers.Flatten()(x)))
    pixels = np.random.default_rng(0).random((3, 6, 6, 2))
    settings = {"reduction": None, "normalize": False}
    plain = kv.Saliency(model, **settings)(pixels)
    np.testing.assert_allclose(kv.GuidedSaliency(model, **settings)(pixels), plain, rtol=1e-5)


@pytest.mark.parametrize("explainer", [kv.GuidedSaliency, kv.DeconvNet])
def test_a_model_without_relu_is_refused(explainer: type) -> None:
    image = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.Conv2D(3, 3, activation="tanh")(image))
    model = keras.Model(image, layers.Dense(2)(x))
    with pytest.raises(MethodError, match=r"left alone: 1 Tanh.*kv\.Saliency"):
        explainer(model)(np.ones((1, 6, 6, 2)))


HAND_WRITTEN = {
    "where above": lambda x: keras.ops.where(x > 0, x, 0.0),
    "where below": lambda x: keras.ops.where(x < 0, 0.0, x),
    "where zero first": lambda x: tf.where(tf.less(0.0, x), x, 0.0),
    "mask": lambda x: x * keras.ops.cast(x > 0, x.dtype),
    "mask swapped": lambda x: x * tf.cast(tf.less(0.0, x), x.dtype),
    "clip": lambda x: keras.ops.clip(x, 0.0, 1e6),
}
LEAKY = {
    "where above": lambda x: keras.ops.where(x > 0, x, 0.2 * x),
    "where below": lambda x: keras.ops.where(x < 0, 0.2 * x, x),
    "maximum": lambda x: keras.ops.maximum(x, 0.2 * x),
    "two halves": lambda x: keras.ops.relu(x) - 0.2 * keras.ops.relu(-x),
}


class Applied(layers.Layer):
    """A function as a layer."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.function(inputs)


def rectified_twice(rectify: object) -> keras.Model:
    image = keras.Input((6, 6, 2))
    x = image
    for seed in (1, 2):
        start = keras.initializers.GlorotUniform(seed)
        x = layers.Conv2D(4, 3, padding="same", kernel_initializer=start)(x)
        x = Applied(rectify)(x)
    start = keras.initializers.GlorotUniform(3)
    pooled = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, kernel_initializer=start)(pooled))


@pytest.mark.parametrize("explainer", [kv.GuidedSaliency, kv.DeconvNet])
@pytest.mark.parametrize(
    ("rectify", "same_as"),
    [(f, tf.nn.relu) for f in HAND_WRITTEN.values()]
    + [(f, lambda x: tf.nn.leaky_relu(x, 0.2)) for f in LEAKY.values()],
    ids=[*HAND_WRITTEN, *(f"leaky {name}" for name in LEAKY)],
)
def test_rectifiers_written_by_hand(rectify: object, same_as: object, explainer: type) -> None:
    images = np.random.default_rng(3).normal(size=(2, 6, 6, 2))
    settings = {"reduction": None, "normalize": False}
    why = explainer(rectified_twice(rectify), **settings).explain(images, target=1)
    expected = explainer(rectified_twice(same_as), **settings)(images, target=1)
    assert why.coverage.startswith("rewrote 2 of 2 ReLU")
    np.testing.assert_allclose(why.maps, expected, rtol=1e-4, atol=1e-6)


def test_what_is_not_recognized_is_said() -> None:
    model = rectified_twice(lambda x: (keras.ops.relu(x) + 0 * x + keras.ops.abs(x)) / 2)
    why = kv.GuidedSaliency(model).explain(np.ones((1, 6, 6, 2)))
    assert why.coverage == "rewrote 2 of 2 ReLU; left alone: 2 Abs"


class HiddenRelu(layers.Layer):
    """A ReLU behind a custom gradient."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def relu(x: tf.Tensor) -> tuple[tf.Tensor, object]:
            return tf.nn.relu(x), lambda g: g

        return relu(inputs)


def test_a_relu_behind_a_custom_gradient_raises() -> None:
    image = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, activation="relu")(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(HiddenRelu()(x))))
    with pytest.raises(RewriteError, match="all 2 ReLU"):
        kv.GuidedSaliency(model)(np.ones((1, 4, 4, 2)))


def test_a_relu_inside_a_loop_raises() -> None:
    signal = keras.Input((5, 2))
    model = keras.Model(signal, layers.Dense(2)(layers.SimpleRNN(3, activation="relu")(signal)))
    with pytest.raises(RewriteError, match="loop"):
        kv.GuidedSaliency(model)(np.ones((1, 5, 2)))


def test_an_unrolled_loop_is_reached() -> None:
    signal = keras.Input((5, 2))
    cell = layers.SimpleRNN(3, activation="relu", unroll=True)
    model = keras.Model(signal, layers.Dense(2)(cell(signal)))
    why = kv.GuidedSaliency(model).explain(np.random.default_rng(0).normal(size=(2, 5, 2)))
    assert why.coverage == "rewrote 5 of 5 ReLU"


def test_a_function_that_branches_on_tensors_raises() -> None:
    @tf.function
    def rectify(x: tf.Tensor) -> tf.Tensor:
        if tf.reduce_sum(x) > 0:
            return tf.nn.relu(x)
        return tf.nn.relu(x) + 0.0

    class Branching(layers.Layer):
        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return rectify(inputs)

    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(2)(Branching()(layers.Dense(3)(image))))
    with pytest.raises(RewriteError, match="branches on tensors"):
        kv.GuidedSaliency(model)(np.ones((1, 4)))


def test_the_model_trains_by_its_own_gradient_afterwards() -> None:
    case = build("tf_function_helper")
    x = tf.constant(case.inputs)

    def gradient() -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(case.model(x, training=False)[:, 0])
        return tape.gradient(score, x).numpy()

    before = gradient()
    kv.GuidedSaliency(case.model)(case.inputs)
    kv.DeconvNet(case.model)(case.inputs)
    np.testing.assert_array_equal(gradient(), before)


def test_deconvnet_says_when_it_cannot_see_the_input() -> None:
    def coverage(*middle: layers.Layer) -> str:
        image = keras.Input((8, 8, 2))
        x = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="relu")(image))
        for layer in middle:
            x = layer(x)
        model = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
        return kv.DeconvNet(model).explain(np.ones((1, 8, 8, 2))).coverage

    assert "not on the input" in coverage(layers.AveragePooling2D(2))
    assert "not on the input" not in coverage(layers.MaxPooling2D(2))
    assert "not on the input" not in coverage(layers.Activation("tanh"))


# The explicit reconstruction of one activation.


def deconvnet_model() -> tuple[keras.Model, list]:
    generator = np.random.default_rng(4)
    kernels = [generator.normal(size=s).astype("float32") for s in ((3, 3, 3, 4), (3, 3, 4, 5))]
    biases = [generator.normal(size=s).astype("float32") for s in (4, 5)]
    image = keras.Input((8, 10, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv_1")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv_2")(x)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    for name, kernel, bias in zip(("conv_1", "conv_2"), kernels, biases, strict=True):
        model.get_layer(name).set_weights([kernel, bias])
    stages = [Convolution(kernels[0], biases[0]), "relu", "pool"]
    return model, [*stages, Convolution(kernels[1], biases[1]), "relu"]


def test_reconstruction_of_a_given_activation() -> None:
    model, stages = deconvnet_model()
    images = np.random.default_rng(5).normal(size=(3, 8, 10, 3)).astype("float32")
    found = kv.DeconvNet(model).reconstruct(images, "conv_2", channel=2, position=(1, 3))
    expected = [deconvnet.reconstruct(image, stages, (1, 3, 2)) for image in images]
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_reconstructions_of_one_layer_share_a_trace() -> None:
    model, stages = deconvnet_model()
    images = np.random.default_rng(7).normal(size=(2, 8, 10, 3)).astype("float32")
    deconvnet_of = kv.DeconvNet(model)
    for channel in range(5):
        found = deconvnet_of.reconstruct(images, "conv_2", channel, (2, channel))
        expected = [deconvnet.reconstruct(i, stages, (2, channel, channel)) for i in images]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert deconvnet_of._reconstruction.num_traces == 1


def test_reconstruction_keeps_the_strongest_of_the_channel() -> None:
    model, stages = deconvnet_model()
    image = np.random.default_rng(6).normal(size=(8, 10, 3)).astype("float32")
    activation = deconvnet.forward(image, stages)[0]
    row, column = np.unravel_index(activation[..., 1].argmax(), activation.shape[:2])
    found = kv.DeconvNet(model).reconstruct(image[None], "conv_2", channel=1)
    expected = deconvnet.reconstruct(image, stages, (int(row), int(column), 1))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layer": "conv_9", "channel": 0}, "Closest: 'conv_"),
        ({"layer": "conv_2", "channel": 5}, "from 0 to 4"),
        ({"layer": "conv_2", "channel": 0, "position": (4, 0)}, "within"),
        ({"layer": "conv_2", "channel": 0, "position": (1,)}, "within"),
        ({"layer": "conv_2", "channel": "x"}, "whole numbers"),
    ],
)
def test_reconstruction_refuses_what_is_not_there(wrong: dict, message: str) -> None:
    model, _ = deconvnet_model()
    with pytest.raises(kv.errors.AddressError, match=message):
        kv.DeconvNet(model).reconstruct(np.ones((1, 8, 10, 3)), **wrong)
