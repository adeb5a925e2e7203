"""Which numbers of the model's input stand for black and white."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe import scaling

Bound = float | tuple[float, ...]
NAMED: dict[str, tuple[float, float]] = {"0..1": (0, 1), "-1..1": (-1, 1), "0..255": (0, 255)}


@dataclasses.dataclass(frozen=True)
class ValueRange:
    """What a model takes for the darkest and the brightest value of each channel.

    Args:
        low: The input that stands for 0 (black): one number, or one per channel in the model's
            order.
        high: The input that stands for 1.
        reverse: Whether the model takes blue before green before red.
        reason: Where these numbers come from, as half a sentence.
    """

    low: Bound = 0.0
    high: Bound = 1.0
    reverse: bool = False
    reason: str = "as asked for"

    def to_input(self, pictures: Any) -> Any:
        """From pictures in [0, 1], RGB, to what the model takes; arrays or tensors alike."""
        pictures = pictures[..., ::-1] if self.reverse else pictures
        low, high = self._bounds()
        return pictures * (high - low) + low

    def to_picture(self, inputs: Any) -> Any:
        """From what the model takes to pictures, RGB, [0, 1] where the input is in range."""
        low, high = self._bounds()
        pictures = (inputs - low) / (high - low)
        return pictures[..., ::-1] if self.reverse else pictures

    def check(self, channels: int) -> None:
        """Refuse bounds for another number of channels."""
        for bound in self._bounds():
            if bound.ndim and bound.shape != (channels,):
                raise InputError(
                    f"`value_range` must hold one number, or one for each of {channels} channels. "
                    f"Received: {bound.shape[0]} numbers."
                )

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.low, "float32"), np.asarray(self.high, "float32")

    def __str__(self) -> str:
        low, high = (_show(bound) for bound in (self.low, self.high))
        return f"{low}..{high}{', BGR' if self.reverse else ''} ({self.reason})"


def _show(bound: Bound) -> str:
    values = [f"{value:.4g}" for value in np.atleast_1d(bound)]
    return values[0] if len(values) == 1 else "(" + ", ".join(values) + ")"


def to_value_range(asked: Any, model: keras.Model, channels: int) -> ValueRange:
    """The range that a user's shorthand stands for, or the model's own.

    Args:
        asked: A `ValueRange`, (low, high), "0..1", "-1..1", "0..255", a module such as
            "keras.applications.resnet50", or None: that of the model, by its first layer, its name
            or its kind; 0..1 where nothing says so.
        model: The model that takes the pictures.
        channels: Number of channels of its input.

    Raises:
        InputError: It is none of these, or does not fit the channels.
    """
    found = _own(model, channels) if asked is None else _asked(asked)
    found.check(channels)
    return found


def _asked(asked: Any) -> ValueRange:
    if isinstance(asked, ValueRange):
        return asked
    if isinstance(asked, str) and asked in NAMED:
        return ValueRange(*NAMED[asked])
    if isinstance(asked, str) and asked in scaling.application_modules():
        return dataclasses.replace(of_application(asked), reason="as asked for")
    if isinstance(asked, (tuple, list)) and len(asked) == 2:
        low, high = (np.asarray(bound, "float64") for bound in asked)
        if low.ndim < 2 and high.ndim < 2 and np.all(low < high):
            return ValueRange(_plain(low), _plain(high))
    raise InputError(
        "`value_range` must be (low, high) with low < high, '0..1', '-1..1', '0..255', a module "
        f"such as 'keras.applications.resnet50', or a kv.images.ValueRange. Received: {asked!r}."
    )


def _plain(bound: np.ndarray) -> Bound:
    return tuple(bound.tolist()) if bound.ndim else float(bound)


def _own(model: keras.Model, channels: int) -> ValueRange:
    layer = scaling.own_scaling(model)
    if layer is not None:
        return ValueRange(0.0, 255.0, False, f"the model begins with its own scaling, {layer!r}")
    if model.name.startswith("efficientnet_lite"):
        return ValueRange(-127 / 128, 1.0, False, "that of the model's name")
    application = scaling.application_of(model) if channels == 3 else None
    if application is not None:
        return of_application(application)
    return ValueRange(0.0, 1.0, False, "assumed, as nothing in the model says")


def of_application(module: str) -> ValueRange:
    """The range that `preprocess_input` of a module of `keras.applications` makes of 0..255."""
    preprocess = importlib.import_module(module).preprocess_input
    pixels = np.zeros((1, 2, 1, 3), "float32")
    pixels[:, 1] = 255.0
    low, high = np.asarray(preprocess(pixels.copy(), data_format="channels_last"))[0, :, 0]
    red = np.zeros((1, 1, 1, 3), "float32")
    red[..., 0] = 255.0
    scaled = np.asarray(preprocess(red, data_format="channels_last"))[0, 0, 0]
    reverse = bool(np.isclose(scaled[2], high[2]) and not np.isclose(scaled[0], high[0]))
    return ValueRange(_joined(low), _joined(high), reverse, f"that of {module}")


def _joined(bound: np.ndarray) -> Bound:
    values = bound.tolist()
    return values[0] if np.ptp(bound) == 0 else tuple(values)
