"""The impact simulator: the numbers that Keras draws, the closed form, and what is refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.signal import correlate2d

import kerasviz as kv
from kerasviz.attention import mean_field, moments, random_networks
from kerasviz.attention.settings import checked
from kerasviz.attention.simulation import Simulation, simulate_cnn, simulate_dense, sweep
from kerasviz.errors import InputError, KerasvizWarning, MethodError
from kerasviz.probe.backend import random_layers


def drawn(shape: tuple[int, ...], mean: float, std: float, seed: int) -> np.ndarray:
    """What Keras's initializer draws for a whole number."""
    return np.asarray(keras.initializers.RandomNormal(mean, std, seed=seed)(shape), np.float64)


def seed_of(seed: int, layer: int, tensor: int) -> int:
    """The rule of the docs."""
    return 5 * (1000 * seed + layer) + tensor


def slow_dense(seed: int, depth: int, size: int, attention: bool) -> np.ndarray:
    """The dense simulator as a NumPy loop over Keras's initializers."""
    x = np.ones(size**2)
    for layer in range(1, depth + 1):
        kernel = drawn((size**2, size**2), 0.0, 0.05, seed_of(seed, layer, 0))
        x = np.maximum(x @ kernel + drawn(x.shape, 0.0, 0.05, seed_of(seed, layer, 1)), 0.0)
        if attention:
            multiplier = drawn(x.shape, 1.071, 0.253, seed_of(seed, layer, 2))
            x = np.maximum(
                x * multiplier + drawn(x.shape, 0.114, 0.181, seed_of(seed, layer, 3)), 0
            )
    return x.reshape(size, size)


def slow_cnn(seed: int, depth: int, size: int, filters: int, attention: bool) -> np.ndarray:
    """The CNN simulator as a NumPy loop; the mean over channels."""
    x = drawn((1, size, size, 1), 1.0, 0.5, seed_of(seed, 0, 4))[0]
    for layer in range(1, depth + 1):
        kernel = drawn((3, 3, x.shape[-1], filters), 0.2, 0.2, seed_of(seed, layer, 0))
        bias = drawn((filters,), 0.0, 0.2, seed_of(seed, layer, 1))
        maps = [
            sum(correlate2d(x[..., i], kernel[:, :, i, o], mode="same") for i in range(x.shape[-1]))
            for o in range(filters)
        ]
        x = 1.0 / (1.0 + np.exp(-(np.stack(maps, axis=-1) + bias) / filters))
        if attention:
            multiplier = drawn((filters,), 1.071, 0.253, seed_of(seed, layer, 2))
            x = np.maximum(
                x * multiplier + drawn((filters,), 0.114, 0.181, seed_of(seed, layer, 3)), 0
            )
    return x.mean(axis=-1)


