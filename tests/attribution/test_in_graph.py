"""An explainer inside the caller's graph: what the graph knows is checked, the rest is harmless."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError, TargetError

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
layers = keras.layers
IMAGES = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
NAMES = ["cat", "dog", "cow"]


def network(units: int = 3) -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.Dense(units, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x)


def in_graph(explainer: Any, images: Any = IMAGES, target: Any = None) -> Any:
    """The maps of an explainer that is called within a `tf.function`."""
    return tf.function(lambda x: explainer(x, target=target))(images)


@pytest.mark.parametrize("target", [1, "dog", [0, 1, 2, 0], {0: 2}, None, np.array([2, 1, 0, 0])])
@pytest.mark.parametrize("method", [kv.Saliency, kv.GradCAM])
def test_the_maps_are_those_of_a_call(method: Any, target: Any) -> None:
    explainer = method(network(), labels=NAMES)
    np.testing.assert_allclose(
        in_graph(explainer, target=target), explainer(IMAGES, target=target), atol=1e-5
    )


def test_labels_of_imagenet_are_known() -> None:
    explainer = kv.Saliency(network(1000))
    expected = explainer(IMAGES, target="tabby")
    np.testing.assert_allclose(in_graph(explainer, target="tabby"), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "from 0 to 2. Received: 3"),
        (-1, "from 0 on. Received: -1"),
        ("horse", "one of the 3 labels. Received: 'horse'"),
        ([0, 1], r"one per sample \(4\). Received: 2"),
        ({"other": 1}, "one of the outputs"),
    ],
)
def test_targets_that_are_known_to_be_wrong(target: Any, message: str) -> None:
    explainer = kv.Saliency(network(), labels=NAMES)
    with pytest.raises(TargetError, match=message):
        in_graph(explainer, target=target)


def test_labels_that_do_not_fit_the_output() -> None:
    with pytest.raises(TargetError, match="one name per class"):
        in_graph(kv.Saliency(network(), labels=NAMES[:2]), target="cat")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[0], "Add the batch axis"),
        (IMAGES[..., :1], r"\(batch, 8, 8, 3\)"),
        (IMAGES[:, :5], r"\(batch, 8, 8, 3\)"),
        (np.full(IMAGES.shape, "a"), "real numbers"),
        ([IMAGES, IMAGES], "must"),
    ],
    ids=["one sample", "channels", "size", "text", "several"],
)
def test_inputs_that_are_known_to_be_wrong(images: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        in_graph(kv.Saliency(network()), images)
    with pytest.raises(InputError, match=message):
        tf.function(lambda x: kv.Activations(network())(x))(images)


def test_sizes_that_the_graph_does_not_know_are_let_through() -> None:
    explainer = kv.GradCAM(network())
    unknown = tf.TensorSpec(None, "float32")
    found = tf.function(lambda x: explainer(x, target=1), input_signature=[unknown])(IMAGES)
    np.testing.assert_allclose(found, explainer(IMAGES, target=1), atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_class_that_the_output_does_not_have_gives_nan(jit_compile: bool) -> None:
    explainer = kv.Saliency(network())
    explain = tf.function(lambda x, t: explainer(x, target=t), jit_compile=jit_compile)
    found = explain(IMAGES, tf.constant([1, 3, -1, 2])).numpy()
    assert np.isnan(found).all((1, 2)).tolist() == [False, True, True, False]
    expected = explainer(IMAGES[[0, 3]], target=[1, 2])
    np.testing.assert_allclose(found[[0, 3]], expected, atol=1e-5)


def test_a_spoilt_sample_gives_nan_in_an_exported_explainer(tmp_path: Path) -> None:
    explainer = kv.GuidedSaliency(network(), target="dog", labels=NAMES)
    spoilt = IMAGES.copy()
    spoilt[1] = np.nan
    spoilt[2, 0, 0, 0] = np.inf
    explainer.export(tmp_path, verbose=False)
    loaded = tf.saved_model.load(tmp_path)
    found = loaded.serve(spoilt).numpy()
    assert np.isnan(found).all((1, 2)).tolist() == [False, True, True, False]
    np.testing.assert_allclose(found[[0, 3]], explainer(IMAGES[[0, 3]]), atol=1e-5)


@pytest.mark.parametrize("target", [7, "horse", [0, 1]])
def test_export_refuses_what_cannot_be_explained(tmp_path: Path, target: Any) -> None:
    with pytest.raises(TargetError, match="`target` must be"):
        kv.Saliency(network(), target=target, labels=NAMES).export(tmp_path, verbose=False)


def test_a_dict_is_matched_by_name() -> None:
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="a_two")
    model = keras.Model(
        collections.OrderedDict(one=one, a_two=two), layers.Dense(2)(one - 3.0 * two)
    )
    explainer = kv.Saliency(model, target=1, normalize=False)
    rows = {"one": IMAGES[:, 0, 0], "a_two": IMAGES[:, 1, 1]}
    found, expected = in_graph(explainer, rows), explainer(rows)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-6)


def test_inputs_stay_as_precise_as_they_are() -> None:
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    keras.config.set_dtype_policy("mixed_float16")
    try:
        explainer = kv.Saliency(model, target=lambda y: y[:, 0] ** 2, normalize=False)
        rows = np.array([[1e6, 1.0]], "float32")
        expected = explainer(rows)
        np.testing.assert_allclose(in_graph(explainer, rows), expected, rtol=1e-5)
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_list_of_classes_is_refused_on_several_replicas() -> None:
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        explainer = kv.Saliency(network(), target=[0, 1])
    with pytest.raises(TargetError, match="one class, or one per sample"):
        explainer.predict(IMAGES, batch_size=4, verbose=0)
