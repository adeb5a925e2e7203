"""Models and surroundings unlike those of `tests/models.py`, chosen to break the promises."""

from __future__ import annotations

import gc
import json
import random
import weakref
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import KerasvizError, RewriteError

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
METHODS = [kv.Saliency, kv.GuidedSaliency, kv.DeconvNet, kv.CAM, kv.GradCAM]
layers, ops = keras.layers, keras.ops
IMAGES = np.random.default_rng(0).normal(size=(6, 12, 12, 3)).astype("float32")
CLASSES = np.array([0, 1, 2, 0, 1, 2])


def network(name: str = "network", augmented: bool = True) -> keras.Model:
    """Convolutions, normalization, dropout, random augmentation and a pooled softmax head."""
    keras.utils.set_random_seed(5)
    image = keras.Input((12, 12, 3))
    x = layers.RandomFlip()(image) if augmented else image
    x = layers.Conv2D(6, 3, activation="relu", activity_regularizer="l2")(x)
    x = layers.Dropout(0.3)(layers.BatchNormalization()(x))
    x = layers.Conv2D(6, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(3, activation="softmax")(x), name=name)


def tape_gradient(model: keras.Model, images: Any, index: int) -> np.ndarray:
    """∂output/∂input by an eager tape on the user's model itself."""
    x = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x, training=False)[:, index]
    return tape.gradient(y, x).numpy()


def raw(model: keras.Model, images: Any, index: int, method: Any = kv.Saliency) -> np.ndarray:
    return method(model, reduction=None, normalize=False)(images, target=index)


# ------------------------------------------------------------------------------ real architectures


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    keras.utils.set_random_seed(2)
    return keras.applications.MobileNetV2(
        weights=None, input_shape=(64, 64, 3), alpha=0.35, classes=5, classifier_activation=None
    )


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype("float32")


def test_an_applications_model_has_the_gradient_of_a_tape(
    mobilenet: keras.Model, photos: np.ndarray
) -> None:
    expected = tape_gradient(mobilenet, photos, 3)
    np.testing.assert_allclose(raw(mobilenet, photos, 3), expected, atol=1e-5 * abs(expected).max())