def test_dense_draws_what_keras_draws() -> None:
    found = simulate_dense(depth=3, size=6, seeds=[4, 1], verbose=0)
    assert found.baseline is not None
    for one in (found.baseline, found):
        expected = np.stack([slow_dense(seed, 3, 6, one.attention) for seed in (4, 1)])
        np.testing.assert_allclose(one.images, expected, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(one.means, expected.mean(axis=(1, 2)), rtol=1e-5)
    assert found.images.dtype == np.float32
    first = simulate_dense(depth=1, size=6, seeds=[4], verbose=0)
    np.testing.assert_allclose(found.layer_means[0, 0], first.means[0], rtol=1e-6)


def test_cnn_draws_what_keras_draws() -> None:
    found = simulate_cnn(depth=3, size=7, filters=4, seeds=[2], verbose=0)
    assert found.baseline is not None
    for one in (found.baseline, found):
        np.testing.assert_allclose(one.images[0], slow_cnn(2, 3, 7, 4, one.attention), rtol=2e-5)


def test_seeds_meet_no_other() -> None:
    seeds = [
        number
        for seed in (0, 1, 2, 399_999, 400_000)
        for layer in (0, 1, 999)
        for number in random_networks.tensor_seeds(seed, layer)
    ]
    assert len(set(seeds)) == len(seeds)
    assert max(seeds) < 2**31 - 1


def test_a_network_alone_is_the_same() -> None:
    """With or without a baseline beside it, whichever seeds there are."""
    both = simulate_dense(depth=2, size=5, seeds=3, verbose=0)
    alone = simulate_dense(depth=2, size=5, seeds=[2], baseline=False, verbose=0)
    plain = simulate_dense(attention=False, depth=2, size=5, seeds=[2], verbose=0)
    assert (alone.baseline, plain.baseline) == (None, None)
    np.testing.assert_allclose(alone.images[0], both.images[2], rtol=1e-5)
    np.testing.assert_allclose(plain.images[0], both.baseline.images[2], rtol=1e-5)
    np.testing.assert_allclose(both.ratios, both.means / both.baseline.means)
    with pytest.raises(InputError, match="baseline=True"):
        _ = alone.ratios


def test_saved_with_its_baseline_and_loaded(tmp_path: Path) -> None:
    found = simulate_dense(depth=2, size=5, seeds=range(2), verbose=0)
    again = Simulation.load(found.save(tmp_path / "simulation.npz"))
    assert (again.parameters, again.seeds) == (found.parameters, found.seeds)
    np.testing.assert_array_equal(again.ratios, found.ratios)
    assert again.baseline.baseline is None
    np.testing.assert_array_equal(again.baseline.images, found.baseline.images)
    assert repr(again) == repr(found)


def test_traced_once() -> None:
    simulate_dense(depth=2, size=3, seeds=1, verbose=0)
    simulate_cnn(depth=2, size=3, filters=2, seeds=1, verbose=0)
    before = [f.experimental_get_tracing_count() for f in _compiled()]
    for size in (4, 5):
        simulate_dense(False, (0.9, 0.1), (0.0, 0.2), depth=3, size=size, seeds=2, verbose=0)
        simulate_cnn(depth=3, size=size, filters=size, seeds=2, divisor=7.0, verbose=0)
    assert [f.experimental_get_tracing_count() for f in _compiled()] == before


def _compiled() -> list[Any]:
    return [random_layers._dense, random_layers._convolution]


DENSE: dict[str, dict[str, Any]] = {
    "as the original": {"size": 16, "depth": 11, "seeds": 60},
    "one layer": {"depth": 1},
    "deep": {"depth": 30, "kernel": (0.0, 0.13), "seeds": 50},
    "negative bias": {"bias": (-0.3, 0.1), "depth": 5},
    "starving": {"multiplier": (0.5, 0.1), "bias": (-0.1, 0.05), "depth": 5},
    "the same for all": {"multiplier": (1.1, 0.0), "bias": (0.1, 0.0), "depth": 5},
    "cut below": {"multiplier": (0.9, 0.0), "bias": (-0.1, 0.0), "depth": 4},
    "turned over": {"multiplier": (-1.0, 0.3), "depth": 4},
    "kernels off centre": {"kernel": (0.02, 0.1), "depth": 5},
    "kernels below": {"kernel": (-0.01, 0.1), "depth": 5},
}
CNN: dict[str, dict[str, Any]] = {
    "as the original": {"depth": 8},
    "one layer": {"depth": 1},
    "negative bias": {"bias": (-0.3, 0.1), "depth": 4},
    "strong": {"multiplier": (2.0, 0.5), "depth": 4},
    "wide kernels": {"kernel": (0.2, 1.0), "depth": 4},
    "odd size": {"size": 3, "depth": 4},
    "one position": {"size": 1, "depth": 3},
}


def check_expectation(found: Simulation) -> None:
    """Mean over seeds within 3 standard errors; the spread within what a sample's varies."""
    for one in (found.baseline, found):
        assert one is not None
        error = one.std / len(one.seeds) ** 0.5
        assert abs(one.mean - one.expected) < 3.0 * error
        assert one.mean == pytest.approx(one.expected, rel=0.12)
        assert one.std == pytest.approx(one.expected_std, rel=0.3)
        assert one.expected_layers[-1] == one.expected


@pytest.mark.parametrize("settings", DENSE.values(), ids=DENSE)
def test_dense_expectation(settings: dict[str, Any]) -> None:
    check_expectation(simulate_dense(**({"size": 12, "seeds": 100, "verbose": 0} | settings)))


@pytest.mark.parametrize("settings", CNN.values(), ids=CNN)
def test_cnn_expectation(settings: dict[str, Any]) -> None:
    fixed = {"size": 10, "filters": 16, "seeds": 80, "verbose": 0}
    check_expectation(simulate_cnn(**(fixed | settings)))


def test_spread_that_comes_through_layers() -> None:
    """Only the input is random: what is left of it after two layers is the response to it."""
    fixed = {"kernel": (0.2, 0.0), "layer_bias": (0.0, 0.0), "input": (1.0, 1.0)}
    found = simulate_cnn(
        False, depth=2, size=5, filters=2, divisor=1.0, seeds=100, verbose=0, **fixed
    )
    assert found.std == pytest.approx(found.expected_std, rel=0.3)
    assert found.mean == pytest.approx(found.expected, rel=0.02)


def test_expectation_of_the_original() -> None:
    """294 and 943 are what one draw of the seed document gave; 1.114 is its misprint."""
    found = sweep(over={"bias_mean": [0.114, 1.114]})
    without, (right, misprint) = found.baseline[0], found.expected
    spread = found.expected_std[0]
    assert abs(943 - right) < 1.5 * spread
    assert misprint - 943 > 4 * found.expected_std[1]
    plain = simulate_dense(False, size=2, seeds=1, verbose=0)
    assert plain.expected != without
    assert abs(294 - without) < 0.08 * without


def test_nothing_random_is_left() -> None:
    """Whatever arrives, attention makes it 5: rounding must not become a spread, or NaN."""
    found = simulate_dense(multiplier=(0, 0), bias=(5.0, 0.0), depth=4, size=5, seeds=2, verbose=0)
    np.testing.assert_allclose(found.expected_layers, 5.0)
    np.testing.assert_allclose(found.expected_layer_stds, 0.0, atol=1e-5)
    np.testing.assert_array_equal(found.means, 5.0)


def test_first_layer_in_closed_form() -> None:
    """Of ones, a layer is exactly half-normal: no closure is involved."""
    found = simulate_dense(False, depth=1, size=5, seeds=1, kernel=(0, 0.3), verbose=0)
    sigma = np.sqrt(25 * 0.3**2 + 0.05**2)
    assert found.expected == pytest.approx(sigma / np.sqrt(2 * np.pi))
    assert found.expected_std == pytest.approx(sigma * np.sqrt((0.5 - 0.5 / np.pi) / 25))


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.2), (-2.0, 0.7), (0.3, 0.0)])
def test_rectified_moments(mean: float, std: float) -> None:
    found = moments.rectified_moments(np.array(mean), np.array(std**2))
    density = stats.norm(mean, std or 1.0).pdf
    for order in range(1, 5):
        integral, _ = integrate.quad(lambda z, k=order: z**k * density(z), 0, 12)
        expected = integral if std else mean**order
        assert found[order - 1] == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("mean", "std", "multiplier", "bias"),
    [
        (0.0, 1.0, (1.071, 0.253), (0.114, 0.181)),
        (0.5, 2.0, (0.6, 0.0), (-0.4, 0.0)),
        (-1.0, 0.5, (-1.0, 0.3), (0.2, 0.1)),
        (0.0, 1e4, (1.0, 0.1), (0.1, 0.2)),
        (-0.3, 0.0, (1.0, 0.1), (0.1, 0.2)),
        (0.3, 0.0, (1.0, 0.1), (0.1, 0.2)),
    ],
)
def test_attended_moments(mean: float, std: float, multiplier: Any, bias: Any) -> None:
    """Against a million draws."""
    z, m, b = np.random.default_rng(0).normal(size=(3, 1_000_000))
    h = np.maximum(mean + std * z, 0.0)
    y = np.maximum(h * (multiplier[0] + multiplier[1] * m) + bias[0] + bias[1] * b, 0.0)
    found = moments.attended_moments(np.array([mean]), np.array([std**2]), multiplier, bias)[:, 0]
    for order in range(1, 5):
        powers = y**order
        error = powers.std() / 1000.0
        assert abs(found[order - 1] - powers.mean()) < 4 * error + 1e-9, order


