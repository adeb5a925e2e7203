"""Saliency against eager tapes, finite differences and closed forms."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasviz as kv
from tests.attribution.arrays import spatial_maps, target_of
from tests.conftest import build
from tests.models import KINDS, Case
from tests.reference import saliency as reference
from tests.reference.resize import divide_by_maximum
from tests.reference.scores import unit_score

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
DIFFERENTIABLE = [name for name in KINDS if name not in ("uint8_input", "embedding")]
SMOOTH_KINDS = ["functional", "shared_layer", "conv1d", "class_token_vit", "subclassed_nested"]


@pytest.mark.parametrize("case", DIFFERENTIABLE, indirect=True)
def test_equals_the_tape(case: Case) -> None:
    maps = spatial_maps(case, kv.Saliency(case.model)(case.inputs, target=target_of(case)))
    expected = reference.saliency(case, case.index)
    assert len(maps) == len(expected)
    for found, wanted in zip(maps, expected, strict=True):
        np.testing.assert_allclose(found, divide_by_maximum(wanted), atol=case.tolerance)


@pytest.mark.parametrize("case", SMOOTH_KINDS, indirect=True)
def test_equals_finite_differences(case: Case) -> None:
    explainer = kv.Saliency(case.model, reduction=None, normalize=False)
    gradient = explainer(case.inputs, target=target_of(case))
    sample = np.asarray(case.inputs[:1], "float64")
    model = case.exact_linear_model
    places = reference.random_positions(sample.shape, 12)

    def score(x: np.ndarray) -> float:
        return float(unit_score(case, model(x, training=False), case.index))

    expected = reference.finite_difference(score, sample, places)
    np.testing.assert_allclose([gradient[p] for p in places], expected, rtol=2e-3, atol=2e-5)


def test_linear_model_gives_its_weights() -> None:
    weights = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    model.layers[-1].set_weights([weights, np.zeros(3)])
    found = kv.Saliency(model, reduction=None, normalize=False)(np.ones((2, 2, 2, 3)), target=1)
    np.testing.assert_allclose(found, np.broadcast_to(weights[:, 1].reshape(2, 2, 3), found.shape))


@pytest.mark.parametrize(
    ("reduction", "reduce"),
    [
        ("max", lambda g: np.abs(g).max(-1)),
        ("mean", lambda g: np.abs(g).mean(-1)),
        ("norm", lambda g: np.linalg.norm(g, axis=-1)),
    ],
)
def test_reductions(reduction: str, reduce: object) -> None:
    case = build("functional")
    signed = kv.Saliency(case.model, reduction=None, normalize=False)(case.inputs, target=1)
    found = kv.Saliency(case.model, reduction=reduction, normalize=False)(case.inputs, target=1)
    np.testing.assert_allclose(found, reduce(signed), rtol=1e-5)
    assert signed.min() < 0


def test_integer_pictures_are_differentiated_as_floats() -> None:
    case = build("uint8_input")
    maps = kv.Saliency(case.model, normalize=False)(case.inputs, target=case.index)
    pixels = case.inputs.astype("float64")
    model = case.exact_linear_model
    by_layer = kv.Saliency(case.model, layer=kv.layers(case.model).index[0], normalize=False)
    assert maps.shape == pixels.shape[:3]
    assert maps.max() > 0
    assert model is not None
    scale = maps / np.maximum(by_layer(case.inputs, target=case.index), 1e-12)
    np.testing.assert_allclose(scale[maps > 0], np.median(scale[maps > 0]), rtol=1e-4)


def test_tokens_are_explained_at_their_embedding() -> None:
    case = build("embedding")
    with pytest.raises(kv.errors.MethodError, match="embedding"):
        kv.Saliency(case.model)(case.inputs)
    table = kv.layers(case.model)
    address = table.index[table["type"] == "Embedding"][0]
    maps = kv.Saliency(case.model, layer=address)(case.inputs, target=case.index)
    assert maps.shape == case.inputs.shape
    assert maps.max() == 1
