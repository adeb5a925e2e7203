"""Moments, histograms and quantile sketches against NumPy in float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasviz as kv
from kerasviz.dynamics.metrics.units import DeadUnits, Saturation
from kerasviz.errors import InputError, MethodError
from tests.reference.distributions import described, quantile

Moments, Histogram, Quantiles = kv.dynamics.Moments, kv.dynamics.Histogram, kv.dynamics.Quantiles


def generator() -> np.random.Generator:
    """The same numbers in each test."""
    return np.random.default_rng(0)


def heavy_tails() -> np.ndarray:
    """Both signs, magnitudes from 1e-18 to 1e18."""
    draw = generator()
    return draw.choice([-1.0, 1.0], 3000) * np.exp(draw.uniform(-40, 40, 3000))


HARD: dict[str, np.ndarray] = {
    "far from zero": (1e4 + generator().normal(size=5001)).astype("float32"),
    "very far from zero": 1e8 + generator().normal(size=5001),
    "skewed": generator().gamma(0.3, size=(50, 7, 11)).astype("float32"),
    "tiny variance": 3.0 + 1e-7 * generator().normal(size=999),
    "heavy tails": heavy_tails(),
    "tiny": (1e-30 * generator().normal(size=500)).astype("float32"),
    "huge": (1e30 * generator().normal(size=500)).astype("float32"),
    "half": generator().normal(size=(40, 9)).astype("float16"),
    "whole numbers": generator().integers(-9, 9, (30, 4)),
    "bytes": generator().integers(0, 255, 700).astype("uint8"),
    "bools": generator().uniform(size=100) < 0.3,
    "mostly zero": np.maximum(generator().normal(size=400) - 1.5, 0).astype("float32"),
    "one value": np.array([2.5]),
}


def numbers(metric: keras.Metric) -> dict[str, float]:
    """A result as floats."""
    return {name: float(value) for name, value in metric.result().items()}


def split(values: np.ndarray, count: int) -> list[np.ndarray]:
    """Parts of different sizes, one of them empty."""
    flat = values.ravel()
    cuts = np.sort(np.random.default_rng(count).integers(0, flat.size + 1, count - 2))
    return np.split(flat, [0, *cuts])


def filled(metric: Any, parts: list[Any]) -> Any:
    """The metric after it has seen the parts."""
    for part in parts:
        metric.update_state(part)
    return metric


@pytest.mark.parametrize("name", HARD)
def test_moments_are_those_of_numpy(name: str) -> None:
    found, wanted = numbers(filled(Moments(), split(HARD[name], 5))), described(HARD[name])
    assert list(found) == list(wanted)
    for key in ("count", "min", "max", "not_finite"):
        assert found[key] == wanted[key]
    for key in ("mean", "variance", "std", "zeros"):
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-7, err_msg=key)
    scale = max(1.0, abs(wanted["kurtosis"])) if name != "one value" else 1.0
    for key in ("skewness", "kurtosis"):
        np.testing.assert_allclose(found[key], wanted[key], atol=1e-7 * scale, err_msg=key)


def test_float32_far_from_zero_keeps_its_variance_over_a_thousand_batches() -> None:
    values = (1e4 + generator().normal(size=(1000, 40))).astype("float32")
    metric = Moments()
    update = tf.function(metric.update_state)
    for batch in values:
        update(tf.constant(batch))
    assert update.experimental_get_tracing_count() == 1
    wanted = described(values)
    assert numbers(metric)["variance"] == pytest.approx(wanted["variance"], rel=1e-9)
    assert numbers(metric)["kurtosis"] == pytest.approx(wanted["kurtosis"], abs=1e-9)


@pytest.mark.parametrize("make", [Moments, Histogram, Quantiles])
def test_nothing_is_retraced(make: Any) -> None:
    metric = make()
    spec = tf.TensorSpec([None, 3], "float32")
    update = tf.function(metric.update_state, input_signature=[spec])
    for size in range(5):
        update(tf.ones([size, 3]))
    assert update.experimental_get_tracing_count() == 1
    metric.reset_state()
    assert not any(np.any(variable.numpy()) for variable in metric.variables)


@pytest.mark.parametrize("value", [0.0, -3.3, 1e8, 1e-30])
def test_a_constant_has_no_variance_and_no_shape(value: float) -> None:
    found = numbers(filled(Moments(), [np.full(n, value) for n in (3, 0, 1000)]))
    assert found["mean"] == found["min"] == found["max"] == value
    assert found["variance"] == 0.0
    assert np.isnan(found["skewness"])
    assert np.isnan(found["kurtosis"])
    assert found["zeros"] == (value == 0.0)


def test_no_data_is_nan_and_not_an_error() -> None:
    found = numbers(filled(Moments(), [np.zeros((0, 3))]))
    assert found.pop("count") == found.pop("not_finite") == 0.0
    assert np.isnan([*found.values()]).all()
    assert np.isnan([*numbers(Quantiles()).values()]).all()
    assert np.isnan(Histogram().quantile(0.5)).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_not_finite_values_are_counted_and_left_out(dtype: str) -> None:
    raw = [1.0, np.nan, 2.0, np.inf, -np.inf, 6.0]
    values = tf.cast(tf.constant(raw), dtype)
    found = numbers(filled(Moments(), [values, values[:2]]))
    assert (found["count"], found["not_finite"]) == (4.0, 4.0)
    assert (found["mean"], found["min"], found["max"]) == (2.5, 1.0, 6.0)
    assert filled(Histogram(), [values]).result()["counts"].numpy().sum() == 3
    assert numbers(filled(Quantiles([0.5]), [values]))["q50"] == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("shape", [(6,), (6, 4), (6, 1), (1, 4)])
def test_weights_repeat_values(shape: tuple[int, ...]) -> None:
    values = generator().normal(size=(6, 4))
    weights = generator().integers(0, 4, shape)
    spread = weights.reshape(*shape, *[1] * (2 - len(shape))) * np.ones((6, 4), int)
    repeated = np.repeat(values.ravel(), spread.ravel())
    for make in (Moments, Histogram, lambda: Quantiles([0.26, 0.77])):
        weighted, plain = make(), make()
        weighted.update_state(values, sample_weight=weights)
        plain.update_state(repeated)
        for name, value in weighted.result().items():
            np.testing.assert_allclose(value, plain.result()[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", HARD)
def test_a_histogram_is_what_its_final_bins_would_have_counted(name: str) -> None:
    values = HARD[name].astype("float64")
    for parts in (split(values, 6), split(values, 6)[::-1], [values]):
        found = filled(Histogram(32), parts).result()
        edges, counts = found["edges"].numpy(), found["counts"].numpy()
        places = np.floor(values.ravel() / (edges[1] - edges[0]))
        first = np.floor(values.min() / (edges[1] - edges[0]))
        np.testing.assert_array_equal(
            counts, np.bincount((places - first).astype(int), minlength=32)
        )
        assert counts.sum() == values.size
        assert edges[0] <= values.min() <= edges[1]
        spread = np.ptp(values)
        assert spread <= edges[-1] - edges[0]
        assert spread == 0 or edges[1] - edges[0] <= 4 * spread / 32


def test_a_histogram_does_not_depend_on_the_order_of_its_batches() -> None:
    parts = [generator().normal(size=50) * 10.0**power - 3.0 for power in (-6, 3, 0, -2)]
    first = filled(Histogram(64), parts).result()
    for order in ([3, 1, 0, 2], [1, 0, 2, 3]):
        other = filled(Histogram(64), [parts[place] for place in order]).result()
        for name in ("edges", "counts"):
            np.testing.assert_array_equal(first[name], other[name])


def test_quantiles_of_a_histogram_are_within_a_bin() -> None:
    values = generator().normal(size=2001)
    metric = filled(Histogram(64), split(values, 4))
    edges = metric.result()["edges"].numpy()
    asked = [0.0, 0.001, 0.31, 0.5, 0.93, 1.0]
    found = metric.quantile(asked).numpy()
    wanted = [quantile(values, q) for q in asked]
    assert np.abs(found - wanted).max() <= edges[1] - edges[0]
    assert (found[0], found[-1]) == (values.min(), values.max())


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("error", [0.1, 0.01, 0.001])
def test_quantiles_are_within_their_bound(name: str, error: float) -> None:
    values = HARD[name].astype("float64")
    asked = (0.0, 0.013, 0.1, 0.377, 0.5, 0.77, 0.991, 1.0)
    metric = filled(Quantiles(asked, error), split(HARD[name], 3))
    assert metric.bound <= error
    wanted = np.array([quantile(values, q) for q in asked])
    found = np.array([*numbers(metric).values()])
    assert (np.abs(found - wanted) <= metric.bound * np.abs(wanted) * (1 + 1e-6)).all()


@pytest.mark.parametrize("make", [Moments, Histogram, Quantiles])
def test_shards_merge_to_the_whole(make: Any) -> None:
    values = heavy_tails()
    whole = filled(make(), [values]).result()
    shards = [filled(make(), [part]) for part in split(values, 5)]
    shards[2].merge_state([*shards[:2], *shards[3:]])
    for name, value in shards[2].result().items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-9, err_msg=name)


def distributed(metrics: list[Any], strategy: Any, parts: list[np.ndarray]) -> None:
    """Show each replica a part of its own, in one compiled step."""

    def of_replica(context: Any) -> Any:
        return tf.constant(parts[context.replica_id_in_sync_group])

    def step(values: Any) -> None:
        for metric in metrics:
            metric.update_state(values)

    values = strategy.experimental_distribute_values_from_function(of_replica)
    tf.function(lambda given: strategy.run(step, (given,)))(values)


def test_replicas_add_up_to_the_whole() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    kinds = (Moments, Histogram, Quantiles, lambda: DeadUnits(1), lambda: Saturation(-3.0, 3.0))
    with strategy.scope():
        metrics = [make() for make in kinds]
    values = (50 + generator().normal(size=(90, 1))).astype("float32")
    before = [make() for make in kinds]
    for metric in before:
        metric.update_state(np.full((3, 1), 47.0, "float32"))
    distributed(metrics, strategy, [values[:9], values[9:40]])
    distributed(metrics, strategy, [values[40:], values[:0]])
    for metric, shard in zip(metrics, before, strict=True):
        metric.merge_state([shard])
    distributed(metrics, strategy, [values[:2], values[2:3]])
    every = np.concatenate([values, np.full((3, 1), 47.0, "float32"), values[:3]])
    for metric, make in zip(metrics, kinds, strict=True):
        wanted = filled(make(), [every]).result()
        for name, value in metric.result().items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-9, err_msg=name)
        metric.reset_state()
        assert not any(variable.numpy().any() for variable in metric.variables)


def test_a_metric_of_another_scope_is_refused() -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    metric = Moments()
    with strategy.scope(), pytest.raises(MethodError, match="scope"):
        metric.update_state(np.ones(3))


@pytest.mark.parametrize("make", [Moments, lambda: Histogram(32), lambda: Quantiles([0.3], 0.1)])
def test_a_metric_comes_back_from_its_config(make: Any) -> None:
    metric = make()
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()
    again.merge_state([metric])


@pytest.mark.parametrize(
    "call",
    [
        lambda: Histogram(48),
        lambda: Histogram(8),
        lambda: Quantiles([1.2]),
        lambda: Quantiles([0.1, 0.1]),
        lambda: Quantiles([0.1], 0.0),
        lambda: Histogram().merge_state([Histogram(32)]),
        lambda: Quantiles().merge_state([Moments()]),
        lambda: Moments().update_state(np.array(["a"])),
        lambda: Moments().update_state(np.ones(3, complex)),
        lambda: Moments().update_state(np.ones((3, 2)), np.ones(2)),
        lambda: Moments().update_state(np.ones(3), np.ones((3, 1))),
    ],
)
def test_bad_settings_get_one_clear_error(call: Any) -> None:
    with pytest.raises(InputError, match=r"must (be|have).* Received: "):
        call()


def test_dead_units_and_saturation() -> None:
    values = generator().normal(size=(9, 5, 4)).astype("float32")
    values[..., 1] = 0.0
    values[0, 0, 1] = np.nan
    assert numbers(filled(DeadUnits(4), [values[:4], values[4:]])) == {"dead_units": 0.25}
    assert numbers(filled(DeadUnits(5, axis=1), [values]))["dead_units"] == 0.0
    values[:, 2] = 7.0
    assert numbers(filled(DeadUnits(5, axis=1), [values]))["dead_units"] == 0.2
    assert numbers(filled(DeadUnits(4), [values]))["dead_units"] == 0.0
    assert np.isnan(numbers(filled(DeadUnits(4), [values[:1, 0]]))["dead_units"])
    sigmoids = np.array([0.004, 0.006, 0.994, 0.996, np.nan])
    assert numbers(filled(Saturation(0, 1), [sigmoids])) == {"saturation": 0.5}
