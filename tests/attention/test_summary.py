"""The table of attention weights: every number against NumPy and SciPy, every group it finds."""

from __future__ import annotations

import random
import re
import tracemalloc
import warnings
from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

import kerasviz as kv
from kerasviz.errors import AddressError, InputError, KerasvizWarning, MethodError
from kerasviz.probe.held_weights import held_weights
from tests.conftest import build
from tests.models import KINDS, Case

layers: Any = keras.layers
Key = tuple[str, str]

# What the RGB-D network's note says of its attention weights: mean, variance, std.
NOTED: dict[Key, tuple[float, float, float]] = {
    ("fusion", "kernel"): (-0.014393030, 0.006144786, 0.078388688),
    ("fusion", "bias"): (-0.082084676, 0.018564665, 0.136252210),
    ("semi-local", "kernel"): (0.070218012, 0.064135668, 0.253250208),
    ("semi-local", "bias"): (0.114480672, 0.032758176, 0.180992200),
    ("fully-local", "kernel"): (-0.007437414, 0.022209943, 0.149030006),
    ("fully-local", "bias"): (-0.090537150, 0.019669598, 0.140248345),
}


def two_branches(blocks: int = 11) -> keras.Model:
    """Blocks in two branches, fused, and one excitation behind: small, but with all parts."""
    pair = [keras.Input((6, 6, 8), name=name) for name in ("rgb", "depth")]
    ends = []
    for name, x in zip(("rgb", "depth"), pair, strict=True):
        for index in range(blocks):
            block = kv.attention.ResplacementBlock(24, 0.5, ratio=4, name=f"{name}_{index}")
            x = block(x)
        ends.append(x)
    rgb, depth = kv.attention.EncoderFusion(ratio=4, name="fusion")(ends)
    joined = layers.Concatenate()([rgb, depth])
    return keras.Model(pair, kv.attention.SqueezeExcitation(ratio=4, name="last")(joined))


@pytest.fixture(scope="module")
def planted() -> keras.Model:
    """The network with weights that have exactly the moments of the note."""
    model = two_branches()
    generator = np.random.default_rng(0)
    for (group, role), (mean, _, std) in NOTED.items():
        pattern = f".*{group.replace('-', '_')}/.*{role}"
        held = [h for h in held_weights(model) if re.fullmatch(pattern, h.addresses[0])]
        noise = generator.normal(size=sum(h.size for h in held))
        values = mean + std * (noise - noise.mean()) / noise.std()
        for one, part in zip(
            held, np.split(values, np.cumsum([h.size for h in held])), strict=False
        ):
            one.variable.assign(part.reshape(one.variable.shape))
    return model


@pytest.fixture(scope="module")
def small() -> keras.Model:
    """The same network with two blocks in a branch."""
    return two_branches(2)


@pytest.fixture(scope="module")
def dense() -> keras.Model:
    """Three layers with weights of different kinds, and the values as NumPy knows them."""
    generator = np.random.default_rng(1)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(9, kernel_initializer="he_normal", name="gate_1"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(7, name="gate_2"),
            layers.Dense(5, name="head"),
        ],
        name="dense",
    )
    for variable in model.trainable_variables:
        variable.assign(generator.gamma(2.0, 0.2, variable.shape) - 0.3)
    model.get_layer("gate_2").bias.assign([0.0, 0.0, 0.3, -0.1, 0.2, 0.4, 0.5])
    return model


GATES = {"gates": "gate_.*"}


def pooled(model: keras.Model, role: str) -> np.ndarray:
    """The values of `gate_1` and `gate_2`, without kerasviz."""
    arrays = [getattr(model.get_layer(name), role).numpy() for name in ("gate_1", "gate_2")]
    return np.concatenate([array.ravel() for array in arrays]).astype("float64")


