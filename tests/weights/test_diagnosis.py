"""`kv.weights.diagnose`: planted faults are found and named, healthy networks are left in peace."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import kerasviz as kv
from kerasviz.probe.held_weights import held_weights
from kerasviz.weights import filters
from kerasviz.weights.freshness import freshness
from tests.reference import weights as reference

layers: Any = keras.layers
NORMALS = ("a", "b", "c")


def healthy(seed: int = 0) -> keras.Model:
    """Weights that no initializer gives; a ReLU behind the first two of three normalizations."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(12, 3, name="conv")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="a")(x))
    x = layers.Conv2D(16, 3, name="second", use_bias=False)(x)
    x = layers.Activation("relu6")(layers.BatchNormalization(name="b")(x))
    x = layers.BatchNormalization(name="c")(layers.Conv2D(6, 1, name="third")(x))
    x = layers.Dense(5, name="classes")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, x, name="healthy")
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        values = generator.normal(size=weight.shape)
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(np.exp(values / 4) if positive else values)
    return model


def changed(layer: Any, name: str, units: Any, value: Any) -> None:
    """Give some entries of the last axis of a weight a value."""
    variable = getattr(layer, name)
    values = np.array(keras.ops.convert_to_numpy(variable))
    values[..., units] = value
    variable.assign(values)


def found(model: keras.Model) -> dict[tuple[str, str], tuple[int, ...]]:
    """(address, finding) to units."""
    table = kv.weights.diagnose(model)
    assert all(s.startswith(a) for s, a in zip(table["sentence"], table["address"], strict=True))
    return {(row.address, row.finding): row.units for row in table.itertuples()}


def test_a_healthy_network_has_no_findings() -> None:
    assert [found(healthy(seed)) for seed in range(5)] == [{}] * 5


def test_planted_faults() -> None:
    model = healthy()
    conv, second = model.get_layer("conv"), model.get_layer("second")
    changed(conv, "kernel", 3, 0.0)
    kernel = keras.ops.convert_to_numpy(second.kernel)
    changed(second, "kernel", 5, 1e-4 * kernel[..., 5])
    changed(second, "kernel", 9, -2.5 * kernel[..., 2])
    changed(second, "kernel", 11, 0.5 * kernel[..., 2])
    model.get_layer("classes").kernel.assign(np.full((6, 5), np.nan))
    a, b, c = (model.get_layer(name) for name in NORMALS)
    changed(a, "gamma", [4, 6], [0.0, 1e-4])
    changed(a, "beta", 7, -30.0)
    changed(b, "moving_variance", [1, 2], [1e-7, 1e7])
    changed(b, "beta", 8, -30.0)
    changed(c, "beta", 1, -30.0)  # no ReLU behind
    a_beta = keras.ops.convert_to_numpy(a.beta)
    expected = {
        ("classes/kernel", "not finite"): (),
        ("conv/kernel", "dead filters"): (3,),
        ("second/kernel", "dead filters"): (5,),
        ("second/kernel", "duplicate filters"): (9, 11),
        ("a", "gamma near zero"): (4, 6),
        ("a", "ReLU stays shut"): (7,),
        ("b", "ReLU stays shut"): (8,),
        ("b", "moving variance near zero"): (1,),
        ("b", "moving variance huge"): (2,),
    }
    b_beta, b_gamma = (keras.ops.convert_to_numpy(x) for x in (b.beta, b.gamma))
    if b_beta[1] < -4 * abs(b_gamma[1]) * 0.01:  # hardly any input is left to open this channel
        expected["b", "ReLU stays shut"] = (1, 8)
    assert found(model) == expected
    assert a_beta[4] > -5
    table = kv.weights.diagnose(model)
    assert list(table["finding"])[:2] == ["not finite", "dead filters"]
    assert table["value"][0] == 30
    assert "30 of 30 weights are NaN" in table["sentence"][0]
    assert "2 of 16 filters (9, 11)" in " ".join(table["sentence"])
    assert "1 of them negated" in " ".join(table["sentence"])


def test_a_residual_path_around_the_relu_keeps_a_channel_open() -> None:
    x = keras.Input((4, 4, 3))
    norm = layers.BatchNormalization(name="norm")
    y = norm(x)
    z = layers.Add()([layers.ReLU()(y), y])
    model = keras.Model(x, layers.GlobalAveragePooling2D()(z))
    generator = np.random.default_rng(0)
    for weight in norm.weights:
        weight.assign(generator.uniform(0.5, 1.5, 3))
    changed(norm, "beta", 0, -30.0)
    assert found(model) == {}
    alone = keras.Model(x, layers.GlobalAveragePooling2D()(layers.ReLU()(y)))
    assert found(alone) == {("norm", "ReLU stays shut"): (0,)}
    leaky = keras.Model(x, layers.GlobalAveragePooling2D()(layers.LeakyReLU(0.1)(y)))
    assert found(leaky) == {}


