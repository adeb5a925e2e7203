"""The many forms that a class index can come in: taken or refused, never read as another class."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers, ops

import kerasviz as kv
from kerasviz.errors import TargetError
from kerasviz.targets import Class, Function, Mask, Sum

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(3, 5)).astype("float32")
KERNEL = RANDOM.normal(size=(5, 4)).astype("float32")
LOGITS = VECTORS @ KERNEL
LABELS = ("cat", "Dog", "dog", "sea lion, sea bear")


def network(units: int = 4, final: str | None = "softmax") -> keras.Model:
    kernel = keras.initializers.Constant(KERNEL[:, :units])
    dense = layers.Dense(units, final, kernel_initializer=kernel, name="head")
    return keras.Sequential([keras.Input((5,)), dense])


@pytest.fixture(scope="module")
def explainer() -> kv.Saliency:
    """Of four classes with labels."""
    return kv.Saliency(network(), labels=LABELS)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (np.int64(2), [2, 2, 2]),
        (np.int32(2), [2, 2, 2]),
        (np.uint8(2), [2, 2, 2]),
        (np.array(2), [2, 2, 2]),
        (tf.constant(2), [2, 2, 2]),
        (np.array([2.0, 0.0, 3.0]), [2, 0, 3]),
        (tf.constant([2.0, 0.0, 3.0]), [2, 0, 3]),
        ([tf.constant(2), np.array(0), 3], [2, 0, 3]),
        (range(3), [0, 1, 2]),
        (pd.Series([2, 0, 3], index=[7, 8, 9]), [2, 0, 3]),
        (np.array([[2], [0], [3]]), [2, 0, 3]),
        (np.eye(4)[[2, 0, 3]], [2, 0, 3]),
        (np.eye(4, dtype=bool)[[2, 0, 3]], [2, 0, 3]),
        (np.array([[0.1, 0.0, 0.9, 0.0]] * 3), [2, 2, 2]),
        ("cat", [0, 0, 0]),
        ("dog", [2, 2, 2]),
        ("Dog", [1, 1, 1]),
        (" SEA lion ", [3, 3, 3]),
        (np.array("cat"), [0, 0, 0]),
        (np.array(["cat", "dog", "sea bear"]), [0, 2, 3]),
        (np.array(["cat", "dog", "sea bear"], object), [0, 2, 3]),
        (np.array([b"cat", b"dog", b"sea bear"]), [0, 2, 3]),
        (tf.constant(["cat", "dog", "sea bear"]), [0, 2, 3]),
        (tf.constant([["cat"], ["dog"], ["sea bear"]]), [0, 2, 3]),
        (pd.Series(["cat", "dog", "sea bear"]), [0, 2, 3]),
        (["cat", 2, np.str_("sea bear")], [0, 2, 3]),
    ],
    ids=str,
)
def test_forms_of_a_class(explainer: kv.Saliency, target: Any, expected: list[int]) -> None:
    why = explainer.explain(VECTORS, target=target)
    np.testing.assert_array_equal(why.targets, expected)
    np.testing.assert_allclose(why.scores, LOGITS[range(3), expected], rtol=1e-4)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (2**40, "from 0 on. Received: 1099511627776"),
        ([2**40] * 3, "from 0 on. Received: 1099511627776"),
        (np.array([2**40] * 3), "Received: array"),
        (np.array([2.0**40] * 3), "Received: array"),
        (-1, "from 0 on. Received: -1. Leave `target` out"),
        (np.array([0, -1, 2]), "from 0 on. Received: -1"),
        (-2, "from 0 on. Received: -2"),
        (np.array([0.5, 1, 2]), "Received: array"),
        (tf.constant([0.5, 1.0, 2.0]), "Received: "),
        (np.full(3, np.nan), "Received: array"),
        (np.float32(1.5), "Received: "),
        (np.array([True, False, True]), "Received: array"),
        (tf.constant([True, False, True]), "Received: "),
        (np.bool_(True), "Received: "),
        ([True, False, True], "Received: True"),
        ([0, 1], r"one per sample \(3\). Received: 2"),
        ([], r"one per sample \(3\). Received: 0"),
        (np.array([]), r"one per sample \(3\). Received: 0"),
        (tf.constant([1, 2]), r"one per sample \(3\). Received: 2"),
        (np.array([[1, 3]] * 3), "rows that do not sum to 1"),
        (np.array([[1, 0, 0, 1]] * 3), "rows that do not sum to 1"),
        (np.array([[2, -1, 0, 0]] * 3), "rows that do not sum to 1"),
        ([[0], [1, 2]], r"one per sample \(3\). Received: 2"),
        ([[0], [1, 2], [3]], r"Received: \[0\]"),
        ({1, 2, 3}, "Received: {1, 2, 3}"),
        (object(), "Received: <object"),
        (np.array([1j, 2, 3]), "Received: "),
        ("seal lion", "Closest: 'sea lion'"),
        (np.array(["cat", "dgo", "dog"]), "Closest: 'dog'"),
        (int, "Received: <class 'int'>"),
    ],
    ids=str,
)
def test_forms_that_are_no_class(explainer: kv.Saliency, target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        explainer(VECTORS, target=target)


def test_labels_of_a_data_set_may_be_names(explainer: kv.Saliency) -> None:
    names = tf.constant(["cat", "sea bear", "dog"])
    data = tf.data.Dataset.from_tensor_slices((VECTORS, names)).batch(2)
    by_label = kv.Saliency(explainer.model, target="label", labels=LABELS)
    expected = explainer(VECTORS, target=[0, 3, 2])
    np.testing.assert_allclose(by_label.predict(data, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Function(None),  # type: ignore[arg-type]
        lambda: Function(int),
        lambda: Class(0) * float("nan"),
        lambda: float("inf") * Class(0),
        lambda: Sum(((float("nan"), Class(0)),)),
        lambda: Class(0, output=1.5),  # type: ignore[arg-type]
        lambda: Class(0, output=["head"]),  # type: ignore[arg-type]
        lambda: Mask(np.ones((2, 2)), 0, output=True),
    ],
)
def test_targets_that_cannot_be_made(build: Any) -> None:
    with pytest.raises(TargetError, match="Received: "):
        build()


def test_numpy_factors(explainer: kv.Saliency) -> None:
    for target in (Class(1) * np.float32(0.5), np.float32(0.5) * Class(1), 0.5 * Class(1)):
        why = explainer.explain(VECTORS, target=target)
        np.testing.assert_allclose(why.scores, LOGITS[:, 1] / 2, rtol=1e-4)


class Unhashable:
    """A score that can't be a key of a dict."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, outputs: Any) -> Any:
        """Unit 1."""
        return outputs[:, 1]

    def __eq__(self, other: object) -> bool:
        """Equal to all."""
        return True


