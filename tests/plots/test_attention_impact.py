"""Figures of the impact simulator: one colour scale, the numbers that matter, nothing invented."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasviz.attention.simulation import Simulation, simulate_cnn, simulate_dense, sweep
from kerasviz.errors import InputError
from kerasviz.plots import to_png
from kerasviz.plots.attention_impact import rounded_up
from kerasviz.plots.reading import with_spread


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return simulate_dense(size=6, depth=3, seeds=[5, 2], verbose=0)


def texts(figure: Figure) -> str:
    words = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        words += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        if axes.get_legend():
            words += [text.get_text() for text in axes.get_legend().get_texts()]
    return "\n".join(words)


def pictures(figure: Figure) -> list[Any]:
    return [image for axes in figure.axes for image in axes.get_images()]


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (0.802871, 0.000205, "0.80287 ± 0.00020"),
        (1.0314, 0.0112, "1.031 ± 0.011"),
        (905.9, 45.5, "906 ± 46"),
        (1.234e25, 3.3e24, "1.23e+25 ± 3.3e+24"),
        (5.0, 0.0, "5 ± 0"),
        (0.25, np.nan, "0.25"),
        (np.inf, np.nan, "inf"),
    ],
)
def test_numbers_have_the_digits_that_their_spread_leaves(
    value: float, spread: float, text: str
) -> None:
    assert with_spread(value, spread) == text


def test_ratios_within_a_decade_have_ticks_on_both_sides() -> None:
    found = sweep("cnn", {"depth": [1, 2], "multiplier_mean": [0.6, 1.0, 1.5]}, size=6, filters=4)
    ticks = found.plot("ratio").axes[1].yaxis.get_ticklocs()
    assert (ticks < 1).sum() >= 1
    assert (ticks > 1).sum() >= 2
    assert 1.0 in ticks


def test_two_pictures_on_one_scale(simulation: Simulation) -> None:
    figure = simulation.plot(seed=2, limits=(0.0, 0.25))
    first, second = pictures(figure)
    assert first.get_clim() == second.get_clim()
    np.testing.assert_allclose(first.get_array(), simulation.baseline.images[1], rtol=1e-6)
    np.testing.assert_allclose(second.get_array(), simulation.images[1], rtol=1e-6)
    above = (simulation.images[1] > 0.25).mean()
    assert above > 0
    words = texts(figure)
    for part in ("without attention", f"{above:.1%} above the scale", "seed 2", "3 layers, 6 × 6"):
        assert part in words
    assert f"mean {with_spread(simulation.mean, simulation.std)} (2 seeds)" in words
    assert f"expected {with_spread(simulation.expected, simulation.expected_std)}" in words
    assert f"by {simulation.ratios.mean():.3g} (expected {simulation.expected_ratio:.3g})" in words


def test_the_scale_of_the_original(simulation: Simulation) -> None:
    """4000 only where the original's network is drawn, [0, 2] for its CNN, or as asked for."""
    assert pictures(simulation.plot(limits=(0.5, 0.7)))[0].get_clim() == (0.5, 0.7)
    assert pictures(simulation.plot())[0].get_clim()[1] < 1.0
    cnn = simulate_cnn(size=4, filters=2, depth=2, seeds=1, verbose=0)
    assert pictures(cnn.plot())[0].get_clim() == (0.0, 2.0)
    original = dataclasses.replace(
        simulation,
        baseline=None,
        parameters=simulation.parameters | {"depth": 11, "size": 50},
    )
    assert pictures(original.plot())[0].get_clim() == (0.0, 4000.0)


def test_points_are_what_was_measured(simulation: Simulation) -> None:
    curves = simulation.plot().axes[-1]
    points = [line for line in curves.get_lines() if line.get_label() == "with attention"]
    np.testing.assert_allclose(points[0].get_ydata(), simulation.layer_means.mean(axis=0))


def test_several_are_told_apart(simulation: Simulation) -> None:
    other = simulate_dense(bias=(-0.1, 0.1), size=6, depth=3, seeds=2, verbose=0)
    words = texts(simulation.plot(other))
    assert words.count("with attention × 1.071 +0.114") == 2
    assert words.count("with attention × 1.071 -0.1") == 2


@pytest.mark.filterwarnings("ignore::kerasviz.errors.KerasvizWarning")
def test_an_overflow_is_drawn_at_the_top() -> None:
    found = simulate_dense(depth=45, size=6, seeds=1, kernel=(0.0, 9.0), verbose=0)
    figure = found.plot()
    assert "seed 0: beyond float32" in texts(figure)
    assert "nan" not in texts(figure)
    assert all(np.isfinite(image.get_array()).all() for image in pictures(figure))
    assert len(to_png(figure)) > 1000


def test_refused(simulation: Simulation) -> None:
    cnn = simulate_cnn(size=4, filters=2, depth=2, seeds=1, verbose=0)
    with pytest.raises(InputError, match="of one kind"):
        simulation.plot(cnn)
    with pytest.raises(InputError, match=r"one of \[5, 2\]"):
        simulation.plot(seed=0)
    with pytest.raises(InputError, match="ascending"):
        simulation.plot(limits=(2.0, 1.0))
    with pytest.raises(InputError, match="'mean' or 'ratio'"):
        sweep(over={"depth": [1, 2]}).plot("median")


@pytest.mark.parametrize(
    ("value", "expected"), [(0.61, 0.7), (3.0, 3.0), (41.0, 50.0), (9.5e9, 1e10)]
)
def test_rounded_up(value: float, expected: float) -> None:
    assert rounded_up(value) == pytest.approx(expected)


def test_heat_map() -> None:
    found = sweep(over={"depth": range(1, 23), "multiplier_mean": np.linspace(0.5, 1.5, 9)})
    figure = found.plot("ratio", marks=[(1.071, 11)])
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(mesh.get_array(), found.ratios)
    low, high = mesh.get_clim()
    assert low * high == pytest.approx(1.0)
    words = texts(figure)
    for part in ("explodes: × 10 or more", "starves: × 0.1 or less", "as without attention"):
        assert part in words
    assert figure.axes[0].get_xlabel() == "multiplier mean"
    assert "bias mean 0.114" in words
    means = found.plot().axes[0].collections[0]
    np.testing.assert_allclose(means.get_array(), found.expected)


def test_cells_beyond_all_numbers_are_drawn() -> None:
    found = sweep(over={"depth": [1, 400], "multiplier_mean": [0.0, 1.0]}, kernel=(0.0, 1.0))
    assert np.isinf(found.expected).any()
    assert len(to_png(found.plot())) > 1000
    assert len(to_png(found.plot("ratio"))) > 1000


@pytest.mark.parametrize("quantity", ["mean", "ratio"])
def test_curves(quantity: str) -> None:
    found = sweep("cnn", {"bias_mean": [-1.0, 0.0, 1.0]}, size=6, filters=4, depth=3)
    lines = found.plot(quantity).axes[0].get_lines()
    drawn = [np.asarray(line.get_ydata()) for line in lines]
    expected = found.ratios if quantity == "ratio" else found.expected
    assert any(len(y) == 3 and np.allclose(y, expected) for y in drawn)
