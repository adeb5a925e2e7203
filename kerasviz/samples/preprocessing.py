"""From photos of any size to the arrays that EfficientNet-Lite0 was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kerasviz.errors import InputError

Pixels: TypeAlias = NDArray[np.uint8]


def preprocess(images: Any, size: int = 224) -> NDArray[np.float32]:
    """Crop and scale photos to what `efficientnet_lite0` expects: `(crop(images) - 127) / 128`.

    Args:
        images: One RGB image `(height, width, 3)`, a batch `(n, height, width, 3)`, or a list of
            images of different sizes. Integers or floats in 0..255.
        size: Height and width of the result, in pixels.

    Returns:
        Float32 array `(n, size, size, 3)` in [-0.9921875, 1].

    Raises:
        InputError: Not RGB images, no images at all, or values that are not in 0..255.

    Example:
        >>> import numpy as np
        >>> from kerasviz import samples
        >>> float(samples.preprocess(np.full((300, 400, 3), 255, "uint8")).max())
        1.0
    """
    return (crop(images, size).astype(np.float32) - 127.0) / 128.0


def crop(images: Any, size: int = 224) -> Pixels:
    """Cut the central square out of each photo and resize it: the part that the network sees.

    An image that is already `size` by `size` comes back unchanged, so `crop` of a crop is the crop.

    Args:
        images: One RGB image `(height, width, 3)`, a batch `(n, height, width, 3)`, or a list of
            images of different sizes. Integers or floats in 0..255; floats are rounded.
        size: Height and width of the result, in pixels.

    Returns:
        Uint8 array `(n, size, size, 3)`.

    Raises:
        InputError: Not RGB images, no images at all, or values that are not in 0..255.

    Example:
        >>> import numpy as np
        >>> from kerasviz import samples
        >>> samples.crop(np.zeros((2, 300, 400, 3), "uint8")).shape
        (2, 224, 224, 3)
    """
    if size < 1:
        raise InputError(f"`size` must be a positive number of pixels. Received: {size}.")
    crops = [_crop_one(image, size) for image in _each_image(images)]
    if not crops:
        raise InputError("`images` must hold at least one image. Received: an empty batch.")
    return np.stack(crops)


def _each_image(images: Any) -> Iterator[Pixels]:
    if not isinstance(images, (list, tuple)):
        batch = np.asarray(images)
        images = batch if batch.ndim == 4 else [batch]
    return (_as_pixels(np.asarray(image)) for image in images)


def _as_pixels(image: NDArray[Any]) -> Pixels:
    if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise InputError(
            "Expected RGB images of shape (height, width, 3), a batch of them, or a list of them. "
            f"Received: an image of shape {image.shape}. A grey image becomes RGB with "
            "`np.stack([image] * 3, axis=-1)`; an alpha channel goes with `image[..., :3]`."
        )
    if image.dtype == np.uint8:
        return image
    _check_values(image)
    return np.rint(image).astype(np.uint8)


def _check_values(image: NDArray[Any]) -> None:
    if image.dtype.kind not in "iuf":
        raise InputError(
            "Expected integers or floats in 0..255. "
            f"Received: dtype {image.dtype}. Convert with `image.astype('float32')`."
        )
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 255):
        raise InputError(
            f"Expected values in 0..255. Received: values in {low:g}..{high:g}. "
            "Pass the photo itself: `preprocess` does the scaling."
        )
    if image.dtype.kind == "f" and 0 < high <= 1:
        raise InputError(
            f"Expected values in 0..255. Received: floats in {low:g}..{high:g}, which look like "
            "0..1. Multiply by 255."
        )


def _crop_one(image: Pixels, size: int) -> Pixels:
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(image).resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.asarray(square)