class Unhashed(Unhashable):
    """One that finds out late."""

    def __hash__(self) -> int:  # type: ignore[override]
        raise TypeError("unhashable")


def test_scores_that_cannot_be_hashed(explainer: kv.Saliency) -> None:
    for score in (Unhashable(), Unhashed()):
        why = explainer.explain(VECTORS, target=score)
        np.testing.assert_allclose(why.scores, LOGITS[:, 1], rtol=1e-4)


def test_callables_must_return_one_real_score_per_sample(explainer: kv.Saliency) -> None:
    for score, message in (
        (lambda z: z[:2, 0], r"one score per sample, \[3\]. Received: \[2\]"),
        (lambda z: ops.mean(z), r"returned shape \(\)"),
        (lambda z: tf.cast(z[:, 0], tf.complex64), "real numbers.*complex64"),
        (lambda z: None, "returned shape None"),
    ):
        with pytest.raises(TargetError, match=message):
            explainer(VECTORS, target=score)


@pytest.mark.parametrize(
    ("units", "final", "target", "name", "first"),
    [
        (1, None, None, "output", "output"),
        (1, "sigmoid", 1, "class 1", "class 1"),
        (1, "sigmoid", 0, "class 0", "class 1"),
        (4, None, 3, "unit 3", None),
        (4, "softmax", 3, "class 3", None),
        (4, "sigmoid", 3, "class 3", None),
        (4, None, Class(3) - 2 * Class(1), "unit 3 − 2·unit 1", None),
        (4, "softmax", Class(3) - Class(1), "class 3 − class 1", None),
    ],
)
def test_names_of_targets_without_labels(
    units: int, final: str | None, target: Any, name: str, first: str | None
) -> None:
    why = kv.Saliency(network(units, final)).explain(VECTORS, target=target)
    assert set(why.target_names) == {name}
    names = {entry[0] for sample in why.top(units) for entry in sample}
    kind = "unit" if final is None else "class"
    assert names == ({first} if first else {f"{kind} {i}" for i in range(units)})


def test_names_of_several_outputs_each_by_its_own_head() -> None:
    vector = keras.Input((5,))
    outputs = [
        layers.Dense(3, "softmax", name="kind")(vector),
        layers.Dense(2, name="place")(vector),
    ]
    target = Class(2, output="kind") + Class(1, output="place") + Class(None, output="kind")
    why = kv.Saliency(keras.Model(vector, outputs)).explain(VECTORS, target=target)
    assert why.target_names[0] == "class 2 + unit 1 + predicted class"


@pytest.mark.parametrize(
    ("final", "labels", "count"), [("sigmoid", ["dog"], 2), (None, ["cat", "dog"], 1)]
)
def test_labels_of_one_unit(final: str | None, labels: list[str], count: int) -> None:
    with pytest.raises(TargetError, match=rf"one name per class \({count}\)"):
        kv.Saliency(network(1, final), labels=labels)(VECTORS, target=labels[0])


