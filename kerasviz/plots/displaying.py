"""From what a model was given to something a person can look at: `(*spatial, 3)` in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasviz.errors import InputError

COLOR_COUNTS = (1, 3, 4)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def displayable(image: np.ndarray, spatial: Sequence[int] = (0, 0)) -> np.ndarray:
    """Show any input as a picture: grey or colour, channels first or last, any range.

    Bytes and values in [0, 1] keep their brightness; any other range is stretched to [0, 1]. NaN
    is drawn black. Of 4 channels the first three are shown, of 2 or more than 4 their mean.

    Args:
        image: `spatial` axes, with or without a channel axis, which may come first or last.
        spatial: The shape of the map that goes with it: tells how many axes are spatial, and,
            where sizes agree, which axis holds the channels.

    Returns:
        `(*spatial axes of image, 3)` float64 in [0, 1].

    Raises:
        InputError: When the image has too few or too many axes.
    """
    array = np.asarray(image)
    axis = channel_axis(array.shape, tuple(spatial))
    channels_last = array[..., None] if axis is None else np.moveaxis(array, axis, -1)
    return normalized(_to_colors(channels_last))


def channel_axis(shape: tuple[int, ...], spatial: tuple[int, ...]) -> int | None:
    """Which axis of an image holds channels: 0, -1, or None when there is no such axis."""
    if len(shape) == len(spatial) and shape:
        return None
    if len(shape) != len(spatial) + 1 or not spatial:
        raise InputError(
            f"`image` must have {len(spatial)} spatial axes and at most one axis for channels. "
            f"Received: shape {shape}. Give one image, without a batch axis."
        )
    last, first = shape[:-1] == spatial, shape[1:] == spatial
    if last or first:
        return -1 if last else 0
    return 0 if shape[0] in COLOR_COUNTS and shape[-1] not in COLOR_COUNTS else -1


def normalized(array: np.ndarray) -> np.ndarray:
    """Numbers of any range as float64 in [0, 1]; NaN and -inf become 0, +inf becomes 1."""
    if array.dtype == np.uint8:
        return array / 255.0
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if low < 0.0 or high > 1.0:
        values = (values - low) / (high - low) if high > low else values * 0.0 + 0.5
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)


def grey_of(colors: np.ndarray) -> np.ndarray:
    """Luminance of `(..., 3)` colours, still with three equal channels."""
    return np.repeat((colors @ LUMINANCE)[..., None], 3, axis=-1)


def _to_colors(image: np.ndarray) -> np.ndarray:
    channels = image.shape[-1]
    if channels in (3, 4):
        return image[..., :3]
    grey = image if channels == 1 else image.mean(axis=-1, keepdims=True)
    return np.repeat(grey, 3, axis=-1)
