"""Running a model for an explanation changes neither the model nor what it computes later."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasviz as kv
from kerasviz.errors import KerasvizError, MethodError, RewriteError

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


# ------------------------------------------------------------------------------------- state


class Counting(layers.Layer):
    """Keeps state of every kind, and computes with what it has just written."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = tf.Variable(1.0, trainable=False)
        self.rows = tf.Variable(tf.zeros([3, 2]), trainable=False)
        self.calls = 0
        self.history: list[Any] = []
        self.nested = {"deep": [{"deeper": set()}], "ordered": collections.OrderedDict(a=1)}
        self.queue = collections.deque(maxlen=2)

    def call(self, inputs: Any) -> Any:
        self.raw.assign_add(1.0)
        self.raw.assign(self.raw * 2.0)
        self.rows.assign(self.rows + 1.0)
        self.calls += 1
        self.history.append(self.calls)
        self.nested["deep"][0]["deeper"].add(self.calls)
        self.nested["ordered"][str(self.calls)] = inputs
        self.queue.append(inputs)
        self.last = inputs
        row = tf.nn.embedding_lookup(self.rows, [0])[0, 0]
        return inputs * self.raw + row

    def state(self) -> Any:
        return (
            self.raw.numpy(),
            self.rows.numpy().tolist(),
            self.calls,
            list(self.history),
            repr(self.nested["deep"]),
            list(self.nested["ordered"]),
            len(self.queue),
            id(getattr(self, "last", None)),
        )


def counting_model() -> tuple[keras.Model, Counting]:
    layer = Counting()
    image = keras.Input((5,))
    model = keras.Model(image, layers.Dense(2)(layer(layers.Dense(5)(image))))
    return model, layer


@pytest.mark.parametrize("called_before", [False, True])
def test_state_of_every_kind_is_seen_by_the_run_and_left_alone(called_before: bool) -> None:
    model, layer = counting_model()
    if called_before:
        model(ROWS)
    before = layer.state()
    explainer = kv.Saliency(model)
    scores = explainer.explain(ROWS, target=1).scores
    explainer(ROWS)
    kv.activations(model, ROWS)
    assert layer.state() == before
    np.testing.assert_allclose(scores, model(ROWS).numpy()[:, 1], rtol=1e-5)
    assert layer.state() != before


def test_losses_of_a_subclassed_model_are_left_alone() -> None:
    class Penalized(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            self.add_loss(ops.sum(inputs))
            return self.dense(inputs)

    model = Penalized()
    model(ROWS)
    before = [float(loss) for loss in model.losses]
    kv.Saliency(model)(ROWS)
    assert [float(loss) for loss in model.losses] == before
    assert len(before) == 1


@pytest.mark.parametrize("write", ["branch", "scatter", "generator"])
def test_state_that_cannot_be_shielded_is_refused(write: str) -> None:
    variable = tf.Variable([0.0, 0.0], trainable=False)
    generator = tf.random.Generator.from_seed(1)

    def change(x: Any) -> Any:
        if write == "branch":
            return tf.cond(x[0, 0] > 0, lambda: variable.assign([1.0, 1.0]), lambda: variable)
        if write == "scatter":
            return variable.scatter_add(tf.IndexedSlices([1.0], [0]))
        return generator.normal([2])

    class Changing(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs + ops.sum(change(inputs))

    image = keras.Input((5,))
    model = keras.Model(image, layers.Dense(2)(Changing()(image)))
    before = generator.state.numpy(), variable.numpy()
    with pytest.raises(MethodError, match="changes no state but Keras variables"):
        kv.Saliency(model)(ROWS)
    np.testing.assert_array_equal(generator.state.numpy(), before[0])
    np.testing.assert_array_equal(variable.numpy(), before[1])


# ------------------------------------------------------------------------------------ threads


class Paused(layers.Layer):
    """Waits while it is traced, so that another thread can act meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def call(self, inputs: Any) -> Any:
        self.scratch = inputs
        if not tf.executing_eagerly():
            self.entered.set()
            assert self.go.wait(20)
        doubled = self.scratch * 2.0
        self.scratch = None
        return doubled


def paused_model() -> tuple[keras.Model, Paused]:
    layer = Paused()
    layer.go.set()
    image = keras.Input((5,))
    model = keras.Model(image, layers.Dense(2)(layer(image)))
    layer.entered.clear()
    layer.go.clear()
    return model, layer


def test_what_another_thread_sets_during_a_run_stays() -> None:
    model, layer = paused_model()
    model.stop_training, model.gone, model.known = False, 1, 1
    thread = threading.Thread(target=lambda: kv.Saliency(model)(ROWS, target=1))
    thread.start()
    assert layer.entered.wait(20)
    model.stop_training, model.note, model.known = True, "left by a callback", 2
    del model.gone
    layer.go.set()
    thread.join()
    assert (model.stop_training, model.note, model.known) == (True, "left by a callback", 2)
    assert not hasattr(model, "gone")
    assert layer.scratch is None


def test_threads_that_run_one_model_do_not_meet() -> None:
    model, layer = paused_model()
    errors: list[Exception] = []

    def explain() -> None:
        try:
            kv.Saliency(model)(ROWS, target=1)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=explain) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert layer.entered.wait(20)
    time.sleep(0.3)
    layer.go.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert layer.scratch is None


@pytest.mark.parametrize("name", ["my conv", "größe", "<b>conv", "_hidden", "a\\b"])
def test_names_that_graphs_do_not_take(name: str) -> None:
    inputs = keras.Input((10, 10, 2))
    conv = layers.Conv2D(3, 3, activation="relu", name=name)
    x = layers.GlobalAveragePooling2D()(conv(inputs))
    dense = layers.Dense(2, name="dense")
    model = keras.Model(inputs, dense(x), name=f"net {name}")
    plain = keras.Sequential(
        [
            keras.Input((10, 10, 2)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    plain.set_weights(model.get_weights())
    found = kv.GradCAM(model, layer=name, rectify=False)(IMAGES, target=1)
    expected = kv.GradCAM(plain, rectify=False)(IMAGES, target=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    later = layers.Dense(1, name="later")
    later.build((None, 2))
    assert later.kernel.path == "later/kernel"


def test_hooks_are_gone_afterwards() -> None:
    def hooked() -> list[Any]:
        function, variable = type(tf.function(len)), type(tf.Variable(0.0))
        names = ["__call__", "__setattr__", "__delattr__", "rematerialized_call"]
        return [
            *(getattr(keras.Layer, name, None) for name in names),
            keras.Operation.__call__,
            function.__call__,
            *(getattr(variable, name) for name in ("assign", "_read_variable_op", "gather_nd")),
        ]

    before = hooked()
    model, _ = counting_model()
    for inputs in (ROWS, ROWS[:, :3]):
        with contextlib.suppress(KerasvizError):
            kv.Saliency(model)(inputs)
        assert all(a is b for a, b in zip(hooked(), before, strict=True))
