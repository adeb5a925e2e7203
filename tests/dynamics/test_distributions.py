"""Distributions of what layers return, and of weights, against NumPy on whole arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.dynamics.distribution_reader import DistributionReader, WeightReader
from kerasviz.dynamics.distribution_result import Distributions
from kerasviz.dynamics.sampled_reader import SampledReader
from kerasviz.dynamics.tables import weight_distributions
from kerasviz.errors import AddressError, InputError, KerasvizError
from tests.conftest import build
from tests.models import Case
from tests.reference.distributions import dead_units, described, quantile

# One for each way in which a tensor, its axis of units or its call site can differ.
DIFFERENT = (
    "functional",
    "sequential_without_input",
    "subclassed_nested",
    "shared_encoder",
    "multi_input_dict",
    "mixed_float16",
    "mixed_bfloat16",
    "uint8_input",
    "embedding",
    "conv3d",
    "channels_first",
    "class_token_vit",
    "time_distributed",
)
SPLIT = ("functional", "mixed_float16", "sequential_without_input")
IMAGES = np.random.default_rng(0).normal(size=(7, 8, 8, 3)).astype("float32")


def numbers_match(row: Any, values: np.ndarray) -> None:
    """A row of the table says what NumPy says of the whole array."""
    wanted = described(values)
    spread = wanted["std"]
    for name, value in wanted.items():
        limits = {"rtol": 1e-4, "atol": 1e-5 * (1.0 if spread == 0 else min(1.0, spread))}
        if name in ("skewness", "kurtosis"):
            if not spread > 1e-6 * abs(wanted["mean"]):
                continue
            limits["atol"] = 1e-3
        np.testing.assert_allclose(row[name], value, **limits, err_msg=f"{row.name} {name}")
    for q in (0.01, 0.25, 0.5, 0.75, 0.99):
        true = quantile(values, q)
        limit = min(0.0079 * abs(true), (wanted["max"] - wanted["min"]) / 32)
        name = f"q{100 * q:g}"
        assert abs(row[name] - true) <= limit + 1e-5 * abs(true) + 1e-7, (row.name, name)


@pytest.mark.parametrize("case", DIFFERENT, indirect=True)
def test_model_kinds(case: Case) -> None:
    before = [weight.numpy() for weight in case.model.weights]
    size = 3 if case.name in SPLIT else 7
    table = kv.dynamics.distributions(case.model, case.inputs, batch_size=size, verbose=0)
    arrays = kv.activations(case.model, case.inputs, batch_size=size)
    assert list(table.index) == [
        name for name, array in arrays.items() if array.dtype.kind in "fiubV"
    ]
    for address, row in table.iterrows():
        numbers_match(row, np.asarray(arrays[address]).astype("float64"))
    dead = dead_units(arrays[case.layer], case.channel_axis)
    np.testing.assert_allclose(table.loc[case.layer, "dead_units"], dead)
    for weight, value in zip(case.model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def network() -> keras.Model:
    """Bounded activations, dead units, two convolutions."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = keras.layers.Conv2D(6, 3, activation="tanh", name="tanh")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dense(5, "sigmoid", name="sigmoid")(x)
    x = keras.layers.Dense(5, "hard_sigmoid", name="hard")(x)
    x = keras.layers.Dense(3, name="linear")(x)
    model = keras.Model(image, keras.layers.Softmax(name="softmax")(x))
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.normal(size=tuple(weight.shape)) * 1.5)
    model.get_layer("conv").bias.assign([-1e3, 0.0, -1e3, 1.0])
    return model


def test_dead_units_and_saturation_of_layers() -> None:
    model = network()
    table = kv.dynamics.distributions(model, IMAGES, verbose=0)
    arrays = kv.activations(model, IMAGES)
    assert table.loc["conv", "dead_units"] == 0.5
    assert table.loc["linear", "dead_units"] == 0.0
    reach = {"tanh": (-1, 1), "sigmoid": (0, 1), "hard": (0, 1), "softmax": (0, 1)}
    for address, (low, high) in reach.items():
        x = arrays[address].astype("float64")
        beyond = np.abs(x - (high + low) / 2) > 0.99 * (high - low) / 2
        assert table.loc[address, "saturation"] == pytest.approx(beyond.mean())
    assert table.loc["tanh", "saturation"] > 0.1
    assert np.isnan(table.loc[["conv", "linear"], "saturation"]).all()


