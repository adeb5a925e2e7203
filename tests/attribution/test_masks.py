"""`Mask`: which masks are taken, what they mean, and one clear error for each of the others."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv
from kerasviz.errors import TargetError
from kerasviz.targets import Mask

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.normal(size=(3, 6, 5, 2)).astype("float32")
FILTERS = RANDOM.normal(size=(2, 4)).astype("float32")
LOGITS = PICTURES @ FILTERS
PART = np.zeros((6, 5))
PART[1:3, 2:] = 1
EACH = (RANDOM.random((3, 6, 5)) > 0.5) * 1
WEIGHTS = RANDOM.random((6, 5)) * (PART > 0) * 0.05


def segmenter(*size: int | None) -> kv.Saliency:
    picture = keras.Input((*size, 2))
    kernel = keras.initializers.Constant(FILTERS.reshape(1, 1, 2, 4))
    pixels = layers.Conv2D(4, 1, activation="softmax", kernel_initializer=kernel)(picture)
    return kv.Saliency(keras.Model(picture, pixels))


@pytest.fixture(scope="module", params=[(6, 5), (None, None)], ids=["fixed", "open"])
def explainer(request: pytest.FixtureRequest) -> kv.Saliency:
    """Of a segmenter whose height and width are known, or left open."""
    return segmenter(*request.param)


def mean(mask: Any, index: int) -> np.ndarray:
    weights = np.broadcast_to(np.asarray(mask, "float64"), (3, 6, 5))
    return (LOGITS[..., index] * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))


@pytest.mark.parametrize(
    "mask",
    [
        PART > 0,
        PART.astype("uint8"),
        PART.tolist(),
        WEIGHTS,
        WEIGHTS.astype("float16"),
        tf.constant(PART),
        EACH,
        EACH > 0,
        EACH * RANDOM.random((3, 6, 5)),
    ],
    ids=[
        "bool",
        "bytes",
        "list",
        "weights",
        "float16",
        "tensor",
        "each",
        "each_bool",
        "each_float",
    ],
)
def test_masks_are_weights_of_a_mean(explainer: kv.Saliency, mask: Any) -> None:
    why = explainer.explain(PICTURES, target=Mask(mask, 2))
    np.testing.assert_allclose(why.scores, mean(mask, 2), rtol=1e-3, atol=1e-5)
    assert why.target_names == ("class 2 within mask",) * 3
    assert why.score_kind == "before softmax"


def test_the_gradient_is_the_weight_of_the_mean() -> None:
    model = segmenter(6, 5).model
    gradient = kv.Saliency(model, reduction=None, normalize=False)
    maps = gradient(PICTURES, target=Mask(WEIGHTS, 1))
    shares = (WEIGHTS / WEIGHTS.sum())[None, ..., None] * FILTERS[:, 1]
    np.testing.assert_allclose(maps, np.broadcast_to(shares, maps.shape), rtol=1e-3, atol=1e-6)


def test_a_class_for_each_sample(explainer: kv.Saliency) -> None:
    why = explainer.explain(PICTURES, target=Mask(PART, [0, 3, 1]))
    expected = [mean(PART, index)[i] for i, index in enumerate([0, 3, 1])]
    np.testing.assert_allclose(why.scores, expected, rtol=1e-3, atol=1e-5)
    assert why.target_names[1] == "class 3 within mask"


def test_a_mask_is_kept_as_it_was() -> None:
    mask = PART.astype("float32")
    target = Mask(mask, 2)
    mask[:] = 1
    why = segmenter(6, 5).explain(PICTURES, target=target)
    np.testing.assert_allclose(why.scores, mean(PART, 2), rtol=1e-3, atol=1e-5)


NO_MASK_OF_ONE = EACH.copy()
NO_MASK_OF_ONE[1] = 0


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((5, 5)), r"positions of the output, [\[(]6,? 5[\])].*Received:.*5,? 5"),
        (np.ones((1, 1)), r"positions of the output, [\[(]6,? 5[\])].*Received:.*1,? 1"),
        (np.ones((3, 6, 1)), r"positions of the output, [\[(]6,? 5[\])].*Received:.*6,? 1"),
        (np.ones(5), r"positions of the output.*Received: shape \(any\)"),
        (np.ones((3, 6, 5, 1)), r"positions of the output.*Received: shape \(any, any, any, any\)"),
        (np.ones((2, 6, 5)), r"one per sample \(3\). Received: 2"),
        (NO_MASK_OF_ONE, "empty mask for sample 1"),
    ],
)
def test_masks_that_do_not_fit(explainer: kv.Saliency, mask: Any, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        explainer(PICTURES, target=Mask(mask, 2))
    why = explainer.explain(PICTURES, target=Mask(PART, 2))
    np.testing.assert_allclose(why.scores, mean(PART, 2), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (PART * 0, "non-zero position"),
        (np.ones((0, 5)), "non-zero position"),
        (PART * np.nan, "Received: NaN"),
        (PART * 255, "Received: 0 to 255.*mask > 0"),
        (PART - 1, "Received: -1 to 0"),
        (np.where(PART > 0, np.inf, 0), "Received: 0 to inf"),
        (np.array([["a", "b"]]), "booleans or numbers"),
        (PART * 1j, "booleans or numbers"),
        ([[1, 0], [1]], "booleans or numbers"),
        (None, "booleans or numbers"),
        (1, "booleans or numbers"),
    ],
)
def test_arrays_that_are_no_masks(mask: Any, message: str) -> None:
    with np.errstate(all="ignore"), pytest.raises(TargetError, match=message):
        Mask(mask, 2)


def test_a_class_that_the_pixels_do_not_have(explainer: kv.Saliency) -> None:
    with pytest.raises(TargetError, match=r"from 0 to 3\. Received: 4"):
        explainer(PICTURES, target=Mask(PART, 4))
    with pytest.raises(TargetError, match="Received: None"):
        explainer(PICTURES, target=Mask(PART, None))


def test_an_output_without_positions_takes_no_mask() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(TargetError, match=r"no positions.*Use `kv\.targets\.Class`"):
        kv.Saliency(model)(np.ones((2, 4)), target=Mask(np.ones(3), 1))


@pytest.mark.parametrize("size", [(6, 5), (None, None)])
def test_masks_inside_a_graph(size: tuple[int | None, ...]) -> None:
    def maps(mask: Any) -> Any:
        explainer = kv.Saliency(segmenter(*size).model, target=Mask(mask, 2))
        signature = [tf.TensorSpec((None, *size, 2))]
        compiled = tf.function(explainer, input_signature=signature, autograph=False)
        return compiled(tf.constant(PICTURES)).numpy()

    expected = segmenter(*size)(PICTURES, target=Mask(PART, 2))
    np.testing.assert_allclose(maps(PART), expected, rtol=1e-4, atol=1e-6)
    for wrong in (np.ones((1, 1)), np.ones((5, 5))):
        refused = tf.errors.InvalidArgumentError if None in size else TargetError
        with pytest.raises(refused, match="positions of the output"):
            maps(wrong)
