"""The data of studies: 32×32 pictures of at most ten classes, bundled, downloaded or given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasviz import samples
from kerasviz.errors import InputError
from kerasviz.probe.settings import whole

SIZE = 32
CLASSES = 10
PATCHES = 4096
DATA = ("patches", "cifar10")
LUMINANCE = (0.299, 0.587, 0.114)
Part = tuple[np.ndarray, np.ndarray]


def small_pictures(data: Any, num_train: int | None = None, colors: int = 3) -> tuple[Part, Part]:
    """Pictures `(n, 32, 32, colors)` float32 in [0, 255] and classes `(n,)`, to train and validate.

    Args:
        data: "patches", "cifar10", or `((x_train, y_train), (x_validation, y_validation))`.
        num_train: Use only so many training pictures; of patches, cut so many. None: all.
        colors: 1 for grey pictures, 3.

    Raises:
        InputError: Data of another shape or range, or CIFAR-10 out of reach.
    """
    train, validation = _parts(data, num_train)
    return _checked(train, colors), _checked(validation, colors)


def _parts(data: Any, num_train: int | None) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    count = None if num_train is None else whole(num_train, "num_train")
    if isinstance(data, str) and data not in DATA:
        raise InputError(
            f"`data` must be one of {DATA}, or arrays. Received: {data!r}. Choose one of them."
        )
    if isinstance(data, str) and data == "patches":
        found = samples.photo_patches(count or PATCHES, SIZE)
        return (found.x_train, found.y_train), (found.x_test, found.y_test)
    train, validation = _pairs(_cifar10() if isinstance(data, str) else data)
    return (np.asarray(train[0])[:count], np.asarray(train[1])[:count]), validation


def _cifar10() -> Any:
    """CIFAR-10 from Keras's cache, which Keras fills by a download."""
    try:
        return keras.datasets.cifar10.load_data()
    except MemoryError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputError(
            "Expected CIFAR-10, which Keras downloads once and keeps. Received: no copy of it "
            f"({reason}). Connect to the internet, choose the bundled patches, or give the "
            "pictures as arrays (on the command line: --data FILE.npz)."
        ) from error


def _pairs(data: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    def is_pair(one: Any) -> bool:
        return isinstance(one, (tuple, list)) and len(one) == 2

    if not is_pair(data) or not all(is_pair(part) for part in data):
        raise InputError(
            "`data` must be ((x_train, y_train), (x_validation, y_validation)). "
            f"Received: {type(data).__name__}. Pass arrays in this order."
        )
    return tuple(data[0]), tuple(data[1])


def _checked(part: tuple[Any, Any], colors: int) -> Part:
    x, y = np.asarray(part[0]), np.asarray(part[1]).reshape(-1)
    fits = x.ndim == 4 and x.shape[1:3] == (SIZE, SIZE) and x.shape[3] in (colors, 3)
    if not len(x) or not fits or len(x) != len(y):
        kinds = " or ".join(map(str, sorted({colors, 3})))
        raise InputError(
            f"`data` must hold pictures (n, {SIZE}, {SIZE}, {kinds}) and n classes, one at least. "
            f"Received: {x.shape} and {y.shape}. Resize them."
        )
    if x.dtype.kind not in "uif" or y.dtype.kind not in "ui":
        raise InputError(
            "`data` must hold pictures of numbers and classes of whole numbers. Received: "
            f"{x.dtype} and {y.dtype}. Convert them."
        )
    if not (x.min() >= 0 and x.max() <= 255 and y.min() >= 0 and y.max() < CLASSES):
        raise InputError(
            f"`data` must hold pictures in [0, 255] and classes from 0 to {CLASSES - 1}. Received: "
            f"{x.min()} to {x.max()} and {y.min()} to {y.max()}. Scale and number them so."
        )
    if x.shape[3] != colors:
        x = x @ np.array(LUMINANCE)[:, None]
    return x.astype("float32"), y
