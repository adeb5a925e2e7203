from __future__ import annotations

import numpy as np
import pytest

from kerasviz import samples
from kerasviz.errors import InputError


@pytest.fixture(scope="module")
def patches() -> samples.PhotoPatches:
    return samples.photo_patches(280)


def test_shapes_and_balance(patches: samples.PhotoPatches) -> None:
    assert patches.x_train.shape == (280, 32, 32, 3)
    assert patches.x_test.shape == (70, 32, 32, 3)
    assert patches.x_train.dtype == np.uint8
    assert np.bincount(patches.y_train).tolist() == [40] * 7
    assert patches.names == tuple(photo.name for photo in samples.photos())
    assert all(patches.licences)
    assert all(patches.credits)
    assert repr(patches) == "PhotoPatches(280 to train, 70 to test, 7 classes, size=32)"


def test_each_patch_is_where_its_corner_says(patches: samples.PhotoPatches) -> None:
    images = [photo.image for photo in samples.photos()]
    for part in ("train", "test"):
        cut = (getattr(patches, f"{name}_{part}") for name in ("x", "y", "corners"))
        for patch, label, (row, column) in zip(*cut, strict=True):
            there = images[label][row : row + 32, column : column + 32]
            np.testing.assert_array_equal(patch, there)


@pytest.mark.parametrize("size", [5, 32, 72])
def test_no_pixel_is_in_both_parts(size: int) -> None:
    patches = samples.photo_patches(1400, size=size, num_test=1400)
    for label, photo in enumerate(samples.photos()):
        seen = np.zeros((2, *photo.image.shape[:2]), bool)
        for part, (labels, corners) in enumerate(
            [
                (patches.y_train, patches.corners_train),
                (patches.y_test, patches.corners_test),
            ]
        ):
            for row, column in corners[labels == label]:
                seen[part, row : row + size, column : column + size] = True
        assert not (seen[0] & seen[1]).any()
        if size == 32:  # 200 patches cover most of what there is
            assert seen[0].mean() > 0.3
            assert 0.05 < seen[1].mean() < 0.4


def test_the_seed_decides_and_the_number_does_not(patches: samples.PhotoPatches) -> None:
    fewer = samples.photo_patches(21)
    np.testing.assert_array_equal(fewer.x_train, patches.x_train[:21])
    np.testing.assert_array_equal(fewer.x_test, patches.x_test[:5])
    other = samples.photo_patches(21, seed=1)
    assert (other.corners_train != fewer.corners_train).any(axis=1).mean() > 0.9
    assert not np.array_equal(fewer.corners_train[:5], fewer.corners_test)


def test_without_colour(patches: samples.PhotoPatches) -> None:
    gray = samples.photo_patches(14, color=False)
    assert gray.x_train.shape == (14, 32, 32, 1)
    mixed = patches.x_train[:14] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray.x_train[..., 0], mixed, atol=0.5001)


def test_chosen_photos() -> None:
    patches = samples.photo_patches(4, names=("china", "flower"))
    assert patches.names == ("china", "flower")
    assert patches.y_train.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num": 0}, "`num` must be a whole number from 1 on. Received: 0."),
        ({"size": 73}, "`size` must be a whole number from 4 to 72. Received: 73."),
        ({"size": True}, "`size` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number from 0 on"),
        ({"num_test": 0}, "`num_test` must be a whole number from 1 on"),
    ],
)
def test_settings_out_of_range(settings: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        samples.photo_patches(**{"num": 3, **settings})