def test_a_fresh_model_is_as_initialized_and_a_moved_layer_is_not() -> None:
    def net(seed: int) -> keras.Model:
        made = [
            keras.initializers.GlorotUniform(seed),
            keras.initializers.HeNormal(seed + 1),
            keras.initializers.Orthogonal(seed=seed + 2),
            keras.initializers.RandomNormal(seed=seed + 3),
        ]
        stack = [
            layers.Dense(24, kernel_initializer=one, name=f"d{i}") for i, one in enumerate(made)
        ]
        return keras.Sequential(
            [keras.Input((20,)), *stack, layers.BatchNormalization(name="norm")]
        )

    names = ["d0", "d1", "d2", "d3", "norm"]
    missed = 0
    for seed in range(0, 160, 8):
        model = net(seed)
        for held in held_weights(model):
            one = freshness(held, held.view())
            missed += one is None or not one.fresh
    assert missed <= 1  # of 80 drawn and 120 constant weights
    model = net(0)
    table = kv.weights.diagnose(model)
    assert list(table["address"]) == names
    assert set(table["finding"]) == {"as initialized"}
    assert table["value"][0] == 20 * 24 + 24
    generator = np.random.default_rng(1)
    for i in range(4):
        kernel = keras.ops.convert_to_numpy(model.layers[i].kernel)
        model.layers[i].kernel.assign(kernel + generator.normal(size=kernel.shape) * kernel.std())
    model.layers[4].gamma.assign(np.full(24, 1.01))
    left = kv.weights.diagnose(model)
    assert list(left["address"]) == [f"d{i}/bias" for i in range(4)] + [
        f"norm/{name}" for name in ("beta", "moving_mean", "moving_variance")
    ]


def test_an_orthogonal_kernel_that_moved_a_little_is_no_longer_one() -> None:
    """By so little that its values are distributed as before."""
    stack = [layers.LSTM(12, return_sequences=True, name="loop"), layers.RMSNormalization(name="n")]
    model = keras.Sequential([keras.Input((5, 12)), *stack])
    assert list(kv.weights.diagnose(model)["address"]) == ["loop/lstm_cell", "n/scale"]
    kernel = model.layers[0].cell.recurrent_kernel
    moves = np.random.default_rng(0).normal(size=kernel.shape)
    kernel.assign(keras.ops.convert_to_numpy(kernel) + 1e-3 * moves)
    left = kv.weights.diagnose(model)
    assert list(left["address"]) == ["loop/lstm_cell/kernel", "n/scale"]


def test_few_drawn_weights_are_not_judged() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="small")])
    assert list(kv.weights.diagnose(model)["address"]) == ["small/bias"]


@pytest.mark.parametrize("rows", [8, 9, 64, 300])
def test_repeated_filters_as_by_brute_force(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(filters, "BLOCK", 16)
    generator = np.random.default_rng(rows)
    matrix = generator.normal(size=(rows, 60))
    for goal, source, factor in ((7, 3, 1.0), (40, 5, -3.0), (41, 40, 2.0), (59, 0, 1e-3)):
        matrix[:, goal] = factor * matrix[:, source]
    near, far = matrix[:, 1], matrix[:, 2]
    matrix[:, 30] = near + 0.012 * generator.normal(size=rows)  # cosine about 0.99993
    matrix[:, 31] = far + 0.1 * generator.normal(size=rows)  # about 0.995
    matrix[:, 50] = 0.0
    matrix = matrix.astype("float32")
    norms = filters.filter_norms(matrix[None])
    np.testing.assert_allclose(norms[0], np.linalg.norm(matrix, axis=0), rtol=1e-6)
    units = [one for one, _, _ in filters.repeated(matrix[None], norms)]
    assert units == reference.repeated(matrix)
    assert {7, 40, 41, 59} <= set(units)
    both = np.stack([matrix, matrix])  # groups read other inputs: no repetition across them
    assert len(filters.repeated(both, filters.filter_norms(both))) == 2 * len(units)


def test_filters_of_few_weights_are_judged_with_care() -> None:
    matrix = np.ones((1, 2, 50)) * np.geomspace(1e-6, 1, 50)
    norms = filters.filter_norms(matrix)
    assert filters.dead(matrix, norms)[0].size == 0
    assert filters.repeated(matrix, norms) == []
    same = np.ones((1, 9, 2000), "float32")
    assert len(filters.repeated(same, filters.filter_norms(same))) == 1999


def test_depthwise_filters_of_other_channels_are_no_duplicates() -> None:
    model = keras.Sequential([keras.Input((8, 8, 6)), layers.DepthwiseConv2D(3, name="each")])
    model.weights[0].assign(np.ones((3, 3, 6, 1)) * 0.7)
    model.weights[1].assign(np.arange(1, 7))
    assert found(model) == {}
