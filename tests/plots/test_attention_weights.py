"""Figures of attention weights: the bars, curves and numbers that they promise."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

import kerasviz as kv
from kerasviz import plots
from kerasviz.errors import InputError
from kerasviz.plots import attention_weights

layers: Any = keras.layers
GROUPS = {"gate": "gate/.*", "norm": "norm/(gamma|beta)", "head": "head/.*"}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Weights that lean, and others as they began."""
    net = keras.Sequential(
        [
            keras.Input((30,)),
            layers.Dense(20, name="gate"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(4, name="head", kernel_initializer=keras.initializers.HeNormal(1)),
        ],
        name="net",
    )
    generator = np.random.default_rng(0)
    for weight in net.get_layer("gate").weights:
        weight.assign(generator.normal(0.2, 0.3, weight.shape))
    return net


def drawn(model: keras.Model, groups: Any) -> tuple[Figure, dict[Any, np.ndarray], pd.DataFrame]:
    """The figure of a model and what it was made of."""
    values = kv.attention.weights(model, groups)
    table = kv.attention.summarize(model, groups, depth=1)
    return plots.weight_histograms(values, table), values, table


def panels(figure: Figure) -> list[Any]:
    """The axes with bars."""
    return [axes for axes in figure.axes if axes.patches]


def texts(figure: Figure) -> str:
    """All that is written on the sheet."""
    return "\n".join(text.get_text() for text in figure.texts)


def test_bars_are_the_histogram(model: keras.Model) -> None:
    figure, values, table = drawn(model, GROUPS)
    assert len(panels(figure)) == len(table)
    for axes, key in zip(panels(figure), table.index, strict=True):
        bars = axes.containers[0]
        assert len(bars) == 50
        if np.ptp(values[key]):
            counts = np.histogram(values[key], 50)[0]
            np.testing.assert_array_equal([bar.get_height() for bar in bars], counts)
        else:
            assert sum(bar.get_height() for bar in bars) == values[key].size
        lines = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
        assert 0.0 in lines
        assert table["mean"][key] in lines


def test_the_curve_is_a_density_in_counts(model: keras.Model) -> None:
    figure, values, _ = drawn(model, {"gate": "gate/kernel"})
    axes = panels(figure)[0]
    x, y = axes.lines[0].get_data()
    width = np.ptp(values["gate", "kernel"]) / 50
    np.testing.assert_allclose(np.sum((y[1:] + y[:-1]) / 2 * np.diff(x)), 600 * width, rtol=0.02)


def test_the_density_of_many_weights_is_that_of_some() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    points = np.linspace(-2, 2, 50)
    found = attention_weights.density(values, points)
    np.testing.assert_array_equal(found, attention_weights.density(values, points))
    np.testing.assert_allclose(found, np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi), atol=0.02)


def test_the_outline_is_what_the_initializer_gives(model: keras.Model) -> None:
    figure, _, table = drawn(model, {"head": "head/kernel", "norm": "norm/gamma"})
    kernel, gamma = panels(figure)
    steps = next(p for p in kernel.patches if isinstance(p, StepPatch))
    data = steps.get_data()
    area = np.sum(data.values * np.diff(data.edges))
    counts = kernel.containers[0]
    np.testing.assert_allclose(area, 80 * counts[0].get_width(), rtol=1e-6)
    middle = (data.edges[1:] + data.edges[:-1]) / 2
    share = data.values * np.diff(data.edges) / area
    std = np.sqrt(np.sum(share * middle**2))
    np.testing.assert_allclose(std, table["initial_std"]["head", "kernel"], rtol=0.03)
    assert sum(1.0 in line.get_xdata() for line in gamma.lines) == 2


def test_the_numbers_that_matter_are_written(model: keras.Model) -> None:
    figure, _, table = drawn(model, GROUPS)
    written = texts(figure)
    row = table.loc[("gate", "kernel")]
    assert "Attention weights of net" in written
    assert "gate · kernel" in written
    assert "600 weights, 1 tensor" in written
    for name in ("mean", "mean_low", "mean_high", "median", "std"):
        assert f"{row[name]:.3g}" in written, name
    assert f"{row['share_positive']:.1%} positive" in written
    assert "sign test p < 0.0001" in written


def test_weights_that_are_not_finite() -> None:
    table_model = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="gate")])
    table_model.get_layer("gate").bias.assign(np.full(5, np.nan))
    kernel = table_model.get_layer("gate").kernel
    kernel.assign(np.where(np.eye(4, 5) > 0, np.inf, kernel.numpy()))
    with pytest.warns(kv.errors.KerasvizWarning):
        figure, _, _ = drawn(table_model, {"gate": "gate/.*"})
    assert "16 weights, 1 tensor, 4 not finite" in texts(figure)
    empty = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert "no finite weight" in empty
    assert len(plots.to_png(figure, dpi=40)) > 1000


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_groups_of_one_role_share_rows(model: keras.Model, count: int) -> None:
    groups = {f"group {index}": "gate/kernel" for index in range(count)}
    figure, _, _ = drawn(model, groups)
    corners = {tuple(np.round(axes.get_position().bounds[:2], 6)) for axes in panels(figure)}
    assert len(corners) == count
    assert len({x for x, _ in corners}) == {1: 1, 2: 2, 4: 2, 7: 3}[count]


def test_values_of_another_model_are_refused(model: keras.Model) -> None:
    _, values, table = drawn(model, GROUPS)
    with pytest.raises(InputError, match="which only one of them has"):
        plots.weight_histograms({("gate", "kernel"): values["gate", "kernel"]}, table)
    for wrong in (table.reset_index(), table.iloc[:0], table[["mean"]], [1]):
        with pytest.raises(InputError, match=r"kv.attention.summarize` returns"):
            plots.weight_histograms(values, wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"kv.attention.compare` returns"):
            plots.weight_comparison(wrong)  # type: ignore[arg-type]


def test_a_marker_for_each_model_and_row(model: keras.Model) -> None:
    other = keras.models.clone_model(model)
    table = kv.attention.compare({"trained": model, "other": other}, GROUPS)
    figure = plots.weight_comparison(table)
    axes = next(axes for axes in figure.axes if axes.get_xlabel() == "mean weight")
    dots = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert len(dots) == len(table)
    assert sorted(line.get_xdata()[0] for line in dots) == sorted(table["mean"])
    intervals = [tuple(line.get_xdata()) for line in axes.lines if line.get_marker() == "None"]
    for low, high in zip(table["mean_low"], table["mean_high"], strict=True):
        assert (low, high) in intervals
    assert len({line.get_marker() for line in dots}) == 2
    written = texts(figure)
    assert "trained" in written
    assert "other" in written
    assert "gate · bias" in written
    row = table.loc[("trained", "gate", "kernel")]
    assert f"{row['mean']:.3g} [{row['mean_low']:.3g}, {row['mean_high']:.3g}]" in written
    assert len({line.get_ydata()[0] for line in dots}) == len(table)
