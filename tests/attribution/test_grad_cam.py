"""Grad-CAM against loops over samples and channels, on every kind of model."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import kerasviz as kv
from tests.attribution.arrays import spatial_maps, target_of
from tests.conftest import build
from tests.models import KINDS, Case
from tests.reference.gradcam import gradcam, gradcam_maps

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")

CHOSEN = {
    "sequential_with_input": "conv_2",
    "functional_in_functional": "encoder/block_2/conv_2",
    "subclassed_repeated": "conv@3",
    "shared_layer": "conv@2",
    "shared_encoder": {"left": "encoder/conv_2", "right": "encoder@2/conv_2"},
    "multi_input": {"color": "conv_color", "depth": "conv_depth"},
    "multi_input_dict": {"image": "conv"},
    "residual": "relu_2",
    "attention": "patches",
    "class_token_vit": "block_2/norm_1",
    "time_distributed": "steps_2",
    "embedding": "conv",
    "conv3d": "conv_2",
}


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_equals_the_loops(case: Case) -> None:
    maps = kv.GradCAM(case.model, layer=case.layer)(case.inputs, target=target_of(case))
    first = spatial_maps(case, maps)[0]
    expected = gradcam_maps(case, case.index, size=first.shape[1:])
    assert expected.max() == 1
    np.testing.assert_allclose(first, expected, atol=case.tolerance)


@pytest.mark.parametrize("case", KINDS, indirect=True)
def test_a_layer_is_found_on_every_kind(case: Case) -> None:
    cam = kv.GradCAM(case.model)
    maps = spatial_maps(case, cam(case.inputs, target=target_of(case)))
    assert all(np.isfinite(m).all() and m.min() >= 0 and m.max() == 1 for m in maps)
    if case.name in CHOSEN:
        assert cam.layer == CHOSEN[case.name]


@pytest.mark.parametrize("case", ["functional", "channels_first", "conv3d"], indirect=True)
def test_channelwise_order_rectifies_before_the_mean(case: Case) -> None:
    maps = kv.GradCAM(
        case.model, case.layer, order="channelwise", resolution="layer", normalize=False
    )(case.inputs, target=case.index)
    expected = gradcam(case, case.index, order="channelwise")
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected, gradcam(case, case.index))


def test_tokens_are_laid_out_as_the_patches_were() -> None:
    case = build("class_token_vit")
    maps = kv.GradCAM(case.model, layer=case.tokens.layer)(case.inputs, target=case.index)
    expected = gradcam_maps(case, case.index, layer=case.tokens.layer)
    np.testing.assert_allclose(maps, expected, atol=case.tolerance)


def test_each_call_site_of_a_shared_layer_has_its_own_map() -> None:
    case = build("subclassed_repeated")
    maps = [
        kv.GradCAM(case.model, layer=a)(case.inputs, target=case.index) for a in ("conv", "conv@2")
    ]
    expected = [gradcam_maps(case, case.index, layer=a) for a in ("conv", "conv@2")]
    np.testing.assert_allclose(maps[0], expected[0], atol=case.tolerance)
    np.testing.assert_allclose(maps[1], expected[1], atol=case.tolerance)
    assert np.abs(maps[0] - maps[1]).max() > 0.01


def test_one_target_per_sample() -> None:
    case = build("functional")
    index = [0, 1, 2, 3, 0, 1, 2]
    maps = kv.GradCAM(case.model, case.layer)(case.inputs, target=index)
    np.testing.assert_allclose(maps, gradcam_maps(case, index), atol=case.tolerance)


def test_equals_cam_on_a_gap_head_up_to_scale() -> None:
    case = build("gap_functional")
    settings = {"normalize": False, "resolution": "layer", "rectify": False}
    grad_cam = kv.GradCAM(case.model, case.layer, **settings)(case.inputs, target=case.index)
    cam = kv.CAM(case.model, **settings)(case.inputs, target=case.index)
    positions = np.prod(cam.shape[1:])
    np.testing.assert_allclose(grad_cam * positions, cam, rtol=1e-4, atol=1e-6)


def test_signed_maps_keep_the_evidence_against() -> None:
    case = build("functional")
    signed = kv.GradCAM(case.model, case.layer, rectify=False, resolution="layer", normalize=False)
    positive = kv.GradCAM(case.model, case.layer, resolution="layer", normalize=False)
    a, b = (cam(case.inputs, target=case.index) for cam in (signed, positive))
    assert a.min() < 0
    np.testing.assert_allclose(np.maximum(a, 0), b, atol=1e-6)


def test_a_logit_of_thousands_neither_overflows_nor_vanishes() -> None:
    image = keras.Input((8, 8, 1))
    features = keras.layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    head = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.Constant(4000.0))
    model = keras.Model(image, head(pooled))
    model.get_layer("conv").set_weights([np.ones((3, 3, 1, 2)), np.zeros(2)])
    why = kv.GradCAM(model).explain(np.ones((1, 8, 8, 1)))
    assert why.scores[0] > 1000
    assert why.maps.max() == 1
    assert why.diagnosis == ("",)


def test_differentiates_from_the_layer_only() -> None:
    """The traced computation holds no gradient of the convolutions below the layer."""
    case = build("functional")
    cam = kv.GradCAM(case.model, layer="conv_2")
    cam(case.inputs)
    graph = next(iter(cam._compiled._traces.values()))._concrete.graph
    kinds = [op.type for op in graph.get_operations()]
    assert "Conv2D" in kinds
    assert "Conv2DBackpropInput" not in kinds
