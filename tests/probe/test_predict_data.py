"""What `predict` is given: one clear error for what holds no batch, none for what does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


def linear() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


class Sequence(keras.utils.PyDataset):
    """A data set of a given number of batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> Any:
        return ROWS[index : index + 1]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("abc", "must be arrays of real numbers.*Received: str"),
        (b"abc", "must be arrays of real numbers"),
        (None, "must be arrays of real numbers.*Received: NoneType"),
        (Path("image.png"), "must be arrays of real numbers"),
        (3.0, "Received: shape"),
        (ROWS[:0], "at least one sample"),
        (ROWS[0], "Add the batch axis"),
        (ROWS[:, :2], r"\(batch, 3\).*Received: shape \(5, 2\)"),
        (ROWS.astype(complex), "real numbers"),
        ([ROWS[0], ROWS[1, :2]], "all samples of one shape"),
        ([[[1, 2], [3]]], "all samples of one shape"),
        ({"a": ROWS, "b": ROWS}, "must be one array"),
        (tf.data.Dataset.from_tensor_slices(ROWS).batch(2).take(0), "which yielded none"),
        (Sequence(0), "at least one batch"),
        ((row for row in ()), "at least one batch"),
        (object(), "Received: object, on which Keras raised"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_what_cannot_be_predicted(data: Any, message: str) -> None:
    model = linear()
    for wrapper in (kv.Saliency(model), kv.Activations(model)):
        with pytest.raises(InputError, match=message):
            wrapper.predict(data, verbose=0)


@pytest.mark.parametrize(
    "data",
    [
        ROWS.astype("float64"),
        ROWS.tolist(),
        [ROWS],
        tf.constant(ROWS),
        tf.data.Dataset.from_tensor_slices(ROWS).batch(2),
        Sequence(5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_means_the_same_is_predicted_the_same(data: Any) -> None:
    explainer = kv.Saliency(linear(), target=1)
    found = explainer.predict(data, batch_size=None if hasattr(data, "batch") else 2, verbose=0)
    np.testing.assert_allclose(found, explainer(ROWS), atol=1e-6)


def test_an_error_of_the_data_itself_is_its_own() -> None:
    def batches() -> Any:
        yield ROWS[:2]
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        kv.Saliency(linear()).predict(batches(), verbose=0)
