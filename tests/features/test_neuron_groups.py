"""Neuron groups: constructed activations come apart into the parts they were made of."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError, MethodError
from tests.conftest import build
from tests.features.layers import KINDS, features_of, identity_network
from tests.models import Case

PARTS = np.array([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]], "float32")


def composed() -> tuple[np.ndarray, np.ndarray]:
    """Photos made of two parts in different places, and how much of each is where."""
    amounts = np.zeros((3, 4, 6, 2), "float32")
    amounts[:, :2, :, 0] = np.random.default_rng(0).uniform(0.5, 1.0, (3, 2, 6))
    amounts[:, 2:, :, 1] = np.random.default_rng(1).uniform(0.5, 1.0, (3, 2, 6))
    return amounts @ PARTS, amounts


def test_the_parts_are_found() -> None:
    photos, amounts = composed()
    found = kv.NeuronGroups(identity_network(4), "same", num_groups=2, steps=0)(photos)
    np.testing.assert_allclose(found.directions[0], [0.6, 0.8, 0, 0], atol=1e-3)
    np.testing.assert_allclose(found.directions[1], [0, 0, 1, 0], atol=1e-3)
    np.testing.assert_allclose(found.maps, amounts * [5.0, 1.0], atol=1e-2)
    squares = np.square(found.maps).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(found.shares, squares / squares.sum(), atol=1e-3)
    assert found.explained == pytest.approx(1.0, abs=1e-4)
    assert found.negatives == "none"


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_maps_and_directions_explain_what_they_say(case: Case) -> None:
    features = features_of(case)
    found = kv.NeuronGroups(case.model, case.layer, num_groups=2, steps=0)(case.inputs)
    assert found.maps.shape == (*features.shape[:-1], 2)
    assert (found.maps >= 0).all()
    rest = np.square(features - found.maps @ found.directions).sum()
    explained = 1 - rest / np.square(features).sum()
    tolerance = 2e-2 if "float16" in case.name or features.min() < 0 else 2e-3
    assert found.explained == pytest.approx(explained, abs=tolerance)
    assert found.shares.sum() == pytest.approx(found.explained, abs=5e-3)
    assert (np.diff(found.shares) <= 0).all()


def test_negative_activations_are_split_or_clipped() -> None:
    _, amounts = composed()
    signed = amounts @ (PARTS * np.array([[1, -1, 1, 1]], "float32"))
    model = identity_network(4)
    split = kv.NeuronGroups(model, "same", num_groups=2, steps=0)(signed)
    assert split.negatives == "split"
    np.testing.assert_allclose(split.directions[0], [0.6, -0.8, 0, 0], atol=1e-3)
    np.testing.assert_allclose(split.maps @ split.directions, signed, atol=1e-2)
    clipped = kv.NeuronGroups(model, "same", num_groups=2, negatives="clip", steps=0)(signed)
    assert clipped.negatives == "clip"
    np.testing.assert_allclose(clipped.directions[0], [1, 0, 0, 0], atol=1e-3)


def test_maps_at_the_size_of_the_input() -> None:
    case = build("functional")
    coarse = kv.NeuronGroups(case.model, case.layer, 2, steps=0)(case.inputs)
    fine = kv.NeuronGroups(case.model, case.layer, 2, resolution="input", steps=0)(case.inputs)
    assert coarse.maps.shape == (7, 8, 6, 2)
    assert fine.maps.shape == (7, 16, 12, 2)
    enlarged = tf.image.resize(coarse.maps, (16, 12), "bilinear")
    np.testing.assert_allclose(fine.maps, enlarged, atol=1e-5)


def test_pictures_and_figure() -> None:
    case = build("functional")
    found = kv.NeuronGroups(case.model, case.layer, 3, steps=2)(case.inputs, verbose=0)
    assert found.pictures.shape == (3, 16, 12, 3)
    assert len(found.plot(max_images=2).axes) == 4 + 3 + 3


def test_data_sets_and_seeds() -> None:
    case = build("functional")
    groups = kv.NeuronGroups(case.model, case.layer, 2, steps=0, seed=3)
    whole = groups(case.inputs)
    streamed = groups(tf.data.Dataset.from_tensor_slices(case.inputs).batch(3))
    np.testing.assert_allclose(whole.maps, streamed.maps, atol=1e-3)
    np.testing.assert_array_equal(whole.maps, groups(case.inputs).maps)


def test_refusals() -> None:
    case = build("functional")
    groups = kv.NeuronGroups(case.model, case.layer, 2, steps=0)
    with pytest.raises(InputError, match="at least one sample"):
        groups(case.inputs[:0])
    with pytest.raises(InputError, match=r"at least one batch.*which yielded none"):
        groups(tf.data.Dataset.from_tensor_slices(case.inputs).batch(3).take(0))
    with pytest.raises(InputError, match="finite"):
        groups(np.full_like(case.inputs, np.nan))
    with pytest.raises(InputError, match="at most 5"):
        kv.NeuronGroups(case.model, case.layer, 6, steps=0)(case.inputs)
    with pytest.raises(InputError, match="negatives"):
        kv.NeuronGroups(case.model, case.layer, negatives="drop")
    with pytest.raises(MethodError, match="all below 0"):
        kv.NeuronGroups(identity_network(2), "same", 1, negatives="clip", steps=0)(
            np.full((2, 4, 6, 2), -1.0, "float32")
        )
    vit = build("class_token_vit")
    with pytest.raises(MethodError, match="resolution"):
        kv.NeuronGroups(vit.model, "block_2/norm_1", 2, resolution="input", steps=0)(vit.inputs)
