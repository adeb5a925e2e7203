"""An objective, its algebra, and what it sees while it is computed."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import targets
from kerasviz.probe.run import Run

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True, eq=False)
class Photos:
    """Pictures whose activations an objective compares with.

    Attributes:
        layer: Address of the layer.
        inputs: (1 or num_images, *positions, channels), as the model takes them.
    """

    layer: str
    inputs: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """One step as an objective sees it, in the graph.

    Attributes:
        record: The run of the model on the transformed pictures.
        num_images: Number of pictures.
        pictures: By input: (num_images, *positions, channels) in [0, 1], before the transforms.
        inputs: By input: the same in the model's own range.
        opacity: (num_images,) mean of the opacity channel; None without one.
        labels: Class names, for targets that name them.
        references: What each `Photos` excites: arrays, channels last.
    """

    record: Run
    num_images: int
    pictures: Mapping[str, Any]
    inputs: Mapping[str, Any]
    opacity: Any
    labels: Callable[[int | None], Sequence[str] | None]
    references: Mapping[int, np.ndarray]

    def over_pictures(self, function: Callable[[Any], Any]) -> Any:
        """Sum over the inputs of a function (num_images, *positions, channels) → (num_images,)."""
        return sum(function(pictures) for pictures in self.pictures.values())

    def features(self, layer: str) -> Any:
        """Output of a layer: float32 (num_images, *positions, channels).

        Raises:
            AddressError: No such layer.
        """
        return features_of(self.record, layer)

    def spatial(self, layer: str, objective: str) -> Any:
        """The same for a layer that has positions; raises `MethodError` for one that has none."""
        tensor = self.features(layer)
        if len(tensor.shape) < 3:
            raise MethodError(
                f"`{objective}` needs a layer with positions. Received: {layer!r}, of shape "
                f"{tuple(tensor.shape)}. Use `kv.objectives.channel`, or an earlier layer."
            )
        return tensor

    def reference(self, photos: Photos) -> Any:
        """What the photos excite in their layer, channels last."""
        return ops.convert_to_tensor(self.references[id(photos)])

    def score(self, target: Any) -> Any:
        """(num_images,) score of a target, before softmax or sigmoid."""
        chosen = targets.to_target(target)
        heads = self.record.heads
        labels = self.labels(heads[0].units if len(heads) == 1 else None)
        feeds = chosen.feeds(labels, self.num_images)
        score = chosen.score(self.record, [ops.convert_to_tensor(feed) for feed in feeds])
        targets.check_feeds(feeds, score.limits, self.num_images)
        return score.value


def features_of(record: Run, layer: str) -> Any:
    """Output of a layer in one run: float32 (batch, *positions, channels)."""
    call = record.find(layer)
    tensor = ops.cast(call.output, "float32")
    return ops.moveaxis(tensor, record.channel_axis(call), -1)


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """A value per picture to be made larger; objectives add, subtract and multiply.

    Args:
        description: How it reads.
        values: Takes a `Scene`, returns float32 (num_images,).
        num_images: Number of pictures that it speaks of; None: any.
        photos: What it compares with.
        names: What each picture shows, where the description does not say it for each.
    """

    description: str
    values: Callable[[Scene], Any]
    num_images: int | None = None
    photos: tuple[Photos, ...] = ()
    names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.description

    def __add__(self, other: Any) -> Objective:
        return _joined(self, other, "+", lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Objective:
        return _joined(self, other, "-", lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Objective:
        return -self + other

    def __mul__(self, other: Any) -> Objective:
        return _joined(self, other, "*", lambda a, b: a * b)

    __rmul__ = __mul__

    def __truediv__(self, number: float) -> Objective:
        return self * (1.0 / number)

    def __neg__(self) -> Objective:
        return self * -1.0


def _joined(
    one: Objective, other: Any, sign: str, function: Callable[[Any, Any], Any]
) -> Objective:
    if isinstance(other, numbers.Real):
        constant = float(other)
        text = f"{constant:g} {sign} {_grouped(one, sign)}"
        if sign != "*":
            text = f"{one} {sign} {constant:g}"
        return dataclasses.replace(
            one, description=text, values=lambda scene: function(one.values(scene), constant)
        )
    if not isinstance(other, Objective):
        return NotImplemented
    return Objective(
        f"{_grouped(one, sign)} {sign} {_grouped(other, sign)}",
        lambda scene: function(one.values(scene), other.values(scene)),
        common_count([one.num_images, other.num_images]),
        one.photos + other.photos,
        one.names or other.names,
    )


def _grouped(objective: Objective, sign: str) -> str:
    text = objective.description
    needs = sign == "*" and (" + " in text or " - " in text)
    return f"({text})" if needs or (sign == "-" and " + " in text) else text


def common_count(counts: Sequence[int | None]) -> int | None:
    """The one number of pictures that several parts speak of; raises where they differ."""
    found = sorted({count for count in counts if count is not None})
    if len(found) > 1:
        raise InputError(
            "All lists of an objective must have one entry per picture. "
            f"Received: lists of {' and '.join(map(str, found))} entries."
        )
    return found[0] if found else None


def per_picture(value: Any, name: str) -> tuple[np.ndarray, int | None]:
    """Whole numbers, one for all pictures or one per picture, and how many they speak of."""
    array = np.asarray(list(value) if isinstance(value, range) else value)
    if array.dtype.kind not in "iu" or array.ndim > 1 or not array.size:
        raise InputError(
            f"`{name}` must be a whole number, or one per picture. Received: {value!r}."
        )
    if array.min() < 0:
        raise InputError(f"`{name}` must count from 0. Received: {int(array.min())}.")
    return array.astype("int32"), len(array) if array.ndim else None


def take_channel(tensor: Any, channel: np.ndarray, layer: str) -> Any:
    """(num_images, *positions): one channel of each picture's features.

    Raises:
        AddressError: The layer has no such channel.
    """
    channels = tensor.shape[-1]
    if channels is not None and channel.max() >= channels:
        raise AddressError(
            f"`channel` must be from 0 to {channels - 1} for the layer {layer!r}. "
            f"Received: {int(channel.max())}."
        )
    if channel.ndim == 0:
        return tensor[..., int(channel)]
    index = channel.reshape((-1,) + (1,) * (len(tensor.shape) - 1))
    shape = (*ops.shape(tensor)[:-1], 1)
    return ops.take_along_axis(tensor, ops.broadcast_to(index, shape), axis=-1)[..., 0]


def mean_of_positions(tensor: Any) -> Any:
    """(num_images,): the mean over all axes but the first."""
    return ops.mean(ops.reshape(tensor, (tensor.shape[0], -1)), axis=-1)
