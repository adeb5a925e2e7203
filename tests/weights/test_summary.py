"""`kv.weights.summarize`: every weight of every kind of model, each number as it is defined."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

import kerasviz as kv
from kerasviz.errors import InputError, KerasvizWarning, MethodError
from tests.conftest import build
from tests.models import KINDS
from tests.reference import weights as reference

layers: Any = keras.layers


def drawn(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with weights of our own."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(generator.normal(0.1, 1.0, weight.shape))
    return model


@pytest.fixture(scope="module")
def mixed() -> keras.Model:
    """Convolutions of all sorts, attention, an embedding and recurrent layers, side by side."""
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(6, 3, groups=2, name="grouped")(image)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.Conv2DTranspose(5, (2, 3), name="transposed")(x)
    x = layers.SeparableConv2D(4, 2, name="separable")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D()(x)
    ids = keras.Input((5,), dtype="int32", name="ids")
    y = layers.Embedding(11, 6, name="words")(ids)
    y = layers.MultiHeadAttention(2, 3, name="attend")(y, y)
    y = layers.Bidirectional(layers.LSTM(3, name="lstm"), name="both")(y)
    z = layers.Dense(2, name="classes")(layers.Concatenate()([x, y]))
    return drawn(keras.Model([image, ids], z, name="mixed"))


def as_matrix(address: str, value: np.ndarray) -> np.ndarray | None:
    """The whole matrix of a weight of `mixed`, zeros written out."""
    layer, role = address.split("/")[0], address.rsplit("/", 1)[1]
    if layer == "grouped" and role == "kernel":
        return reference.dense_convolution(value, 2)
    if (layer == "depthwise" and role == "kernel") or role == "depthwise_kernel":
        return reference.dense_convolution(value, 1, depthwise=True)
    if layer == "transposed" and role == "kernel":
        return np.moveaxis(value, 2, 3).reshape(-1, value.shape[2])
    if layer == "attend" and role == "kernel":
        return value.reshape(6, 6)  # channels × heads·size, or the other way round
    return (
        value.reshape(-1, value.shape[-1]) if role.endswith("kernel") or layer == "words" else None
    )


def test_each_weight_of_a_mixed_model(mixed: keras.Model) -> None:
    table = kv.weights.summarize(mixed)
    assert len(table) == len(mixed.weights)
    assert table.index.is_unique
    total = 0
    from kerasviz.probe.held_weights import held_weights

    for held in held_weights(mixed):
        address, value = held.addresses[0], keras.ops.convert_to_numpy(held.variable)
        row = table.loc[address]
        for key, expected in reference.statistics(value).items():
            assert row[key] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), address
        assert row["shape"] == value.shape
        assert (row["trainable"], row["places"]) == (held.variable.trainable, 1)
        matrix = as_matrix(address, value)
        if matrix is None:
            assert np.isnan(row["spectral_norm"]), address
        else:
            largest = np.linalg.norm(matrix.astype("float64"), 2)
            assert row["spectral_norm"] == pytest.approx(largest, 1e-7), address
            rank = np.linalg.norm(matrix) ** 2 / largest**2
            assert row["stable_rank"] == pytest.approx(rank, 1e-5), address
        total += value.size
    assert table["count"].sum() == total == mixed.count_params()
    assert table.attrs["model"] == "mixed"
    assert "stable_rank" not in kv.weights.summarize(mixed, spectral=False)


def test_every_kind_of_model() -> None:
    for name in KINDS:
        model = build(name).model
        before = [np.array(array) for array in model.get_weights()]
        table = kv.weights.summarize(model)
        assert table["count"].sum() == sum(array.size for array in before), name
        squares = sum(float((array.astype("float64") ** 2).sum()) for array in before)
        assert (table["norm"] ** 2).sum() == pytest.approx(squares, rel=1e-6), name
        assert not set(kv.weights.diagnose(model)["finding"]) & {"not finite"}, name
        changes = kv.weights.compare(model, model)
        assert (changes["wasserstein"] == 0).all(), name
        assert len(kv.weights.distribution(model).table) == table["role"].nunique(), name
        after = model.get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), name


def test_shared_layers_count_once() -> None:
    layer = layers.Dense(3, name="shared")
    inner = keras.Sequential([keras.Input((3,)), layer], name="inner")
    x = keras.Input((3,))
    table = kv.weights.summarize(keras.Model(x, inner(layer(x))))
    assert len(table) == 2
    assert list(table["places"]) == [2, 2]


def test_equal_names_within_a_layer_are_told_apart() -> None:
    class Twins(layers.Layer):
        def build(self, shape: Any) -> None:
            self.a = self.add_weight(shape=(2,), name="w")
            self.b = self.add_weight(shape=(3,), name="w")

        def call(self, x: Any) -> Any:
            return x * keras.ops.sum(self.a) + keras.ops.sum(self.b)

    table = kv.weights.summarize(keras.Sequential([keras.Input((4,)), Twins(name="twins")]))
    assert list(table.index) == ["twins/w", "twins/w~2"]


def test_no_copy_is_made(mixed: keras.Model) -> None:
    from kerasviz.probe.held_weights import held_weights

    for held in held_weights(mixed):
        view = held.view()
        assert not view.flags.writeable
        np.testing.assert_array_equal(view.reshape(-1), held.values())


def test_other_precisions() -> None:
    for dtype in ("float16", "bfloat16", "float64"):
        model = drawn(
            keras.Sequential([keras.Input((30,), dtype=dtype), layers.Dense(9, dtype=dtype)])
        )
        kernel = np.array(keras.ops.convert_to_numpy(model.weights[0]).astype("float64"))
        row = kv.weights.summarize(model).iloc[0]
        assert row["dtype"] == dtype
        assert row["kurtosis"] == pytest.approx(reference.statistics(kernel)["kurtosis"], rel=1e-6)
        assert row["spectral_norm"] == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-6)


def test_lora_is_part_of_the_kernel() -> None:
    layer = layers.Dense(4, name="dense")
    model = keras.Sequential([keras.Input((6,)), layer])
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones((2, 4)))
    table = kv.weights.summarize(model)
    assert list(table.index) == ["dense/kernel", "dense/bias"]
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert table["norm"].iloc[0] == pytest.approx(np.linalg.norm(kernel), rel=1e-6)


def test_weights_that_are_not_finite_are_named() -> None:
    model = drawn(keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")]))
    model.weights[0].assign([[np.nan, 1.0], [np.inf, 2.0], [0.0, 3.0]])
    with pytest.warns(KerasvizWarning, match=r"2 weights .* in 'dense/kernel'"):
        table = kv.weights.summarize(model)
    assert list(table["not_finite"]) == [2, 0]
    assert table["mean"].iloc[0] == 1.5
    assert np.isnan(table["spectral_norm"].iloc[0])


def test_refusals_and_models_without_weights() -> None:
    with pytest.raises(InputError):
        kv.weights.summarize("model")
    with pytest.raises(InputError):
        kv.weights.summarize(keras.Sequential([layers.Dense(2)]))
    empty = keras.Sequential([keras.Input((3,)), layers.ReLU()])
    assert kv.weights.summarize(empty).empty
    assert kv.weights.diagnose(empty).empty
    none = kv.weights.unusual(kv.weights.summarize(empty))
    assert none[none["unusual"]]["sentence"].to_list() == []
    assert kv.weights.compare(empty, []).empty
    quantized = keras.Sequential([keras.Input((8,)), layers.Dense(4)])
    quantized.quantize("int8")
    with pytest.raises(MethodError, match="quantize"):
        kv.weights.summarize(quantized)


def test_one_giant_stands_out_and_a_fresh_model_does_not() -> None:
    def net(seed: int) -> keras.Model:
        glorot = [keras.initializers.GlorotUniform(100 * seed + i) for i in range(10)]
        hidden = [
            layers.Dense(48, kernel_initializer=glorot[i], name=f"dense_{i}") for i in range(10)
        ]
        return keras.Sequential([keras.Input((48,)), *hidden])

    fresh = [kv.weights.unusual(kv.weights.summarize(net(seed))) for seed in range(3)]
    assert sum(int(ranking["unusual"].sum()) for ranking in fresh) <= 2  # of 60
    model = net(4)
    model.layers[6].kernel.assign(5 * model.layers[6].kernel)
    ranking = kv.weights.unusual(kv.weights.summarize(model))
    first = ranking.iloc[0]
    assert ranking.index[0] == "dense_6/kernel"
    assert (first["rank"], first["statistic"], first["peers"]) == (1, "gain", 9)
    assert bool(first["unusual"])
    assert first["value"] - first["usual"] == pytest.approx(np.log2(5), abs=0.1)
    with pytest.raises(InputError, match="summarize"):
        kv.weights.unusual(pd.DataFrame({"a": [1]}))
    as_read = kv.weights.summarize(model)
    as_read["shape"] = as_read["shape"].astype(str)
    with pytest.raises(kv.errors.InputError, match="with shapes as text"):
        kv.weights.unusual(as_read)