def test_numbers_against_numpy_and_scipy(dense: keras.Model) -> None:
    table = kv.attention.summarize(dense, GATES, depth=3)
    assert table.index.names == ["group", "role"]
    assert list(table.index) == [("gates", "kernel"), ("gates", "bias")]
    for role in ("kernel", "bias"):
        values, row = pooled(dense, role), table.loc[("gates", role)]
        assert (row["count"], row["tensors"], row["not_finite"]) == (values.size, 2, 0)
        test = stats.ttest_1samp(values, 0.0)
        interval = test.confidence_interval(0.95)
        positive, negative = int((values > 0).sum()), int((values < 0).sum())
        share = stats.binomtest(positive, values.size).proportion_ci(0.95, "wilson")
        expected = {
            "mean": values.mean(),
            "mean_low": interval.low,
            "mean_high": interval.high,
            "median": np.median(values),
            "variance": values.var(),
            "std": values.std(),
            "share_positive": positive / values.size,
            "share_positive_low": share.low,
            "share_positive_high": share.high,
            "zeros": values.size - positive - negative,
            "sign_test": stats.binomtest(positive, positive + negative).pvalue,
            "depth": 3,
            "compound": (1 + values.mean()) ** 3,
            "compound_low": (1 + interval.low) ** 3,
            "compound_high": (1 + interval.high) ** 3,
            "initial_mean": 0.0,
            "shift": test.statistic,
            "shift_test": test.pvalue,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-6, atol=1e-9, err_msg=name)
        assert row["median_low"] < row["median"] < row["median_high"]
        assert row["std_low"] < row["std"] < row["std_high"]


def test_what_the_initializers_alone_give(dense: keras.Model) -> None:
    table = kv.attention.summarize(dense, GATES, depth=1)
    he, glorot = np.sqrt(2 / 12), np.sqrt(2 / (9 + 7))
    pooled_std = np.sqrt((108 * he**2 + 63 * glorot**2) / 171)
    row = table.loc[("gates", "kernel")]
    np.testing.assert_allclose(row["initial_std"], pooled_std, rtol=1e-9)
    generator = np.random.default_rng(0)
    cut = stats.truncnorm.rvs(-2, 2, size=108_000, random_state=generator)
    limit = np.sqrt(3) * glorot
    drawn = np.concatenate(
        [cut * he / stats.truncnorm.std(-2, 2), generator.uniform(-limit, limit, 63_000)]
    )
    expected = stats.wasserstein_distance(pooled(dense, "kernel"), drawn)
    np.testing.assert_allclose(row["drift"], expected, rtol=0.01)
    biases = table.loc[("gates", "bias")]
    np.testing.assert_allclose(biases["drift"], np.abs(pooled(dense, "bias")).mean(), rtol=1e-6)
    assert (biases["initial_std"], biases["drift_by_chance"]) == (0.0, 0.0)


def test_drift_by_chance_is_what_fresh_weights_have() -> None:
    """Means over fresh initializations of two layers of different width."""
    drifts, shifts = [], []
    for seed in range(40):
        model = keras.Sequential([keras.Input((20,))])
        for units, start in ((15, keras.initializers.HeUniform), (4, keras.initializers.HeNormal)):
            model.add(layers.Dense(units, kernel_initializer=start(seed=seed + 100 * units)))
        row = kv.attention.summarize(model, {"all": ".*kernel"}, depth=1).iloc[0]
        drifts.append(row["drift"])
        shifts.append(row["shift_test"])
    np.testing.assert_allclose(np.mean(drifts), row["drift_by_chance"], rtol=0.1)
    assert stats.kstest(shifts, "uniform").pvalue > 0.01


def test_the_rows_of_the_note(planted: keras.Model) -> None:
    table = kv.attention.summarize(planted)
    assert list(table.index)[:6] == [
        (group, role)
        for group in ("fusion", "semi-local", "fully-local")
        for role in ("kernel", "bias")
    ]
    assert list(table.index)[6:] == [("squeeze-excitation", role) for role in ("kernel", "bias")]
    for key, (mean, variance, std) in NOTED.items():
        row = table.loc[key]
        np.testing.assert_allclose(row[["mean", "std"]].astype(float), (mean, std), rtol=1e-5)
        np.testing.assert_allclose(row["variance"], variance, rtol=1e-5)
    assert dict(table["depth"].groupby("group").first()) == {
        "fusion": 1,
        "semi-local": 11,
        "fully-local": 11,
        "squeeze-excitation": 1,
    }
    compound = table["compound"].round(2)
    assert compound["semi-local", "bias"] == 3.29
    assert compound["semi-local", "kernel"] == 2.11
    assert compound["fully-local", "bias"] == 0.35
    assert round(float((1 + table["mean"]["fully-local", "kernel"]) ** 22), 2) == 0.85