def test_overflow_is_said_and_no_nan() -> None:
    with pytest.warns(KerasvizWarning, match="left the range of float32") as told:
        found = simulate_dense(depth=45, size=8, seeds=2, kernel=(0.0, 5.0), verbose=0)
    assert [str(one.message).split(",")[0] for one in told] == [
        "Without attention",
        "With attention",
    ]
    assert np.isinf(found.means).all()
    assert not np.isnan(found.images).any()
    assert not np.isnan(found.layer_means).any()
    assert np.isfinite(found.layer_means[:, :5]).all()
    assert "the first in layer" in found.diagnosis
    assert not np.isnan(found.expected)
    found.plot()


def test_a_starved_network_is_said() -> None:
    with pytest.warns(KerasvizWarning, match="all zero, the first in layer 1"):
        found = simulate_dense(depth=2, size=4, seeds=2, bias=(-9.0, 0.0), verbose=0)
    assert found.means.tolist() == [0.0, 0.0]
    assert found.expected == pytest.approx(0.0, abs=1e-6)


def test_depth_of_many_layers_without_overflow_of_the_closed_form() -> None:
    found = sweep(over={"depth": [500]}, kernel=(0.0, 1.0))
    assert np.isinf(found.expected[0])
    assert np.isinf(found.baseline[0])


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption between two layers leaves nothing behind."""
    before = simulate_dense(depth=2, size=4, seeds=2, verbose=0).images
    calls = iter((None, None, KeyboardInterrupt))
    with monkeypatch.context() as patch:

        def interrupt(self: Any, count: int) -> None:
            error = next(calls)
            if error is not None:
                raise error

        patch.setattr(keras.utils.Progbar, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            simulate_dense(depth=2, size=4, seeds=2, verbose=0)
    np.testing.assert_array_equal(
        simulate_dense(depth=2, size=4, seeds=2, verbose=0).images, before
    )


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    simulate_dense(depth=2, size=2, seeds=3, verbose=0)
    assert capsys.readouterr().out == ""
    simulate_dense(depth=2, size=2, seeds=3)
    assert "6/6" in capsys.readouterr().out


def test_no_global_random_state_is_touched() -> None:
    keras.utils.set_random_seed(3)
    expected = float(keras.random.normal(())), random.random()
    keras.utils.set_random_seed(3)
    simulate_cnn(depth=1, size=2, filters=2, seeds=1, verbose=0)
    assert (float(keras.random.normal(())), random.random()) == expected


def test_the_table_and_what_is_kept() -> None:
    found = simulate_dense(depth=2, size=4, seeds=5, verbose=0)
    table = found.table()
    assert list(table.index) == ["without attention", "with attention"]
    row = table.loc["with attention"]
    assert row["mean"] == found.mean
    assert row["standard error"] == pytest.approx(found.std / 5**0.5)
    assert found.parameters["multiplier"] == [1.071, 0.253]
    assert "filters" not in found.parameters
    assert found.seeds == (0, 1, 2, 3, 4)
    assert "model" not in found.provenance
    assert "with attention, mean" in repr(found)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"multiplier": (1.0, -0.1)}, "`multiplier`"),
        ({"bias": (float("nan"), 0.1)}, "`bias`"),
        ({"kernel": (0.0, float("inf"))}, "`kernel`"),
        ({"layer_bias": 0.1}, "`layer_bias`"),
        ({"depth": 0}, "`depth`"),
        ({"depth": 1000}, "from 1 to 999"),
        ({"size": 0}, "`size`"),
        ({"size": 2.5}, "2.5"),
        ({"seeds": []}, "`seeds`"),
        ({"seeds": 0}, "`seeds`"),
        ({"seeds": [1, 1]}, "different"),
        ({"seeds": [-1]}, "400,000"),
        ({"seeds": "three"}, "'three'"),
        ({"attention": 1}, "True or False"),
        ({"attention": None}, "True or False"),
        ({"baseline": "no"}, "`baseline` must be True or False"),
        ({"multiplier": "12"}, "`multiplier`.*'12'"),
        ({"seeds": 400_002, "size": 1, "depth": 1}, "from 1 to 400000"),
        ({"size": 500}, "62,500,000,000 weights a layer"),
    ],
)
def test_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        simulate_dense(**settings)


def test_refused_cnn() -> None:
    with pytest.raises(InputError, match="`divisor`"):
        simulate_cnn(divisor=0)
    with pytest.raises(InputError, match="GiB"):
        simulate_cnn(filters=16_384)


@pytest.fixture
def network() -> keras.Model:
    """Two gates in sequence, named as EfficientNet names them, and a layer without bias."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((4, 4, 3))
    for block in ("one", "two"):
        gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        gate = keras.layers.Conv2D(2, 1, bias_initializer="normal", name=f"{block}_se_reduce")(gate)
        gate = keras.layers.Conv2D(3, 1, activation="sigmoid", name=f"{block}_se_expand")(gate)
        x = keras.layers.Multiply()([x, gate])
    head = keras.layers.Dense(2, use_bias=False, name="head")(x)
    return keras.Model(inputs, head, name="gated")


