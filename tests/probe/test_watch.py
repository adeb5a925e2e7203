"""A change of the model is noticed at the next call; what changes nothing keeps the traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import kerasviz as kv

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(4, 8, 8, 3)).astype("float32")


class Scaled(layers.Layer):
    def __init__(self) -> None:
        super().__init__(name="scaled")
        self.factor = 1.0
        self.shifts = {"each": [1.0, 2.0]}
        self.function = ops.tanh

    def call(self, inputs: Any) -> Any:
        self.latest = inputs
        return self.function(inputs) * self.factor + sum(self.shifts["each"])


def sequential() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            Scaled(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="dense"),
        ]
    )


def add(model: Any) -> None:
    model.add(layers.Dense(2, name="last"))


def replace(model: Any) -> None:
    model.pop()
    model.add(layers.Dense(3, name="last"))


def swap_weights(model: Any) -> None:
    model.set_weights([weight * 1.5 for weight in model.get_weights()])


CHANGES: dict[str, Callable[[Any], None]] = {
    "add": add,
    "replace": replace,
    "activation": lambda m: setattr(m.get_layer("conv"), "activation", keras.activations.tanh),
    "number": lambda m: setattr(m.get_layer("scaled"), "factor", 3.0),
    "nested": lambda m: m.get_layer("scaled").shifts["each"].append(5.0),
    "function": lambda m: setattr(m.get_layer("scaled"), "function", ops.sin),
    "quantize": lambda m: m.get_layer("dense").quantize("int8"),
    "lora": lambda m: lora(m.get_layer("dense")),
    "weights": swap_weights,
}


def lora(layer: Any) -> None:
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(layer.lora_kernel_b + 1.0)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_model_is_explained_as_it_is_now(change: Callable[[Any], None]) -> None:
    model = sequential()
    explainer, taps = kv.Saliency(model), kv.Activations(model)
    before = explainer.explain(IMAGES, target=1).scores
    taps(IMAGES)
    change(model)
    after = explainer.explain(IMAGES, target=1).scores
    assert not np.allclose(after, before)
    np.testing.assert_allclose(after, kv.Saliency(model).explain(IMAGES, target=1).scores)
    assert taps(IMAGES).keys() == kv.Activations(model)(IMAGES).keys()


def test_training_and_use_keep_the_traces() -> None:
    model = sequential()
    traced: list[str] = []

    class Told(kv.Saliency):
        def compute(self, *args: Any) -> Any:
            traced.append("once")
            return super().compute(*args)

    explainer = Told(model)
    explainer(IMAGES)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(2):
        model.fit(IMAGES, np.zeros(4), validation_split=0.5, verbose=0)
        model.predict(IMAGES, verbose=0)
        model.trainable = not model.trainable
        model(IMAGES)
        explainer(IMAGES)
        explainer.predict(IMAGES, batch_size=3, verbose=0)
    assert traced == ["once"]


def test_what_cannot_be_seen_is_refreshed_by_hand() -> None:
    factor = [1.0]

    class Global(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * factor[0]

    image = keras.Input((4,))
    model = keras.Model(image, layers.Dense(2, use_bias=False)(Global()(image)))
    explainer = kv.Saliency(model)
    before = explainer.explain(np.ones((1, 4)), target=1).scores
    factor[0] = 3.0
    explainer.refresh()
    after = explainer.explain(np.ones((1, 4)), target=1).scores
    np.testing.assert_allclose(after, 3.0 * before, rtol=1e-5)
