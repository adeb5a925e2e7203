"""Figures of weights: bars, points and words that they promise."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import kerasviz as kv
from kerasviz import plots
from kerasviz.errors import InputError

layers: Any = keras.layers


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Two layers, one with a NaN."""
    net = keras.Sequential(
        [keras.Input((40,)), layers.Dense(30, name="first"), layers.Dense(9, name="last")],
        name="net",
    )
    generator = np.random.default_rng(0)
    for weight in net.weights:
        weight.assign(generator.normal(0.3, 0.5, weight.shape))
    kernel = np.array(keras.ops.convert_to_numpy(net.weights[2]))
    kernel[0, 0] = np.nan
    net.weights[2].assign(kernel)
    return net


def texts(figure: Figure) -> str:
    """All that is written on the sheet."""
    return "\n".join(text.get_text() for text in figure.texts)


def test_histogram_and_quantiles(model: keras.Model) -> None:
    found = kv.weights.distribution(model, "first")
    figure = found.plot(title="first")
    bars = [axes for axes in figure.axes if axes.patches]
    assert len(bars) == 2
    values = found.values["kernel"]
    counts, _ = np.histogram(values, 50)
    bar = [patch for patch in bars[0].patches if isinstance(patch, Rectangle)]
    heights = [patch.get_height() for patch in bar[:50]]
    np.testing.assert_array_equal(heights, counts)
    quantiles = next(axes for axes in figure.axes if "normal quantile" in axes.get_xlabel())
    line, points = quantiles.lines
    x, y = points.get_data()
    assert (y[0], y[-1]) == (values.min(), values.max())
    assert np.all(np.diff(y) >= 0)
    slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
    assert slope[0] == pytest.approx(values.std(), rel=1e-5)
    np.testing.assert_allclose(y[100:150], values.mean() + values.std() * x[100:150], atol=0.06)
    assert "first/kernel" in texts(figure)
    assert "1,200 weights" in texts(figure)


def test_what_is_not_finite_is_counted(model: keras.Model) -> None:
    figure = kv.weights.distribution(model, "last").plot()
    assert "269 weights, 1 not finite" in texts(figure)
    figure.canvas.draw()


def test_ridges_by_depth(model: keras.Model) -> None:
    figure = kv.weights.by_depth(model).plot()
    words = texts(figure)
    assert "1  first/kernel" in words
    assert "2  last/kernel" in words
    assert "Weights of net, by depth" in words


def test_changes(model: keras.Model) -> None:
    after = [1.1 * array for array in model.get_weights()]
    after[1] = after[1] + 100
    table = kv.weights.compare(model, after)
    figure = plots.weight_changes(table)
    dots = [line for axes in figure.axes for line in axes.lines]
    np.testing.assert_allclose(dots[0].get_xdata(), table["relative_change"])
    words = texts(figure)
    assert words.index("first/bias") < words.index("first/kernel")
    assert "1.0000" in words
    figure.canvas.draw()
    few = plots.weight_changes(table, max_rows=2)
    assert "(2 of 4 weights)" in texts(few)
    same = plots.weight_changes(kv.weights.compare(model, model))
    assert any("nothing changed" in t.get_text() for axes in same.axes for t in axes.texts)


def test_refused_tables() -> None:
    for table in (pd.DataFrame(), pd.DataFrame({"cosine": [1.0]}), None):
        with pytest.raises(InputError, match=r"kv\.weights\.compare"):
            plots.weight_changes(table)