def test_an_applications_model_has_the_grad_cam_of_a_sub_model(
    mobilenet: keras.Model, photos: np.ndarray
) -> None:
    cam = kv.GradCAM(mobilenet, resolution="layer", normalize=False, rectify=False)
    found = cam(photos, target=3)
    assert cam.layer == "out_relu"
    outputs = [mobilenet.get_layer("out_relu").output, mobilenet.output]
    with tf.GradientTape() as tape:
        features, logits = keras.Model(mobilenet.inputs, outputs)(photos, training=False)
        score = logits[:, 3]
    weights = tf.reduce_mean(tape.gradient(score, features), (1, 2), keepdims=True)
    expected = tf.reduce_sum(features * weights, -1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("method", [kv.GuidedSaliency, kv.DeconvNet])
def test_the_rule_reaches_every_relu_of_an_applications_model(
    mobilenet: keras.Model, photos: np.ndarray, method: Any
) -> None:
    count = sum(isinstance(layer, layers.ReLU) for layer in mobilenet.layers)
    assert f"rewrote {count} of {count} ReLU" in method(mobilenet).explain(photos).coverage


def test_a_base_inside_a_sequential_inside_a_functional_model() -> None:
    base = network("base")
    trunk = keras.Model(base.inputs, base.layers[-3].output, name="trunk")
    trunk.trainable = False
    front = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.RandomZoom(0.1), layers.Rescaling(2.0, -1.0), trunk],
        name="front",
    )
    image = keras.Input((12, 12, 3))
    pooled = layers.GlobalAveragePooling2D()(front(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(pooled))
    other = keras.Model(image, layers.Dense(2)(layers.Flatten()(trunk(image))))
    last = trunk.layers[-1]
    assert kv.GradCAM(model).explain(IMAGES).layer == f"front/trunk/{last.name}"
    assert kv.GradCAM(model, layer=last).explain(IMAGES).layer == f"front/trunk/{last.name}"
    assert kv.GradCAM(other, layer=last).explain(IMAGES).layer == f"trunk/{last.name}"


class Shouting(layers.Layer):
    """Does part of its work outside `call`."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        return 3.0 * super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any) -> Any:
        return inputs


class Loud(keras.Model):
    """Holds a layer that does part of its work outside `call`."""

    def __init__(self) -> None:
        super().__init__()
        self.shouting, self.head = Shouting(), layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.head(self.shouting(inputs))


def test_a_layer_that_overrides_its_call_operator() -> None:
    model, inputs = Loud(), np.ones((3, 4), "float32")
    expected = model(inputs).numpy()
    found = kv.Saliency(model).explain(inputs, target=1).scores
    np.testing.assert_allclose(found, expected[:, 1], rtol=1e-6)


# ----------------------------------------------------------------------------- altered computation


@pytest.mark.filterwarnings("ignore:.*does not have a `quantize` method")
def test_an_int8_model_is_explained_as_it_predicts() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(image))
    model = keras.Model(image, layers.Dense(3)(layers.Dense(8, activation="relu")(x)))
    model.quantize("int8")
    why = kv.GuidedSaliency(model).explain(IMAGES, target=1)
    assert why.coverage.startswith("rewrote 2 of 2")
    np.testing.assert_allclose(why.scores, model(IMAGES)[:, 1], atol=1e-6)
    expected = tape_gradient(model, IMAGES, 1)
    np.testing.assert_allclose(raw(model, IMAGES, 1), expected, atol=1e-6)


def test_a_model_with_lora_is_explained_as_it_predicts() -> None:
    model = network()
    head = model.layers[-1]
    head.enable_lora(2)
    head.lora_kernel_b.assign(np.ones(head.lora_kernel_b.shape))
    why = kv.Saliency(model).explain(IMAGES, target=1)
    np.testing.assert_allclose(why.predictions, model(IMAGES, training=False), atol=1e-6)


class Rematerialized(keras.Model):
    """Computes its block again during the backward pass."""

    def __init__(self, block: Any, head: Any) -> None:
        super().__init__()
        self.block, self.head = block, head

    def call(self, inputs: Any) -> Any:
        return self.head(ops.mean(keras.remat(self.block)(inputs), (1, 2)))


def test_a_rematerialized_block_has_its_gradient_and_refuses_rules() -> None:
    block = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(4, 3)]
    )
    model = Rematerialized(block, layers.Dense(2))
    model(IMAGES)
    expected = tape_gradient(
        keras.Sequential([block, layers.GlobalAveragePooling2D(), model.head]), IMAGES, 1
    )
    np.testing.assert_allclose(raw(model, IMAGES, 1), expected, atol=1e-6)
    with pytest.raises(RewriteError, match="rematerialization"):
        kv.GuidedSaliency(model)(IMAGES)


def test_a_saved_model_as_a_layer_has_its_gradient_and_refuses_rules(tmp_path: Path) -> None:
    model = network(augmented=False)
    model.export(tmp_path / "served", verbose=False)
    served = layers.TFSMLayer(tmp_path / "served", call_endpoint="serve")
    wrapped = keras.Sequential([keras.Input((12, 12, 3)), served])
    expected = tape_gradient(model, IMAGES, 1)
    np.testing.assert_allclose(raw(wrapped, IMAGES, 1), expected, atol=1e-6)
    with pytest.raises(RewriteError, match="function or loop"):
        kv.GuidedSaliency(wrapped)(IMAGES)


def test_tiny_gradients_do_not_vanish_in_half_precision() -> None:
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(6, 3, activation="relu", dtype="mixed_float16")(image)
    x = layers.Conv2D(6, 3, dtype="mixed_float16")(x)
    x = layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    head = layers.Dense(2, dtype="float32")
    model = keras.Model(image, head(x))
    expected = raw(model, IMAGES, 1)
    head.kernel.assign(head.kernel * 2.0**-24)
    assert not tape_gradient(model, IMAGES, 1).any()
    found = raw(model, IMAGES, 1) * 2.0**24
    np.testing.assert_allclose(found, expected, atol=0.05 * abs(expected).max())


# -------------------------------------------------------------------------------- the surroundings


class Explaining(keras.callbacks.Callback):
    """Explains, taps and tabulates the model that is being trained."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.explainers = [method(self.model) for method in METHODS[::2]]
        for explainer in self.explainers:
            explainer(IMAGES[:3])
        kv.activations(self.model, IMAGES[:3])
        kv.layers(self.model)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for explainer in self.explainers:
            explainer.predict(IMAGES[:4], batch_size=2, verbose=0)
        kv.GradCAM(self.model)(IMAGES[:2])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_is_bit_identical(jit_compile: bool) -> None:
    ends = []
    for callbacks in ([], [Explaining()]):
        model = network()
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit_compile)
        model.fit(IMAGES, CLASSES, epochs=1, batch_size=2, callbacks=callbacks, verbose=0)
        variables = [*model.variables, *model.optimizer.variables]
        ends.append([ops.convert_to_numpy(variable) for variable in variables])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def run_everything(model: keras.Model) -> None:
    for method in METHODS:
        method(model)(IMAGES)
        method(model).explain(IMAGES[:2])
    kv.activations(model, IMAGES)
    kv.layers(model)


