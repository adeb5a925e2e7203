"""A map that is zero, constant or NaN names its cause."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import kerasviz as kv
from kerasviz.errors import KerasvizWarning

IMAGES = np.random.default_rng(0).random((2, 6, 6, 2)).astype("float32")


def model(
    bias: float = 0.0, kernel: float = 0.3, head: float = 1.0, final: object = None
) -> keras.Model:
    image = keras.Input((6, 6, 2), name="image")
    fixed = keras.initializers.Constant
    x = layers.Conv2D(
        3,
        3,
        activation="relu",
        name="conv",
        kernel_initializer=fixed(kernel),
        bias_initializer=fixed(bias),
    )(image)
    x = layers.Dense(2, kernel_initializer=fixed(head))(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x if final is None else final(x))


def diagnosis(explainer: kv.GradCAM, target: object = 0) -> str:
    why = explainer.explain(IMAGES, target=target)
    assert len(set(why.diagnosis)) == 1
    return why.diagnosis[0]


def test_a_good_map_has_none() -> None:
    assert diagnosis(kv.GradCAM(model())) == ""


def test_dead_activations() -> None:
    assert "activations are zero" in diagnosis(kv.GradCAM(model(bias=-100.0)))


def test_all_evidence_against() -> None:
    assert "rectify=False" in diagnosis(kv.GradCAM(model(head=-1.0)))
    assert diagnosis(kv.GradCAM(model(head=-1.0), rectify=False)) == ""


def test_saturated_output_that_hides_its_softmax() -> None:
    def hidden(z: object) -> object:
        z = 1e4 * z * np.array([1.0, -1.0], "float32")
        return keras.ops.exp(z - keras.ops.logsumexp(z, axis=-1, keepdims=True))

    assert "saturated" in diagnosis(kv.GradCAM(model(final=hidden)))


def test_dead_layers_above() -> None:
    def dead(x: object) -> object:
        return layers.Dense(
            2, activation="relu", bias_initializer=keras.initializers.Constant(-1e6)
        )(x)

    assert "does not change" in diagnosis(kv.GradCAM(model(final=dead)))


def test_nan_weights_are_named() -> None:
    spoilt = model()
    spoilt.get_layer("conv").set_weights([np.full((3, 3, 2, 3), np.nan), np.zeros(3)])
    assert "conv/kernel" in diagnosis(kv.GradCAM(spoilt))


def test_overflow_inside() -> None:
    def overflowing(x: object) -> object:
        return keras.ops.exp(x * 1e4) / keras.ops.exp(x * 1e4)

    assert "overflowed" in diagnosis(kv.Saliency(model(final=overflowing)))


def test_a_constant_map() -> None:
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same", kernel_initializer="zeros", bias_initializer="ones")(
        image
    )
    flat = keras.Model(
        image, layers.Dense(2, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x))
    )
    assert "every position counts the same" in diagnosis(kv.GradCAM(flat))


def test_a_direct_call_warns_with_the_cause() -> None:
    with pytest.warns(KerasvizWarning, match="2 of 2 maps.*Sample 0: all zero"):
        kv.GradCAM(model(bias=-100.0))(IMAGES)


def test_predict_warns_once() -> None:
    with pytest.warns(KerasvizWarning, match="2 of 2 maps") as caught:
        kv.GradCAM(model(bias=-100.0)).predict(IMAGES, batch_size=1, verbose=0)
    assert len(caught) == 1


def test_the_explanation_says_what_was_used() -> None:
    why = kv.GradCAM(model()).explain(IMAGES)
    assert (why.layer, why.resolution, why.method) == ("conv", (4, 4), "Grad-CAM")
    assert why.layer_reason == "the last layer with positions"
    assert {"kerasviz", "keras", "tensorflow", "model", "created"} <= set(why.provenance)
    assert why.parameters["order"] == "paper"
    raw = kv.GradCAM(model(), normalize=False)(IMAGES, target=why.targets)
    np.testing.assert_allclose(why.maps * why.peaks[:, None, None], raw, rtol=1e-4)