def test_a_reader_is_compiled_once_and_sees_the_weights_as_they_are() -> None:
    model = network()
    reader = DistributionReader(model, ["conv", "linear"], quantiles=[0.5], num_bins=32)
    first = reader.read(IMAGES, batch_size=4, verbose=0)
    traces = reader.num_traces
    model.get_layer("linear").bias.assign_add([100.0] * 3)
    for batch_size in (4, 3, 7):
        second = reader.read(IMAGES, batch_size=batch_size, verbose=0)
    assert reader.num_traces == traces
    np.testing.assert_allclose(
        second.table.loc["linear", "mean"], first.table.loc["linear", "mean"] + 100, rtol=1e-5
    )
    np.testing.assert_allclose(second.table.loc["conv", "mean"], first.table.loc["conv", "mean"])
    assert list(second.table.columns)[8] == "q50"
    edges, counts = second.histogram("conv")
    assert (edges.shape, counts.shape) == ((33,), (32,))
    assert counts.sum() == second.table.loc["conv", "count"] == 7 * 36 * 4
    with pytest.raises(AddressError, match="linear"):
        second.histogram("tanh")


def test_metrics_of_the_model_are_left_alone() -> None:
    model = network()
    model.compile(loss="mse", metrics=["mae"])
    model.evaluate(IMAGES, np.zeros((7, 3)), verbose=0)
    before = [metric.result() for metric in model.metrics]
    kv.dynamics.distributions(model, IMAGES, verbose=0)
    assert str([metric.result() for metric in model.metrics]) == str(before)


def test_data_sets_and_generators() -> None:
    model = network()
    reader = DistributionReader(model, ["linear"])
    wanted = reader.read(IMAGES, verbose=0).table
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, np.zeros(7))).batch(2)
    for data in (dataset, ((IMAGES[i : i + 2],) for i in range(0, 7, 2))):
        found = reader.read(data, verbose=0).table
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_replicas_give_the_numbers_of_one_device() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = network()
        found = DistributionReader(model).read(IMAGES, batch_size=3, verbose=0)
    single = network()
    wanted = DistributionReader(single).read(IMAGES, batch_size=3, verbose=0)
    np.testing.assert_allclose(found.table, wanted.table, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.counts.sum(axis=1), wanted.counts.sum(axis=1))