def test_a_group_hands_its_distribution_over(network: keras.Model) -> None:
    gates = [layer for layer in network.layers if "_se_" in layer.name]
    kernels = np.concatenate(
        [keras.ops.convert_to_numpy(layer.kernel).ravel() for layer in gates]
    ).astype("float64")
    biases = np.concatenate(
        [keras.ops.convert_to_numpy(layer.bias).ravel() for layer in gates]
    ).astype("float64")
    settings = {"size": 4, "seeds": 2, "verbose": 0}
    found = kv.attention.simulate_group(network, "squeeze-excitation", **settings)
    multiplier, bias = (1 + kernels.mean(), kernels.std()), (biases.mean(), biases.std())
    expected = simulate_dense(True, multiplier, bias, depth=2, **settings)
    np.testing.assert_allclose(found.images, expected.images, rtol=1e-5)
    assert found.parameters["depth"] == 2
    assert found.provenance["model"] == "gated"
    assert found.provenance["group"] == "squeeze-excitation"
    assert found.provenance["weights"] == {"kernel": 24, "bias": 10}
    deeper = kv.attention.simulate_group(network, "squeeze-excitation", depth=3, **settings)
    assert deeper.parameters["depth"] == 3


def test_a_layer_hands_its_distribution_over(network: keras.Model) -> None:
    settings = {"depth": 2, "size": 4, "seeds": 1, "verbose": 0, "filters": 3}
    found = kv.attention.simulate_group(network, "one_se_expand", "cnn", **settings)
    kernel = keras.ops.convert_to_numpy(network.get_layer("one_se_expand").kernel)
    assert found.parameters["multiplier"] == pytest.approx([1 + kernel.mean(), kernel.std()])
    assert found.parameters["bias"] == [0.0, 0.0]
    assert found.parameters["filters"] == 3


