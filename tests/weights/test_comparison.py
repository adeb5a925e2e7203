"""`kv.weights.compare`, `by_depth` and `distribution`: numbers by definition."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.weights import comparison
from tests.reference import weights as reference

layers: Any = keras.layers


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Two branches of different depth, an LSTM beside them, and weights of our own."""
    x = keras.Input((6, 4), name="x")
    short = layers.Dense(5, name="short")(x)
    long = layers.Dense(5, name="long_1")(x)
    long = layers.Dense(5, name="long_2")(layers.ReLU()(long))
    y = layers.Dense(3, name="after")(layers.Add()([short, long]))
    y = layers.LSTM(2, name="lstm")(y)
    net = keras.Model(x, layers.Dense(2, name="head")(y), name="net")
    generator = np.random.default_rng(0)
    for weight in net.weights:
        weight.assign(generator.normal(0.2, 1, weight.shape))
    return net


def arrays(model: keras.Model, seed: int = 1) -> list[np.ndarray]:
    """Other weights of the same shapes: each moved by another amount."""
    generator = np.random.default_rng(seed)
    return [
        array + 0.1 * (place + 1) * generator.normal(0.5, 1, array.shape)
        for place, array in enumerate(model.get_weights())
    ]


def test_comparison_by_definition(model: keras.Model) -> None:
    after = arrays(model)
    table = kv.weights.compare(model, after)
    for variable, one in zip(model.weights, after, strict=True):
        row = table.loc[variable.path]
        x = keras.ops.convert_to_numpy(variable).astype("float64")
        assert row["shift"] == pytest.approx(one.mean() - x.mean(), abs=1e-12)
        assert row["std"] == pytest.approx(x.std())
        change = np.linalg.norm(one - x) / np.linalg.norm(x)
        assert row["relative_change"] == pytest.approx(change)
        assert row["wasserstein"] == pytest.approx(reference.wasserstein(x, one))
        cosine = np.vdot(x, one) / np.linalg.norm(x) / np.linalg.norm(one)
        assert row["cosine"] == pytest.approx(cosine)
    assert table["relative_change"].is_monotonic_decreasing
    assert table.attrs["other"] == "arrays"


def test_models_are_paired_by_address_else_by_order(model: keras.Model) -> None:
    other = keras.models.clone_model(model)
    other.set_weights(arrays(model))
    expected = kv.weights.compare(model, arrays(model))
    found = kv.weights.compare(model, other)
    np.testing.assert_allclose(found["relative_change"], expected["relative_change"], rtol=1e-5)
    first = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, name="a"), layers.Dense(2, name="b")]
    )
    renamed = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(2)])
    renamed.set_weights([2 * array for array in first.get_weights()])
    table = kv.weights.compare(first, renamed)
    np.testing.assert_allclose(
        table.loc[["a/kernel", "b/kernel"], "relative_change"], 1.0, rtol=1e-6
    )
    assert table.loc["a/bias"].isna()["relative_change"]
    assert list(table.index[-2:]) == ["a/bias", "b/bias"]


def test_permuted_weights_are_distributed_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    net = keras.Sequential([keras.Input((60,)), layers.Dense(50, use_bias=False, name="dense")])
    kernel = net.get_weights()[0]
    turned = kv.weights.compare(net, [kernel[::-1].copy()]).iloc[0]
    assert turned["wasserstein"] == 0
    assert turned["relative_change"] > 1
    shifted = [kernel * 1.5 + 0.3]
    exact = kv.weights.compare(net, shifted)["wasserstein"].iloc[0]
    monkeypatch.setattr(comparison, "EXACT", 10)
    from_bins = kv.weights.compare(net, shifted)["wasserstein"].iloc[0]
    assert from_bins == pytest.approx(exact, rel=1e-4)
    flipped = kv.weights.compare(net, [-kernel]).iloc[0]
    assert flipped["cosine"] == pytest.approx(-1)


