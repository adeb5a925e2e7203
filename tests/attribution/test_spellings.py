"""Rectifiers written in uncommon ways, against a backward pass by hand; and what is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv
from kerasviz.errors import MethodError, RewriteError
from tests.models import SPELLING_IMAGES, Rectifier, prelu_slopes, two_rectifiers
from tests.reference import guided

Rectify = Callable[[tf.Tensor], tf.Tensor]
RELU, LEAKY = Rectifier(), Rectifier(0.2)
RULES = {"guided": kv.GuidedSaliency, "deconvolution": kv.DeconvNet}

RELUS: dict[str, Rectify] = {
    "zeros of its shape": lambda x: tf.maximum(x, tf.zeros(tf.shape(x))),
    "zeros like it": lambda x: tf.maximum(tf.zeros_like(x), x),
    "filled": lambda x: tf.maximum(x, tf.fill(tf.shape(x), 0.0)),
    "broadcast": lambda x: tf.maximum(tf.broadcast_to(0.0, tf.shape(x)), x),
    "nothing of it": lambda x: tf.maximum(x, x * 0.0),
    "half of x and |x|": lambda x: (x + tf.abs(x)) / 2,
    "half of x and the root of its square": lambda x: 0.5 * (x + tf.sqrt(tf.square(x))),
    "without its lower half": lambda x: x - tf.minimum(x, 0),
    "minus the lower half of minus x": lambda x: -tf.minimum(-x, 0.0),
    "mask of what is not below": lambda x: x * tf.cast(~(x < 0), x.dtype),
    "mask without a gradient": lambda x: x * tf.stop_gradient(tf.cast(x > 0, x.dtype)),
    "signs": lambda x: x * (tf.sign(x) + 1) / 2,
    "raw clip": lambda x: tf.raw_ops.ClipByValue(
        t=x, clip_value_min=0.0, clip_value_max=float("inf")
    ),
    "largest of a stack": lambda x: tf.reduce_max(tf.stack([x, 0 * x]), 0),
    "largest of a stack at the end": lambda x: keras.ops.max(
        keras.ops.stack([keras.ops.zeros_like(x), x], -1), -1
    ),
    "where not above": lambda x: tf.where(tf.logical_not(x > 0), tf.zeros_like(x), x),
}
OTHER_SHAPES: dict[str, tuple[Rectify, Rectifier]] = {
    "raw clip at 6": (
        lambda x: tf.raw_ops.ClipByValue(t=x, clip_value_min=0.0, clip_value_max=6.0),
        Rectifier(maximum=6.0),
    ),
    "smaller first": (lambda x: tf.maximum(tf.minimum(x, 6.0), 0.0), Rectifier(maximum=6.0)),
    "leak by division": (lambda x: tf.maximum(x, x / 5), LEAKY),
    "leak by the lower half": (lambda x: x - 0.8 * tf.minimum(x, 0.0), LEAKY),
    "leak by |x|": (lambda x: 0.6 * x + 0.4 * tf.abs(x), LEAKY),
    "leak beside a ReLU": (lambda x: 0.8 * tf.nn.relu(x) + 0.2 * x, LEAKY),
    "threshold by a mask": (
        lambda x: x * tf.cast(x > 0.5, x.dtype),
        Rectifier(threshold=0.5),
    ),
    "halves": (lambda x: tf.nn.relu(x) + 0.2 * tf.minimum(x, 0), LEAKY),
}
PAIRS = [
    *zip(list(RELUS)[::2], list(RELUS)[1::2], strict=True),
    *zip(list(OTHER_SHAPES)[::2], list(OTHER_SHAPES)[1::2], strict=True),
]


def settings() -> dict[str, Any]:
    return {"reduction": None, "normalize": False}


def check(names: Sequence[str], rule: str) -> None:
    all_shapes = {name: (rectify, RELU) for name, rectify in RELUS.items()} | OTHER_SHAPES
    (first, shape_1), (second, shape_2) = (all_shapes[name] for name in names)
    model = two_rectifiers(first, second)
    why = RULES[rule](model, **settings()).explain(SPELLING_IMAGES, target=1)
    expected = guided.image_gradient(SPELLING_IMAGES, (shape_1, shape_2), 1, rule)
    assert why.coverage == "rewrote 2 of 2 ReLU"
    np.testing.assert_allclose(why.maps, expected, atol=5e-6)


@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
@pytest.mark.parametrize("rule", RULES)
def test_a_rectifier_is_known_by_what_it_does(names: tuple[str, str], rule: str) -> None:
    check(names, rule)


class Channelwise(layers.Layer):
    """Leaky with one slope per channel: a weight, or a constant."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.spelling = spelling

    def build(self, shape: Sequence[int | None]) -> None:
        slopes = keras.initializers.Constant(prelu_slopes(shape[-1]).ravel())
        self.slopes = self.add_weight(shape=(shape[-1],), initializer=slopes)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        slopes: Any = self.slopes
        if self.spelling == "constant":
            return tf.maximum(x, prelu_slopes(x.shape[-1]) * x)
        if self.spelling == "where":
            return keras.ops.where(x > 0, x, slopes * x)
        return x - (1 - slopes) * keras.ops.minimum(x, 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("spellings", [("where", "minus"), ("constant", "where")])
def test_slopes_per_channel(spellings: tuple[str, str], rule: str) -> None:
    model = two_rectifiers(*map(Channelwise, spellings))
    found = RULES[rule](model, **settings())(SPELLING_IMAGES, target=1)
    shapes = (Rectifier(prelu_slopes(6)), Rectifier(prelu_slopes(5)))
    expected = guided.image_gradient(SPELLING_IMAGES, shapes, 1, rule)
    np.testing.assert_allclose(found, expected, atol=5e-6)


def dense(*steps: Callable[[Any], Any], size: int = 4) -> keras.Model:
    """Dense, the steps, Dense."""
    start = [keras.initializers.GlorotNormal(seed) for seed in (1, 2)]
    vector = keras.Input((size,))
    x = layers.Dense(6, kernel_initializer=start[0])(vector)
    for step in steps:
        x = step(x)
    return keras.Model(vector, layers.Dense(3, kernel_initializer=start[1])(x))


VECTORS = np.random.default_rng(8).normal(size=(5, 4)).astype("float32")


class Applied(layers.Layer):
    """A function as a layer."""

    def __init__(self, function: Rectify) -> None:
        super().__init__()
        self.function = function

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.function(x)


def explained(rectify: Rectify, rule: str = "guided", **more: Any) -> kv.Explanation:
    return RULES[rule](dense(Applied(rectify)), **settings(), **more).explain(VECTORS, target=1)


LEFT_ALONE: dict[str, tuple[Rectify, str]] = {
    "hard sigmoid": (keras.activations.hard_sigmoid, "1 HardSigmoid"),
    "hard swish": (keras.activations.hard_silu, "1 HardSigmoid"),
    "hard sigmoid by a clip": (lambda x: keras.ops.clip(0.2 * x + 0.5, 0, 1), "1 HardSigmoid"),
    "hard tanh": (keras.activations.hard_tanh, "1 HardTanh"),
    "celu": (lambda x: keras.activations.celu(x, 0.5), "1 Celu"),
    "softplus": (
        lambda x: tf.maximum(x, 0) + tf.math.log1p(tf.exp(-tf.abs(x))),
        "1 Softplus",
    ),
    "absolute": (tf.abs, "1 Abs"),
    "lower half": (lambda x: tf.minimum(x, 0), "1 Minimum"),
    "floor": (lambda x: tf.maximum(x, 0.1), "1 Maximum"),
    "of two features": (lambda x: tf.maximum(x, tf.reverse(x, [-1])), "1 Maximum"),
    "soft shrink": (keras.activations.soft_shrink, "2 SelectV2"),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_is_no_rectifier_keeps_its_own_derivative(name: str) -> None:
    rectify, said = LEFT_ALONE[name]
    with pytest.raises(MethodError, match=f"left alone: {said}\\)"):
        explained(rectify)

    def after_a_relu(x: tf.Tensor) -> tf.Tensor:
        return rectify(tf.reverse(tf.nn.relu(tf.reverse(x, [0])), [0]) - 0.5)

    why = explained(after_a_relu)
    assert why.coverage == f"rewrote 1 of 1 ReLU; left alone: {said}"


def test_a_hard_swish_behind_a_relu_has_its_own_gradient() -> None:
    model = dense(layers.ReLU(), layers.Dense(5), layers.Activation("hard_silu"))
    found = kv.GuidedSaliency(model, **settings())(VECTORS, target=1)
    first, _, second, _, last = model.layers[1:]
    with tf.GradientTape() as tape:
        before = first(VECTORS)
        rectified = tf.nn.relu(before)
        tape.watch(rectified)
        score = last(keras.activations.hard_silu(second(rectified)))[:, 1]
    signal = np.maximum(tape.gradient(score, rectified), 0) * (before.numpy() > 0)
    np.testing.assert_allclose(found, signal @ first.kernel.numpy().T, rtol=1e-4, atol=1e-6)


def test_a_relu_beside_a_skip_is_a_relu() -> None:
    beside = explained(lambda x: x + tf.nn.relu(x))
    apart = explained(lambda x: tf.reverse(tf.reverse(x, [1]), [1]) + tf.nn.relu(x))
    assert beside.coverage == "rewrote 1 of 1 ReLU"
    np.testing.assert_allclose(beside.maps, apart.maps, rtol=1e-5, atol=1e-7)


def test_a_relu_that_is_also_read_on_its_own_is_reached_twice() -> None:
    def rectify(x: tf.Tensor) -> tf.Tensor:
        inner = tf.maximum(x, 0.0)
        return tf.reverse(inner, [1]) + tf.reverse(tf.minimum(inner, 0.2), [0])

    def same(x: tf.Tensor) -> tf.Tensor:
        return tf.reverse(tf.nn.relu(x), [1]) + tf.reverse(tf.minimum(tf.nn.relu(x), 0.2), [0])

    for rule in RULES:
        why = explained(rectify, rule)
        assert why.coverage.startswith("rewrote 2 of 2 ReLU")
        np.testing.assert_allclose(why.maps, explained(same, rule).maps, rtol=1e-5, atol=1e-7)


def test_a_celu_leaves_the_rule_to_those_who_read_its_upper_half() -> None:
    def rectify(x: tf.Tensor) -> tf.Tensor:
        upper = tf.maximum(x, 0.0)
        return upper + tf.math.expm1(tf.minimum(x, 0.0)) + tf.reverse(upper, [1])

    why = explained(lambda x: tf.reverse(rectify(x), [0]))
    assert why.coverage == "rewrote 1 of 1 ReLU; left alone: 1 Celu"


def test_rectifiers_in_a_row() -> None:
    twice = explained(lambda x: tf.nn.leaky_relu(tf.nn.leaky_relu(x, 0.5), 0.4), "deconvolution")
    once = explained(lambda x: tf.nn.leaky_relu(x, 0.2), "deconvolution")
    assert twice.coverage.startswith("rewrote 2 of 2 ReLU")
    np.testing.assert_allclose(twice.maps, once.maps, rtol=1e-5, atol=1e-7)


class Weighed(layers.Layer):
    """A function of the input and of a weight that is zero."""

    def __init__(self, function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> None:
        super().__init__()
        self.function = function

    def build(self, shape: Sequence[int | None]) -> None:
        self.weight = self.add_weight(shape=(shape[-1],), initializer="zeros")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.function(x, tf.convert_to_tensor(self.weight))


@pytest.mark.parametrize(
    "function",
    [
        tf.maximum,
        lambda x, w: tf.where(x > w, x, 0.0),
        lambda x, w: tf.maximum(x, w * x),
    ],
)
def test_what_only_the_weights_decide_is_refused(function: Any) -> None:
    model = dense(Weighed(function))
    with pytest.raises(RewriteError, match="as its weights decide"):
        kv.GuidedSaliency(model)(VECTORS)


def test_nothing_before_the_explained_layer_counts() -> None:
    model = dense(Applied(tf.negative), Applied(lambda x: -tf.minimum(x, 0.0)))
    name = model.layers[2].name
    with pytest.raises(MethodError, match="left alone: 1 Minimum"):
        kv.GuidedSaliency(model, layer=name)(VECTORS)


def test_a_relu_before_a_fourier_transform_is_reached() -> None:
    def low_pass(x: tf.Tensor) -> tf.Tensor:
        spectrum = tf.signal.fft(tf.cast(tf.nn.relu(x), tf.complex64))
        return tf.math.real(tf.signal.ifft(spectrum * [1, 1, 0, 0, 0, 1]))

    found = explained(low_pass)
    matrix = np.real(np.fft.ifft(np.fft.fft(np.eye(6)) * [1, 1, 0, 0, 0, 1]))
    expected = explained(lambda x: tf.nn.relu(x) @ tf.constant(matrix, "float32"))
    assert found.coverage == "rewrote 1 of 1 ReLU"
    np.testing.assert_allclose(found.maps, expected.maps, rtol=1e-4, atol=1e-6)


HIDDEN: dict[str, Rectify] = {
    "map": lambda x: tf.map_fn(tf.nn.relu, x),
    "map of a spelling": lambda x: tf.map_fn(lambda a: (a + tf.abs(a)) / 2, x),
    "cond": lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.maximum(x, 0.0), lambda: x),
    "cond with a value from outside": lambda x: (
        lambda zero: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.maximum(x, zero), lambda: x)
    )(tf.reduce_sum(x) * 0),
    "loop in a loop": lambda x: tf.map_fn(lambda row: tf.map_fn(tf.nn.relu, row), x),
}


def test_a_relu_in_a_compiled_function_is_reached() -> None:
    found = explained(tf.function(lambda x: tf.where(x < 0, 0.0, x), jit_compile=True))
    assert found.coverage == "rewrote 1 of 1 ReLU"
    np.testing.assert_allclose(found.maps, explained(tf.nn.relu).maps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", HIDDEN)
def test_a_rectifier_out_of_reach_is_refused(name: str) -> None:
    with pytest.raises(RewriteError, match=r"ReLU inside the function or loop .*applied"):
        explained(HIDDEN[name])


@pytest.mark.parametrize(
    "cell",
    [
        {"recurrent_activation": "hard_sigmoid"},
        {"recurrent_activation": "hard_sigmoid", "activation": "hard_tanh"},
    ],
)
def test_gates_inside_a_loop_are_no_relu(cell: dict) -> None:
    signal = keras.Input((5, 2))
    x = layers.Dense(3, activation="relu")(signal)
    model = keras.Model(signal, layers.Dense(2)(layers.LSTM(3, **cell)(x)))
    why = kv.GuidedSaliency(model).explain(np.random.default_rng(1).normal(size=(2, 5, 2)))
    assert why.coverage.startswith("rewrote 1 of 1 ReLU")


def test_a_relu_that_is_recomputed_is_refused() -> None:
    model = dense(Applied(tf.recompute_grad(tf.nn.relu)))
    with pytest.raises(RewriteError, match="rematerialization"):
        kv.GuidedSaliency(model)(VECTORS)


def test_the_graph_is_as_it_was() -> None:
    explainer = kv.GuidedSaliency(dense(layers.ReLU(), layers.LeakyReLU()))
    explainer(VECTORS)
    graph = next(iter(explainer._compiled._traces.values()))._concrete.graph
    gates = [op for op in graph.get_operations() if op.type == "IdentityN"]
    assert len(gates) == 2
    for gate in gates:
        assert not any(output.consumers() for output in gate.outputs[:1])
        with pytest.raises(ValueError, match="_gradient_op_type"):
            gate.get_attr("_gradient_op_type")


def mixed(head: float, dtype: str) -> keras.Model:
    """ReLU, ReLU, a head with weights of that size."""
    image = keras.Input((6, 6, 2))
    x = image
    for seed in (1, 2):
        start = keras.initializers.GlorotUniform(seed)
        x = layers.Conv2D(4, 3, activation="relu", kernel_initializer=start, dtype=dtype)(x)
    weights = keras.initializers.RandomUniform(-head, head, seed=3)
    x = layers.Dense(2, kernel_initializer=weights, dtype=dtype)(layers.Flatten()(x))
    return keras.Model(image, layers.Activation("linear", dtype="float32")(x))


@pytest.mark.parametrize("explainer", [kv.Saliency, kv.GuidedSaliency])
@pytest.mark.parametrize("head", [1e4, 100, 1, 1e-5])
def test_half_precision_neither_overflows_nor_vanishes(head: float, explainer: type) -> None:
    images = np.random.default_rng(5).normal(size=(3, 6, 6, 2)).astype("float32")
    half = explainer(mixed(head, "mixed_float16"), **settings())
    expected = explainer(mixed(head, "float32"), **settings())(images, target=1)
    found = half(images, target=1)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
    half(images[:2], target=1)
    assert half.num_traces == 1


def test_what_a_layer_keeps_as_a_constant_counts_as_a_weight() -> None:
    zeros = tf.zeros(200)
    model = dense(layers.Dense(200), Applied(lambda x: tf.maximum(x, zeros)))
    with pytest.raises(RewriteError, match="as its weights decide"):
        kv.GuidedSaliency(model)(VECTORS)


def test_a_piece_keeps_the_shape_of_its_input() -> None:
    def widened(x: tf.Tensor) -> tf.Tensor:
        return -tf.minimum(tf.zeros((1, 6)) - tf.nn.relu(x)[:, :1], 0.0)

    assert explained(widened).coverage == "rewrote 1 of 1 ReLU; left alone: 1 Minimum"


def test_the_largest_along_another_axis_is_no_relu() -> None:
    with pytest.raises(MethodError, match="0 of 0 ReLU"):
        explained(lambda x: tf.reduce_max(tf.stack([x, 0 * x], 1), 2))


def test_what_adds_nothing_to_a_relu_is_not_another() -> None:
    why = explained(lambda x: tf.abs(tf.nn.relu(x)) + tf.reverse(tf.nn.relu(x), [1]))
    assert why.coverage == "rewrote 2 of 2 ReLU"
