"""Absorption and emission against a loop over channels, and what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import kerasviz as kv
from kerasviz.dynamics import ChannelGradients, channel_gradients
from kerasviz.dynamics.channel_reading import ChannelGradientReader
from kerasviz.errors import AddressError, InputError, KerasvizWarning, MethodError, TargetError
from tests.models import KINDS
from tests.reference.channel_gradients import confident, parts

L = layers
BRANCHES: dict[int, dict[str, Callable[[], Any]]] = {
    1: {
        "same": lambda: L.Conv1D(3, 4, padding="same", strides=2),
        "causal": lambda: L.Conv1D(3, 3, padding="causal"),
        "causal_dilated": lambda: L.Conv1D(3, 3, padding="causal", dilation_rate=2),
        "dilated": lambda: L.Conv1D(2, 3, padding="same", dilation_rate=3),
        "grouped": lambda: L.Conv1D(4, 3, groups=2),
        "depthwise": lambda: L.DepthwiseConv1D(3, strides=2, depth_multiplier=2, padding="same"),
        "depthwise_dilated": lambda: L.DepthwiseConv1D(3, dilation_rate=2, padding="same"),
        "transposed": lambda: L.Conv1DTranspose(3, 4, strides=2, padding="same"),
    },
    2: {
        "same": lambda: L.Conv2D(3, 3, padding="same"),
        "even_same": lambda: L.Conv2D(3, (2, 4), padding="same"),
        "strided": lambda: L.Conv2D(3, 3, strides=2, padding="same"),
        "strided_valid": lambda: L.Conv2D(3, (3, 2), strides=(3, 2)),
        "many_inputs": lambda: L.Conv2D(5, (1, 3), strides=2, padding="same"),
        "pointwise": lambda: L.Conv2D(5, 1),
        "pointwise_strided": lambda: L.Conv2D(5, 1, strides=2),
        "dilated": lambda: L.Conv2D(3, 3, padding="same", dilation_rate=(2, 3)),
        "dilated_valid": lambda: L.Conv2D(3, (3, 2), dilation_rate=(2, 1)),
        "grouped": lambda: L.Conv2D(6, (1, 2), padding="same", groups=2),
        "depthwise": lambda: L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
        "depthwise_dilated": lambda: L.DepthwiseConv2D(3, padding="same", dilation_rate=2),
        "transposed": lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same"),
        "transposed_dilated": lambda: L.Conv2DTranspose(3, 3, dilation_rate=2, padding="same"),
        "transposed_valid": lambda: L.Conv2DTranspose(5, (3, 1), strides=2, output_padding=1),
    },
    3: {
        "same": lambda: L.Conv3D(3, 2, padding="same"),
        "strided": lambda: L.Conv3D(3, (1, 2, 3), strides=2, padding="same"),
        "dilated": lambda: L.Conv3D(2, 2, dilation_rate=2, padding="same"),
        "grouped": lambda: L.Conv3D(4, 2, groups=2, padding="same"),
        "transposed": lambda: L.Conv3DTranspose(2, 2, strides=2, padding="same"),
    },
}
SIZES = {1: (11, 4), 2: (9, 8, 4), 3: (5, 4, 6, 2)}
NAMES = [(rank, name) for rank, branches in BRANCHES.items() for name in branches]
DEFINITIONS = ("paper", "code")


def branched(rank: int, sized: bool = True) -> keras.Model:
    """All kinds of convolution of a rank side by side, each before a tanh, joined to logits."""
    shape = SIZES[rank] if sized else (*(None,) * rank, SIZES[rank][-1])
    inputs = keras.Input(shape)
    pool = getattr(layers, f"GlobalAveragePooling{rank}D")
    found = []
    for name, make in BRANCHES[rank].items():
        config = make()
        config.name = name
        x = layers.Activation("tanh")(config(inputs))
        x = layers.Multiply()([x, x])
        found.append(pool()(x))
    logits = layers.Dense(3, name="logits")(layers.Concatenate()(found))
    model = keras.Model(inputs, logits)
    generator = np.random.default_rng(rank)
    model.set_weights([generator.normal(0, 0.4, w.shape) for w in model.get_weights()])
    return model


def data(rank: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(count, *SIZES[rank])).astype("float32")


class Lazily(dict[Any, Any]):
    """Makes what is asked for when it is asked for, once."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        self[key] = self._make(key)
        return self[key]


@pytest.fixture(scope="module")
def models() -> Lazily:
    return Lazily(branched)


@pytest.fixture(scope="module")
def measured(models: Lazily) -> Lazily:
    return Lazily(
        lambda key: ChannelGradients.measure(
            models[key[0]], data(key[0]), key[1], batch_size=2, verbose=0
        )
    )