def test_found_weights_are_those_of_the_layers(planted: keras.Model) -> None:
    values = kv.attention.weights(planted)
    blocks = [planted.get_layer(f"{n}_{i}") for n in ("rgb", "depth") for i in range(11)]
    for group, name in (("semi-local", "semi_local"), ("fully-local", "fully_local")):
        for role in ("kernel", "bias"):
            parts = [
                getattr(getattr(getattr(block, name), fc), role).numpy().ravel()
                for block in blocks
                for fc in ("fc1", "fc2")
            ]
            assert values[group, role].dtype == np.float64
            np.testing.assert_array_equal(
                np.sort(values[group, role]), np.sort(np.concatenate(parts))
            )
    fusion = planted.get_layer("fusion")
    assert values["fusion", "kernel"].size == sum(
        getattr(fusion, name).kernel.numpy().size for name in ("aggregate", "reduce", "gate")
    )


def test_patterns_name_what_the_types_find(small: keras.Model) -> None:
    found = kv.attention.summarize(small)
    named = kv.attention.summarize(small, groups={"semi_local": ".*semi_local.*"})
    np.testing.assert_array_equal(named.loc["semi_local"], found.loc["semi-local"])


@pytest.fixture(scope="module")
def mobile_net() -> keras.Model:
    return keras.applications.MobileNetV3Small(
        input_shape=(32, 32, 3), weights=None, classes=2, minimalistic=False
    )


