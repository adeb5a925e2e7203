"""Ridgelines of distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kerasviz import plots
from kerasviz.dynamics import Distributions
from kerasviz.errors import InputError


def reading(shift: float = 0.0, names: tuple[str, ...] = ("block/conv", "empty")) -> Distributions:
    """A normal distribution around `shift` for the first address, nothing for the others."""
    edges = np.linspace(-4, 4, 65)
    normal = np.histogram(np.random.default_rng(0).normal(shift, 0.5, 5000), edges)[0]
    columns = ["mean", "std", "zeros", "dead_units", "saturation"]
    values = [[shift, 0.5, 0.0, 0.75, np.nan]] + [[np.nan] * 5] * (len(names) - 1)
    table = pd.DataFrame(values, index=pd.Index(names, name="address"), columns=columns)
    counts = np.stack([normal, *[np.zeros(64)] * (len(names) - 1)])
    return Distributions(table, np.stack([edges] * len(names)), counts, {"model": "made"})


def texts(figure: Any) -> list[str]:
    """All that is written in a figure."""
    inside = [text.get_text() for axes in figure.axes for text in axes.texts]
    return [text.get_text() for text in figure.texts] + inside


def test_rows_hold_the_distribution_and_its_numbers() -> None:
    figure = plots.distribution_ridges([reading(1.0)])
    said = texts(figure)
    assert {"block/conv", "empty", "75%", "–", "no finite value", "0.5"} <= {*said}
    low, high = figure.axes[0].get_xlim()
    assert -1.0 < low < 0.0 < 2.0 < high < 3.1
    x, y = figure.axes[0].lines[0].get_data()
    assert x[np.argmax(y)] == pytest.approx(1.0, abs=0.3)


def test_readings_lie_over_one_another_under_their_titles() -> None:
    figure = plots.distribution_ridges(
        [reading(-1.0), reading(0.0), reading(1.0)], titles=["start", "middle", "end"]
    )
    assert {"start", "middle", "end"} <= {*texts(figure)}
    ridge = next(axes for axes in figure.axes if len(axes.lines) >= 3)
    peaks = [line.get_xdata()[np.argmax(line.get_ydata())] for line in ridge.lines[:3]]
    np.testing.assert_allclose(peaks, [-1, 0, 1], atol=0.3)


def test_of_many_rows_some_are_drawn() -> None:
    names = tuple(f"layer_{place}" for place in range(60))
    figure = plots.distribution_ridges([reading(0.0, names)], max_rows=5)
    assert "How values are distributed (5 of 60)" in texts(figure)


@pytest.mark.parametrize(
    ("readings", "titles"),
    [
        ([], None),
        ([reading(), reading(0.0, ("other",))], None),
        ([reading()], ["one", "two"]),
    ],
)
def test_bad_input_gets_one_clear_error(readings: Any, titles: Any) -> None:
    with pytest.raises(InputError, match="Received: "):
        plots.distribution_ridges(readings, titles=titles)
