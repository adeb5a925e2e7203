"""What is explained, in all the ways a user can say it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from tf_keras_vis.utils.scores import BinaryScore, CategoricalScore

import kerasviz as kv
from kerasviz.errors import TargetError
from kerasviz.targets import Class, Mask
from tests.conftest import build
from tests.models import KINDS, Case
from tests.reference import scores as reference

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
LABELS = ["tabby, tabby cat", "tiger cat", "crane", "crane"]
SINGLE = [name for name in KINDS if build(name).output is None and build(name).num_units > 1]


def gradient(case: Case, target: Any, **settings: Any) -> np.ndarray:
    explainer = kv.Saliency(case.model, reduction=None, normalize=False, **settings)
    return explainer(case.inputs, target=target)


@pytest.mark.parametrize("case", SINGLE, indirect=True)
def test_scores_are_taken_before_the_softmax(case: Case) -> None:
    method = kv.Saliency if case.differentiable else kv.GradCAM
    why = method(case.model).explain(case.inputs, target=case.index)
    limits = {"rtol": 1e-4, "atol": 1e-5} if case.tolerance < 1e-3 else {"atol": 0.2}
    np.testing.assert_allclose(why.scores, reference.scores(case, case.index), **limits)
    expected = "output as it is" if case.final == "linear" else f"before {case.final}"
    assert why.score_kind == expected


@pytest.mark.parametrize("case", ["functional", "softmax_op", "sigmoid_multi_label"], indirect=True)
def test_none_is_the_predicted_class(case: Case) -> None:
    why = kv.Saliency(case.model).explain(case.inputs)
    expected = case.model.predict(case.inputs, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(why.targets, expected)
    np.testing.assert_allclose(
        kv.Saliency(case.model)(case.inputs),
        kv.Saliency(case.model)(case.inputs, target=expected),
    )


def test_a_sigmoid_unit_stands_for_two_classes() -> None:
    case = build("sigmoid_head")
    np.testing.assert_allclose(gradient(case, 1), -gradient(case, 0))
    why = kv.Saliency(case.model).explain(case.inputs)
    probability = case.model.predict(case.inputs, verbose=0)[:, 0]
    np.testing.assert_array_equal(why.targets, probability > 0.5)
    assert (why.scores >= 0).all()


def test_a_class_of_a_segmentation_is_its_mean_over_pixels() -> None:
    case = build("segmentation")
    logits = reference.logits(case)
    why = kv.Saliency(case.model).explain(case.inputs, target=2)
    np.testing.assert_allclose(why.scores, logits[..., 2].mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    most = [np.bincount(votes.ravel(), minlength=4).argmax() for votes in logits.argmax(-1)]
    np.testing.assert_array_equal(kv.Saliency(case.model).explain(case.inputs).targets, most)


def test_a_mask_picks_pixels_of_a_segmentation() -> None:
    case = build("segmentation")
    logits = reference.logits(case)
    mask = np.zeros(logits.shape[1:3])
    mask[2:4, 3:7] = 1
    why = kv.Saliency(case.model).explain(case.inputs, target=Mask(mask, 1))
    expected = logits[:, 2:4, 3:7, 1].mean(axis=(1, 2))
    np.testing.assert_allclose(why.scores, expected, rtol=1e-4, atol=1e-5)
    per_sample = np.broadcast_to(mask, (7, *mask.shape))
    again = kv.Saliency(case.model).explain(case.inputs, target=Mask(per_sample, 1))
    np.testing.assert_allclose(again.scores, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(TargetError, match="non-zero"):
        kv.Saliency(case.model)(case.inputs, target=Mask(mask * 0, 1))


def test_targets_add_up() -> None:
    case = build("functional")
    difference = gradient(case, 2 * Class(0) - Class("tiger cat"), labels=LABELS)
    np.testing.assert_allclose(difference, 2 * gradient(case, 0) - gradient(case, 1), atol=1e-5)
    why = kv.Saliency(case.model, labels=LABELS).explain(case.inputs, target=Class(0) - Class(1))
    assert why.target_names[0] == "tabby, tabby cat − tiger cat"


def test_labels_and_synonyms() -> None:
    case = build("functional")
    for name in ("tabby, tabby cat", "Tabby", "tabby cat"):
        np.testing.assert_array_equal(gradient(case, name, labels=LABELS), gradient(case, 0))
    each = ["tabby", "tiger cat"] * 3 + ["tabby"]
    np.testing.assert_array_equal(
        gradient(case, each, labels=LABELS), gradient(case, [0, 1, 0, 1, 0, 1, 0])
    )


def test_callables_see_logits_in_the_models_structure() -> None:
    case = build("functional")
    np.testing.assert_allclose(
        gradient(case, lambda z: z[:, 2] * 3), 3 * gradient(case, 2), atol=1e-5
    )
    two = build("multi_output_dict")
    keys = []

    def score(outputs: Any) -> Any:
        keys.extend(outputs)
        return outputs[keys[0]][:, 0]

    kv.Saliency(two.model)(two.inputs, target=score)
    assert sorted(keys) == sorted(two.model.output)


def test_scores_of_tf_keras_vis() -> None:
    case = build("functional")
    np.testing.assert_allclose(gradient(case, CategoricalScore(3)), gradient(case, 3))
    each = [0, 1, 2, 3, 0, 1, 2]
    np.testing.assert_allclose(gradient(case, CategoricalScore(each)), gradient(case, each))
    binary = build("sigmoid_head")
    np.testing.assert_allclose(gradient(binary, BinaryScore(False)), gradient(binary, 0))


def test_outputs_by_name_and_by_index() -> None:
    case = build("multi_output")
    (name, index), *_ = case.target.items()
    position = case.model.output_names.index(name)
    by_name = gradient(case, {name: index})
    np.testing.assert_array_equal(gradient(case, {position: index}), by_name)
    np.testing.assert_array_equal(gradient(case, Class(index, output=name)), by_name)
    other = next(n for n in case.model.output_names if n != name)
    assert np.abs(gradient(case, {other: 0}) - by_name).max() > 1e-4


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("functional", 4, "from 0 to 3"),
        ("functional", -1, "from 0 on"),
        ("functional", 1.5, "Received: 1.5"),
        ("functional", True, "Received: True"),
        ("functional", [0, 1], r"one per sample \(7\). Received: 2"),
        ("functional", "lion", "Received: 'lion'"),
        ("functional", "tabi", "Closest: 'tabby"),
        ("functional", "crane", r"fits 2 \(crane\), 3 \(crane\)"),
        ("functional", {"nowhere": 1}, "Received: 'nowhere'"),
        ("functional", {"a": 1, "b": 2}, "one output"),
        ("functional", lambda z: z, r"\(batch,\)"),
        ("functional", np.zeros((7, 2, 2)), "shape"),
        ("functional", np.full(7, 0.5), "Received: "),
        ("multi_output", None, "which of the outputs"),
        ("multi_output", 1, "which of the outputs"),
        ("sigmoid_head", 2, "from 0 to 1"),
        ("linear_regression", 1, "from 0 to 0"),
    ],
)
def test_targets_that_the_outputs_cannot_answer(name: str, target: Any, message: str) -> None:
    case = build(name)
    labels = LABELS if name == "functional" else None
    with pytest.raises(TargetError, match=message):
        kv.Saliency(case.model, labels=labels)(case.inputs, target=target)


def test_labels_must_fit_the_head() -> None:
    case = build("functional")
    with pytest.raises(TargetError, match=r"one name per class \(4\). Received: 2"):
        kv.Saliency(case.model, labels=["a", "b"])(case.inputs, target="a")
    with pytest.raises(TargetError, match="no labels"):
        kv.Saliency(case.model)(case.inputs, target="a")


@pytest.mark.parametrize("labels", [5, "abcd", [1, 2, 3, 4], []])
def test_labels_must_be_names(labels: Any) -> None:
    with pytest.raises(TargetError, match="sequence of names"):
        kv.Saliency(build("functional").model, labels=labels)


def test_targets_add_only_to_targets() -> None:
    for wrong in (lambda: Class(0) + 1, lambda: Class(0) - 1, lambda: Class(0) * "a"):
        with pytest.raises(TypeError):
            wrong()


def test_thousand_units_are_named_by_imagenet() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1000)])
    why = kv.Saliency(model).explain(np.ones((1, 4)), target="tabby")
    assert why.targets[0] == 281
    assert why.target_names == ("tabby, tabby cat",)
