"""Activation atlases: what is sampled, where it is laid out, and what the cells hold."""

from __future__ import annotations

import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import InputError, MethodError
from kerasviz.features.activation_atlas import at_share, binned, laid_out
from tests.conftest import build
from tests.features.layers import features_of, identity_network
from tests.models import Case


@pytest.mark.parametrize("case", ["functional", "channels_first", "conv1d"], indirect=True)
def test_samples_are_activations_of_their_inputs(case: Case) -> None:
    atlas = kv.ActivationAtlas(
        case.model, case.layer, grid=2, min_samples=1, steps=0, target=case.target
    )(case.inputs, verbose=0)
    features = features_of(case)
    flat = features.reshape(len(features), -1, features.shape[-1])
    gaps = np.abs(flat - atlas.activations[:, None]).max(axis=-1).min(axis=1)
    np.testing.assert_allclose(gaps, 0, atol=1e-4)
    assert atlas.counts.sum() == 7
    weighted = (atlas.vectors * atlas.counts[:, None]).sum(axis=0)
    np.testing.assert_allclose(weighted, atlas.activations.sum(axis=0), rtol=1e-3, atol=1e-3)


def test_positions_are_drawn_evenly() -> None:
    features = np.arange(12, dtype="float32").reshape(1, 3, 4, 1).repeat(24, axis=0)
    share = np.linspace(0, 1, 24, endpoint=False).astype("float32") + 1e-4
    found = np.asarray(at_share(features, share))[:, 0]
    np.testing.assert_array_equal(found, np.repeat(np.arange(12), 2))


def test_alike_lies_together() -> None:
    generator = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 5), 20, axis=0) + 0.02 * generator.normal(size=(60, 5))
    vectors *= generator.uniform(0.5, 5.0, (60, 1))
    found = laid_out(vectors.astype("float32"), None, 0)
    assert found.min() == 0
    assert found.max() == 1
    middles = found.reshape(3, 20, 2).mean(axis=1)
    within = np.linalg.norm(found.reshape(3, 20, 2) - middles[:, None], axis=-1).mean()
    between = np.linalg.norm(middles[:, None] - middles[None], axis=-1)[np.triu_indices(3, 1)]
    assert between.min() > 2 * within


def test_cells_hold_their_points() -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.2], [0.9, 0.1], [1.0, 1.0], [0.6, 0.7]], "float32")
    cells, members = binned(points, 2, 2)
    np.testing.assert_array_equal(cells, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(members[0], [0, 1])
    np.testing.assert_array_equal(members[1], [3, 4])
    with pytest.raises(InputError, match="at most 2"):
        binned(points, 2, 3)


def test_classes_by_attribution() -> None:
    """Channel means are pooled, so gradient × activation at a position is weight · value / area."""
    model = identity_network(2)
    model.get_layer("head").set_weights([np.array([[2.0, 0.0], [0.0, 3.0]]), np.zeros(2)])
    photos = np.zeros((8, 4, 6, 2), "float32")
    photos[:4, ..., 0] = 1.0
    photos[4:, ..., 1] = 1.0
    atlas = kv.ActivationAtlas(
        model, "same", grid=1, steps=0, num_labels=3, labels=["left", "right"]
    )(photos, verbose=0)
    assert atlas.labels == (("right", "left"),)
    np.testing.assert_array_equal(atlas.classes, [[1, 0, -1]])
    expected = [[4 * 3 / 24 / 8, 4 * 2 / 24 / 8, np.nan]]
    np.testing.assert_allclose(atlas.attributions, expected, rtol=1e-4)


def test_pictures_seed_and_figure() -> None:
    case = build("functional")
    make = kv.ActivationAtlas(case.model, "conv_1", grid=2, min_samples=1, steps=2, seed=5)
    atlas = make(case.inputs, verbose=0)
    again = make(case.inputs, verbose=0)
    np.testing.assert_array_equal(atlas.activations, again.activations)
    np.testing.assert_array_equal(atlas.coordinates, again.coordinates)
    np.testing.assert_array_equal(atlas.pictures, again.pictures)
    assert atlas.pictures.shape == (len(atlas.cells), 16, 12, 3)
    assert len(atlas.plot(labelled=True).axes) == 1
    other = kv.ActivationAtlas(case.model, "conv_1", grid=2, min_samples=1, steps=0, seed=6)
    assert not np.array_equal(other(case.inputs, verbose=0).activations, atlas.activations)


def test_refusals() -> None:
    case = build("functional")
    with pytest.raises(InputError, match="at least 4"):
        kv.ActivationAtlas(case.model, "conv_1", steps=0)(case.inputs[:3], verbose=0)
    with pytest.raises(InputError, match="perplexity"):
        kv.ActivationAtlas(case.model, "conv_1", steps=0, perplexity=7)(case.inputs, verbose=0)
    with pytest.raises(InputError, match="at least one sample"):
        kv.ActivationAtlas(case.model, "conv_1", steps=0)(case.inputs[:0], verbose=0)
    with pytest.raises(MethodError, match="positions"):
        kv.ActivationAtlas(case.model, "head", steps=0)(case.inputs, verbose=0)
