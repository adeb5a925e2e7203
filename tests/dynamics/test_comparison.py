"""Initializers compared: seeds, measurements, findings, pictures."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kerasviz import dynamics
from kerasviz.dynamics.comparison_findings import interval, slopes, words
from kerasviz.dynamics.comparison_training import ShuffledBatches
from kerasviz.errors import AddressError, InputError
from kerasviz.probe.seeding import SeededInitializer, seed_random_layers

pytestmark = pytest.mark.usefixtures("unoptimized_graphs")
LAYERS = {"hidden": ["one", "two"], "last": ["drop", "out"]}


def build(initializer: Any) -> keras.Model:
    layers: Any = keras.layers
    x = given = keras.Input((6,), name="given")
    for name in ("one", "two"):
        x = layers.Dense(6, "relu", kernel_initializer=initializer, name=name)(x)
    x = layers.Dropout(0.3, name="drop")(x)
    out = layers.Dense(3, kernel_initializer=initializer, name="out")(x)
    model = keras.Model(given, out)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"], run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def data() -> Any:
    generator = np.random.default_rng(0)
    x = generator.uniform(-2, 3, (50, 6)).astype("float32")
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    return (x[:40], y[:40]), (x[40:], y[40:])


def compared(data: Any, **kwargs: Any) -> dynamics.Comparison:
    given = {"normal": keras.initializers.RandomNormal(0, 0.5), "ones": "ones"}
    settings = {"epochs": 2, "batch_size": 16, "num_samples": 12, "layers": LAYERS, "seeds": (3, 5)}
    return dynamics.compare_initializers(
        build, data, **{"initializers": given, **settings, **kwargs}
    )


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def found(data: Any, told: list[tuple[str, int, int]]) -> dynamics.Comparison:
    return compared(data, progress=lambda *done: told.append(done))


def test_what_is_measured(found: dynamics.Comparison, told: list[tuple[str, int, int]]) -> None:
    assert told == [(n, s, e) for n in ("normal", "ones") for s in (3, 5) for e in (1, 2)]
    assert len(found.weights.table) == 2 * 2 * 2 * 3
    assert len(found.features.table) == 2 * 2 * 2 * 3 * 4
    assert found.groups == {name: tuple(layers) for name, layers in LAYERS.items()}
    assert found.provenance["samples"] == {"train": 12, "validation": 10, "noise": 12}
    assert len(found.training) == 8
    assert found.training["val_accuracy"].notna().tolist() == [False, True] * 4
    np.testing.assert_array_equal(
        found.features.counts.sum(axis=1), found.features.table["count"].to_numpy()
    )


def test_the_same_seed_gives_the_same_numbers_whatever_ran_before(
    data: Any, found: dynamics.Comparison
) -> None:
    given = {"normal": keras.initializers.RandomNormal(0, 0.5, seed=9)}
    again = compared(data, initializers=given, seeds=(3,))
    for part in ("weights", "features"):
        table = getattr(found, part).table
        table = table[(table["initializer"] == "normal") & (table["seed"] == 3)]
        table = table.reset_index(drop=True)
        pd.testing.assert_frame_equal(getattr(again, part).table, table, check_exact=True)


def test_seeds_differ_and_layers_of_one_shape_start_apart(found: dynamics.Comparison) -> None:
    table = found.weights.table
    initial = table[~table["trained"] & (table["initializer"] == "normal")]
    assert initial["mean"].nunique() == len(initial) == 6


def test_weights_and_features_against_numpy(data: Any, found: dynamics.Comparison) -> None:
    """The first run, rebuilt by hand."""
    x = data[0][0]
    places = np.sort(np.random.default_rng((3, 3)).permutation(40)[:12])
    noise = np.random.default_rng((3, 4)).uniform(x.min(), x.max(), (12, 6))
    table = found.features.table.set_index(["initializer", "seed", "trained", "inputs", "layer"])
    ones = 6 * [1.0]
    for inputs, values in (("train", x[places]), ("noise", noise)):
        hidden = np.maximum(values @ np.tile(ones, (6, 1)), 0)
        row = table.loc[("ones", 3, False, inputs, "one")]
        assert row["mean"] == pytest.approx(hidden.mean(), rel=1e-5)
        assert row["variance"] == pytest.approx(hidden.var(), rel=1e-4)
        deeper = table.loc[("ones", 3, False, inputs, "two"), "variance"]
        assert deeper == pytest.approx(36 * hidden.var(), rel=1e-4)


def test_findings_against_a_calculation_of_their_own(found: dynamics.Comparison) -> None:
    table = found.findings().set_index(["finding", "initializer", "group", "inputs", "layer"])
    table = table.sort_index()
    weights = found.weights.table.set_index(["initializer", "layer", "trained", "seed"])
    weights = weights.sort_index()
    before, after = (weights.loc[("normal", "two/kernel", t)] for t in (False, True))

    distance = (after["mean"].abs() / after["std"]).to_numpy()
    row = table.loc[("weight mean near 0", "normal", "", "", "two/kernel")]
    assert row["estimate"] == pytest.approx(distance.mean())
    assert row["before"] == pytest.approx((before["mean"].abs() / before["std"]).mean())

    growth = np.log(after["variance"] / before["variance"]).to_numpy()
    row = table.loc[("weight variance grows", "normal", "", "", "two/kernel")]
    ends = stats.t.interval(0.95, 1, growth.mean(), growth.std(ddof=1) / np.sqrt(2))
    np.testing.assert_allclose(
        row[["estimate", "low", "high"]].astype(float), [growth.mean(), *ends]
    )

    features = found.features.table.query(
        "initializer == 'normal' and trained and inputs == 'noise'"
    )
    logs = np.log(features.pivot(index="layer", columns="seed", values="variance"))
    step = (logs.loc["two"] - logs.loc["one"]).mean()
    row = table.loc[("feature variance grows with depth", "normal", "hidden", "noise", "")]
    assert row["estimate"] == pytest.approx(step)

    constant = table.loc[("weight variance grows", "ones", "", "", "one/kernel")]
    assert constant["holds"] == "undefined"
    assert table.loc[("weight mean near 0", "ones", "", "", "one/kernel"), "holds"] != "yes"


def test_slopes_are_those_of_least_squares() -> None:
    generator = np.random.default_rng(0)
    rows = [
        {"seed": seed, "layer": layer, "variance": generator.uniform(0.1, 9)}
        for seed in (4, 2)
        for layer in "cabd"
    ]
    table = pd.DataFrame(rows)
    for seed, slope in zip((2, 4), slopes(table, "bcda", (2, 4)), strict=True):
        of_seed = table[table["seed"] == seed].set_index("layer")["variance"]
        logs = np.log([of_seed[layer] for layer in "bcda"])
        assert slope == pytest.approx(np.polyfit(range(4), logs, 1)[0])


def made_up(variances: dict[str, list[list[float]]], not_finite: int = 0) -> dynamics.Comparison:
    """Weights `kernel` with [before, after] of each seed; features that follow them."""
    rows, features = [], []
    for name, pairs in variances.items():
        for seed, pair in enumerate(pairs):
            for trained, variance in zip((False, True), pair, strict=True):
                run = {"initializer": name, "seed": seed, "trained": trained}
                one = {"mean": 0.02, "std": variance**0.5, "variance": variance}
                one["not_finite"] = not_finite
                rows.append({**run, "layer": "kernel", **one})
                for depth in range(2):
                    deep = {**one, "variance": variance**depth if variance else 0.0}
                    features.append({**run, "inputs": "train", "layer": f"layer_{depth}", **deep})
    parts = [
        dynamics.Measured(pd.DataFrame(table), np.zeros((len(table), 2)), np.zeros((len(table), 1)))
        for table in (rows, features)
    ]
    seeds = tuple(range(len(next(iter(variances.values())))))
    groups = {"all": ("layer_0", "layer_1")}
    return dynamics.Comparison(*parts, pd.DataFrame(), tuple(variances), seeds, groups, {})


def test_verdicts_and_words() -> None:
    found = made_up(
        {
            "grows": [[1.0, 2.0], [1.0, 2.1], [1.0, 2.2]],
            "shrinks": [[1.0, 0.5], [1.0, 0.52], [1.0, 0.53]],
            "either": [[1.0, 0.5], [1.0, 2.0], [1.0, 1.1]],
            "flat": [[0.0, 0.0]] * 3,
        }
    )
    table = found.findings().set_index(["finding", "initializer", "layer"])["holds"]
    growth = table["weight variance grows"].unstack()["all layers"]
    assert growth.to_dict() == {
        "grows": "yes",
        "shrinks": "no",
        "either": "unclear",
        "flat": "undefined",
    }
    assert found.words() == [
        "Weight mean near 0: holds for grows, shrinks, either; "
        "is undefined (a variance is 0, or not finite) for flat.",
        "Weight variance grows: holds for grows; does not hold for shrinks; is open for either; "
        "is undefined (a variance is 0, or not finite) for flat.",
        "Feature variance grows with depth: holds for grows; does not hold for shrinks; "
        "is open for either; is undefined (a variance is 0, or not finite) for flat.",
    ]


def test_one_seed_leaves_all_open_and_nan_is_undefined() -> None:
    some = made_up({"grows": [[1.0, 2.0], [1.0, 2.1]]}).findings()
    twice = pd.concat([some, some.assign(layer="other", holds="unclear")])
    assert (
        words(twice)[1]
        == "Weight variance grows: holds in some places, is open in others, for grows."
    )
    thrice = pd.concat([twice, some.assign(layer="third", holds="no")])
    assert words(thrice)[1] == (
        "Weight variance grows: holds in some places, does not in others, for grows."
    )
    single = made_up({"grows": [[1.0, 2.0]]}).findings()
    assert set(single["holds"]) == {"unclear"}
    assert single[["low", "high"]].isna().all(axis=None)
    spoilt = made_up({"grows": [[1.0, 2.0]] * 2}, not_finite=1).findings()
    assert set(spoilt["holds"]) == {"undefined"}
    assert np.isnan(interval(np.array([1.0, np.inf]), 0.95)).all()


def test_each_call_of_an_initializer_draws_anew_and_the_seed_decides() -> None:
    def drawn(seed: int) -> list[np.ndarray]:
        initializer = SeededInitializer(keras.initializers.HeNormal(seed=1), seed)
        every = initializer((3, 4)), initializer((3, 4)), initializer.clone()((3, 4))
        return [keras.ops.convert_to_numpy(one) for one in every]

    first, second, of_clone = drawn(0)
    assert not np.allclose(first, second)
    assert not np.allclose(first, of_clone)
    np.testing.assert_array_equal([first, second, of_clone], drawn(0))
    assert not np.allclose(first, drawn(1)[0])
    assert np.ptp(SeededInitializer("ones", 0)((2, 2))) == 0


def test_an_attention_layer_starts_with_different_kernels() -> None:
    layer = keras.layers.MultiHeadAttention(
        2, 4, kernel_initializer=SeededInitializer("he_normal", 0)
    )
    layer.build((None, 5, 8), (None, 5, 8))
    query, key = [keras.ops.convert_to_numpy(w) for w in layer.weights if "kernel" in w.path][:2]
    assert not np.allclose(query, key)


def test_dropout_restarts_from_the_seed() -> None:
    model = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5)])
    ones = np.ones((1, 50), "float32")
    kept = []
    for seed in (0, 0, 1):
        seed_random_layers(model, seed)
        kept.append(keras.ops.convert_to_numpy(model(ones, training=True)))
    np.testing.assert_array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0], kept[2])


def test_batches_hold_each_sample_once_in_another_order_each_epoch() -> None:
    x = {"a": np.arange(10), "b": np.arange(10) * 2}
    batches = ShuffledBatches(x, np.arange(10), 4, seed=0)
    orders = []
    for _ in range(2):
        parts = [batches[i] for i in range(len(batches))]
        assert [len(y) for _, y in parts] == [4, 4, 2]
        assert all((given["b"] == 2 * y).all() for given, y in parts)
        orders.append(np.concatenate([y for _, y in parts]).tolist())
        batches.on_epoch_end()
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]


def test_the_seven_initializers() -> None:
    drawn = {
        name: keras.ops.convert_to_numpy(SeededInitializer(one, 0)((300, 500)))
        for name, one in dynamics.standard_initializers().items()
    }
    assert len(drawn) == 7
    for name, fan in (("Kaiming", 300), ("Xavier", 400)):
        std = (2 / fan) ** 0.5
        normal, uniform = drawn[f"{name} normal"], drawn[f"{name} uniform"]
        assert normal.std() == pytest.approx(std, rel=0.01)
        assert np.abs(normal).max() > 3.5 * std
        assert np.abs(uniform).max() == pytest.approx(3**0.5 * std, rel=1e-3)
    gram = drawn["orthogonal"] @ drawn["orthogonal"].T
    np.testing.assert_allclose(gram, 2 * np.eye(300), atol=1e-4)
    assert (np.ptp(drawn["ones"]), np.abs(drawn["zeros"]).max()) == (0, 0)


def test_pictures(found: dynamics.Comparison) -> None:
    for kind, rows in (("features", 4 * 2), ("weights", 3 * 2)):
        figure = found.plot(kind, seed=5)
        words = {text.get_text() for text in figure.texts}
        assert {"normal", "ones", "mean", "std", "skew"} <= words
        assert f"{kind.capitalize()} before and after training, seed 5" in words
        assert len(figure.axes) == rows * (6 if kind == "features" else 2)
    with pytest.raises(InputError, match="Received: 'bias'"):
        found.plot("bias")
    with pytest.raises(InputError, match=r"one of \[3, 5\]"):
        found.plot(seed=0)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"seeds": (1, 1)}, InputError, "different whole numbers"),
        ({"seeds": ()}, InputError, "one at least"),
        ({"epochs": 0}, InputError, "`epochs` must be a whole number from 1"),
        ({"initializers": {}}, InputError, "with one at least"),
        ({"initializers": {"a": "no such"}}, InputError, "Expected an initializer"),
        ({"layers": {"a": []}}, InputError, "at least one layer, in each group"),
        ({"layers": ["three"]}, AddressError, "three"),
        ({"weights": ["one/gamma"]}, AddressError, "one/gamma"),
        ({"loss": "mse"}, InputError, "are for models that `build` does not compile"),
    ],
)
def test_settings_that_do_not_fit(
    data: Any, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        compared(data, **settings)


def test_data_and_models_that_do_not_fit(data: Any) -> None:
    (x, y), validation = data
    with pytest.raises(InputError, match="as many targets as inputs"):
        compared(((x, y[:-1]), validation))
    with pytest.raises(InputError, match="Received: ndarray"):
        compared(x)
    with pytest.raises(InputError, match="must hold finite numbers"):
        compared(((np.where(x > 2, np.nan, x), y), validation))
    plain = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    with pytest.raises(InputError, match="must return a compiled model, or `loss` be given"):
        dynamics.compare_initializers(lambda _: plain, data, {"a": "ones"})