def test_what_is_not_finite_is_left_out_of_pairs(model: keras.Model) -> None:
    after = arrays(model)
    after[0][0, :2] = [np.nan, np.inf]
    row = kv.weights.compare(model, after).loc[model.weights[0].path]
    x = keras.ops.convert_to_numpy(model.weights[0]).astype("float64")
    used = np.isfinite(after[0])
    assert (row["count"], row["not_finite"]) == (x.size - 2, 2)
    assert row["wasserstein"] == pytest.approx(reference.wasserstein(x[used], after[0][used]))
    assert row["shift"] == pytest.approx((after[0] - x)[used].mean())


def test_refused_comparisons(model: keras.Model) -> None:
    with pytest.raises(InputError, match="get_weights"):
        kv.weights.compare(model, arrays(model)[:-1])
    with pytest.raises(InputError, match=r"Received: \(2, 2\) for"):
        kv.weights.compare(model, [np.zeros((2, 2)), *arrays(model)[1:]])
    other = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(InputError, match="2 weights"):
        kv.weights.compare(model, other)
    with pytest.raises(InputError, match="load_model"):
        kv.weights.compare(model, "model.weights.h5")


def test_depths_count_the_longest_path(model: keras.Model) -> None:
    found = kv.weights.by_depth(model)
    depths = {address.split("/")[0]: found.table["depth"][address] for address in found.addresses}
    assert depths == {"short": 1, "long_1": 1, "long_2": 2, "after": 3, "lstm": 4, "head": 5}
    assert found.table["depth"].is_monotonic_increasing
    for address in found.addresses:
        edges, counts = found.histogram(address)
        values = next(w for w in model.weights if w.path == address)
        expected, _ = np.histogram(keras.ops.convert_to_numpy(values), edges)
        np.testing.assert_array_equal(counts, expected)
        assert counts.sum() == found.table["count"][address]
    assert len(kv.weights.by_depth(model, "bias").addresses) == 6
    with pytest.raises(MethodError, match="'kernel', 'bias'"):
        kv.weights.by_depth(model, "gamma")
    with pytest.raises(AddressError):
        found.histogram("nothing")


def test_depths_of_a_model_that_does_not_say_what_it_takes() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.one, self.two = layers.Dense(3, name="one"), layers.Dense(2, name="two")

        def call(self, x: Any, flag: Any) -> Any:
            return self.two(self.one(x)) * flag

    net = Own()
    net(np.zeros((1, 4)), np.ones(1))
    found = kv.weights.by_depth(net)
    assert found.addresses == ["one/kernel", "two/kernel"]
    assert found.table["depth"].isna().all()
    assert found.plot() is not None


def test_a_distribution_pools_by_role(model: keras.Model) -> None:
    one = kv.weights.distribution(model, "long_1/kernel")
    values = keras.ops.convert_to_numpy(model.get_layer("long_1").kernel)
    np.testing.assert_array_equal(one.values["kernel"], values.reshape(-1))
    assert one.table.loc["kernel", "kurtosis"] == pytest.approx(
        reference.statistics(values)["kurtosis"]
    )
    both = kv.weights.distribution(model, ["long_1", model.get_layer("long_2")])
    assert both.addresses["kernel"] == ("long_1/kernel", "long_2/kernel")
    assert both.table.loc["kernel", "tensors"] == 2
    assert len(both.values["kernel"]) == 4 * 5 + 5 * 5
    assert both.initial["bias"].tolist() == [0.0] * 257
    limit = np.sqrt(6 / (4 + 5))  # Glorot's bound of the one kernel, the wider of the two
    assert np.abs(both.initial["kernel"]).max() == pytest.approx(limit, rel=0.05)
    assert sum(map(len, kv.weights.distribution(model).values.values())) == model.count_params()
    with pytest.raises(AddressError, match="Closest: 'long_2'"):
        kv.weights.distribution(model, "long_3")
    with pytest.raises(InputError):
        kv.weights.distribution(model, [])
