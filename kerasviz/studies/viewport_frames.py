"""Small pictures placed in large frames: where, how large, and on what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.plots.resizing import resize
from kerasviz.probe.inputs import check_model, declared, shown

if TYPE_CHECKING:
    import pandas as pd

FRAME = (120, 160)
BACKGROUNDS = ("grey", "noise", "texture")
COLORS = (1, 3, 4)
SLOPE = 1.0
CONTRAST = 0.2
MOST_KEPT = 64


@dataclass(frozen=True)
class FrameLayout:
    """What a model wants a frame to be.

    Args:
        height: Pixels.
        width: Pixels.
        channels: How many, None where the model takes any number.
        channels_first: Whether they come before the height.
        is_open: Whether the model takes any height, and any width.
        is_whole: Whether it takes whole numbers.
    """

    height: int
    width: int
    channels: int | None
    channels_first: bool
    is_open: tuple[bool, bool] = (False, False)
    is_whole: bool = False

    def close_up(self, picture: np.ndarray) -> np.ndarray:
        """A picture at its own size where the model takes any, else as large as the frame."""
        free, frame = self.is_open, (self.height, self.width)
        size = [
            own if any_size else n
            for own, any_size, n in zip(picture.shape, free, frame, strict=False)
        ]
        return resize(picture, size).astype("float32")

    def arrange(self, frames: np.ndarray) -> np.ndarray:
        """`(n, height, width, channels)` in the order of axes, and rounded where, the model has."""
        frames = np.rint(frames) if self.is_whole and frames.dtype.kind == "f" else frames
        return np.moveaxis(frames, -1, 1) if self.channels_first else frames


def frame_layout(model: keras.Model, frame: Any = None) -> FrameLayout:
    """The frame that a model takes.

    Args:
        model: A built model with one input of pictures.
        frame: (height, width); None for the model's own size, 120 × 160 where it leaves it open.

    Raises:
        InputError: Another kind of input, or a model of another size.
    """
    check_model(model)
    taken = declared(model)
    slots = taken.slots if taken else ()
    if len(slots) != 1 or len(slots[0].shape) != 4:
        received = ", ".join(shown(slot.shape) for slot in slots) or "unknown inputs"
        raise InputError(
            "`model` must have one input of pictures, (batch, height, width, channels). "
            f"Received: '{model.name}', which takes {received}. Wrap it in a model that has."
        )
    shape = slots[0].shape
    first = _are_channels_first(shape)
    own = shape[2:] if first else shape[1:3]
    channels = shape[1] if first else shape[3]
    size = _frame(frame, own, slots[0].is_sized, model.name)
    is_whole = "int" in slots[0].dtype
    return FrameLayout(*size, channels, first, (own[0] is None, own[1] is None), is_whole)


def _are_channels_first(shape: Sequence[int | None]) -> bool:
    if shape[3] in COLORS or shape[1] not in COLORS:
        return False
    return shape[3] is not None or keras.config.image_data_format() == "channels_first"


def _frame(frame: Any, own: Sequence[int | None], is_sized: bool, name: str) -> tuple[int, int]:
    if frame is None:
        height, width = (n or usual for n, usual in zip(own, FRAME, strict=True))
        return height, width
    sizes = tuple(frame) if isinstance(frame, (tuple, list, np.ndarray)) else ()
    if len(sizes) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes):
        raise InputError(
            "`frame` must be (height, width) in pixels, or None. "
            f"Received: {frame!r}. Pass such as (120, 160)."
        )
    if is_sized and any(n not in (None, given) for n, given in zip(own, sizes, strict=True)):
        raise InputError(
            f"`frame` must be the size that '{name}' takes, {tuple(own)}. Received: {sizes}. "
            "Leave it out, or build the model with an open size."
        )
    return int(sizes[0]), int(sizes[1])


def placed(
    images: Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    layout: FrameLayout,
    distances: Sequence[float],
    positions: int | np.ndarray,
    size: int,
    seed: int,
) -> pd.DataFrame:
    """A row a frame: `image`, `label`, `distance`, `size` (the longer side in pixels), `height`,
    `width`, `top`, `left`, and the centre `x`, `y` in pixels."""
    import pandas as pd

    generator = np.random.default_rng((seed, 0))
    rows = []
    for number, image in enumerate(images):
        for distance in distances:
            height, width = apparent(image, size / distance)
            drawn = generator.random((positions, 2)) if isinstance(positions, int) else positions
            for across, down in drawn:
                top = _offset(down, layout.height - height)
                left = _offset(across, layout.width - width)
                centre = left + width / 2.0, top + height / 2.0
                longer = max(height, width)
                sides = (longer, height, width, top, left)
                rows.append((number, int(labels[number]), float(distance), *sides, *centre))
    names = ["image", "label", "distance", "size", "height", "width", "top", "left", "x", "y"]
    return pd.DataFrame(rows, columns=names)


def _offset(share: float, free: int) -> int:
    return min(int(share * (free + 1)), free)


def apparent(image: np.ndarray, longer: float) -> tuple[int, int]:
    """Height and width of a picture whose longer side is so many pixels."""
    factor = longer / max(image.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return height, width


@dataclass(frozen=True, eq=False)
class Painter:
    """Makes the frames of a table of placements; the same rows give the same frames.

    Args:
        images: Pictures `(height, width, channels)`, float32.
        layout: Of the frame.
        background: "grey", "noise", "texture", or `(height, width, channels)` values.
        value_range: Values of black and white.
        preprocess: From frames `(n, height, width, channels)` to what the model takes.
        seed: Of the background.
    """

    images: Sequence[np.ndarray]
    layout: FrameLayout
    background: Any
    value_range: tuple[float, float]
    preprocess: Callable[[np.ndarray], Any] | None
    seed: int
    _kept: dict[tuple[int, int, int], np.ndarray] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not (self.preprocess is None or callable(self.preprocess)):
            raise InputError(
                "`preprocess` must be a function of frames, or None. "
                f"Received: {self.preprocess!r}. Pass such as `lambda frames: frames / 255`."
            )
        given = self.background
        if isinstance(given, str) and given in BACKGROUNDS:
            return
        values = None if isinstance(given, str) else numbers(given)
        if values is None or values.shape != self._shape or not np.isfinite(values).all():
            raise InputError(
                f"`background` must be one of {BACKGROUNDS}, or finite values of shape "
                f"{self._shape}. Received: {given if values is None else values.shape!r}. "
                "Choose one of them."
            )

    def frames(self, rows: pd.DataFrame) -> np.ndarray:
        """`(n, height, width, channels)` float32 in `value_range`."""
        return np.stack([self._frame(place, row) for place, row in rows.iterrows()])

    def inputs(self, frames: np.ndarray) -> np.ndarray:
        """The same as the model takes them."""
        scaled = frames if self.preprocess is None else np.asarray(self.preprocess(frames.copy()))
        if scaled.shape != frames.shape:
            raise InputError(
                "`preprocess` must keep the shape of the frames. "
                f"Received: {scaled.shape} for {frames.shape}. Only scale their values."
            )
        return self.layout.arrange(scaled)

    def _frame(self, place: Any, row: Any) -> np.ndarray:
        height, width, top, left = (int(row[name]) for name in ("height", "width", "top", "left"))
        frame = self._behind(int(place))
        shrunk = self._resized(int(row["image"]), height, width)
        frame[top : top + height, left : left + width] = shrunk
        return frame

    def _resized(self, image: int, height: int, width: int) -> np.ndarray:
        key = (image, height, width)
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = resize(self.images[image], (height, width)).astype("float32")
        return self._kept[key]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.layout.height, self.layout.width, self.images[0].shape[-1]

    def _behind(self, place: int) -> np.ndarray:
        low, high = self.value_range
        if not isinstance(self.background, str):
            return np.array(self.background, "float32")
        if self.background == "grey":
            return np.full(self._shape, (low + high) / 2.0, "float32")
        generator = np.random.default_rng((self.seed, 1, place))
        if self.background == "noise":
            return (low + (high - low) * generator.random(self._shape)).astype("float32")
        return (low + (high - low) * texture(self._shape, generator)).astype("float32")


def numbers(values: Any) -> np.ndarray:
    """An array of numbers, of NaN for anything else."""
    try:
        return np.asarray(values, "float64")
    except (TypeError, ValueError):
        return np.asarray(np.nan)


def texture(shape: tuple[int, int, int], generator: np.random.Generator) -> np.ndarray:
    """Grey noise whose amplitude falls with frequency as that of photos does, in [0, 1].

    Mean 0.5, standard deviation 0.2 before it is cut off; all channels alike.

    Reference:
        Field 1987, "Relations between the statistics of natural images and the response properties
        of cortical cells": amplitude ∝ 1/frequency.
    """
    height, width, channels = shape
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(generator.standard_normal((height, width))) / frequency**SLOPE
    values = np.fft.irfft2(spectrum, (height, width))
    values = 0.5 + CONTRAST * values / max(float(values.std()), 1e-12)
    return np.repeat(np.clip(values, 0.0, 1.0)[..., None], channels, axis=-1)
