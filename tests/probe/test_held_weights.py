"""Every weight of every model once, with the values that the model computes with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from kerasviz.errors import MethodError
from kerasviz.probe.held_weights import held_weights
from tests.conftest import build
from tests.models import KINDS, Case

layers: Any = keras.layers


@pytest.mark.parametrize("case", sorted(KINDS), indirect=True)
def test_every_weight_is_held_once(case: Case) -> None:
    held = held_weights(case.model)
    expected = {id(weight): weight for weight in case.model.weights}
    assert len(held) == len(expected)
    assert {id(one.variable) for one in held} == set(expected)
    for one in held:
        values = keras.ops.convert_to_numpy(one.variable).astype("float64").ravel()
        np.testing.assert_array_equal(one.values(), values)
        assert one.values().dtype == one.value_dtype
        assert one.size == values.size
        assert case.model in one.holders
        assert one.layer in one.holders


def test_a_shared_encoder_has_an_address_for_each_place() -> None:
    inner = keras.Input((4,))
    encoder = keras.Model(inner, layers.Dense(3, name="dense")(inner), name="encoder")
    first, second = (
        keras.Sequential([keras.Input((4,)), encoder], name=name) for name in ("one", "two")
    )
    x = keras.Input((4,))
    model = keras.Model(x, layers.Add(name="add")([first(x), second(x)]))
    held = held_weights(model)
    assert [one.addresses for one in held] == [
        ("one/encoder/dense/kernel", "two/encoder/dense/kernel"),
        ("one/encoder/dense/bias", "two/encoder/dense/bias"),
    ]


def test_a_weight_of_the_model_itself() -> None:
    class Scaled(keras.Model):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(), name="scale", initializer="ones")

        def call(self, x: Any) -> Any:
            return x * self.scale

    model = Scaled()
    model(np.ones((1, 2)))
    assert [one.addresses for one in held_weights(model)] == [("scale",)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_values_of_other_precision(dtype: str) -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, dtype=dtype)])
    model.layers[0].kernel.assign(np.full((3, 2), 0.1))
    values = held_weights(model)[0].values()
    assert values.dtype == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_allclose(values, 0.1, rtol=1e-2)
    exact = keras.ops.cast(model.layers[0].kernel, "float64")
    np.testing.assert_array_equal(values, np.ravel(exact))


def test_low_rank_factors_are_part_of_the_kernel() -> None:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4)])
    dense = model.layers[0]
    dense.enable_lora(2)
    a, b = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    dense.lora_kernel_a.assign(a[:, :2])
    dense.lora_kernel_b.assign(b[:2])
    held = held_weights(model)
    assert sorted(one.role for one in held) == ["bias", "kernel"]
    kernel = next(one for one in held if one.role == "kernel")
    x = np.eye(5, dtype="float32")
    effective = model.predict(x, verbose=0)
    np.testing.assert_allclose(kernel.values(), effective.ravel(), rtol=1e-5)


def test_quantized_weights_are_refused() -> None:
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, name="gate")])
    model.quantize("int8")
    kernel = next(one for one in held_weights(model) if one.role == "kernel")
    with pytest.raises(MethodError, match="'gate/kernel', quantized to int8"):
        kernel.values()


def test_repeated_layers_count_once() -> None:
    model = build("shared_layer").model
    addresses = [name for one in held_weights(model) for name in one.addresses]
    assert len(addresses) == len(set(addresses))
    assert sum(one.size for one in held_weights(model)) == model.count_params()
