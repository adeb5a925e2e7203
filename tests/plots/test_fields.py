"""Figures of receptive fields: what is drawn where, and on which scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kerasviz import plots
from kerasviz.errors import InputError

MAPS = np.random.default_rng(0).normal(size=(4, 7, 9))
TABLE = pd.DataFrame(
    {
        "type": ["gabor", "dog", "other", "dead"],
        "blob": [False, True, False, False],
        "gabor_error": [0.1, 0.8, 0.9, np.nan],
        "dog_error": [0.7, 0.2, 0.9, np.nan],
        "orientation": [91.0, 10.0, 20.0, np.nan],
        "wavelength": [6.5, 3.0, 3.0, np.nan],
        "phase": [-45.0, 0.0, 0.0, np.nan],
        "sigma_center": [1.0, 1.25, 1.0, np.nan],
        "sigma_surround": [2.0, 3.5, 2.0, np.nan],
        "surround_share": [0.0, 0.05, 0.0, np.nan],
        "orientation_std": [0.3, 0.02, 0.1, np.nan],
    }
)


def test_a_unit_stands_beside_its_fits() -> None:
    figure = plots.field_fits(MAPS, MAPS / 2, MAPS / 4, TABLE, title="Fields")
    cells = [axes for axes in figure.axes if axes.images][:12]
    for place in range(4):
        peak = np.abs(MAPS[place]).max()
        for part, share in enumerate((1, 2, 4)):
            image = cells[3 * place + part].images[0]
            np.testing.assert_array_equal(image.get_array(), MAPS[place] / share)
            assert (image.norm.vmin, image.norm.vmax) == pytest.approx((-peak, peak))
    framed = [n for n, axes in enumerate(cells) if axes.spines["top"].get_linewidth() > 1]
    assert framed == [1, 5]
    texts = [text.get_text() for text in figure.texts]
    for wanted in ("Fields", "0: Gabor", "1: centre and surround, blob", "2: neither", "3: dead"):
        assert wanted in texts
    assert "91°, λ 6.5 px, φ -45°" in texts
    assert "σ 1.25 and 3.5 px, surround 0.05" in texts
    assert "unexplained: Gabor 0.10, Gaussians 0.70" in texts
    assert "0 everywhere" in texts
    even = plots.field_fits(0 * MAPS[3:] - 7.0, MAPS[3:], MAPS[3:], TABLE[3:].assign(type="other"))
    assert "-7 everywhere" in [text.get_text().replace("\u2212", "-") for text in even.texts]
    with pytest.raises(InputError, match="3 rows"):
        plots.field_fits(MAPS, MAPS, MAPS, TABLE[:3])


def test_a_direction_is_drawn_at_both_of_its_ends() -> None:
    kinds = ["gabor"] * 5 + ["dog"]
    angles = [0.0, 179.0, 91.0, 44.0, 46.0, 90.0]
    table = pd.DataFrame({"type": kinds, "orientation": angles, "orientation_std": 0.2})
    figure = plots.orientations(table)
    rose = next(axes for axes in figure.axes if axes.name == "polar")
    heights = [bar.get_height() for bar in rose.patches]
    assert heights[:12] == heights[12:]
    assert {place * 15: height for place, height in enumerate(heights[:12]) if height} == {
        0: 2,
        45: 2,
        90: 1,
    }
    assert "direction of stripes, 5 Gabor fields" in [t.get_text() for t in figure.texts]
    with pytest.raises(InputError, match="0 rows"):
        plots.orientations(table[:0])


def test_fields_of_variants_are_cut_alike() -> None:
    maps = np.zeros((2, 9, 9, 1))
    maps[0, 3, 4], maps[1, 5, 4] = -2, 1
    color = np.zeros((1, 9, 9, 3))
    color[0, 4, 6, 0] = 3
    figure = plots.field_rows({"grey": maps, "in color": color}, {"grey": ["a", "b"]})
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert [picture.shape for picture in pictures] == [(3, 3), (3, 3), (3, 3, 3)]
    np.testing.assert_array_equal(pictures[0], maps[0, 3:6, 4:7, 0])
    np.testing.assert_allclose(pictures[2][1, 2], [1, 0.5, 0.5])
    texts = [text.get_text() for text in figure.texts]
    assert {"a", "b", "strongest peak 2", "strongest peak 3"} <= set(texts)
    with pytest.raises(InputError, match="Received: none"):
        plots.field_rows({})
    with pytest.raises(InputError, match="as 'x'"):
        plots.field_rows({"x": maps[..., 0]})


def test_variants_that_have_no_values_say_so() -> None:
    nothing = [float("nan")]
    figure = plots.variant_measures({"accuracy": {"a": [0.1, 0.3, *nothing], "b": nothing}})
    (axes,) = figure.axes
    assert [len(rings.get_offsets()) for rings in axes.collections] == [2, 0]
    assert axes.lines[1].get_xdata() == pytest.approx([0.2, 0.2])
    assert [text.get_text() for text in axes.texts] == ["no values"]
    with pytest.raises(InputError, match="the same variants"):
        plots.variant_measures({"x": {"a": [1.0]}, "y": {"b": [1.0]}})
    with pytest.raises(InputError, match="the same variants"):
        plots.variant_measures({})
