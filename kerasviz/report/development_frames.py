"""The fields of a development as pictures for a page: a strip of PNG for each unit."""

from __future__ import annotations

import io
import math

import numpy as np

from kerasviz.plots.resizing import shrink
from kerasviz.receptive_fields.development import Development
from kerasviz.report.pictures import Image, image_of

MOST_VALUES = 4_000_000
LONGEST, SHORTEST = 64, 8
LEVELS = 32
MIDDLE = 128


def strips(development: Development, places: list[int]) -> tuple[list[Image], tuple[int, int]]:
    """One picture a unit, its maps at these times side by side, and the pixels of one map.

    Each map is stretched evenly about grey. Large maps are shrunk so that the page stays small.

    Args:
        development: The snapshots.
        places: Indices of those to show.
    """
    frames = [_frames(development[place].display, len(places)) for place in places]
    height, width = frames[0].shape[1:3]
    images = []
    for column, unit in enumerate(development.units):
        strip = np.concatenate([frame[column] for frame in frames], axis=1)
        words = f"Unit {int(unit)} of {development.layer}: its field over {development.unit}"
        images.append(image_of(_png(strip), words))
    return images, (height, width)


def _frames(display: np.ndarray, times: int) -> np.ndarray:
    """(units, height, width, 1 or 3) uint8 of maps in [0, 1]: a level of 65 each."""
    pictures = _flat(display)
    colors = pictures.shape[-1]
    if colors not in (1, 3):
        pictures, colors = pictures.mean(axis=-1, keepdims=True), 1
    side = math.isqrt(MOST_VALUES // (times * len(pictures) * colors))
    longest = int(np.clip(side, SHORTEST, LONGEST))
    if max(pictures.shape[1:3]) > longest:
        pictures = np.stack([shrink(one, longest, 2) for one in pictures])
    levels = np.rint((2.0 * pictures - 1.0) * LEVELS)
    return np.asarray(MIDDLE + np.rint(levels * (MIDDLE - 1) / LEVELS), np.uint8)


def _flat(display: np.ndarray) -> np.ndarray:
    """(units, height, width, colours): a volume's middle slice; a signal or vector as a row."""
    if display.ndim == 5:
        return display[:, display.shape[1] // 2]
    if display.ndim == 3:
        return display[:, None]
    if display.ndim == 2:
        return display[:, None, :, None]
    return display


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image as Pictures

    file = io.BytesIO()
    picture = Pictures.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.save(file, format="PNG", compress_level=6)
    return file.getvalue()
