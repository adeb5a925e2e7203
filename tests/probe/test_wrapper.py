"""A wrapper computes as its model does, and its own verbs leave that model alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasviz as kv
from kerasviz.errors import MethodError
from kerasviz.probe import containment

IMAGES = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype("float32") * 1e3


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="dense")(x))


@pytest.mark.parametrize("method", [kv.Saliency, kv.GradCAM])
def test_a_global_policy_does_not_reach_the_inputs(method: Any, tmp_path: Path) -> None:
    model = network()
    images = IMAGES * 1e3
    expected = method(model, target=1)(images)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        explainer = method(model, target=1)
        np.testing.assert_allclose(explainer(images), expected, atol=1e-5)
        explainer.export(tmp_path / "maps", verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / "maps"))
        np.testing.assert_allclose(loaded.serve(images), expected, atol=1e-5)
    finally:
        keras.config.set_dtype_policy("float32")


def quantize(explainer: Any) -> None:
    explainer.quantize("int8")


VERBS: dict[str, Callable[[Any], Any]] = {
    "trainable": lambda e: setattr(e, "trainable", False),
    "quantize": quantize,
    "fit": lambda e: e.fit(IMAGES, np.zeros(5), verbose=0),
    "train_on_batch": lambda e: e.train_on_batch(IMAGES, np.zeros(5)),
    "set_weights": lambda e: e.set_weights([0 * w for w in e.get_weights()]),
    "load_weights": lambda e: e.load_weights("x.weights.h5"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_that_would_alter_the_model_are_refused(verb: str) -> None:
    model = network()
    explainer = kv.Saliency(model)
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(MethodError, match=f"Use `{verb}` of the model itself"):
        VERBS[verb](explainer)
    assert model.trainable
    assert model.get_layer("dense").quantization_mode is None
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(explainer.variables) == len(model.variables)


def test_a_layer_that_holds_its_parent_is_walked_once() -> None:
    parent, child = layers.Layer(name="parent"), layers.Layer(name="child")
    parent.child, child.parent = child, parent
    assert list(containment.walk(parent)) == [("child", child)]
    assert containment.all_layers(parent) == [parent, child]


class TwoArguments(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, first: Any, second: Any, training: bool = False) -> Any:
        return self.dense(first + second)


class KeywordOnly(TwoArguments):
    def call(self, *, first: Any) -> Any:
        return self.dense(first)


class OnlyEager(TwoArguments):
    def call(self, inputs: Any) -> Any:
        return self.dense(inputs * float(inputs.numpy().max()))


class ThroughNumpy(TwoArguments):
    def call(self, inputs: Any) -> Any:
        return self.dense(np.asarray(inputs) * 2.0)


@pytest.mark.parametrize("kind", [TwoArguments, KeywordOnly, OnlyEager, ThroughNumpy])
@pytest.mark.parametrize("explain", [kv.Saliency, kv.GuidedSaliency, kv.Activations])
def test_models_that_cannot_be_run_on_one_input_in_a_graph_are_refused(
    kind: Any, explain: Any
) -> None:
    model, rows = kind(), np.ones((2, 4), "float32")
    model.dense.build((None, 4))
    model.built = True
    with pytest.raises(MethodError, match=r"(?s)Expected a model .* Received: .*_?\w+'"):
        explain(model)(rows)


def test_a_model_without_layers_has_an_empty_table() -> None:
    class Sum(keras.Model):
        def call(self, inputs: Any) -> Any:
            return ops.sum(inputs, -1, keepdims=True)

    model = Sum()
    model(np.ones((1, 4)))
    table = kv.layers(model, np.ones((1, 4)))
    assert (len(table), list(table.columns)) == (0, ["type", "output_shape", "parameters", "calls"])


def test_sizes_that_were_traced_are_forgotten_in_time() -> None:
    class Static(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return ops.reshape(inputs, (int(inputs.shape[0]), -1))

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 4)

    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.static = Static()

        def call(self, inputs: Any) -> Any:
            return self.static(inputs)

    model = Net()
    model(np.ones((1, 4), "float32"))
    explainer = kv.Activations(model, ["static"])
    for size in range(1, 40):
        explainer.traced(("key", size), explainer.batch(np.ones((size, 4))))
    assert len(explainer._compiled._sized) == explainer.num_traces == 16


def test_replicas_under_a_global_policy_compute_in_the_models_precision() -> None:
    model, images = network(), IMAGES[:4] * 1e3
    expected = kv.Saliency(model, target=1)(images)
    devices = [device.name for device in tf.config.list_logical_devices("CPU")[:2]]
    with tf.distribute.MirroredStrategy(devices).scope():
        replicated = network()
        replicated.set_weights(model.get_weights())
        keras.config.set_dtype_policy("mixed_float16")
        try:
            found = kv.Saliency(replicated, target=1).predict(images, batch_size=4, verbose=0)
        finally:
            keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(found, expected, atol=1e-5)
