"""What the layers of this room check before they are built, and where the channels are."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.errors import InputError

ops: Any = keras.ops

DATA_FORMATS = ("channels_last", "channels_first")


def to_data_format(value: str | None) -> str:
    """`value`, or Keras's own setting for None."""
    value = keras.config.image_data_format() if value is None else value
    if value not in DATA_FORMATS:
        raise InputError(
            f"`data_format` must be one of {list(DATA_FORMATS)} or None. Received: {value!r}."
        )
    return value


def to_count(value: Any, name: str) -> int:
    """A whole number from 1 on."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < 1:
        raise InputError(f"`{name}` must be a whole number from 1 on. Received: {value!r}.")
    return int(value)


def to_pair(value: Any, name: str) -> tuple[int, int]:
    """A whole number for both axes, or one for rows and one for columns."""
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(pair) != 2:
        raise InputError(
            f"`{name}` must be one whole number, or one for rows and one for columns. "
            f"Received: {value!r}."
        )
    return to_count(pair[0], name), to_count(pair[1], name)


def channel_axis(data_format: str) -> int:
    """Axis of the channels in a batch: 1 or -1."""
    return 1 if data_format == "channels_first" else -1


def spatial_axes(rank: int, data_format: str) -> tuple[int, ...]:
    """Axes of the positions in a batch with `rank` spatial axes."""
    first = 2 if data_format == "channels_first" else 1
    return tuple(range(first, first + rank))


def count_channels(layer: Any, shape: Any, ranks: Sequence[int] = (1, 2, 3)) -> int:
    """Channels of feature maps with 1 to 3 spatial axes.

    Raises:
        InputError: Another number of axes, or channels that are not known yet.
    """
    rank = len(shape) - 2 if _is_shape(shape) else None
    if rank not in ranks:
        axes = " or ".join(str(known) for known in ranks)
        raise InputError(
            f"{_title(layer)} must get one batch of feature maps with {axes} spatial axes. "
            f"Received: shape {shape}."
        )
    channels = shape[channel_axis(layer.data_format)]
    if channels is None:
        raise InputError(
            f"{_title(layer)} must know its number of channels. Received: shape {shape} with "
            f"data_format={layer.data_format!r}. Say the channels in the model's `Input`."
        )
    return int(channels)


def common_shape(layer: Any, shapes: Any) -> tuple[int | None, ...]:
    """The shape of two feature maps that are fused: both the same.

    Raises:
        InputError: Not two, or of shapes that differ.
    """
    several = isinstance(shapes, (list, tuple)) and not _is_shape(shapes)
    pair = [tuple(shape) for shape in shapes] if several else []
    if len(pair) != 2 or not _agree(*pair):
        received = f"shapes {pair}" if several else f"shape {shapes}"
        raise InputError(
            f"{_title(layer)} must get [rgb, depth], two feature maps of one shape. "
            f"Received: {received}. Bring both to one size and number of channels first."
        )
    count_channels(layer, pair[0])
    return tuple(b if a is None else a for a, b in zip(*pair, strict=True))


def average(features: Any, data_format: str) -> Any:
    """Global average pooling: (batch, positions, channels) -> (batch, channels)."""
    return ops.mean(features, axis=spatial_axes(len(features.shape) - 2, data_format))


def over_positions(gates: Any, features: Any, data_format: str) -> Any:
    """Give (batch, channels) axes of size 1 where `features` has positions."""
    return ops.expand_dims(gates, spatial_axes(len(features.shape) - 2, data_format))


def pointwise(rank: int, filters: int, **settings: Any) -> Any:
    """A convolution of kernel size 1 for `rank` spatial axes."""
    kinds = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    return kinds[rank - 1](filters, 1, **settings)


def _is_shape(shape: Any) -> bool:
    return all(size is None or isinstance(size, numbers.Integral) for size in shape)


def _agree(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    return len(first) == len(second) and all(
        None in (a, b) or a == b for a, b in zip(first, second, strict=True)
    )


def _title(layer: Any) -> str:
    return f"{type(layer).__name__} '{layer.name}'"
