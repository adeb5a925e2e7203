"""The painter is right to the last digit: monotone, transparent where cold, never overflowing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from kerasviz import plots
from kerasviz.plots.colors import colors_of
from kerasviz.plots.displaying import LUMINANCE
from kerasviz.plots.figures import encode_png

RAMP = np.linspace(0.0, 1.0, 101)[None, :]
GREYS = [0.0, 0.25, 0.5, 0.75, 1.0]


def flat(grey: float, width: int = 101) -> np.ndarray:
    return np.full((1, width, 3), grey)


def slow_blend(image: np.ndarray, heat: np.ndarray, alpha: float, name: str) -> np.ndarray:
    """Pixel by pixel, from the description: darkened grey, covered the more the hotter."""
    painted = np.zeros_like(image)
    for place in np.ndindex(*heat.shape):
        grey = float(image[place] @ np.array([0.2126, 0.7152, 0.0722])) * 0.6
        cover = alpha * heat[place] ** 0.7
        color = np.array(colormaps[name](float(heat[place]))[:3])
        painted[place] = (1 - cover) * grey + cover * color
    return painted


def test_equals_the_slow_painter() -> None:
    generator = np.random.default_rng(0)
    image, heat = generator.uniform(size=(9, 11, 3)), generator.uniform(size=(9, 11))
    expected = slow_blend(image, heat, 0.6, "viridis")
    assert np.allclose(plots.blend(image, heat, 0.6, "viridis"), expected, atol=1e-12)


def test_a_ramp_over_black_gets_brighter_all_the_way() -> None:
    brightness = (plots.blend(flat(0.0), RAMP) @ LUMINANCE)[0]
    assert (np.diff(brightness) > 0).all()


@pytest.mark.parametrize("grey", GREYS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_the_hottest_pixel_is_the_brightest_over_any_photo(grey: float, dtype: type) -> None:
    scale = 255 if dtype is np.uint8 else 1
    painted = plots.blend((flat(grey) * scale).astype(dtype), RAMP)
    pixels = np.asarray(Image.open(io.BytesIO(encode_png(painted))))[..., :3]
    brightness = (pixels @ LUMINANCE)[0]
    assert brightness.argmax() == 100
    assert (np.diff(brightness[50:]) > 0).all()
    assert brightness[:20].max() < brightness[75]


@pytest.mark.parametrize("grey", GREYS[:4])
def test_the_hotter_the_further_from_the_photo(grey: float) -> None:
    painted = plots.blend(flat(grey), RAMP)[0]
    distance = np.linalg.norm(painted - painted[0], axis=-1)
    assert (np.diff(distance) > 0).all()


def test_cold_regions_show_the_photo_untouched_without_fading() -> None:
    photo = np.random.default_rng(1).uniform(size=(5, 6, 3))
    assert np.array_equal(plots.blend(photo, np.zeros((5, 6)), fade=0.0), photo)


def test_full_alpha_at_full_heat_is_the_colour_map() -> None:
    painted = plots.blend(flat(0.3, 4), np.ones((1, 4)), alpha=1.0, colormap="viridis")
    assert np.allclose(painted, colormaps["viridis"](1.0)[:3])


def test_the_default_colours_rise_in_grey_print() -> None:
    brightness = colors_of(RAMP[0], False, None) @ LUMINANCE
    assert (np.diff(brightness) >= 0).all()
    assert brightness[-1] - brightness[0] > 0.6


def test_signed_maps_are_red_above_blue_below_and_bare_at_zero() -> None:
    painted = plots.blend(flat(0.5), np.linspace(-1, 1, 101)[None])[0]
    difference = painted[:, 0] - painted[:, 2]
    assert (difference[:50] < 0).all()
    assert (difference[51:] > 0).all()
    assert painted[50] == pytest.approx([0.7, 0.7, 0.7])


def test_signed_maps_get_darker_with_magnitude_on_both_sides() -> None:
    painted = plots.blend(flat(1.0), np.linspace(-1, 1, 101)[None])[0] @ LUMINANCE
    assert (np.diff(painted[:51]) > 0).all()
    assert (np.diff(painted[50:]) < 0).all()


def test_a_positive_map_can_be_declared_signed() -> None:
    declared = plots.blend(flat(0.5), RAMP, signed=True)
    assert declared[0, 0] == pytest.approx([0.7, 0.7, 0.7])
    assert not np.allclose(declared, plots.blend(flat(0.5), RAMP))


def test_nan_is_left_unpainted_and_values_beyond_are_cut() -> None:
    heat = np.array([[np.nan, 0.0, 5.0, 1.0]])
    painted = plots.blend(flat(0.5, 4), heat)[0]
    assert np.array_equal(painted[0], painted[1])
    assert np.array_equal(painted[2], painted[3])
    assert np.isfinite(painted).all()


def test_layouts_of_the_same_photo_are_painted_alike() -> None:
    photo = np.random.default_rng(2).uniform(size=(8, 10, 3))
    heat = np.random.default_rng(3).uniform(size=(8, 10))
    last = plots.blend(photo, heat)
    assert np.array_equal(plots.blend(np.moveaxis(photo, -1, 0), heat), last)
    grey = photo[..., 0]
    assert np.array_equal(plots.blend(grey, heat), plots.blend(grey[None], heat))


def test_a_coarse_map_is_stretched_to_the_photo() -> None:
    painted = plots.blend(np.zeros((40, 60, 3)), np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert painted.shape == (40, 60, 3)
    brightness = painted @ LUMINANCE
    assert brightness[0, 59] == brightness.max()
    assert brightness[39, 0] == brightness.min()


def test_bytes_are_rounded_and_cut_but_never_wrap_around() -> None:
    colors = np.array([1.0, 0.0, 0.5, 1.2, -0.2, 0.999])[None, :, None].repeat(3, axis=-1)
    pixels = np.asarray(Image.open(io.BytesIO(encode_png(colors))))
    assert pixels[0, :, 0].tolist() == [255, 0, 128, 255, 0, 255]


def test_the_colour_bar_is_painted_by_the_painter() -> None:
    bar = plots.color_bar()
    assert bar.shape == (1, 256, 3)
    assert np.array_equal(bar[0, -1], plots.blend(flat(0.5, 1), np.ones((1, 1)))[0, 0])
    signed = plots.color_bar(signed=True)[0]
    assert signed[0, 2] > signed[0, 0]
    assert signed[-1, 0] > signed[-1, 2]
