"""Inputs that do not fit: one clear error each, before anything is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError
from tests.conftest import build

GOOD = build("functional").inputs


def spoilt(value: float) -> np.ndarray:
    images = GOOD.copy()
    images[3, 1, 1, 0] = value
    return images


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (GOOD[0], r"Add the batch axis: `inputs\[None\]`"),
        (GOOD[..., :1], r"\(batch, 16, 12, 3\).*Received: shape \(7, 16, 12, 1\)"),
        (GOOD.transpose(0, 3, 1, 2), "Received: shape"),
        (GOOD[:0], "at least one sample"),
        (spoilt(np.nan), "1 NaN or infinite values in input 'image', the first in sample 3"),
        (spoilt(np.inf), "NaN or infinite"),
        ("cat.png", "must be arrays of real numbers"),
        ([GOOD[0], GOOD[1][:5]], "all samples of one shape"),
        (GOOD.astype(complex), "must be arrays of real numbers"),
        (None, "must be arrays of real numbers"),
        (tf.sparse.from_dense(GOOD), "SparseTensor"),
        (tf.ragged.constant([[1.0], [2.0, 3.0]]), "RaggedTensor"),
        (tf.constant(np.full(GOOD.shape, "a")), "must be arrays of real numbers"),
        (tf.constant(GOOD.astype(complex)), "must be arrays of real numbers"),
        ({"a": GOOD, "b": GOOD}, "must be one array"),
    ],
)
def test_what_is_refused(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kv.Saliency(build("functional").model)(inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (GOOD, "Received: ndarray"),
        ([GOOD], "Received: 1 arrays"),
        ({"color": GOOD}, "missing: "),
    ],
)
def test_several_inputs_that_are_not_there(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kv.Saliency(build("multi_input").model)(inputs)


def test_inputs_of_different_length() -> None:
    case = build("multi_input")
    with pytest.raises(InputError, match="same number of samples"):
        kv.Saliency(case.model)([case.inputs[0], case.inputs[1][:3]])


@pytest.mark.parametrize(
    "inputs",
    [
        GOOD.astype("float64"),
        tf.constant(GOOD),
        GOOD.tolist(),
        [GOOD],
        {"image": GOOD},
        tf.constant(GOOD, "float64"),
    ],
    ids=["float64", "tensor", "nested list", "list of one", "dict of one", "double tensor"],
)
def test_what_means_the_same(inputs: Any) -> None:
    explainer = kv.Saliency(build("functional").model)
    np.testing.assert_allclose(explainer(inputs), explainer(GOOD), atol=1e-6)
    assert explainer.num_traces == 1


def test_tables_are_taken_as_arrays() -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    table = pd.DataFrame({"a": [1.0, 2], "b": [0, 1], "c": [3, 4]})
    assert kv.Saliency(model)(table).shape == (2, 3)


def test_lists_and_dicts_of_several_inputs_are_the_same() -> None:
    case = build("multi_input")
    explainer = kv.Saliency(case.model)
    by_name = explainer(dict(zip(("color", "depth"), case.inputs, strict=True)))
    for name, maps in explainer(case.inputs).items():
        np.testing.assert_array_equal(maps, by_name[name])


def test_a_subclassed_model_of_tokens_keeps_its_integers() -> None:
    import keras

    class Tokens(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = keras.layers.Embedding(10, 4, name="embedding")
            self.conv = keras.layers.Conv1D(3, 3, padding="same", activation="relu", name="conv")
            self.head = keras.layers.Dense(2, name="head")

        def call(self, inputs: Any) -> Any:
            x = self.conv(tf.gather(self.embedding.embeddings, inputs))
            return self.head(keras.ops.mean(x, axis=1))

    model = Tokens()
    model.embedding.build((None, 6))
    words = np.arange(12).reshape(2, 6) % 10
    model(words)
    assert kv.GradCAM(model, layer="conv", target=1)(words).shape == (2, 6)