@pytest.fixture(scope="module")
def looped(models: Lazily) -> Lazily:
    return Lazily(lambda key: parts(models[key[0]], key[1], data(key[0]), confident))


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(("rank", "name"), NAMES, ids=[f"{r}d_{n}" for r, n in NAMES])
def test_as_a_loop_over_channels(
    rank: int, name: str, definition: str, measured: Any, looped: Any
) -> None:
    found, expected = measured[rank, definition], getattr(looped[rank, name], definition)()
    for values, wanted in zip((found.absorption, found.emission), expected, strict=True):
        assert values[name].shape == wanted.shape
        assert wanted.max() > 0
        np.testing.assert_allclose(values[name], wanted, rtol=3e-4, atol=1e-6 * wanted.max())


def test_parts_add_up_to_the_gradient(looped: Any) -> None:
    for key in NAMES:
        one = looped[key]
        np.testing.assert_allclose(one.parts.sum(axis=0), one.total, atol=1e-6)


def test_absorption_and_emission_of_the_paper_have_one_sum(measured: Any) -> None:
    for rank in BRANCHES:
        found = measured[rank, "paper"]
        for name in found.absorption:
            sums = found.absorption[name].sum(axis=1), found.emission[name].sum(axis=1)
            np.testing.assert_allclose(*sums, rtol=1e-5)


def test_of_a_pointwise_convolution_the_code_multiplies(models: Any, measured: Any) -> None:
    found, kernel = measured[2, "code"], models[2].get_layer("pointwise").kernel.numpy()
    factors = np.linalg.norm(kernel.reshape(-1, 5), axis=0)
    expected = found.absorption["pointwise"] * factors
    np.testing.assert_allclose(found.emission["pointwise"], expected, rtol=1e-5)


def test_sizes_known_only_at_run_time(models: Any, measured: Any) -> None:
    model = branched(2, sized=False)
    model.set_weights(models[2].get_weights())
    found = ChannelGradients.measure(model, data(2), verbose=0)
    for name, values in measured[2, "paper"].emission.items():
        np.testing.assert_allclose(found.emission[name], values, rtol=1e-4, atol=1e-7)


def test_a_few_channels_at_a_time(
    models: Any, measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kerasviz.probe.backend.channel_flow.BUDGET", 30_000)
    found = ChannelGradients.measure(models[2], data(2), verbose=0)
    for name, values in measured[2, "paper"].absorption.items():
        np.testing.assert_allclose(found.absorption[name], values, rtol=1e-5)


def test_table_holds_the_statistics_of_the_samples(measured: Any) -> None:
    found = measured[2, "paper"]
    table = found.table.set_index(["layer", "channel"])
    samples = found.emission["many_inputs"].astype("float64")
    row = table.xs("many_inputs")
    assert list(found.table.columns[:4]) == ["layer", "channel", "absorption", "emission"]
    expected = {
        "emission": samples.mean(axis=0),
        "emission_std": samples.std(axis=0),
        "emission_min": samples.min(axis=0),
        "emission_max": samples.max(axis=0),
        "emission_median": np.median(samples, axis=0),
        "emission_q25": np.quantile(samples, 0.25, axis=0),
        "emission_q75": np.quantile(samples, 0.75, axis=0),
    }
    for column, values in expected.items():
        np.testing.assert_allclose(row[column].to_numpy(), values, rtol=1e-5, atol=1e-8)
    assert row["absorption"].isna().tolist() == [False] * 4 + [True]
    assert found.count == 3


def norm_network() -> keras.Model:
    inputs = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3, name="conv_1")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="dropout")(layers.ReLU()(x))
    x = layers.Conv2D(3, 1, name="conv_2")(x)
    x = layers.Activation("tanh")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    generator = np.random.default_rng(3)
    values = [generator.uniform(0.2, 1.0, w.shape) for w in model.get_weights()]
    model.set_weights([v - 0.5 if v.ndim > 1 else v for v in values])
    return model


