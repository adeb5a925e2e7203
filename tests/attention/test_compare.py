"""Models side by side: differences, signs and distances against SciPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import initial_mixture as initial

layers: Any = keras.layers
GATE = {"gate": "gate/.*"}
ROWS = [("gate", "kernel"), ("gate", "bias")]


def with_gate(kernel: float, bias: float, seed: int, units: int = 30) -> keras.Model:
    """A layer whose kernel and bias lean so much."""
    generator = np.random.default_rng(seed)
    model = keras.Sequential([keras.Input((20,)), layers.Dense(units, name="gate")], name="net")
    gate = model.get_layer("gate")
    gate.kernel.assign(generator.normal(kernel, 0.3, (20, units)))
    gate.bias.assign(generator.normal(bias, 0.2 + 0.1 * seed, units))
    return model


@pytest.fixture(scope="module")
def models() -> dict[str, keras.Model]:
    return {
        "best": with_gate(0.1, 0.3, 1),
        "worse": with_gate(0.1, -0.3, 2, units=45),
        "flat": with_gate(0.0, 0.0, 3),
    }


def values(model: keras.Model, role: str) -> np.ndarray:
    """The gate's weights, flat."""
    return np.asarray(getattr(model.get_layer("gate"), role).numpy().ravel(), "float64")


def test_numbers_against_scipy(models: dict[str, keras.Model]) -> None:
    table = kv.attention.compare(models, GATE)
    assert table.index.names == ["model", "group", "role"]
    assert list(table.index) == [(name, *row) for name in models for row in ROWS]
    for name, model in models.items():
        for role in ("kernel", "bias"):
            mine, first = values(model, role), values(models["best"], role)
            row = table.loc[(name, "gate", role)]
            alone = kv.attention.summarize(model, GATE).loc[("gate", role)]
            for column in ("count", "mean", "mean_low", "mean_high", "std", "share_positive"):
                assert row[column] == alone[column]
            np.testing.assert_allclose(row["off_center"], abs(mine.mean()) / mine.std(), rtol=1e-6)
            if name == "best":
                assert row[list(DIFFERENCES)].isna().all()
                continue
            test = stats.ttest_ind(mine, first, equal_var=False)
            interval = test.confidence_interval(0.95)
            expected = (
                mine.mean() - first.mean(),
                interval.low,
                interval.high,
                test.pvalue,
                stats.wasserstein_distance(mine, first),
            )
            np.testing.assert_allclose(row[list(DIFFERENCES)].astype(float), expected, rtol=1e-5)


DIFFERENCES = ("difference", "difference_low", "difference_high", "welch_test", "distance")


def test_who_leans_where(models: dict[str, keras.Model]) -> None:
    table = kv.attention.compare(models, GATE)
    assert list(table["lean"]) == [1, 1, 1, -1, 0, 0]
    assert list(table["same_sign"])[:4] == [True, True, False, False]
    assert (table["off_center"]["best"] > table["off_center"]["flat"]).all()


def test_the_difference_is_calibrated() -> None:
    first = with_gate(0.1, 0.0, 0)
    found = []
    for seed in range(40):
        others = {"a": first, "b": with_gate(0.1, 0.0, 0), "c": with_gate(0.1, 0.0, 0)}
        generator = np.random.default_rng(seed)
        for name in ("b", "c"):
            kernel = others[name].get_layer("gate").kernel
            kernel.assign(generator.normal(0.1, 0.3, kernel.shape))
        table = kv.attention.compare({"b": others["b"], "c": others["c"]}, {"gate": ".*kernel"})
        found.append(table["welch_test"].iloc[-1])
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_checkpoints_of_one_network_have_names() -> None:
    model = with_gate(0.1, 0.3, 1)
    again = with_gate(0.1, 0.3, 1)
    table = kv.attention.compare([model, again, model], GATE)
    assert list(dict.fromkeys(table.index.get_level_values("model"))) == ["net", "net~2", "net~3"]
    same = table.loc["net~2"]
    assert (same["difference"] == 0).all()
    assert (same["welch_test"] == 1).all()
    assert (same["distance"] == 0).all()


def test_equal_weights_differ_surely_or_not_at_all() -> None:
    model, other = with_gate(0.0, 0.0, 1), with_gate(0.0, 0.0, 1)
    for one, value in ((model, 0.0), (other, 0.5)):
        one.get_layer("gate").bias.assign(np.full(30, value))
    table = kv.attention.compare([model, other, model], {"gate": ".*bias"})
    assert list(table["welch_test"])[1:] == [0.0, 1.0]
    assert list(table["distance"])[1:] == [0.5, 0.0]
    assert table["same_sign"].isna().all()


def test_groups_that_the_first_model_lacks() -> None:
    x = keras.Input((4, 8))
    plain = keras.Model(x, layers.Attention(use_scale=True)([x, x]))
    heads = keras.Model(x, layers.MultiHeadAttention(2, 4)(x, x))
    table = kv.attention.compare({"plain": plain, "heads": heads})
    assert list(table.loc["plain"].index) == [("attention", "scale")]
    assert len(table.loc["heads"]) == 8
    assert table["difference"].isna().all()


def test_distances_of_very_many_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly spaced quantiles stand for the weights."""
    models = [with_gate(0.0, 0.0, 1, units=500), with_gate(0.2, 0.0, 2, units=400)]
    exact = kv.attention.compare(models, {"gate": ".*kernel"})["distance"].iloc[1]
    monkeypatch.setattr(initial, "MOST_VALUES", 1000)
    few = kv.attention.compare(models, {"gate": ".*kernel"})["distance"].iloc[1]
    assert few != exact
    np.testing.assert_allclose(few, exact, rtol=2e-3)


@pytest.mark.parametrize(
    ("chosen", "groups", "error", "message"),
    [
        (lambda m: m, GATE, InputError, "at least two models"),
        (lambda m: [m], GATE, InputError, "summarize` for a single one"),
        (lambda m: {}, GATE, InputError, "at least two models"),
        (lambda m: 3, GATE, InputError, "Received: 3"),
        (lambda m: [m, "m"], GATE, InputError, "must be a keras.Model"),
        (lambda m: [m, m], {"x": "x"}, AddressError, "Group 'x'"),
        (lambda m: [m, m], None, MethodError, "none was found"),
    ],
)
def test_errors(chosen: Any, groups: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        kv.attention.compare(chosen(with_gate(0.0, 0.0, 1)), groups)
