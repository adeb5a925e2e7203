"""Sheets of pictures: what is drawn for each kind, and what their titles own up to."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from kerasviz import plots
from kerasviz.errors import InputError
from kerasviz.plots.pictures import CHECK_GREYS, colors_of_picture, picture_png

NOISE = np.random.default_rng(3).random((3, 12, 16, 3))


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def drawn(figure: Figure) -> list[np.ndarray]:
    """All drawn pictures but grey scales."""
    arrays = [np.asarray(image.get_array()) for image in figure.findobj(AxesImage)]
    return [array for array in arrays if array.shape[0] > 1]


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_colours_are_drawn_as_they_are_below_their_titles() -> None:
    figure = plots.pictures(NOISE, titles=["conv:0\n8.12", "conv:1\n4.5", "conv:2\n$x$"])
    np.testing.assert_allclose(drawn(figure), NOISE)
    for text in ("conv:0", "8.12", "conv:1", "$x$"):
        assert text in words(figure)
    assert "stretched" not in words(figure)


def test_bytes_are_what_they_stand_for() -> None:
    pixels = np.rint(NOISE * 255).astype(np.uint8)
    np.testing.assert_allclose(drawn(plots.pictures(pixels)), pixels / 255)


@pytest.mark.parametrize(("columns", "places"), [(None, 3), (2, 2), (7, 3), (1, 1)])
def test_columns(columns: int | None, places: int) -> None:
    lefts = {round(axes.get_position().x0, 6) for axes in plots.pictures(NOISE, None, columns).axes}
    assert len(lefts) == places


def test_eight_pictures_make_a_wide_sheet() -> None:
    figure = plots.pictures(np.repeat(NOISE[:1], 8, axis=0))
    assert len({round(axes.get_position().x0, 6) for axes in figure.axes}) == 4


def test_grey_pictures_have_a_scale() -> None:
    figure = plots.pictures(NOISE[:2, ..., :1])
    assert len(drawn(figure)) == 2
    np.testing.assert_allclose(drawn(figure)[0], np.repeat(NOISE[0, ..., :1], 3, axis=-1))
    assert len(figure.axes) == 4
    assert words(figure).split().count("1") == 2


def test_what_leaves_the_range_is_stretched_alone_and_says_so() -> None:
    wide = NOISE.copy()
    wide[1] = wide[1] * 4 - 1
    figure = plots.pictures(wide, titles=["a", "b", "c"])
    low, high = f"{wide[1].min():.3g}", f"{wide[1].max():.3g}"
    assert f"stretched from {low} to {high}" in " ".join(words(figure).split())
    assert words(figure).count("stretched") == 1
    first, second, _ = drawn(figure)
    np.testing.assert_allclose(first, NOISE[0])
    np.testing.assert_allclose(second, (wide[1] - wide[1].min()) / np.ptp(wide[1]))


def test_a_stretched_grey_picture_has_the_ends_of_its_own_range() -> None:
    ramp = np.linspace(-2, 3, 64).reshape(1, 8, 8, 1)
    shown = words(plots.pictures(ramp)).split()
    assert "-2" in shown
    assert "3" in shown


def test_a_constant_picture_out_of_range_is_grey() -> None:
    (shown,) = drawn(plots.pictures(np.full((1, 8, 8, 3), 7.0)))
    np.testing.assert_allclose(shown, 0.5)


def test_transparent_pictures_lie_on_a_light_checkerboard() -> None:
    picture = np.zeros((1, 32, 32, 4))
    picture[0, :16, :, 3] = 1.0
    (shown,) = drawn(plots.pictures(picture))
    assert (shown[:16] == 0).all()
    assert set(np.unique(shown[16:])) == set(CHECK_GREYS)
    assert shown[16:, :, 0].mean() == pytest.approx(np.mean(CHECK_GREYS))


def test_a_fourth_channel_need_not_be_opacity() -> None:
    depth = np.random.default_rng(0).random((1, 8, 8, 4))
    figure = plots.pictures(depth, opacity=False)
    assert len(drawn(figure)) == 4
    np.testing.assert_allclose(drawn(figure)[3][..., 0], depth[0, ..., 3])
    assert "channel 3 of 4" in words(figure)


def test_many_channels_are_counted() -> None:
    figure = plots.pictures(np.random.default_rng(0).random((2, 8, 8, 11)), titles=["p", "q"])
    assert len(drawn(figure)) == 2 * 8
    assert words(figure).count("of 11") == 16


def test_volumes_show_their_middle() -> None:
    volume = np.zeros((1, 4, 6, 8, 1))
    volume[0, 2, 3, 4] = 1.0
    figure = plots.pictures(volume)
    (shown,) = drawn(figure)
    assert (shown == 1.0).sum() == 3 * 3
    assert "middle slices" in words(figure)


def test_signals_are_curves_in_the_full_range() -> None:
    signal = np.random.default_rng(0).random((2, 50, 3))
    first, second = plots.pictures(signal, titles=["p", "q"]).axes
    np.testing.assert_allclose([line.get_ydata() for line in first.lines], signal[0].T)
    assert len(second.lines) == 3
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] < 0 < 1 < first.get_ylim()[1]


@pytest.mark.parametrize("features", [5, 40])
def test_vectors_are_bars_or_a_line_on_one_scale(features: int) -> None:
    values = np.random.default_rng(0).random((2, features)) / 2
    first, second = plots.pictures(values).axes
    if features == 5:
        np.testing.assert_allclose([bar.get_width() for bar in first.patches], values[0])
        assert first.get_xlim() == second.get_xlim() == (0.0, 1.03)
    else:
        assert first.get_ylim() == second.get_ylim() == (-0.03, 1.03)
        assert first.get_xlim() == (0, features - 1)


def test_more_pictures_than_are_drawn_are_counted() -> None:
    figure = plots.pictures(NOISE, max_images=2)
    assert len(drawn(figure)) == 2
    assert "2 of 3 pictures shown" in words(figure)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (np.zeros(3), {}, "shape (3,)"),
        (np.zeros((1, 2, 2, 2, 2, 2)), {}, "shape (1, 2, 2, 2, 2, 2)"),
        (np.zeros((0, 8, 8, 3)), {}, "shape (0, 8, 8, 3)"),
        ({"left": NOISE, "right": NOISE}, {}, "one input's"),
        ([["text", "more"]], {}, "must be numbers"),
        (np.full((1, 8, 8, 3), np.nan), {}, "192 values that are NaN"),
        (np.full((1, 8, 8, 4), 1.5), {}, "`opacity=False`"),
        (np.zeros((1, 8, 8, 1)), {"opacity": True}, "shape (1, 8, 8, 1)"),
        (NOISE, {"titles": ["one"]}, "one text a picture: 3. Received: 1"),
        (NOISE, {"titles": "abc"}, "Received: 'abc'"),
        (NOISE, {"columns": 0}, "`columns`"),
    ],
)
def test_refused(given: object, options: dict, message: str) -> None:
    with pytest.raises(InputError) as error:
        plots.pictures(given, **options)
    assert message in str(error.value)


def test_a_png_has_a_pixel_a_pixel() -> None:
    found = decoded(picture_png(NOISE[0]))
    np.testing.assert_array_equal(found[..., :3], np.rint(NOISE[0] * 255))


def test_a_png_keeps_its_opacity() -> None:
    picture = np.random.default_rng(0).random((6, 5, 4))
    np.testing.assert_array_equal(decoded(picture_png(picture)), np.rint(picture * 255))
    grey = decoded(picture_png(picture[..., :2], opacity=True))
    np.testing.assert_array_equal(grey[..., 3], np.rint(picture[..., 1] * 255))


@pytest.mark.parametrize("shape", [(40, 2), (7,), (6, 6, 6, 3), (6, 6, 5)])
def test_a_png_of_anything_else_is_drawn(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape)
    assert decoded(picture_png(values, opacity=False)).std() > 1


def test_only_pictures_become_pixels() -> None:
    assert colors_of_picture(NOISE[0, ..., :1]).shape == (12, 16, 3)
    with pytest.raises(InputError, match=r"two axes of positions, or three"):
        colors_of_picture(np.zeros((50, 2)))
