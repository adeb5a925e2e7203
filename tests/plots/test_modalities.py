"""The figure of modalities: the numbers below the bars, one scale for the maps of a sample."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasviz import plots
from kerasviz.errors import InputError

NAMES = ("colour", "depth")


def texts(figure: Figure) -> list[str]:
    labels = [label.get_text() for axes in figure.axes for label in axes.get_xticklabels()]
    return labels + [text.get_text() for text in figure.texts]


def test_bars_say_mean_and_spread_over_samples_that_have_a_value() -> None:
    shares = np.array([[0.2, 0.8], [np.nan, np.nan], [0.4, 0.6]])
    losses = np.array([[1.0, -0.01], [3.0, -0.03]])
    figure = plots.modalities(NAMES, {"share": shares}, {"loss": losses})
    words = texts(figure)
    assert "colour\n30% ± 10%" in words
    assert "colour\n2.0 ± 1.0" in words
    assert "depth\n-0.020 ± 0.010" in words
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, [0.3, 0.7])
    assert len(figure.axes[0].lines[0].get_xdata()) >= 2
    nothing = plots.modalities(NAMES, {"share": np.full((2, 2), np.nan)}, {})
    assert "depth\nnone" in texts(nothing)


def test_maps_of_a_sample_are_on_one_scale_and_empty_ones_are_said() -> None:
    maps = {"colour": np.zeros((2, 4, 4)), "depth": np.zeros((2, 4, 4))}
    maps["depth"][0, 1, 1] = 2.5
    maps["colour"][0, 2, 2] = 1.25
    gray = {name: np.full((2, 4, 4, 1), 0.5) for name in NAMES}
    figure = plots.modalities(NAMES, {}, {}, maps=maps, inputs=gray, titles=["one", "two"])
    words = texts(figure)
    assert {"one", "two", "2.5", "all maps are 0"} <= set(words)
    pictures = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
    full, half = pictures[1][1, 1], pictures[0][2, 2]
    assert np.abs(full - half).max() > 0.1
    same = dict(maps, colour=maps["colour"] * 2)
    again = plots.modalities(NAMES, {}, {}, maps=same, inputs=gray)
    pictures = [axes.get_images()[0].get_array() for axes in again.axes if axes.get_images()]
    np.testing.assert_allclose(pictures[0][2, 2], pictures[1][1, 1])


def test_other_numbers_of_columns_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(n, 2\).*'loss' of shape \(3, 1\)"):
        plots.modalities(NAMES, {}, {"loss": np.ones((3, 1))})
