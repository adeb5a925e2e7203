"""Figures of many units: what is where, and in which colour."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from kerasviz import plots
from kerasviz.errors import InputError
from kerasviz.plots.feature_maps import flat, group_colors, mosaic, overlaid

RANDOM = np.random.default_rng(0)


def test_mosaic_puts_each_picture_in_the_middle_of_its_cell() -> None:
    cells = np.zeros((2, 3, 8, 4, 3))
    cells[1, 2] = 0.5
    shares = np.ones((2, 3))
    shares[1, 2] = 0.25
    shares[0, 1] = 0.0
    picture = mosaic(cells, shares)
    assert picture.shape == (16, 12, 3)
    assert (picture[:8, 4:8] == 1).all()
    assert (picture[:8, :4] == 0).all()
    grey = picture[8:, 8:, 0] == 0.5
    np.testing.assert_array_equal(np.argwhere(grey).min(axis=0), [2, 1])
    assert grey.sum() == 8 * 4 / 4


def test_the_strongest_group_colours_a_place() -> None:
    photo = np.ones((4, 6, 3))
    maps = np.zeros((2, 3, 2))
    maps[:, 0, 0] = 2.0
    maps[:, 2, 1] = 0.5
    colors = group_colors(2)
    painted = overlaid(photo, maps, colors, np.array([2.0, 0.5]))
    np.testing.assert_allclose(painted[0, 0], to_rgb(colors[0]), atol=1e-6)
    np.testing.assert_allclose(painted[0, 5], to_rgb(colors[1]), atol=1e-6)
    np.testing.assert_allclose(overlaid(photo, maps * 0, colors, np.zeros(2)), 0.35)


def test_as_many_colours_as_groups() -> None:
    for count in (1, 7, 12):
        assert len(set(group_colors(count))) == count


def test_signals_become_stripes_and_volumes_slices() -> None:
    signal = RANDOM.random((12, 3))
    assert flat(signal).shape == (12, 12, 3)
    np.testing.assert_allclose(flat(signal)[5, :, 0], signal[:, 1])
    volume = RANDOM.random((5, 4, 6, 3))
    np.testing.assert_allclose(flat(volume), volume[2])
    with pytest.raises(InputError, match="one to three"):
        flat(RANDOM.random(4))


@pytest.mark.parametrize("shape", [(2, 3, 8, 8, 3), (4, 9, 2), (2, 2, 2, 4, 4, 4, 1)])
def test_grids_of_any_number_of_axes(shape: tuple[int, ...]) -> None:
    figure = plots.activation_grid(RANDOM.random(shape))
    assert len(figure.axes) == 1
    assert plots.to_png(figure, dpi=30).startswith(b"\x89PNG")


def test_atlas_places_cells_and_words() -> None:
    display = np.zeros((2, 8, 8, 3))
    figure = plots.activation_atlas(
        display, np.array([[3, 5], [4, 6]]), np.array([4, 4]), 8, labels=["cup, mug", "cat"]
    )
    (axes,) = figure.axes
    picture = axes.images[0].get_array()
    assert picture.shape == (16, 16, 3)
    assert (picture[:8, :8] == 0).all()
    assert (picture[:8, 8:] == 1).all()
    assert [text.get_text() for text in axes.texts] == ["cup", "cat"]


def test_a_position_is_marked_where_it_is() -> None:
    figure = plots.semantic_dictionary(
        RANDOM.random((16, 24, 3)), RANDOM.random((2, 8, 8, 3)), ["a:1", "a:2"], (1, 2), (4, 6)
    )
    frame = figure.axes[0].patches[0]
    assert frame.get_xy() == (2 * 4 - 0.5, 1 * 4 - 0.5)
    assert (frame.get_width(), frame.get_height()) == (4, 4)


def test_spatial_attribution_draws_the_strongest_positions() -> None:
    magnitudes = np.zeros((2, 2))
    magnitudes[1, 0] = 5.0
    figure = plots.spatial_attribution(None, RANDOM.normal(size=(2, 2, 3, 3)), magnitudes, num=1)
    assert [text.get_text() for text in figure.texts] == ["(1, 0): 5"]


def test_refusals() -> None:
    with pytest.raises(InputError, match="two position axes"):
        plots.neuron_groups(None, np.ones((2, 5, 3)), None, np.ones(3))
    with pytest.raises(InputError, match="two position axes"):
        plots.spatial_attribution(None, np.ones((4, 5)), np.ones(4))
    with pytest.raises(InputError, match="pictures to draw"):
        plots.activation_atlas(None, np.zeros((1, 2)), np.ones(1), 3)