def test_two_labels_of_one_sigmoid_unit() -> None:
    why = kv.Saliency(network(1, "sigmoid"), labels=["cat", "dog"]).explain(VECTORS, target="dog")
    np.testing.assert_allclose(why.scores, LOGITS[:, 0], rtol=1e-4)
    assert why.target_names == ("dog",) * 3


def in_graph(model: keras.Model, target: Any, **settings: Any) -> np.ndarray:
    explainer = kv.Saliency(model, normalize=False, reduction=None, **settings)
    compiled = tf.function(lambda x, t: explainer(x, target=t), autograph=False)
    return np.asarray(compiled(tf.constant(VECTORS), tf.constant(target)))


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        ([2, 0, 3], [2, 0, 3]),
        (1, [1, 1, 1]),
        ([1], [1, 1, 1]),
        ([2.0, 0.0, 3.0], [2, 0, 3]),
        ([[2], [0], [3]], [2, 0, 3]),
        (np.eye(4)[[2, 0, 3]], [2, 0, 3]),
        ([2, 4, 3], [2, None, 3]),
        ([2, -2, 3], [2, None, 3]),
        (np.array([2, 2**31 - 1, 3]), [2, None, 3]),
        (np.array([2, 2**40, 3]), [2, None, 3]),
        ([2, 0.5, 3], [2, None, 3]),
        ([2, np.nan, 3], [2, None, 3]),
        ([[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]], [2, None, 3]),
        ([[0, 0, 1, 0], [2, -1, 0, 0], [0, 0, 0, 1]], [2, None, 3]),
        (np.eye(5)[[2, 4, 3]], [2, None, 3]),
        ([2, -1, 3], [2, None, 3]),
    ],
    ids=str,
)
def test_tensors_inside_a_graph(target: Any, classes: list[int | None]) -> None:
    maps = in_graph(network(), target)
    nothing = np.full(5, np.nan)
    expected = np.stack([nothing if k is None else KERNEL[:, k] for k in classes])
    np.testing.assert_allclose(maps, expected, rtol=1e-4)


def test_no_class_inside_a_graph_is_nan_under_every_rule() -> None:
    picture = keras.Input((8, 8, 2))
    x = layers.Conv2D(3, 3, activation="relu", kernel_initializer="ones")(picture)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(picture, layers.Dense(2, kernel_initializer="ones")(x))
    images = tf.constant(RANDOM.random((2, 8, 8, 2)), tf.float32)
    for kind in (kv.Saliency, kv.GuidedSaliency, kv.GradCAM, kv.CAM):
        explainer = kind(model)
        maps = tf.function(lambda x, t, e=explainer: e(x, target=t))(images, tf.constant([5, 1]))
        assert np.isnan(maps[0]).all()
        assert np.isfinite(maps[1]).all()


def test_one_sigmoid_unit_inside_a_graph() -> None:
    maps = in_graph(network(1, "sigmoid"), [1, 0, 2])
    np.testing.assert_allclose(maps[0], KERNEL[:, 0], rtol=1e-4)
    np.testing.assert_allclose(maps[1], -KERNEL[:, 0], rtol=1e-4)
    assert np.isnan(maps[2]).all()


def test_tensors_of_one_output_of_several_inside_a_graph() -> None:
    vector = keras.Input((5,))
    kernel = keras.initializers.Constant(KERNEL)
    outputs = {
        "a": layers.Dense(4, kernel_initializer=kernel)(vector),
        "b": layers.Dense(2)(vector),
    }
    explainer = kv.Saliency(keras.Model(vector, outputs), normalize=False, reduction=None)
    compiled = tf.function(lambda x, t: explainer(x, target={"a": t}))
    maps = np.asarray(compiled(tf.constant(VECTORS), tf.constant([3, 0, 4])))
    np.testing.assert_allclose(maps[:2], [KERNEL[:, 3], KERNEL[:, 0]], rtol=1e-4)
    assert np.isnan(maps[2]).all()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([True, False, True], "dtype bool"),
        (["a", "b", "c"], "dtype string"),
        (np.zeros((3, 2, 2)), "shape"),
        ([0, 1], r"one per sample \(3\). Received: 2"),
    ],
)
def test_tensors_refused_inside_a_graph(target: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        in_graph(network(), target)


def test_constants_refused_inside_a_graph() -> None:
    for target, message in ((4, "from 0 to 3"), (-1, "from 0 on"), ("lion", "labels")):
        explainer = kv.Saliency(network(), target=target, labels=LABELS)
        with pytest.raises(TargetError, match=message):
            tf.function(explainer, autograph=False)(tf.constant(VECTORS))
