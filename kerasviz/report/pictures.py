"""Pictures inside the page: PNG as data URIs, with their size."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any

from kerasviz.errors import InputError
from kerasviz.plots.figures import to_png

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SMALL = 160
TINY = 64


@dataclass(frozen=True)
class Image:
    """What the template needs for an `<img>`.

    Args:
        uri: The picture itself, as a data URI.
        alt: What it shows, in words.
        width: Pixels.
        height: Pixels.
    """

    uri: str
    alt: str
    width: int
    height: int

    @property
    def small(self) -> bool:
        """Whether it is shown larger than it is, with visible pixels."""
        return max(self.width, self.height) < SMALL

    @property
    def tiny(self) -> bool:
        """The same for a picture that, unlike a photo, is smooth by itself."""
        return max(self.width, self.height) < TINY


def image_of(png: bytes, alt: str) -> Image:
    """A PNG file's bytes as an image of the page."""
    if not png.startswith(PNG_SIGNATURE):
        raise InputError(
            "`figures` must hold matplotlib figures or the bytes of PNG files. "
            f"Received: bytes that start with {png[:8]!r}. Save the picture as PNG."
        )
    width, height = struct.unpack(">II", png[16:24])
    uri = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return Image(uri, alt, width, height)


def figure_image(figure: Any, caption: str) -> Image:
    """A matplotlib figure, or the bytes of a PNG file, as an image of the page."""
    if isinstance(figure, bytes):
        return image_of(figure, caption)
    if hasattr(figure, "savefig"):
        return image_of(to_png(figure), caption)
    raise InputError(
        "`figures` must hold matplotlib figures or the bytes of PNG files. "
        f"Received: {type(figure).__name__} for {caption!r}. Convert it to PNG first."
    )
