"""Settings of the viewport study, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.settings import whole
from kerasviz.studies.viewport_frames import FrameLayout, apparent, numbers

LEAST_IMAGES = 3


def checked_images(
    images: Any, layout: FrameLayout, value_range: tuple[float, float]
) -> list[np.ndarray]:
    """Float32 `(height, width, channels)` pictures of any sizes.

    Raises:
        InputError: No pictures, of the wrong channels, or with values out of range.
    """
    low, high = value_range
    if not isinstance(images, Iterable):
        raise InputError(
            f"`images` must be a list of pictures, or an array of them. Received: {images!r}. "
            "Pass such as [first, second, third]."
        )
    found = [np.asarray(image) for image in images]
    found = [image[..., None] if image.ndim == 2 else image for image in found]
    if len(found) < LEAST_IMAGES:
        raise InputError(
            f"`images` must hold at least three pictures. Received: {len(found)}. Some are held "
            "out to test what was learned from the others: give more."
        )
    for place, image in enumerate(found):
        fits = image.ndim == 3 and layout.channels in (None, image.shape[-1]) and image.size
        if not fits or image.dtype.kind not in "uif" or image.shape[-1] != found[0].shape[-1]:
            raise InputError(
                f"`images` must be (height, width, {layout.channels or 'channels'}) pictures of "
                f"numbers. Received: shape {image.shape} of {image.dtype} at {place}. Convert it."
            )
        if not (image.min() >= low and image.max() <= high):
            raise InputError(
                f"`images` must hold values in `value_range`, {low:g} to {high:g}. Received: "
                f"{image.min():g} to {image.max():g} at {place}. Pass the pixels before they are "
                "scaled for the model, and `preprocess`; or another `value_range`."
            )
    most = max(float(image.max()) for image in found)
    if (low, high) == (0.0, 255.0) and most <= 1.0 and found[0].dtype.kind == "f":
        raise InputError(
            "`images` must hold values in `value_range`, 0 to 255. Received: none above "
            f"{most:g}. Pass `value_range=(0, 1)` for such pictures."
        )
    return [image.astype("float32") for image in found]


def checked_range(value_range: Any) -> tuple[float, float]:
    """The values of black and white.

    Raises:
        InputError: Not two finite numbers, the smaller one first.
    """
    found = numbers(value_range)
    if found.shape != (2,) or not np.isfinite(found).all() or not found[0] < found[1]:
        raise InputError(
            "`value_range` must be two finite numbers, that of black and a larger one of white. "
            f"Received: {value_range!r}. Pass such as (0, 255)."
        )
    return float(found[0]), float(found[1])


def checked_distances(distances: Any) -> tuple[float, ...]:
    """From near to far.

    Raises:
        InputError: Not numbers above 0.
    """
    found = numbers(distances)
    if found.ndim != 1 or not found.size or not (np.isfinite(found) & (found > 0)).all():
        raise InputError(
            f"`distances` must be numbers above 0. Received: {distances!r}. Pass such as (1, 2, 4)."
        )
    return tuple(float(distance) for distance in np.unique(found))


def checked_positions(positions: Any) -> int | np.ndarray:
    """A number of random positions, or (n, 2) shares of the way.

    Raises:
        InputError: Neither.
    """
    if isinstance(positions, (int, np.integer)) and not isinstance(positions, bool):
        return whole(positions, "positions")
    found = numbers(positions)
    is_pairs = found.ndim == 2 and found.shape[1] == 2 and len(found)
    if not is_pairs or not ((found >= 0) & (found <= 1)).all():
        raise InputError(
            "`positions` must be a whole number from 1 on, or pairs of shares from 0 to 1, across "
            f"and down. Received: {positions!r}. Pass such as 12, or [(0.5, 0.5)] for the middle."
        )
    return found


def checked_share(share: Any) -> float:
    """Above 0, at most 1.

    Raises:
        InputError: It is not.
    """
    found = numbers(share)
    if found.ndim or not 0 < found <= 1:
        raise InputError(
            f"`share` must be above 0, at most 1. Received: {share!r}. Pass such as 0.5."
        )
    return float(found)


def checked_size(
    size: Any, layout: FrameLayout, images: Sequence[np.ndarray], nearest: float
) -> int:
    """The longer side at distance 1: what was given, else what fits without enlarging.

    Raises:
        InputError: Pictures that do not fit into the frame at the nearest distance.
    """
    usual = min(layout.height, layout.width, *(min(image.shape[:2]) for image in images))
    found = usual if size is None else whole(size, "size", 2)
    sides = [apparent(image, found / nearest) for image in images]
    height, width = max(h for h, _ in sides), max(w for _, w in sides)
    if height > layout.height or width > layout.width:
        raise InputError(
            f"`size` must fit into the frame, {layout.height} × {layout.width}, at distance "
            f"{nearest:g}. Received: pictures of up to {height} × {width} there. Make it smaller, "
            "or the distances larger."
        )
    return found
