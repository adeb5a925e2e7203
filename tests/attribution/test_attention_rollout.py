"""Attention rollout against a slow version in loops."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from tests.attention import models
from tests.conftest import build
from tests.reference import attention as reference
from tests.reference.resize import upsample

layers, ops = keras.layers, keras.ops
SETTINGS: list[dict[str, Any]] = [
    {},
    {"residual": 0.0},
    {"residual": 0.8},
    {"fusion": "max"},
    {"fusion": "min"},
    {"discard": 0.4},
    {"fusion": "max", "discard": 0.9, "residual": 0.25},
]


def of_layers(model: keras.Model, inputs: Any, **settings: Any) -> np.ndarray:
    """(samples, tokens, tokens) by the loops."""
    found = kv.attention.scores(model, inputs)
    rolled = {"residual": 0.5, "fusion": "mean", "discard": 0.0} | settings
    return reference.rollout(list(found.values()), **rolled)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_maps_are_those_of_the_loops(settings: dict[str, Any]) -> None:
    case = build("class_token_vit")
    rollout = kv.AttentionRollout(case.model, resolution="layer", normalize=False, **settings)
    wanted = of_layers(case.model, case.inputs, **settings)[:, 0, 1:].reshape(-1, 4, 3)
    np.testing.assert_allclose(rollout(case.inputs), wanted, atol=2e-6)


def test_the_mean_over_tokens_is_the_start_without_a_class_token() -> None:
    case = models.shared()
    wanted = of_layers(case.model, case.inputs).mean(axis=1)
    rollout = kv.AttentionRollout(case.model, normalize=False)
    np.testing.assert_allclose(rollout(case.inputs), wanted, atol=2e-6)
    assert "from the mean of the tokens back" in rollout.explain(case.inputs).layer_reason
    case = build("class_token_vit")
    rollout = kv.AttentionRollout(case.model, start="mean", resolution="layer", normalize=False)
    wanted = of_layers(case.model, case.inputs)[:, 1:, 1:].mean(axis=1).reshape(-1, 4, 3)
    np.testing.assert_allclose(rollout(case.inputs), wanted, atol=2e-6)


def test_padding_is_neither_start_nor_goal() -> None:
    case = models.padded()
    found = kv.AttentionRollout(case.model, normalize=False)(case.inputs)
    there = case.inputs != 0
    assert (found[~there] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    scores = kv.attention.scores(case.model, case.inputs)["attention"].mean(axis=1)
    mixed = 0.5 * scores + 0.5 * np.eye(6)
    for sample, row in enumerate(there):
        np.testing.assert_allclose(found[sample], mixed[sample][row].mean(axis=0), atol=1e-6)


def test_the_map_is_enlarged_and_scaled() -> None:
    case = build("class_token_vit")
    small = kv.AttentionRollout(case.model, resolution="layer", normalize=False)(case.inputs)
    found = kv.AttentionRollout(case.model)(case.inputs)
    assert found.shape == (7, 16, 12)
    large = upsample(small, (16, 12))
    wanted = large / large.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_target_changes_the_score_and_not_the_map() -> None:
    case = build("attention")
    rollout = kv.AttentionRollout(case.model)
    one, other = (rollout.explain(case.inputs, target=target) for target in (0, 2))
    np.testing.assert_array_equal(one.maps, other.maps)
    assert not np.allclose(one.scores, other.scores)
    assert one.parameters["depends_on_target"] is False
    assert "same for every target" in one.layer_reason
    assert set(one.target_names) == {"class 0 (same map for any)"}
    note = kv.report.notes.note_for(rollout.title)
    assert note is not None
    assert "target" in note.lies


def test_it_ends_at_the_layer_asked_for() -> None:
    case = build("class_token_vit")
    first = kv.attention.scores(case.model, case.inputs, ["block_1/attention"])
    wanted = reference.rollout(list(first.values()))[:, 0, 1:].reshape(-1, 4, 3)
    rollout = kv.AttentionRollout(
        case.model, layer="block_1/attention", resolution="layer", normalize=False
    )
    np.testing.assert_allclose(rollout(case.inputs), wanted, atol=2e-6)
    assert rollout.layer == "block_1/attention"
    with pytest.raises(kv.errors.AddressError, match=r"self-attention.*'block_2/attention'"):
        kv.AttentionRollout(case.model, layer="patches")(case.inputs)


def test_cross_attention_is_left_out() -> None:
    case = models.cross()
    found = kv.AttentionRollout(case.model, normalize=False)(case.inputs)
    scores = kv.attention.scores(case.model, case.inputs, "self")["self"]
    wanted = reference.rollout([scores]).mean(axis=1)
    np.testing.assert_allclose(found["one"], wanted, atol=2e-6)


def test_attention_over_two_axes_and_by_hand() -> None:
    case = models.two_axes()
    found = kv.AttentionRollout(case.model, normalize=False)(case.inputs)
    wanted = of_layers(case.model, case.inputs).mean(axis=1).reshape(-1, 3, 4)
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    case = models.by_hand_einsum()
    found = kv.AttentionRollout(case.model, normalize=False)(case.inputs)
    wanted = of_layers(case.model, case.inputs).mean(axis=1)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def branches(sizes: tuple[int, int], nested: bool) -> keras.Model:
    tokens = keras.Input((6, 8))
    x = tokens
    ends = []
    for number, size in enumerate(sizes):
        source = x if nested else tokens
        source = source[:, :size]
        x = layers.MultiHeadAttention(2, 4, name=f"attention_{number}")(source, source)
        ends.append(models.headed(x))
    return keras.Model(tokens, ends[-1] if nested else layers.Add()(ends))


def test_other_numbers_of_tokens_and_branches_are_refused() -> None:
    with pytest.raises(kv.errors.MethodError, match="6 at 'attention_0', 3 at 'attention_1'"):
        kv.AttentionRollout(branches((6, 3), True))(models.TOKENS)
    side_by_side = branches((6, 6), False)
    with pytest.raises(kv.errors.MethodError, match="side by side"):
        kv.AttentionRollout(side_by_side)(models.TOKENS)
    found = kv.AttentionRollout(side_by_side, layer="attention_1", normalize=False)(models.TOKENS)
    scores = kv.attention.scores(side_by_side, models.TOKENS, "attention_1")
    wanted = reference.rollout(list(scores.values())).mean(axis=1)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_tokens_that_fit_no_grid_name_the_settings() -> None:
    image = keras.Input((16, 16, 3))
    x = layers.Dense(7 * 8)(layers.Flatten()(image))
    x = layers.Reshape((7, 8))(x)
    model = keras.Model(image, models.headed(layers.MultiHeadAttention(2, 4)(x, x)))
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    rollout = kv.AttentionRollout(model, grid=(2, 3))
    assert rollout(images).shape == (2, 16, 16)
    assert "2 × 3 tokens as asked after 1 class" in rollout.explain(images).layer_reason
    with pytest.raises(kv.errors.MethodError, match=r"`grid=\(rows, columns\)`, `class_token="):
        kv.AttentionRollout(model, class_token=0)(images)


def test_more_than_8_tokens_before_a_grid_must_be_said() -> None:
    image = keras.Input((12, 12, 3))
    x = layers.Reshape((36, 4))(layers.Conv2D(4, 2, strides=2)(image))
    model = keras.Model(image, models.headed(layers.MultiHeadAttention(2, 4)(x, x)))
    images = np.random.default_rng(0).normal(size=(1, 12, 12, 3)).astype("float32")
    with pytest.raises(kv.errors.MethodError, match="up to 8 class tokens"):
        kv.AttentionRollout(model, grid=(3, 3))(images)
    assert kv.AttentionRollout(model, grid=(3, 3), class_token=27)(images).shape == (1, 12, 12)


def test_numbers_of_numpy_are_settings() -> None:
    model = build("attention").model
    found = kv.AttentionRollout(model, discard=np.float32(0.5)).parameters
    assert found["discard"] == 0.5


def test_models_without_self_attention_and_wrong_settings_are_refused() -> None:
    case = build("functional")
    with pytest.raises(kv.errors.MethodError, match=r"which has none.*`kv\.GradCAM`"):
        kv.AttentionRollout(case.model)(case.inputs)
    model = build("attention").model
    for settings, text in (
        ({"fusion": "sum"}, "`fusion`"),
        ({"residual": 1.0}, "`residual`"),
        ({"discard": -0.1}, "`discard`"),
        ({"start": "last"}, "`start`"),
        ({"resolution": "full"}, "`resolution`"),
        ({"grid": (0, 2)}, "`grid`"),
        ({"class_token": -1}, "`class_token`"),
    ):
        with pytest.raises(kv.errors.KerasvizError, match=text):
            kv.AttentionRollout(model, **settings)
    with pytest.raises(kv.errors.MethodError, match="`start` must be 'mean'"):
        kv.AttentionRollout(model, start="class_token")(build("attention").inputs)