@pytest.mark.parametrize(
    "case", ["shared_encoder", "channels_first", "mixed_float16"], indirect=True
)
def test_a_sample_as_large_as_the_whole_gives_the_same(case: Case) -> None:
    wanted = DistributionReader(case.model).read(case.inputs, batch_size=7, verbose=0)
    found = SampledReader(case.model, most_values=10**6).read(case.inputs, batch_size=4)
    pd.testing.assert_frame_equal(found.table, wanted.table, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(found.counts.sum(axis=1), wanted.counts.sum(axis=1))


def test_fewer_values_are_looked_at_and_the_ends_are_those_of_all() -> None:
    model = network()
    wanted = DistributionReader(model).read(IMAGES, batch_size=4, verbose=0).table
    reader = SampledReader(model, most_values=200)
    found = reader.read(IMAGES, batch_size=4).table
    assert found.loc["conv", "count"] == 400 < wanted.loc["conv", "count"]
    assert found.loc["linear", "count"] == wanted.loc["linear", "count"]
    ends = ["min", "max", "not_finite", "dead_units"]
    np.testing.assert_array_equal(found[ends], wanted[ends])
    np.testing.assert_allclose(found.loc["linear"], wanted.loc["linear"], rtol=1e-6)
    difference = np.abs(found["mean"] - wanted["mean"])
    assert (difference <= 4 * wanted["std"] / np.sqrt(found["count"])).all()
    assert difference["conv"] > 0
    model.get_layer("conv").bias.assign([np.nan, 0.0, np.inf, 1.0])
    spoilt = reader.read(IMAGES, batch_size=3).table
    assert spoilt.loc["conv", "not_finite"] == 7 * 36 * 2
    assert spoilt.loc["conv", "dead_units"] == 0.0
    assert reader.num_traces == 1


def test_a_sample_of_weights_keeps_their_ends() -> None:
    model = network()
    model.get_layer("conv").kernel.assign_add(np.eye(108)[77].reshape(3, 3, 3, 4) * 50)
    wanted = WeightReader(model).read().table
    found = WeightReader(model, most_values=40).read().table
    assert found.loc["conv/kernel", "count"] == 40
    np.testing.assert_array_equal(found[["min", "max"]], wanted[["min", "max"]])
    model.get_layer("conv").kernel.assign_add(np.eye(108)[3].reshape(3, 3, 3, 4) * np.nan)
    assert WeightReader(model, most_values=40).read().table.loc["conv/kernel", "not_finite"] > 0


def test_not_finite_activations_are_counted() -> None:
    model = network()
    model.get_layer("linear").bias.assign([np.nan, 0.0, np.inf])
    table = kv.dynamics.distributions(model, IMAGES, ["hard", "linear"], verbose=0)
    assert table.loc["linear", "not_finite"] == 14
    assert table.loc["linear", "count"] == 7
    assert table.loc["hard", "not_finite"] == 0


def test_weights() -> None:
    model = build("residual").model
    table = weight_distributions(model, quantiles=(0.01, 0.25, 0.5, 0.75, 0.99))
    assert len(table) == len(model.weights)
    for address, weight in zip(table.index, model.weights, strict=True):
        assert str(address).endswith(weight.name)
    for layer, variable in (("conv_1", "kernel"), ("norm_1", "gamma")):
        values = getattr(model.get_layer(layer), variable).numpy()
        numbers_match(table.loc[f"{layer}/{variable}"], values)
    reader = WeightReader(model)
    assert reader.read().counts.sum() == sum(w.numpy().size for w in model.weights)


def test_saved_and_loaded(tmp_path: Path) -> None:
    found = WeightReader(network()).read()
    again = Distributions.load(found.save(tmp_path / "weights.npz"))
    assert again.table.equals(found.table)
    assert again.provenance == found.provenance
    np.testing.assert_array_equal(again.edges, found.edges)
    np.testing.assert_array_equal(again.counts, found.counts)
    assert again.table.index.name == found.table.index.name == "address"
    broken = tmp_path / "weights.npz"
    broken.write_bytes(broken.read_bytes()[:90])
    with pytest.raises(InputError, match=r"`path` must be a file that `Distributions.save` wrote"):
        Distributions.load(broken)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: kv.dynamics.distributions(m, IMAGES, ["conv_9"], verbose=0),
        lambda m: kv.dynamics.distributions(m, IMAGES, [], verbose=0),
        lambda m: kv.dynamics.distributions(m, IMAGES[..., :2], verbose=0),
        lambda m: kv.dynamics.distributions(m, IMAGES[:0], verbose=0),
        lambda m: kv.dynamics.distributions(m, iter([]), verbose=0),
        lambda m: kv.dynamics.distributions(m, IMAGES, quantiles=[2], verbose=0),
        lambda m: kv.dynamics.distributions("model", IMAGES, verbose=0),
        lambda m: DistributionReader(m, num_bins=100),
        lambda m: weight_distributions(keras.Sequential([keras.layers.ReLU()])),
    ],
)
def test_bad_input_gets_one_clear_error(call: Any) -> None:
    with pytest.raises(KerasvizError, match=r"Received: ") as caught:
        call(network())
    assert isinstance(caught.value, (AddressError, InputError))
