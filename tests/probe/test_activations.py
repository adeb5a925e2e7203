"""Taps: what layers return, and what happens when it is edited."""

from __future__ import annotations

import threading
from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError
from tests.conftest import build
from tests.models import KINDS, Case
from tests.reference.intercept import activation_and_gradient
from tests.reference.scores import unit_score

CALLED = [n for n in KINDS if n not in ("uint8_input", "embedding")]


@pytest.mark.parametrize("case", CALLED, indirect=True)
def test_equals_what_the_layer_returned(case: Case) -> None:
    found = kv.activations(case.model, case.inputs, [case.layer], batch_size=3)[case.layer]
    expected, _ = activation_and_gradient(
        case.model, case.inputs, case.layer, lambda outputs: unit_score(case, outputs, case.index)
    )
    limits = {"atol": 1e-4, "rtol": 1e-4} if case.tolerance < 1e-3 else {"atol": 0.1}
    np.testing.assert_allclose(found.astype("float32"), expected.astype("float32"), **limits)


def test_all_layers_at_once() -> None:
    case = build("functional")
    found = kv.activations(case.model, case.inputs)
    np.testing.assert_allclose(
        found["head"], case.model.predict(case.inputs, verbose=0), rtol=1e-4, atol=1e-6
    )


def test_an_edit_is_what_the_rest_of_the_model_sees() -> None:
    case = build("functional")
    edits = {"conv_1": lambda x: x * 0}
    found = kv.Activations(case.model, ["conv_1", "head"], edits=edits)(case.inputs)
    assert not found["conv_1"].any()
    plain = kv.activations(case.model, case.inputs, ["head"])["head"]
    assert np.abs(found["head"] - plain).max() > 1e-3
    np.testing.assert_array_equal(found["head"], np.broadcast_to(found["head"][0], (7, 4)))


def test_an_edit_of_a_layer_that_is_not_called_is_refused() -> None:
    case = build("functional")
    with pytest.raises(AddressError, match="conv_9"):
        kv.Activations(case.model, ["head"], edits={"conv_9": lambda x: x})(case.inputs)
    with pytest.raises(AddressError, match="conv_9"):
        kv.activations(case.model, case.inputs, ["conv_9"])


def test_a_layer_that_hands_its_input_on_has_a_gradient_of_its_own() -> None:
    """Dropout returns its input: the way around it must not be counted."""
    image = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(2, 1, name="conv", kernel_initializer="ones")(image)
    kept = keras.layers.Dropout(0.5, name="kept")(x)
    total = keras.layers.Add()([kept, x, x])
    model = keras.Model(
        image, keras.layers.Dense(1, kernel_initializer="ones")(keras.layers.Flatten()(total))
    )
    cams = [
        kv.Saliency(model, layer=a, reduction=None, normalize=False)(np.ones((1, 4, 4, 2)))
        for a in ("kept", "conv")
    ]
    np.testing.assert_allclose(cams[0], 1)
    np.testing.assert_allclose(cams[1], 3)


def test_threads_do_not_hear_each_other() -> None:
    cases = [build("functional"), build("subclassed_nested")]
    expected = [kv.activations(c.model, c.inputs, [c.layer])[c.layer] for c in cases]
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        case = cases[number % 2]
        found[number] = kv.activations(case.model, case.inputs, [case.layer])[case.layer]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, array in found.items():
        np.testing.assert_allclose(array, expected[number % 2], rtol=1e-5)
    assert len(found) == 4


def test_a_layer_that_hands_its_input_on_keeps_the_mask() -> None:
    class Masked(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = keras.layers.Embedding(9, 4, mask_zero=True, name="embedding")
            self.dropout = keras.layers.Dropout(0.5)
            self.lstm = keras.layers.LSTM(3)
            self.head = keras.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.head(self.lstm(self.dropout(self.embedding(inputs))))

    model, words = Masked(), np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]])
    expected = np.asarray(model(words))[:, 1]
    why = kv.Saliency(model, layer="embedding").explain(words, target=1)
    np.testing.assert_allclose(why.scores, expected, atol=1e-6)
    assert not why.maps[words == 0].any()