def test_mobile_net(mobile_net: keras.Model) -> None:
    values = kv.attention.weights(mobile_net)
    assert list(values) == [("squeeze-excitation", "kernel"), ("squeeze-excitation", "bias")]
    gates = [layer for layer in mobile_net.layers if "squeeze_excite_conv" in layer.name]
    assert values["squeeze-excitation", "bias"].size == sum(g.bias.shape[0] for g in gates)
    row = kv.attention.summarize(mobile_net).loc[("squeeze-excitation", "kernel")]
    assert (row["tensors"], row["depth"]) == (len(gates), len(gates) // 2)
    assert abs(row["shift"]) < 4
    assert row["drift"] < 3 * row["drift_by_chance"]


def test_efficient_net() -> None:
    model = keras.applications.EfficientNetB0(input_shape=(32, 32, 3), weights=None, classes=2)
    values = kv.attention.weights(keras.Sequential([keras.Input((32, 32, 3)), model]))
    expected = [
        getattr(layer, role).numpy().size
        for role in ("kernel", "bias")
        for layer in model.layers
        if re.fullmatch(r"block\d._se_(reduce|expand)", layer.name)
    ]
    assert len(expected) == 2 * 2 * 16
    assert [v.size for v in values.values()] == [sum(expected[:32]), sum(expected[32:])]


def test_stock_attention() -> None:
    x = keras.Input((5, 8))
    first = layers.MultiHeadAttention(2, 4, name="first")
    second = layers.GroupQueryAttention(4, 4, 2, name="second")
    y = second(first(x, x), x)
    y = layers.Attention(use_scale=True)([y, y])
    y = layers.Attention()([y, y])
    model = keras.Model(x, y)
    table = kv.attention.summarize(model)
    groups = ["query", "key", "value", "output"]
    expected = [(group, role) for group in groups for role in ("kernel", "bias")]
    assert list(table.index) == [*expected, ("attention", "scale")]
    assert table["count"]["key", "kernel"] == 8 * 2 * 4 + 8 * 2 * 4
    assert table["count"]["query", "kernel"] == 8 * 2 * 4 + 8 * 4 * 4
    assert list(table["depth"][:8]) == [2] * 8
    assert table["initial_mean"]["attention", "scale"] == 1


@pytest.mark.parametrize("case", ["attention", "class_token_vit"], indirect=True)
def test_attention_of_the_model_kinds(case: Case) -> None:
    table = kv.attention.summarize(case.model)
    assert {"query", "output"} <= set(table.index.get_level_values("group"))
    assert (table["depth"] >= 1).all()


@pytest.mark.parametrize("case", sorted(KINDS), indirect=True)
def test_any_model(case: Case) -> None:
    values = kv.attention.weights(case.model, {"all": ".*"})
    assert sum(array.size for array in values.values()) == case.model.count_params()


def test_choices(dense: keras.Model) -> None:
    table = kv.attention.summarize(
        dense,
        {
            "pattern": "gate_1/kernel",
            "compiled": re.compile("GATE_1/kernel", re.IGNORECASE),
            "list": ["gate_1/kernel", "norm/gamma"],
            "type": layers.BatchNormalization,
            "layer": dense.get_layer("gate_2"),
            "layers": [dense.get_layer("gate_2"), dense.get_layer("head")],
            "model": dense,
        },
    )
    count = table["count"]
    assert count["pattern", "kernel"] == count["compiled", "kernel"] == 12 * 9
    assert list(count["list"].index) == ["kernel", "gamma"]
    assert dict(count["type"]) == dict.fromkeys(
        ("gamma", "beta", "moving_mean", "moving_variance"), 9
    )
    assert dict(count["layer"]) == {"kernel": 63, "bias": 7}
    assert count["layers", "kernel"] == 63 + 35
    assert count["model"].sum() == dense.count_params()
    assert table["depth"].isna().all()


def test_depth(small: keras.Model) -> None:
    table = kv.attention.summarize(small, depth={"semi-local": 22})
    assert table["depth"]["semi-local", "bias"] == 22
    assert table["depth"]["fully-local", "bias"] == 2
    one_branch = kv.attention.summarize(small, {"depth": "depth_.*semi_local.*"})
    assert one_branch["depth"].iloc[0] == 2
    mixed = kv.attention.summarize(small, {"mixed": ["depth_.*semi_local.*", ".*bn_1/gamma"]})
    assert mixed["depth"].isna().all()


def test_broken_weights_are_counted_and_told(dense: keras.Model) -> None:
    model = keras.models.clone_model(dense)
    model.set_weights(dense.get_weights())
    kernel = model.get_layer("gate_1").kernel.numpy()
    kernel[0, :3] = np.nan, np.inf, -np.inf
    model.get_layer("gate_1").kernel.assign(kernel)
    model.get_layer("gate_2").bias.assign(np.full(7, np.nan))
    with pytest.warns(KerasvizWarning, match="3 of the 171 weights of \\(gates, kernel\\)"):
        table = kv.attention.summarize(model, GATES, depth=1)
    row = table.loc[("gates", "kernel")]
    values = pooled(model, "kernel")
    assert (row["not_finite"], row["count"]) == (3, 168)
    np.testing.assert_allclose(row["mean"], values[np.isfinite(values)].mean(), rtol=1e-6)
    with pytest.warns(KerasvizWarning, match="7 of the 7"):
        broken = kv.attention.summarize(model, {"none": "gate_2/bias"}, depth=1).iloc[0]
    assert (broken["count"], broken["not_finite"]) == (0, 7)
    assert broken.drop(["count", "tensors", "not_finite"]).isna().all()
    assert set(broken.index) == set(table.columns)
    assert np.isnan(kv.attention.weights(model, {"none": "gate_2/bias"})["none", "bias"]).all()


def test_untrained_biases_are_no_error(mobile_net: keras.Model) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        row = kv.attention.summarize(mobile_net).loc[("squeeze-excitation", "bias")]
    assert (row["zeros"], row["mean"], row["std"]) == (row["count"], 0, 0)
    assert np.isnan(row["sign_test"])
    assert (row["shift"], row["shift_test"], row["drift"]) == (0, 1, 0)


def test_initializers_that_are_not_known() -> None:
    layer = layers.Dense(5, kernel_initializer=lambda shape, dtype: keras.ops.ones(shape, dtype))
    row = kv.attention.summarize(
        keras.Sequential([keras.Input((4,)), layer]), {"all": ".*kernel"}, depth=1
    ).iloc[0]
    unknown = ["initial_mean", "initial_std", "shift", "shift_test", "drift", "drift_by_chance"]
    assert row[unknown].isna().all()
    assert row["mean"] == 1


def test_nothing_is_altered(small: keras.Model) -> None:
    before = [weight.copy() for weight in small.get_weights()]
    attributes = {id(layer): set(vars(layer)) for layer in small.layers}
    generator = keras.random.SeedGenerator(3)
    numpy = np.random.get_state()[1].copy()  # noqa: NPY002
    python, seed = random.getstate(), generator.state.numpy()
    kv.attention.summarize(small)
    kv.attention.weights(small)
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002
    np.testing.assert_array_equal(generator.state.numpy(), seed)
    keras.utils.set_random_seed(1)
    drawn = keras.random.normal((3,))
    keras.utils.set_random_seed(1)
    kv.attention.summarize(small)
    np.testing.assert_array_equal(keras.random.normal((3,)), drawn)
    assert {id(layer): set(vars(layer)) for layer in small.layers} == attributes
    for old, new in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_memory_is_bounded() -> None:
    """16 MB of weights in one group: its copy, the tensor being read, and working room."""
    model = keras.Sequential([keras.Input((1000,)), *(layers.Dense(1000) for _ in range(4))])
    kv.attention.summarize(model, {"all": ".*"}, depth=1)
    tracemalloc.start()
    kv.attention.summarize(model, {"all": ".*"}, depth=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 16e6 + 25e6


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"groups": {}}, InputError, "dict of name to pattern"),
        ({"groups": ".*"}, InputError, "dict of name to pattern"),
        ({"groups": {"a": []}}, InputError, "must choose some weights"),
        ({"groups": {"a": 3}}, InputError, "pattern, layer type or layer. Received: 3"),
        ({"groups": {"a": "("}}, InputError, "regular expression"),
        ({"groups": {"a": "gate"}}, AddressError, "none of 10.*'gate_1/kernel'"),
        ({"groups": {"a": "gait_1/kernel"}}, AddressError, "'gate_1/kernel'"),
        ({"groups": {"a": ["gate_.*", "x+"]}}, AddressError, "'x\\+'"),
        ({"groups": {"a": layers.Conv2D}}, AddressError, "Group 'a' must match"),
        ({"groups": GATES, "depth": 0}, InputError, "1 or more. Received: 0"),
        ({"groups": GATES, "depth": 1.5}, InputError, "Received: 1.5"),
        ({"groups": GATES, "depth": {"b": 2}}, InputError, "groups of the table: gates"),
        ({"groups": GATES, "confidence": 95}, InputError, "between 0 and 1. Received: 95"),
        ({}, MethodError, "in which none was found"),
    ],
)
def test_errors(dense: keras.Model, settings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        kv.attention.summarize(dense, **settings)


def test_models_that_are_none() -> None:
    with pytest.raises(InputError, match=r"must be a keras.Model"):
        kv.attention.summarize("model")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be built"):
        kv.attention.weights(keras.Sequential([layers.Dense(2)]))


def test_quantized_attention_is_refused() -> None:
    model = keras.Sequential([keras.Input((8,)), layers.Dense(4, name="gate")])
    model.quantize("int8")
    with pytest.raises(MethodError, match="before `quantize`"):
        kv.attention.summarize(model, {"gate": "gate/.*"})


def test_shared_layers_count_once() -> None:
    model = build("shared_layer").model
    values = kv.attention.weights(model, {"conv": "conv/kernel", "same": "conv/.*"})
    assert values["conv", "kernel"].size == values["same", "kernel"].size
    assert values["conv", "kernel"].size == model.get_layer("conv").kernel.numpy().size


def test_a_gate_that_the_model_itself_computes_is_a_group() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.features, self.gate = layers.Dense(3), layers.Dense(3, name="gate")

        def call(self, x: Any) -> Any:
            return self.features(x) * keras.ops.sigmoid(self.gate(x))

    model = Own()
    model.build((None, 4))
    table = kv.attention.summarize(keras.Sequential([keras.Input((4,)), model]))
    assert table["count"].to_dict() == {
        ("squeeze-excitation", "kernel"): 12,
        ("squeeze-excitation", "bias"): 3,
    }
    assert set(table["depth"]) == {1}


def test_the_model_is_traced_once(monkeypatch: pytest.MonkeyPatch, small: keras.Model) -> None:
    fusion, calls = kv.attention.EncoderFusion, []
    called = fusion.call

    def noted(layer: Any, inputs: Any) -> Any:
        calls.append(layer)
        return called(layer, inputs)

    monkeypatch.setattr(fusion, "call", noted)
    kv.attention.summarize(small)
    assert len(calls) == 1


def test_a_model_that_cannot_run_is_read_by_its_types() -> None:
    class Broken(layers.Layer):  # type: ignore[misc]
        broken = False

        def call(self, x: Any) -> Any:
            if self.broken:
                raise RuntimeError("no")
            return x

    tokens, broken = keras.Input((4, 6)), Broken()
    attention = layers.MultiHeadAttention(2, 3, name="heads")
    model = keras.Model(tokens, broken(attention(tokens, tokens)))
    broken.broken = True
    table = kv.attention.summarize(model)
    assert ("query", "kernel") in table.index
    assert table["depth"].isna().all()