def draws() -> list[float]:
    """The next random numbers of every global generator, which are put back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    found = [random.random(), float(np.random.rand())]  # noqa: NPY002
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    return [*found, *tf.random.get_global_generator().state.numpy().tolist()]


def test_the_process_is_left_alone() -> None:
    model = network()
    model(IMAGES)
    number = int(layers.Dense(1).name.rsplit("_", 1)[-1].replace("dense", "0"))
    options = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    operators = keras.Layer.__call__, keras.Operation.__call__
    before = draws()
    run_everything(model)
    assert draws() == before
    assert layers.Dense(1).name == f"dense_{number + 1}"
    after = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    assert after == options
    assert (keras.Layer.__call__, keras.Operation.__call__) == operators


def test_the_saved_file_and_the_losses_stay_the_same(tmp_path: Path) -> None:
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model(IMAGES)
    losses = [float(loss) for loss in model.losses]
    before = saved_config(model, tmp_path / "before.keras")
    run_everything(model)
    assert saved_config(model, tmp_path / "after.keras") == before
    assert [float(loss) for loss in model.losses] == losses


def saved_config(model: keras.Model, path: Path) -> Any:
    model.save(path)
    return json.loads(zipfile.ZipFile(path).read("config.json"))


class Interrupted(layers.Layer):
    """Leaves something behind and is interrupted, when asked to."""

    asked = False

    def call(self, inputs: Any) -> Any:
        self.seen = inputs
        if Interrupted.asked:
            raise KeyboardInterrupt
        return inputs * 1.0


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupt_leaves_nothing_behind(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Interrupted()
    image = keras.Input((12, 12, 3))
    x = layers.GlobalAveragePooling2D()(layer(layers.Conv2D(4, 3, activation="relu")(image)))
    model = keras.Model(image, layers.Dense(2)(x))
    model(IMAGES)
    before = dict(vars(layer)), keras.Layer.__call__, type(tf.function(len)).__call__
    monkeypatch.setattr(Interrupted, "asked", True)
    explainer = method(model)
    with pytest.raises(KeyboardInterrupt):
        explainer(IMAGES, target=1)
    assert (dict(vars(layer)), keras.Layer.__call__, type(tf.function(len)).__call__) == before
    monkeypatch.setattr(Interrupted, "asked", False)
    assert explainer(IMAGES, target=1).shape == (6, 12, 12)


def test_dropped_explainers_and_models_are_collected() -> None:
    model = network()
    explainers = [method(model) for method in METHODS]
    for explainer in explainers:
        explainer(IMAGES)
        explainer.predict(IMAGES, batch_size=4, verbose=0)
    kv.activations(model, IMAGES)
    watched = [weakref.ref(thing) for thing in [model, *explainers]]
    del model, explainers, explainer
    gc.collect()
    assert [reference() for reference in watched] == [None] * 6


@pytest.mark.parametrize("method", METHODS)
def test_inside_the_users_own_graph(method: Any) -> None:
    explainer = method(network(), target=1)
    expected = explainer(IMAGES)

    def explain(images: Any) -> Any:
        return explainer(images)

    mapped = tf.data.Dataset.from_tensor_slices(IMAGES).batch(4).map(explain)
    found = np.concatenate(list(mapped.as_numpy_iterator()))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    compiled = tf.function(explain, jit_compile=method is kv.Saliency)
    np.testing.assert_allclose(compiled(IMAGES), expected, atol=1e-5)


@pytest.mark.parametrize(
    "inputs",
    [
        tf.constant([["a"]]),
        tf.sparse.from_dense(IMAGES),
        tf.ragged.constant([[1.0, 2.0], [3.0]]),
        tf.constant(IMAGES.astype("complex64")),
        keras.Input((12, 12, 3)),
        (row for row in IMAGES),
        tf.data.Dataset.from_tensor_slices(IMAGES),
        Path("image.png"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_things_that_are_not_arrays_are_refused(inputs: Any) -> None:
    with pytest.raises(KerasvizError, match="`inputs` must"):
        kv.Saliency(network())(inputs)
