"""Running a model for an explanation changes neither the model nor what it computes later."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasviz as kv
from kerasviz.errors import RewriteError

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(32, 5)).astype("float32")
CLASSES = (ROWS[:, 0] > 0).astype("int32")
IMAGES = RNG.normal(size=(3, 10, 10, 2)).astype("float32")


# ------------------------------------------------------------------------------- tf.function


class Noisy(layers.Layer):
    """Counts its calls and adds noise, inside a function that TensorFlow caches."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    @tf.function
    def call(self, inputs: Any) -> Any:
        self.count.assign_add(1.0)
        return inputs + keras.random.normal(ops.shape(inputs), seed=self.seeds)


class NoisyModel(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.noise = Noisy()
        self.dense = layers.Dense(2, activation="softmax")

    def build(self, shape: Any) -> None:
        self.dense.build(shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.dense(self.noise(inputs))


@pytest.mark.parametrize(
    "explain",
    [
        lambda m: kv.Saliency(m)(ROWS[:3]),
        lambda m: kv.layers(m, ROWS[:3]),
        lambda m: kv.activations(m, ROWS[:3]),
    ],
    ids=["saliency", "layers", "activations"],
)
def test_a_cached_function_trains_as_if_never_explained(explain: Any) -> None:
    found = []
    for do in (lambda m: None, explain):
        keras.utils.set_random_seed(1)
        model = NoisyModel()
        model.build((None, 5))
        model.compile("sgd", "sparse_categorical_crossentropy")
        do(model)
        model.fit(ROWS, CLASSES, epochs=2, batch_size=16, verbose=0)
        noise = model.noise
        found.append([*model.get_weights(), noise.seeds.state.numpy(), noise.count.numpy()])
    assert found[0][-1] == 4
    for untouched, explained in zip(*found, strict=True):
        np.testing.assert_array_equal(untouched, explained)


def classifier(jit_compile: bool, autograph: bool = True) -> keras.Model:
    class Classifier(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
            self.pool = layers.GlobalAveragePooling2D(name="pool")
            self.dense = layers.Dense(3, activation="softmax", name="dense")

        @tf.function(jit_compile=jit_compile, autograph=autograph)
        def call(self, inputs: Any) -> Any:
            return self.dense(self.pool(self.conv(inputs)))

    model = Classifier()
    model(IMAGES)
    return model


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_model_whose_call_is_a_function_is_seen_through(jit_compile: bool) -> None:
    model = classifier(jit_compile)
    why = kv.GradCAM(model).explain(IMAGES, target=1)
    assert (why.layer, why.score_kind) == ("conv", "before softmax")
    np.testing.assert_allclose(why.scores, logits(model)[:, 1], atol=1e-5)
    assert list(kv.activations(model, IMAGES)) == ["conv", "pool", "dense"]
    assert kv.GuidedSaliency(model).explain(IMAGES).coverage == "rewrote 1 of 1 ReLU"


def logits(model: Any) -> np.ndarray:
    features = model.pool(model.conv(IMAGES)).numpy()
    return features @ model.dense.kernel.numpy() + model.dense.bias.numpy()


def test_a_function_that_branches_on_tensors_is_run_as_written() -> None:
    class Branching(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = layers.Dense(4, name="first")
            self.second = layers.Dense(2, name="second")

        @tf.function
        def call(self, inputs: Any) -> Any:
            hidden = self.first(inputs)
            if ops.sum(hidden) > 0:
                hidden = hidden * 2.0
            for _ in tf.range(3):
                hidden = hidden + 1.0
            return self.second(hidden)

    model = Branching()
    for rows in (ROWS, -ROWS):
        expected = model(rows).numpy()[:, 1]
        why = kv.Saliency(model).explain(rows, target=1)
        np.testing.assert_allclose(why.scores, expected, rtol=1e-5)
    assert list(kv.layers(model, ROWS).index) == ["first", "second"]
    with pytest.raises(RewriteError, match="branches on tensors"):
        kv.GuidedSaliency(model)(ROWS)


def test_a_function_with_a_signature_takes_arrays_of_another_dtype() -> None:
    table = np.arange(4)

    class Signed(layers.Layer):
        @tf.function(input_signature=[tf.TensorSpec([None, 4]), tf.TensorSpec([4])])
        def shift(self, x: Any, by: Any) -> Any:
            assert by.dtype == tf.float32
            return x + by

        def call(self, inputs: Any) -> Any:
            return self.shift(inputs, table)

    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(2)(Signed()(image)))
    rows = ROWS[:, :4]
    scores = kv.Saliency(model).explain(rows, target=1).scores
    np.testing.assert_allclose(scores, model(rows).numpy()[:, 1], rtol=1e-5)


def test_masks_stay_outside_of_a_function_as_they_do_in_the_model() -> None:
    class Recurrent(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True
            self.rnn = layers.GRU(3)

        def build(self, shape: Any) -> None:
            self.rnn.build(shape)

        @tf.function
        def call(self, inputs: Any) -> Any:
            return self.rnn(inputs)

        def compute_mask(self, inputs: Any, mask: Any = None) -> None:
            return None

    ids = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True, name="embedding")(ids)
    model = keras.Model(ids, layers.Dense(2)(Recurrent()(embedded)))
    words = np.array([[1, 2, 3, 0, 0, 0], [4, 5, 6, 7, 8, 1]])
    scores = kv.Saliency(model, layer="embedding").explain(words, target=1).scores
    np.testing.assert_allclose(scores, model(words).numpy()[:, 1], rtol=1e-5)


# ------------------------------------------------------------------------------------ edits


def test_an_edited_layer_keeps_its_mask() -> None:
    ids = keras.Input((6,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=True, name="embedding")(ids)
    model = keras.Model(ids, layers.LSTM(3, name="lstm")(embedded))
    words = np.array([[1, 2, 3, 0, 0, 0], [4, 5, 0, 0, 0, 0]])
    doubled = kv.Activations(model, ["lstm"], edits={"embedding": lambda x: 1.0 * x})
    np.testing.assert_allclose(doubled(words)["lstm"], model(words), rtol=1e-5)


# -------------------------------------------------------------------------- rematerialization


@pytest.mark.skipif(not hasattr(keras, "RematScope"), reason="Keras without rematerialization")
@pytest.mark.parametrize("mode", ["full", "activations"])
def test_a_rematerialized_model_is_explained_like_the_plain_one(mode: str) -> None:
    def build() -> keras.Model:
        image = keras.Input((10, 10, 2))
        x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
        return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))

    plain = build()
    with keras.RematScope(mode=mode):
        saving = build()
    saving.set_weights(plain.get_weights())
    for method in (kv.Saliency, kv.GradCAM, kv.GuidedSaliency):
        np.testing.assert_allclose(
            method(saving)(IMAGES, target=1), method(plain)(IMAGES, target=1), atol=1e-5
        )
