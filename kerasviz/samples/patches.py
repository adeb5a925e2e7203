"""Small patches of natural photos as a data set to train on: offline, and never the same twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kerasviz.errors import InputError
from kerasviz.samples.photo import Photo, photos

SMALLEST, LARGEST = 4, 72
TILES_PER_TEST_TILE = 4
LUMINANCE = (0.299, 0.587, 0.114)
TRAIN, TEST = 0, 1


@dataclass(frozen=True, eq=False)
class PhotoPatches:
    """Patches of photos, the photo as the class; no pixel is in both training and test patches.

    Args:
        x_train: `(num, size, size, channels)` uint8; 3 channels in colour, else 1.
        y_train: `(num,)` int64, the place of the photo in `names`; classes take turns.
        x_test: The same from other regions of the photos.
        y_test: Their classes.
        names: What `photos` calls each class.
        corners_train: `(num, 2)` int64: row and column of each patch's top left pixel in its photo.
        corners_test: The same of the test patches.
        licences: One a class: the terms its photo may be used under.
        credits: One a class: who made the photo.
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    names: tuple[str, ...]
    corners_train: NDArray[np.int64]
    corners_test: NDArray[np.int64]
    licences: tuple[str, ...]
    credits: tuple[str, ...]

    def __repr__(self) -> str:
        sizes = f"{len(self.x_train)} to train, {len(self.x_test)} to test"
        return f"PhotoPatches({sizes}, {len(self.names)} classes, size={self.x_train.shape[1]})"


def photo_patches(
    num: int,
    size: int = 32,
    seed: int = 0,
    color: bool = True,
    *,
    num_test: int | None = None,
    names: tuple[str, ...] = (),
) -> PhotoPatches:
    """Cut patches out of the photos that `photos` returns; the class is the photo.

    Each photo is divided into tiles, at least twice as high and wide as a patch; every fourth,
    spread evenly, is for tests. A patch lies within one tile, so that training and test patches
    share no pixel, though they are of one photo. They keep the photo's own resolution and values;
    some are nearly plain, such as of a sky, so that no model names all of them rightly.

    Args:
        num: Number of training patches.
        size: Height and width in pixels, 4 to 72.
        seed: The same seed gives the same patches; patch i does not depend on `num`.
        color: False: one channel, 0.299 R + 0.587 G + 0.114 B.
        num_test: Number of test patches; None: a quarter of `num`, at least one.
        names: Which photos, as `photos` takes them; none means all seven.

    Returns:
        A `PhotoPatches`.

    Raises:
        InputError: A setting outside of its range, or no photo of that name.
        MissingExtraError: A package that holds photos is not installed.

    Example:
        >>> from kerasviz import samples
        >>> patches = samples.photo_patches(70)
        >>> patches.x_train.shape, patches.x_test.shape, len(patches.names)
        ((70, 32, 32, 3), (17, 32, 32, 3), 7)
    """
    _check(num, size, seed, num_test)
    num_test = max(1, num // TILES_PER_TEST_TILE) if num_test is None else num_test
    chosen = photos(*names)
    images = [photo.image if color else _luminance(photo) for photo in chosen]
    x_train, y_train, corners_train = _cut(images, num, size, (seed, TRAIN))
    x_test, y_test, corners_test = _cut(images, num_test, size, (seed, TEST))
    return PhotoPatches(
        x_train,
        y_train,
        x_test,
        y_test,
        tuple(photo.name for photo in chosen),
        corners_train,
        corners_test,
        tuple(photo.licence for photo in chosen),
        tuple(photo.credit for photo in chosen),
    )


def _cut(
    images: list[NDArray[np.uint8]], num: int, size: int, seed: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Patches, their classes and their corners."""
    wanted = seed[1]
    tiles = [_tiles(image.shape[0], image.shape[1], size)[wanted] for image in images]
    draws = np.random.default_rng(seed).random((num, 3))
    patches = np.empty((num, size, size, images[0].shape[-1]), np.uint8)
    labels = np.arange(num, dtype=np.int64) % len(images)
    corners = np.empty((num, 2), np.int64)
    for place, (label, draw) in enumerate(zip(labels, draws, strict=True)):
        of_photo = tiles[label]
        top, bottom, left, right = of_photo[int(draw[0] * len(of_photo))]
        row = top + int(draw[1] * (bottom - top - size + 1))
        column = left + int(draw[2] * (right - left - size + 1))
        corners[place] = row, column
        patches[place] = images[label][row : row + size, column : column + size]
    return patches, labels, corners


def _tiles(height: int, width: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Top, bottom, left and right of the tiles for training, and of those for tests."""
    rows = np.linspace(0, height, height // (2 * size) + 1).astype(int)
    columns = np.linspace(0, width, width // (2 * size) + 1).astype(int)
    found: tuple[list[Any], list[Any]] = ([], [])
    for i in range(len(rows) - 1):
        for j in range(len(columns) - 1):
            is_test = (i + 2 * j) % TILES_PER_TEST_TILE == 0
            ends = (rows[i], rows[i + 1], columns[j], columns[j + 1])
            found[TEST if is_test else TRAIN].append(ends)
    return np.array(found[TRAIN]), np.array(found[TEST])


def _luminance(photo: Photo) -> NDArray[np.uint8]:
    return np.rint(photo.image @ np.array(LUMINANCE)).astype(np.uint8)[..., None]


def _check(num: Any, size: Any, seed: Any, num_test: Any) -> None:
    limits = {"num": (num, 1, None), "size": (size, SMALLEST, LARGEST), "seed": (seed, 0, None)}
    limits["num_test"] = (1 if num_test is None else num_test, 1, None)
    for name, (value, least, most) in limits.items():
        is_whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not is_whole or value < least or (most is not None and value > most):
            reach = f"from {least} on" if most is None else f"from {least} to {most}"
            raise InputError(
                f"`{name}` must be a whole number {reach}. Received: {value!r}. Choose another."
            )
