"""The index of banding: planted bands are found, noise is not."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats

import kerasviz as kv
from kerasviz.probe.spatial_kernels import SpatialKernel
from kerasviz.weights.bands import COLUMNS, coin_test, kernel_row, mean_squares


def banded(seed: int = 0, strength: float = 1.0) -> np.ndarray:
    """(3, 3, 6, 20): each neuron reads one direction per row, and noise."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(3, 1, 6, 20)) * strength
    return (rows + 0.3 * generator.normal(size=(3, 3, 6, 20))).astype("float32")


def row(values: np.ndarray, kind: str = "convolution") -> dict:
    return kernel_row(SpatialKernel("conv", kind, values), 3, 999, seed=0)


@pytest.mark.parametrize("kind", ["convolution", "depthwise"])
def test_planted_bands_are_found(kind: str) -> None:
    lying = row(banded(), kind)
    assert lying["index"] > 0.5
    assert lying["p_value"] == 0.001
    standing = row(np.swapaxes(banded(), 0, 1), kind)
    assert standing["index"] == pytest.approx(-lying["index"], abs=0.02)
    assert standing["p_value"] == 0.001
    assert abs(row(banded(strength=0.0), kind)["index"]) < 0.2


def test_p_values_of_noise_are_uniform() -> None:
    generator = np.random.default_rng(1)
    found = [row(generator.normal(size=(3, 3, 4, 12))) for _ in range(150)]
    p_values = [one["p_value"] for one in found]
    assert stats.kstest(p_values, "uniform").pvalue > 0.05
    assert abs(np.mean([one["index"] for one in found])) < 0.02


def test_p_values_of_bands_both_ways_are_uniform() -> None:
    """Neurons that are bands themselves, by chance lying or standing, are not banding."""
    generator = np.random.default_rng(2)
    p_values = []
    for seed in range(150):
        values = banded(100 + seed)[..., :12]
        turned = generator.integers(0, 2, 12).astype(bool)
        values[..., turned] = np.swapaxes(values, 0, 1)[..., turned]
        p_values.append(row(values)["p_value"])
    assert stats.kstest(p_values, "uniform").pvalue > 0.05


def test_mean_squares_against_loops() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4, 2))
    rows, columns = np.zeros(2), np.zeros(2)
    for neuron, factor in np.ndindex(2, 2):
        one = maps[neuron, :, :, factor]
        for y in range(3):
            rows[neuron] += 4 * (one[y].mean() - one.mean()) ** 2 / 2
        for x in range(4):
            columns[neuron] += 3 * (one[:, x].mean() - one.mean()) ** 2 / 3
    np.testing.assert_allclose(mean_squares(maps), [rows, columns])


def test_coins_against_all_tosses() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1, 9)
    signs = np.array([*itertools.product([-1, 1], repeat=9)])
    exact = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    assert coin_test(differences, 20000, seed=0) == pytest.approx(exact, abs=0.015)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(20, 3, name="banded")(layers.Conv2D(6, 1, name="mixed")(image))
    x = layers.SeparableConv2D(8, 3, name="separable")(layers.Conv2D(8, (2, 3), name="oblong")(x))
    x = layers.DepthwiseConv2D(3, name="empty")(layers.Conv2D(8, (1, 3), name="line")(x))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    model.get_layer("banded").kernel.assign(banded())
    model.get_layer("empty").kernel.assign(np.zeros((3, 3, 8, 1)))
    return model


def test_the_table(model: keras.Model) -> None:
    before = [array.copy() for array in model.get_weights()]
    table = kv.weights.banding(model, num_permutations=999)
    assert [*table.index] == ["banded", "oblong", "separable", "empty"]
    assert [*table.columns] == [*COLUMNS]
    assert table.loc["banded", ["height", "width", "neurons"]].tolist() == [3, 3, 20]
    maps = kv.weights.factorize(model, "banded").maps
    rows, columns = (float(one.sum()) for one in mean_squares(maps))
    assert table.loc["banded", "index"] == pytest.approx((rows - columns) / (rows + columns))
    assert table.loc["banded", "p_value"] == 0.001
    assert table.loc["separable", "p_value"] > 0.01
    assert np.isnan(table.loc["oblong", "p_value"])
    assert np.isfinite(table.loc["oblong", "index"])
    assert table.loc["empty", ["index", "p_value"]].isna().all()
    assert table.loc["empty", "neurons"] == 0
    assert table.attrs["model"] == model.name
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_picture_and_refusals(model: keras.Model) -> None:
    table = kv.weights.banding(model, num_permutations=99)
    figure = kv.plots.weight_banding(table, max_rows=3)
    told = "\n".join(text.get_text() for text in figure.texts)
    assert "(3 of 4 layers, the last)" in told
    assert "separable" in told
    assert "banded" not in told.splitlines()
    dense = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    empty = kv.weights.banding(dense)
    assert not len(empty)
    with pytest.raises(kv.errors.InputError, match="without its columns or rows"):
        kv.plots.weight_banding(empty)
    with pytest.raises(kv.errors.InputError, match="`num_permutations` must be a whole"):
        kv.weights.banding(model, num_permutations=0)
    with pytest.raises(kv.errors.InputError, match=r"must be a keras\.Model"):
        kv.weights.banding("model")
