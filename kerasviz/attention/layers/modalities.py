"""What an RGB-D network does with its input before the first convolution."""

from __future__ import annotations

import math
import numbers
from typing import Any

import keras

from kerasviz.attention.layers import shapes
from kerasviz.errors import InputError

ops: Any = keras.ops


@keras.saving.register_keras_serializable(package="kerasviz")
class SelectChannels(keras.layers.Layer):
    """Take the channels from `start` to before `stop`.

    Args:
        start: First channel.
        stop: The channel after the last.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's own setting.

    Raises:
        InputError: A setting out of range, or inputs with fewer channels than `stop`.
    """

    def __init__(
        self, start: int, stop: int, data_format: str | None = None, **settings: Any
    ) -> None:
        super().__init__(**settings)
        if not (_is_whole(start) and _is_whole(stop) and 0 <= start < stop):
            raise InputError(
                "`start` and `stop` must be whole numbers, 0 <= start < stop. "
                f"Received: {start!r} and {stop!r}."
            )
        self.start, self.stop = int(start), int(stop)
        self.data_format = shapes.to_data_format(data_format)

    def build(self, input_shape: Any) -> None:
        """Check that the channels are there."""
        channels = input_shape[shapes.channel_axis(self.data_format)]
        if channels is not None and channels < self.stop:
            raise InputError(
                f"SelectChannels '{self.name}' must get {self.stop} channels or more. "
                f"Received: shape {tuple(input_shape)}."
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Slice."""
        if self.data_format == "channels_first":
            return inputs[:, self.start : self.stop]
        return inputs[..., self.start : self.stop]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The input's shape with `stop - start` channels."""
        shape = list(input_shape)
        shape[shapes.channel_axis(self.data_format)] = self.stop - self.start
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {
            **super().get_config(),
            "start": self.start,
            "stop": self.stop,
            "data_format": self.data_format,
        }


@keras.saving.register_keras_serializable(package="kerasviz")
class DepthScaling(keras.layers.Layer):
    """Clip a depth picture to [0, max_depth], then divide it by `scale`.

    Infinite distances become `max_depth`; NaN stays NaN.

    Args:
        max_depth: What lies beyond counts as being there, in the unit of the depth. None: no limit.
        scale: The divisor, in the same unit.

    Raises:
        InputError: A setting that is not above 0.
    """

    def __init__(self, max_depth: float | None = 800.0, scale: float = 1000.0, **settings: Any):
        super().__init__(**settings)
        self.max_depth = None if max_depth is None else _to_positive(max_depth, "max_depth")
        self.scale = _to_positive(scale, "depth_scale")

    def call(self, inputs: Any) -> Any:
        """Clip and divide."""
        limit = math.inf if self.max_depth is None else self.max_depth
        return ops.clip(inputs, 0.0, limit) / self.scale

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "max_depth": self.max_depth, "scale": self.scale}


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _to_positive(value: Any, name: str) -> float:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise InputError(f"`{name}` must be a number above 0. Received: {value!r}.")
    return float(value)
