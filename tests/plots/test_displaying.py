"""Any input can be shown: layout, range, channels, NaN, size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from kerasviz.errors import InputError
from kerasviz.plots.displaying import channel_axis, displayable, grey_of
from kerasviz.plots.resizing import resize, shrink


@pytest.mark.parametrize(
    ("shape", "spatial", "axis"),
    [
        ((8, 9), (8, 9), None),
        ((8, 9, 3), (8, 9), -1),
        ((3, 8, 9), (8, 9), 0),
        ((7, 8, 9), (8, 9), 0),
        ((8, 9, 7), (8, 9), -1),
        ((3, 40, 50), (7, 7), 0),
        ((40, 50, 3), (7, 7), -1),
        ((40, 50, 12), (7, 7), -1),
        ((3, 3, 3), (3, 3), -1),
        ((100, 2), (100,), -1),
        ((2, 100), (100,), 0),
        ((4, 5, 6, 1), (4, 5, 6), -1),
        ((1, 4, 5, 6), (4, 5, 6), 0),
    ],
)
def test_the_channel_axis_is_found(
    shape: tuple[int, ...], spatial: tuple[int, ...], axis: int | None
) -> None:
    assert channel_axis(shape, spatial) == axis


@pytest.mark.parametrize("shape", [(8,), (2, 8, 9, 3)])
def test_too_few_or_many_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"`image` must have 2 spatial axes.*without a batch axis"):
        displayable(np.zeros(shape), (8, 9))


def test_bytes_and_unit_range_keep_their_brightness() -> None:
    dark = np.array([[0, 51]], dtype=np.uint8)
    assert displayable(dark, (1, 2))[0, 1].tolist() == [0.2] * 3
    assert displayable(np.array([[0.1, 0.3]]), (1, 2))[0, 1].tolist() == [0.3] * 3


@pytest.mark.parametrize("shift", [-1.0, -124.0, 3.0])
def test_other_ranges_are_stretched(shift: float) -> None:
    image = np.linspace(0.0, 2.0, 12).reshape(2, 2, 3) + shift
    shown = displayable(image, (2, 2))
    assert shown.min() == 0.0
    assert shown.max() == 1.0
    assert (np.diff(shown.ravel()) > 0).all()


def test_a_constant_out_of_range_is_middle_grey() -> None:
    assert (displayable(np.full((2, 2), -7.0), (2, 2)) == 0.5).all()


def test_nan_and_infinity_do_not_spread() -> None:
    image = np.array([[np.nan, -2.0, 0.0, 2.0, np.inf]])
    assert displayable(image, (1, 5))[0, :, 0].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert (displayable(np.full((2, 2), np.nan), (2, 2)) == 0.0).all()


@pytest.mark.parametrize(("channels", "shown"), [(1, [0]), (2, [0, 1]), (5, [0, 1, 2, 3, 4])])
def test_other_channel_counts_become_grey(channels: int, shown: list[int]) -> None:
    image = np.random.default_rng(0).uniform(size=(4, 6, channels))
    expected = image[..., shown].mean(axis=-1)
    assert np.allclose(displayable(image, (4, 6)), expected[..., None])


def test_the_fourth_channel_is_left_out() -> None:
    image = np.random.default_rng(0).uniform(size=(4, 6, 4))
    assert np.array_equal(displayable(image * [1, 1, 1, 900], (4, 6)), image[..., :3])


def test_half_precision_and_whole_numbers() -> None:
    assert displayable(np.array([[0.0, 0.5]], dtype=np.float16), (1, 2))[0, 1, 0] == 0.5
    assert displayable(np.array([[-300, 300]], dtype=np.int32), (1, 2))[0, :, 0].tolist() == [0, 1]
    assert displayable(np.array([[False, True]]), (1, 2))[0, :, 0].tolist() == [0, 1]


def test_grey_has_three_equal_channels_of_the_same_luminance() -> None:
    grey = grey_of(np.array([[[0.0, 1.0, 0.0]]]))
    assert grey[0, 0].tolist() == pytest.approx([0.7152] * 3)


@pytest.mark.parametrize("size", [(7, 5), (64, 31), (20, 30), (1, 1), (3, 90)])
def test_resizing_equals_pillow(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(size=(20, 30)).astype(np.float32)
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
    assert np.allclose(resize(image, size), np.asarray(expected), atol=1e-5)


def test_resizing_by_hand_and_along_any_number_of_axes() -> None:
    assert resize(np.array([0.0, 1.0]), (4,)).tolist() == [0.0, 0.25, 0.75, 1.0]
    assert resize(np.array([0.0, 2.0, 4.0, 6.0]), (4,)).tolist() == [0.0, 2.0, 4.0, 6.0]
    volume = np.broadcast_to(np.array([0.0, 1.0])[:, None, None, None], (2, 3, 4, 3))
    tall = resize(volume, (4, 6, 2))
    assert tall.shape == (4, 6, 2, 3)
    assert np.allclose(tall, np.array([0.0, 0.25, 0.75, 1.0])[:, None, None, None])


def test_shrinking_keeps_proportions_and_never_enlarges() -> None:
    assert shrink(np.ones((100, 50, 3)), 40, axes=2).shape == (40, 20, 3)
    assert shrink(np.ones((10, 5, 3)), 40, axes=2).shape == (10, 5, 3)
    assert shrink(np.ones((1000, 2)), 10, axes=2).shape == (10, 1)