def test_batch_statistics_are_those_of_each_sample_alone() -> None:
    model, images = norm_network(), np.random.default_rng(1).normal(size=(4, 6, 5, 3))
    images = images.astype("float32")
    before = [w.copy() for w in model.get_weights()]
    found = ChannelGradients.measure(
        model, images, batch_statistics=True, batch_size=3, verbose=0, loss=lambda z: z[:, 1]
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.get_layer("dropout").rate = 0.0
    for n in range(4):
        one = parts(model, "conv_1", images[n : n + 1], lambda z: z[:, 1], training=True)
        np.testing.assert_allclose(found.absorption["conv_1"][n], one.paper()[0][0], rtol=1e-3)
    inference = ChannelGradients.measure(model, images, verbose=0, loss=lambda z: z[:, 1])
    assert not np.allclose(inference.absorption["conv_1"], found.absorption["conv_1"], rtol=0.05)


def test_frozen_normalization_cannot_use_batch_statistics() -> None:
    model = norm_network()
    model.get_layer("norm").trainable = False
    with pytest.raises(MethodError, match="'norm', which is frozen"):
        channel_gradients(model, np.zeros((1, 6, 5, 3)), batch_statistics=True, verbose=0)


@pytest.mark.filterwarnings("error::kerasviz.errors.KerasvizWarning")
def test_a_map_of_one_position_has_no_gradient_by_its_own_statistics() -> None:
    image = keras.Input((4, 4, 2))
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 4, name="conv")(image))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype("float32")
    assert channel_gradients(model, images, loss=1, verbose=0)["emission"].min() > 0
    with pytest.warns(KerasvizWarning, match="zero in all of them. By its own statistics"):
        table = channel_gradients(model, images, loss=1, batch_statistics=True, verbose=0)
    assert (table[["absorption_max", "emission_max"]].fillna(0) == 0).all(axis=None)
    with pytest.warns(KerasvizWarning, match="Look for a loss that is constant"):
        channel_gradients(model, images, loss=lambda z: 0 * z[:, 0], verbose=0)


LOSSES: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "class": (2, lambda z, y: z[:, 2]),
    "labels": (
        None,
        lambda z, y: tf.gather(tf.stop_gradient(tf.nn.softmax(z)) * z, y, batch_dims=1),
    ),
    "keras": (
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda z, y: tf.nn.sparse_softmax_cross_entropy_with_logits(y, z),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("form", ["tuple", "dataset"])
def test_losses(name: str, form: str, models: Any) -> None:
    loss, score = LOSSES[name]
    images, labels = data(2, 5), np.array([2, 0, 1, 1, 0])
    given = (images, labels)
    if form == "dataset":
        given = tf.data.Dataset.from_tensor_slices(given).batch(2)
    found = ChannelGradients.measure(
        models[2], given, layers=["same"], loss=loss, batch_size=2, verbose=0
    )
    expected = parts(models[2], "same", images, lambda z: score(z, labels)).paper()
    np.testing.assert_allclose(found.absorption["same"], expected[0], rtol=1e-3)
    assert list(found.emission) == ["same"]


PROBABILITIES = {"softmax": (3, tf.nn.softmax), "sigmoid": (3, tf.sigmoid)}


@pytest.mark.parametrize("final", PROBABILITIES)
def test_probability_is_what_the_model_says(final: str) -> None:
    units, squash = PROBABILITIES[final]
    image = keras.Input((5, 5, 2))
    x = layers.Flatten()(layers.Conv2D(3, 3, name="conv")(image))
    logits = layers.Dense(units, name="logits")(x)
    model = keras.Model(image, layers.Activation(final)(logits))
    images = np.random.default_rng(0).normal(size=(4, 5, 5, 2)).astype("float32")
    found = ChannelGradients.measure(model, (images, np.arange(4) % units), verbose=0)
    plain = keras.Model(image, logits)

    def score(z: Any) -> Any:
        return tf.gather(tf.stop_gradient(squash(z)) * z, np.arange(4) % units, batch_dims=1)

    expected = parts(plain, "conv", images, score).paper()
    np.testing.assert_allclose(found.emission["conv"], expected[1], rtol=1e-3)


def test_separable_convolution_in_two_stages() -> None:
    image = keras.Input((7, 6, 3))
    one = layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", name="separable")
    two = [
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False, name="a"),
        layers.Conv2D(4, 1, name="b"),
    ]
    head = [layers.Activation("tanh"), layers.Flatten(), layers.Dense(3)]
    whole, split = keras.Sequential([image, one, *head]), keras.Sequential([image, *two, *head])
    split.set_weights(whole.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype("float32")
    found = ChannelGradients.measure(whole, images, layers="separable", verbose=0)
    expected = ChannelGradients.measure(split, images, verbose=0)
    for stage, name in {"separable:depthwise": "a", "separable:pointwise": "b"}.items():
        np.testing.assert_allclose(found.emission[stage], expected.emission[name], rtol=1e-5)
        np.testing.assert_allclose(found.absorption[stage], expected.absorption[name], rtol=1e-5)


@pytest.mark.parametrize(
    "kind", ["shared_layer", "functional_in_functional", "subclassed", "mixed_float16"]
)
def test_kinds_of_model(kind: str) -> None:
    case = KINDS[kind]()
    before = [w.copy() for w in case.model.get_weights()]
    found = ChannelGradients.measure(case.model, case.inputs, loss=case.target, verbose=0)
    assert case.layer in found.absorption or any(case.layer in name for name in found.absorption)
    totals = found.table.groupby("layer")[["absorption", "emission"]].sum()
    np.testing.assert_allclose(totals["absorption"], totals["emission"], rtol=1e-5)
    assert (totals > 0).all(axis=None)
    for old, new in zip(before, case.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_nothing_is_traced_anew(models: Any) -> None:
    reader = ChannelGradientReader(models[2], layers=["same", "pointwise"])
    first = reader.read(data(2, 5), batch_size=2, verbose=0)
    traces = reader.num_traces
    second = reader.read(data(2, 5), batch_size=3, verbose=0)
    assert reader.num_traces == traces == 1
    np.testing.assert_allclose(
        first.table.select_dtypes("number"), second.table.select_dtypes("number"), rtol=1e-4
    )


def test_kept_samples_are_a_seeded_choice(models: Any) -> None:
    reader = ChannelGradientReader(models[1], layers=["same"])
    images = data(1, 12)
    every = reader.read(images, verbose=0)
    few = reader.read(images, verbose=0, num_kept=4, seed=1)
    again = reader.read(images, verbose=0, num_kept=4, seed=1)
    assert few.absorption["same"].shape == (4, 4)
    np.testing.assert_array_equal(few.absorption["same"], again.absorption["same"])
    known = {row.tobytes() for row in every.absorption["same"].round(4)}
    assert {row.tobytes() for row in few.absorption["same"].round(4)} <= known
    pd.testing.assert_series_equal(few.table["absorption"], every.table["absorption"])


REFUSALS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "definition": ({"definition": "both"}, InputError, "`definition` must be"),
    "unknown_layer": ({"layers": ["sme"]}, AddressError, "Closest: 'same'"),
    "not_a_convolution": ({"layers": ["logits"]}, MethodError, "does not convolve"),
    "no_layers": ({"layers": []}, InputError, "at least one layer"),
    "class_too_large": ({"loss": 7}, TargetError, "from 0 to 2"),
    "batch_size": ({"batch_size": 0}, InputError, "`batch_size`"),
    "loss_without_labels": (
        {"loss": keras.losses.MeanSquaredError()},
        TargetError,
        "needs labels",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str, models: Any) -> None:
    settings, error, message = REFUSALS[name]
    with pytest.raises(error, match=message):
        channel_gradients(models[1], data(1), verbose=0, **settings)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (data(1) * np.nan, "must be finite"),
        (data(1)[:0], "at least one sample"),
        ((data(1), np.zeros(2)), "one per sample"),
        ((data(1), np.zeros(3), np.zeros(3)), "tuple of 3"),
    ],
    ids=["nan", "empty", "labels", "triple"],
)
def test_refused_data(dataset: Any, message: str, models: Any) -> None:
    with pytest.raises(InputError, match=message):
        channel_gradients(models[1], dataset, verbose=0)


