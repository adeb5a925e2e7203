"""Activation grids: vectors are the activations, pictures go where those point."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.features.activation_grid import pooled
from kerasviz.features.painter import Painter
from tests.conftest import build
from tests.features.layers import KINDS, features_of, identity_network, sample
from tests.models import Case


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_vectors_are_the_activations(case: Case) -> None:
    grid = kv.ActivationGrid(case.model, case.layer, steps=0)(sample(case.inputs, 2))
    expected = features_of(case)[2]
    limits = {"atol": 2e-2, "rtol": 2e-2} if "float16" in case.name else {"atol": 1e-4}
    np.testing.assert_allclose(grid.vectors, expected, **limits)
    np.testing.assert_allclose(grid.magnitudes, np.sqrt((expected**2).sum(-1)), rtol=2e-2)
    assert grid.pictures is None


def test_cells_are_means_of_positions() -> None:
    features = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32")
    found = pooled(features, 2)
    assert found.shape == (3, 2, 3)
    np.testing.assert_allclose(found[0, 1], features[:2, 2:4].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found[2, 0], features[4:, :2].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(pooled(features, (5, 1))[0], features.mean(axis=0), rtol=1e-5)


def test_pictures_go_where_their_vectors_point() -> None:
    """Each cell's picture has a larger cosine with its own vector than with any other."""
    photo = np.zeros((4, 6, 3), "float32")
    for column in range(3):
        photo[:, 2 * column : 2 * column + 2, column] = 1.0
    draw = kv.ActivationGrid(
        identity_network(3), "same", cell=(4, 2), steps=160, batch_size=2, transforms=()
    )
    grid = draw(photo, verbose=0)
    assert grid.pictures.shape == (1, 3, 4, 6, 3)
    means = grid.pictures[0].mean(axis=(1, 2))
    cosines = means @ grid.vectors[0].T / np.linalg.norm(means, axis=-1, keepdims=True)
    others = np.where(np.eye(3, dtype=bool), -1.0, cosines)
    assert (cosines.diagonal() > others.max(axis=1) + 0.1).all()
    np.testing.assert_allclose(grid.display, grid.pictures, atol=1e-5)


@pytest.mark.parametrize("case", ["channels_first", "conv1d", "multi_input"], indirect=True)
def test_pictures_of_other_layouts(case: Case) -> None:
    painter = Painter(case.model, case.layer, steps=2, batch_size=2)
    vectors = np.eye(features_of(case).shape[-1], dtype="float32")[:3]
    vectors[1] = 0.0
    pictures, display = painter.draw(vectors, verbose=0)
    first = keras.tree.flatten(case.inputs)[0]
    assert pictures.shape == (3, *first.shape[1:])
    channels = first.shape[case.channel_axis]
    assert display.shape[0] == 3
    assert display.shape[-1] == channels
    assert np.ptp(display[1]) == 0
    assert np.ptp(pictures[1]) == 0
    assert np.ptp(display[2]) > 0


def test_one_compilation_for_all_batches_and_calls() -> None:
    case = build("functional")
    painter = Painter(case.model, "conv_1", steps=2, batch_size=2)
    vectors = np.eye(6, dtype="float32")
    first, _ = painter.draw(vectors[:4], verbose=0)
    again, _ = painter.draw(vectors[:4], verbose=0)
    other, _ = painter.draw(vectors[2:], verbose=0)
    assert len(painter._visualizers) == 1
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first[2:], other[:2], atol=1e-6)
    assert np.abs(first[0] - first[2]).max() > 1e-3


def test_progress_counts_every_picture(capsys: pytest.CaptureFixture[str]) -> None:
    painter = Painter(build("functional").model, "conv_1", steps=2, batch_size=2)
    painter.draw(np.eye(6, dtype="float32")[:3], verbose=1)
    assert "6/6" in capsys.readouterr().out


def test_the_model_is_left_alone() -> None:
    case = build("subclassed_nested")
    before = [keras.ops.convert_to_numpy(weight) for weight in case.model.weights]
    kv.ActivationGrid(case.model, case.layer, cell=8, steps=2)(sample(case.inputs, 0), verbose=0)
    for weight, value in zip(case.model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value)


def test_refusals() -> None:
    case = build("functional")
    photo = case.inputs[0]
    with pytest.raises(AddressError, match="conv_9"):
        kv.ActivationGrid(case.model, "conv_9")
    with pytest.raises(MethodError, match="positions"):
        kv.ActivationGrid(case.model, "head")(photo)
    with pytest.raises(InputError, match="one sample"):
        kv.ActivationGrid(case.model, "conv_1")(case.inputs)
    with pytest.raises(InputError, match="finite"):
        kv.ActivationGrid(case.model, "conv_1")(np.full_like(photo, np.nan))
    with pytest.raises(InputError, match="`cell`"):
        kv.ActivationGrid(case.model, "conv_1", cell=0)
    with pytest.raises(InputError, match="`cell`"):
        kv.ActivationGrid(case.model, "conv_1", cell=(2, 2, 2))(photo)
    with pytest.raises(InputError, match="colour"):
        kv.ActivationGrid(case.model, "conv_1", colour=True)
    with pytest.raises(InputError, match="`seed`"):
        kv.ActivationGrid(case.model, "conv_1", seed="a")
    with pytest.raises(InputError, match="`steps`"):
        kv.ActivationGrid(case.model, "conv_1", steps=-1)
    with pytest.raises(InputError, match="pictures to draw"):
        kv.ActivationGrid(case.model, "conv_1", steps=0)(photo).plot()


def test_activations_that_are_not_finite_are_refused() -> None:
    model = identity_network(2)
    model.get_layer("same").set_weights([np.full((1, 1, 2, 2), np.inf)])
    with pytest.raises(MethodError, match="finite"):
        kv.ActivationGrid(model, "same", steps=0)(np.ones((4, 6, 2), "float32"))
