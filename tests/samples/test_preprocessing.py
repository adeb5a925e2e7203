from __future__ import annotations

import numpy as np
import pytest

from kerasviz import samples
from kerasviz.errors import InputError


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("value", [0, 1, 126, 127, 128, 255])
def test_a_constant_image_becomes_its_closed_form(value: int) -> None:
    result = samples.preprocess(np.full((300, 500, 3), value, np.uint8))
    assert result.shape == (1, 224, 224, 3)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.float32((value - 127) / 128))


def test_an_image_of_the_right_size_is_only_scaled() -> None:
    image = random_image(224, 224)
    np.testing.assert_array_equal(samples.crop(image)[0], image)
    np.testing.assert_array_equal(samples.preprocess(image)[0], (image - np.float32(127)) / 128)


@pytest.mark.parametrize(("height", "width"), [(224, 500), (224, 225), (500, 224), (229, 224)])
def test_the_crop_is_the_centre(height: int, width: int) -> None:
    image = random_image(height, width)
    top, left = (height - 224) // 2, (width - 224) // 2
    np.testing.assert_array_equal(samples.crop(image)[0], image[top : top + 224, left : left + 224])


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("side", [112, 256])
def test_a_ramp_stays_a_ramp_when_resized(side: int, axis: int) -> None:
    ramp = np.broadcast_to(np.arange(side, dtype=np.uint8)[:, None, None], (side, side, 3))
    image = ramp if axis == 0 else np.swapaxes(ramp, 0, 1)
    expected = (np.arange(224) + 0.5) * side / 224 - 0.5
    profile = np.moveaxis(samples.crop(image)[0], axis, 0)[4:-4].astype(float)
    np.testing.assert_allclose(profile - expected[4:-4, None, None], 0, atol=0.51)


def test_fine_patterns_are_averaged_not_sampled() -> None:
    checkers = (np.indices((448, 448)).sum(axis=0) % 2 * 255).astype(np.uint8)
    grey = samples.crop(np.stack([checkers] * 3, axis=-1))[0, 4:-4, 4:-4]
    np.testing.assert_allclose(grey, 127.5, atol=2)


def test_cropping_twice_changes_nothing() -> None:
    once = samples.crop(random_image(300, 451))
    np.testing.assert_array_equal(samples.crop(once), once)


def test_batches_and_lists_are_answered_image_by_image() -> None:
    batch = np.stack([random_image(240, 260), random_image(240, 260)[::-1]])
    single = [samples.preprocess(image)[0] for image in batch]
    np.testing.assert_array_equal(samples.preprocess(batch), single)
    mixed = samples.preprocess([batch[0], random_image(300, 229)])
    assert mixed.shape == (2, 224, 224, 3)
    np.testing.assert_array_equal(mixed[0], single[0])


def test_floats_and_integers_mean_the_same() -> None:
    image = random_image(250, 250)
    for dtype in (np.float32, np.float64, np.int64):
        np.testing.assert_array_equal(samples.crop(image.astype(dtype)), samples.crop(image))
    np.testing.assert_array_equal(samples.crop(np.full((300, 230, 3), 63.75)), 64)


def test_the_images_are_left_alone() -> None:
    image = random_image(224, 300)
    before = image.copy()
    samples.preprocess(image)[:] = 0
    samples.crop(image[:, :224])
    np.testing.assert_array_equal(image, before)


def test_another_size() -> None:
    assert samples.preprocess(random_image(300, 400), size=96).shape == (1, 96, 96, 3)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((30, 30), np.uint8), "np.stack"),
        (np.zeros((30, 30, 4), np.uint8), r"\[..., :3\]"),
        (np.zeros((2, 30, 30, 1), np.uint8), r"\(30, 30, 1\)"),
        (np.zeros((1, 2, 30, 30, 3), np.uint8), r"\(1, 2, 30, 30, 3\)"),
        (np.zeros((30, 0, 3), np.uint8), r"\(30, 0, 3\)"),
        (np.zeros((0, 30, 30, 3), np.uint8), "empty batch"),
        ([], "empty batch"),
        (None, r"shape \(\)"),
        ("cat.jpg", r"shape \(\)"),
        (np.zeros((30, 30, 3), bool), "dtype bool"),
        (np.full((30, 30, 3), -1), r"-1\.\.-1"),
        (np.full((30, 30, 3), 256.0), r"256\.\.256"),
        (np.full((30, 30, 3), np.nan), "nan"),
        (np.full((30, 30, 3), 0.5), "Multiply by 255"),
    ],
)
def test_other_inputs_are_refused(images: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        samples.preprocess(images)
    assert "Received" in str(caught.value)


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="Received: 0"):
        samples.crop(np.zeros((30, 30, 3), np.uint8), size=0)