def test_nan_in_a_weight(models: Any) -> None:
    model = branched(1)
    model.get_layer("same").kernel.assign(np.full((4, 4, 3), np.nan))
    with pytest.raises(MethodError, match="Expected finite gradients at"):
        channel_gradients(model, data(1), verbose=0)


def test_models_without_a_convolution_that_can_be_seen() -> None:
    dense = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(MethodError, match="one without a convolution"):
        channel_gradients(dense, np.zeros((1, 4)), verbose=0)
    case = KINDS["time_distributed"]()
    with pytest.raises(MethodError, match="but in loops: steps_1"):
        channel_gradients(case.model, case.inputs, verbose=0)
    with pytest.raises(MethodError, match="outside of loops"):
        channel_gradients(case.model, case.inputs, layers=["steps_1"], verbose=0)


def test_layers_off_the_way_to_the_loss() -> None:
    image = keras.Input((5, 5, 2))
    flat = [layers.Flatten()(layers.Conv2D(2, 3, name=name)(image)) for name in ("used", "unused")]
    model = keras.Model(
        image, [layers.Dense(2, name="a")(flat[0]), layers.Dense(2, name="b")(flat[1])]
    )
    images = np.ones((2, 5, 5, 2), "float32")
    found = ChannelGradients.measure(model, images, loss={"a": 1}, verbose=0)
    assert (list(found.emission), found.beyond) == (["used"], ("unused",))
    with pytest.raises(MethodError, match="'unused'"):
        channel_gradients(model, images, layers=["unused"], loss={"a": 1}, verbose=0)


def test_function_is_the_table_of_the_measurement(models: Any, measured: Any) -> None:
    table = kv.dynamics.channel_gradients(models[1], data(1), verbose=0)
    pd.testing.assert_frame_equal(table, measured[1, "paper"].table, rtol=1e-4)
