"""The pictures of one input: how they are spelled, shown to the model, and read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.images.base import Image, Shape
from kerasviz.features.images.value_range import ValueRange
from kerasviz.features.transforms.standard import apply
from kerasviz.probe.backend import sampling
from kerasviz.probe.backend.sampling import Draws
from kerasviz.probe.inputs import Slot

ops: Any = keras.ops
BACKGROUND_GRAIN = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Canvas:
    """The pictures of one input of a model.

    Attributes:
        slot: What the model declares for that input.
        image: The parameterization.
        shape: (num_images, *positions, channels), channels last, opacity channel included.
        value_range: What the model takes for black and white.
        channel_axis: Where the model takes the channels; None for an input without any.
        transforms: What is done to the pictures before the model sees them.
    """

    slot: Slot
    image: Image
    shape: Shape
    value_range: ValueRange
    channel_axis: int | None
    transforms: Sequence[Any]

    def initial_values(self, seed: int, index: int) -> dict[str, np.ndarray]:
        """The weights to start from."""
        return self.image.initial_values(self.shape, np.random.default_rng([seed, index]))

    def values_from(self, start: Any) -> dict[str, np.ndarray]:
        """The weights that spell given pictures in the model's range.

        Raises:
            InputError: The pictures do not fit, or the parameterization can't spell them.
        """
        pictures = self._channels_last(np.asarray(start, "float32"))
        wanted = (*self.shape[:-1], self.channels)
        if pictures.ndim != len(wanted) or pictures.shape[1:] != wanted[1:]:
            raise InputError(
                f"`start` must be pictures of shape {wanted}, as the call returns them. "
                f"Received: shape {np.shape(start)}."
            )
        if len(pictures) not in (1, wanted[0]) or not np.isfinite(pictures).all():
            raise InputError(
                f"`start` must be one finite picture, or {wanted[0]}. Received: {len(pictures)}, "
                f"{int((~np.isfinite(pictures)).sum())} values not finite."
            )
        pictures = np.asarray(self.value_range.to_picture(pictures), "float32")
        if self.image.alpha:
            pictures = np.concatenate([pictures, np.full((*pictures.shape[:-1], 1), 0.5)], -1)
        return self.image.start_values(np.broadcast_to(pictures, self.shape).astype("float32"))

    @property
    def channels(self) -> int:
        """Channels of the model's input."""
        return self.shape[-1] - self.image.alpha

    def render(self, weights: Mapping[str, Any]) -> tuple[Any, Any]:
        """Pictures in [0, 1] and their opacity (num_images, *positions, 1), None without one."""
        rendered = self.image.render(weights, self.shape)
        if not self.image.alpha:
            return rendered, None
        return rendered[..., :-1], rendered[..., -1:]

    def shown(self, pictures: Any, opacity: Any, draws: Draws) -> Any:
        """What the model gets to see in one step, in its range and layout."""
        if opacity is not None:
            background = self._background(draws)
            pictures = pictures * opacity + background * (1.0 - opacity)
        return self.to_input(apply(self.transforms, pictures, draws))

    def to_input(self, pictures: Any) -> Any:
        """Pictures as the model takes them."""
        inputs = self.value_range.to_input(pictures)
        if self.channel_axis is None:
            inputs = ops.squeeze(inputs, -1)
        elif self.channel_axis != len(self.shape) - 1:
            inputs = ops.moveaxis(inputs, -1, self.channel_axis)
        return ops.cast(inputs, self.slot.dtype or "float32")

    def to_picture(self, inputs: Any) -> Any:
        """What the model takes as pictures, channels last."""
        inputs = self._channels_last(ops.cast(inputs, "float32"))
        return self.value_range.to_picture(ops.reshape(inputs, (*self.shape[:-1], self.channels)))

    def _channels_last(self, inputs: Any) -> Any:
        if self.channel_axis is None:
            return inputs[..., None]
        axis = self.channel_axis
        order = [i for i in range(len(self.shape)) if i != axis] + [axis]
        return (
            inputs.transpose(order)
            if isinstance(inputs, np.ndarray)
            else ops.transpose(inputs, order)
        )

    def finished(self, weights: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
        """The pictures as the model takes them, over grey where transparent, and their opacity."""
        pictures, opacity = self.render(weights)
        if opacity is not None:
            pictures = pictures * opacity + 0.5 * (1.0 - opacity)
        inputs = self.to_input(ops.clip(pictures, 0.0, 1.0))
        found = None if opacity is None else ops.convert_to_numpy(opacity)[..., 0]
        return ops.convert_to_numpy(inputs), found

    def _background(self, draws: Draws) -> Any:
        count, *sizes, _ = self.shape
        coarse = [max(1, size // BACKGROUND_GRAIN) for size in sizes]
        noise = draws.uniform(0.0, 1.0, (count, *coarse, self.channels))
        return sampling.resize_linear(noise, sizes)