def test_a_chosen_group_without_biases(network: keras.Model) -> None:
    settings = {"groups": {"last": "head/kernel"}, "size": 2, "seeds": 1, "verbose": 0}
    found = kv.attention.simulate_group(network, "last", **settings)
    assert found.provenance["weights"] == {"kernel": 6, "bias": 0}
    assert (found.parameters["bias"], found.parameters["depth"]) == ([0.0, 0.0], 11)


def test_refused_groups(network: keras.Model) -> None:
    with pytest.raises(InputError, match=r"\['squeeze-excitation'\].*'gats'"):
        kv.attention.simulate_group(network, "gats")
    with pytest.raises(InputError, match="'width'"):
        kv.attention.simulate_group(network, "head", width=3)
    with pytest.raises(InputError, match=r"to be the group's. Received: settings \['bias'\]"):
        kv.attention.simulate_group(network, "head", bias=(0.0, 0.1))
    broken = network.get_layer("head")
    broken.set_weights([np.full((3, 2), np.nan)])
    with pytest.raises(InputError, match="6 of 6 in the kernel of 'head'"):
        kv.attention.simulate_group(network, "head")
    with pytest.raises(MethodError, match="Expected a model with attention"):
        kv.attention.simulate_group(keras.Sequential([keras.Input((3,)), broken]), "gate")


