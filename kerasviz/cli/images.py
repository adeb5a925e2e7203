"""Image files of any kind, as the pixels that a model's input has room for."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kerasviz.errors import ImageFileError, InputError
from kerasviz.probe.inputs import check_model, declared

_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA")
_SIZE_WHEN_ANY = 224
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_UNDECODABLE = (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, MemoryError)


@dataclass(frozen=True)
class ImageLayout:
    """What a model's input wants an image to be.

    Args:
        height: Pixels.
        width: Pixels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        channels_first: Whether the channels come before the height.
        any_size: Whether the model left its size open, so that 224 was chosen here.
    """

    height: int
    width: int
    channels: int
    channels_first: bool = False
    any_size: bool = False

    def arrange(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn `(n, height, width, channels)` into the order of axes that the model has."""
        return np.moveaxis(images, -1, 1) if self.channels_first else images

    def __str__(self) -> str:
        kind = {1: "grey", 3: "RGB", 4: "RGBA"}[self.channels]
        open_size = " (the model takes any size)" if self.any_size else ""
        return f"{self.width} × {self.height} pixels, {kind}{open_size}"


@dataclass(frozen=True, eq=False)
class ReadImage:
    """One image file, ready for the model.

    Args:
        path: As it was named on the command line.
        pixels: Uint8 `(height, width, channels)`.
        position: Which of the named files it is, from 0.
    """

    path: str
    pixels: NDArray[np.uint8]
    position: int


def image_layout(model: keras.Model) -> ImageLayout:
    """Find out what images a model takes.

    Args:
        model: Any built model.

    Returns:
        The layout of its one image input.

    Raises:
        InputError: It has several inputs, or one that is not an image.
    """
    shape = _only_shape(model)
    first = _are_channels_first(shape)
    channels = shape[1] if first else shape[3]
    if channels not in (*_MODES, None):
        raise InputError(
            "Expected a model with 1 (grey), 3 (RGB) or 4 (RGBA) channels. "
            f"Received: input shape {shape}. Explain this model from Python."
        )
    height, width = shape[2:] if first else shape[1:3]
    return ImageLayout(
        height or width or _SIZE_WHEN_ANY,
        width or height or _SIZE_WHEN_ANY,
        channels or 3,
        first,
        any_size=not (height and width),
    )


def _only_shape(model: keras.Model) -> tuple[int | None, ...]:
    check_model(model)
    taken = declared(model)
    shapes = [slot.shape for slot in taken.slots] if taken else []
    if len(shapes) != 1 or len(shapes[0]) != 4:
        received = f"inputs of shape {', '.join(map(str, shapes))}" if shapes else "unknown inputs"
        raise InputError(
            "Expected a model with one image input, of shape (batch, height, width, channels). "
            f"Received: {received}. Explain this model from Python."
        )
    return shapes[0]


def _are_channels_first(shape: Sequence[int | None]) -> bool:
    if shape[3] in _MODES or shape[1] not in _MODES:
        return False
    return shape[3] is not None or keras.config.image_data_format() == "channels_first"


def read_images(
    paths: Sequence[str], layout: ImageLayout, advance: Callable[[], None] = lambda: None
) -> tuple[list[ReadImage], list[tuple[str, str]]]:
    """Read what can be read; name the rest.

    Each image is turned upright (EXIF), its shorter side resized to the model's input, and the
    centre cut out. Transparent parts become white unless the model takes RGBA. Of an animation the
    first frame is taken.

    Args:
        paths: PNG, JPEG, WebP, GIF, BMP, TIFF, PPM, JPEG 2000, AVIF or TGA files.
        layout: What the model wants.
        advance: Called after each file.

    Returns:
        The images, and a `(path, reason)` for each file that cannot be read.
    """
    images, failures = [], []
    for position, path in enumerate(paths):
        try:
            images.append(ReadImage(path, _read(path, layout), position))
        except ImageFileError as error:
            failures.append((path, str(error)))
        advance()
    return images, failures


def _read(path: str, layout: ImageLayout) -> NDArray[np.uint8]:
    """Read one file; the error's message is the reason alone, as the rest of a sentence."""
    if Path(path).is_dir():
        raise ImageFileError("is a folder: name the images in it")
    if Path(path).exists() and not Path(path).is_file():
        raise ImageFileError("is a device or a pipe")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_known_formats()) as file:
                picture = _prepare(file, layout)
    except ImageFileError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageFileError("declares more pixels than a photo can have") from error
    except _UNDECODABLE as error:
        raise ImageFileError(_reason(error)) from error
    pixels = np.asarray(picture, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _prepare(file: Image.Image, layout: ImageLayout) -> Image.Image:
    file.draft("RGB", (2 * layout.width, 2 * layout.height))
    upright = ImageOps.exif_transpose(file)
    picture = _in_mode(_eight_bits(upright), _MODES[layout.channels])
    return ImageOps.fit(picture, (layout.width, layout.height), Image.Resampling.BICUBIC)


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        return _scaled(np.asarray(picture, np.float64), picture.mode != "I")
    if picture.mode == "F":
        return _scaled_floats(np.asarray(picture, np.float64))
    return picture


def _scaled(values: NDArray[np.float64], sixteen_bits: bool) -> Image.Image:
    low, high = values.min(), values.max()
    if low < 0 or high > 65535:
        raise ImageFileError(f"holds values in {low:g}..{high:g}; 0..65535 expected")
    factor = 257.0 if sixteen_bits or high > 255 else 1.0
    return Image.fromarray(np.rint(values / factor).astype(np.uint8))


def _scaled_floats(values: NDArray[np.float64]) -> Image.Image:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 255):
        raise ImageFileError(f"holds values in {low:g}..{high:g}; 0..1 or 0..255 expected")
    return Image.fromarray(np.rint(values * (255.0 if high <= 1 else 1.0)).astype(np.uint8))


def _in_mode(picture: Image.Image, mode: str) -> Image.Image:
    transparent = picture.has_transparency_data
    if transparent and mode != "RGBA":
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert(mode)


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is not an image that can be read"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"is damaged: {str(error) or type(error).__name__}"