def test_sweep() -> None:
    found = sweep(
        over={"depth": [6, 1, 2], "multiplier_mean": [0.2, 1.0, 2.0]},
        size=12,
        bias=(0.0, 0.05),
        kernel=(0.0, 0.12),
        limits=(0.2, 5.0),
    )
    assert found.over["depth"].tolist() == [1, 2, 6]
    assert found.expected.shape == found.baseline.shape == (3, 3)
    one = simulate_dense(
        multiplier=(2.0, 0.253),
        bias=(0.0, 0.05),
        depth=6,
        size=12,
        kernel=(0.0, 0.12),
        seeds=1,
        verbose=0,
    )
    assert found.expected[2, 2] == one.expected
    assert found.expected_std[2, 2] == one.expected_std
    assert found.baseline[2, 2] == one.baseline.expected
    assert found.verdicts[2].tolist() == ["starves", "", "explodes"]
    assert found.verdicts[0].tolist() == ["", "", ""]
    table = found.table()
    assert isinstance(table, pd.DataFrame)
    cell = table[(table.depth == 6) & (table.multiplier_mean == 2.0)].iloc[0]
    assert (cell["expected"], cell["verdict"]) == (one.expected, "explodes")
    assert "multiplier" in found.parameters
    assert found.checked is None


def test_sweep_of_the_cnn_divides_by_its_filters() -> None:
    found = sweep("cnn", {"filters": [4, 8]}, size=6, depth=3)
    for index, filters in enumerate((4, 8)):
        one = simulate_cnn(size=6, depth=3, filters=filters, seeds=1, verbose=0)
        assert found.expected[index] == one.expected
    fixed = sweep("cnn", {"filters": [4, 8]}, size=6, depth=3, divisor=4)
    assert fixed.expected[0] == found.expected[0]
    assert fixed.expected[1] > found.expected[1]
    original = sweep("cnn", {"filters": [4, 512]}, size=6, depth=3, divisor=512)
    assert original.expected[0] != found.expected[0]


@pytest.mark.parametrize("size", [9, 10, 31])
def test_the_inside_of_a_large_cnn_is_computed_once(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = checked("cnn", size=size, depth=3, filters=4)
    found = mean_field.layers(settings)
    monkeypatch.setattr(mean_field, "_smallest_alike", lambda size, _: size)
    np.testing.assert_allclose(found, mean_field.layers(settings), rtol=1e-12)
    monkeypatch.undo()
    huge = sweep("cnn", {"size": [100_000]}, depth=3, filters=4)
    assert huge.expected[0] == pytest.approx(found[-1][0], rel=0.3)


def test_sweep_checks_cells_by_drawing() -> None:
    found = sweep(
        over={"bias_mean": [-0.1, 0.0, 0.1], "bias_std": [0.0, 0.2]},
        simulate=True,
        seeds=40,
        size=10,
        depth=4,
        verbose=0,
    )
    table = found.checked
    assert table is not None
    assert len(table) == 5
    assert ((table.measured - table.expected).abs() < 3.5 * table["standard error"]).all()


@pytest.mark.parametrize(
    ("over", "settings", "words"),
    [
        ({"bias_men": [0.0]}, {}, "bias_men"),
        ({}, {}, "one or two"),
        ({"depth": [1], "size": [4], "bias_mean": [0.0]}, {}, "one or two"),
        ({"depth": []}, {}, "at least one"),
        ({"depth": ["deep"]}, {}, "at least one number.*'deep'"),
        ({"size": [10**160]}, {}, "of at most 1e\\+09"),
        (["depth"], {}, "`over` must be a dict"),
        ({"depth": [2]}, {"attention": False}, "`attention`"),
        ({"depth": [1.5]}, {}, "`depth`"),
        ({"bias_std": [-0.5]}, {}, "`bias`"),
        ({"filters": [4]}, {}, "'filters'"),
        ({"depth": [2]}, {"limits": (2.0, 3.0)}, "`limits`"),
        ({"depth": [2]}, {"width": 3}, "'width'"),
        ({"size": [4, 500]}, {"simulate": True}, "GiB"),
    ],
)
def test_refused_sweeps(over: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        sweep(over=over, **settings)
    with pytest.raises(InputError, match="'dense' or 'cnn'"):
        sweep("rnn")
