"""Objectives that make one thing in a model as active as can be."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError
from kerasviz.features.objectives.base import (
    Objective,
    Scene,
    common_count,
    mean_of_positions,
    per_picture,
    take_channel,
)

ops: Any = keras.ops
LEAST_COSINE = 0.1
TINY = 1e-8


def channel(layer: str, channel: Any) -> Objective:
    """Mean of a channel over all positions; the unit itself where the layer has no positions.

    Args:
        layer: Address of the layer.
        channel: Channel number, or one per picture: `channel("mixed", range(8))` draws eight.

    Returns:
        An `Objective` in units of the layer's activation.
    """
    chosen, count = per_picture(channel, "channel")

    def values(scene: Scene) -> Any:
        return mean_of_positions(take_channel(scene.features(layer), chosen, layer))

    names = tuple(f"{layer}:{number}" for number in np.atleast_1d(chosen)) if count else ()
    return Objective(f"{layer}:{_listed(chosen)}", values, count, names=names)


def neuron(
    layer: str, channel: Any, row: Any = None, column: Any = None, position: Any = None
) -> Objective:
    """One channel at one position.

    Args:
        layer: Address of a layer with positions.
        channel: Channel number, or one per picture.
        row: Row, counted from 0, or one per picture; None: the middle one.
        column: Column, counted from 0, or one per picture; None: the middle one.
        position: For layers of another rank: one index per position axis, in place of the two.

    Returns:
        An `Objective` in units of the layer's activation.
    """
    chosen, count = per_picture(channel, "channel")
    place = Place.of(row, column, position)

    def values(scene: Scene) -> Any:
        tensor = scene.spatial(layer, "neuron")
        return take_channel(place.taken(tensor, layer), chosen, layer)

    return Objective(
        f"{layer}:{_listed(chosen)} at {place}", values, common_count([count, place.num_images])
    )


def layer(layer: str) -> Objective:
    """Mean of the squares of a layer's output: DeepDream, whatever is there becomes more.

    Reference:
        Mordvintsev, Olah and Tyka, "Inceptionism: Going Deeper into Neural Networks", 2015.
    """
    return Objective(
        f"layer {layer}", lambda scene: mean_of_positions(ops.square(scene.features(layer)))
    )


def direction(
    layer: str,
    vector: Any,
    cosine_power: float = 0.0,
    row: Any = None,
    column: Any = None,
    position: Any = None,
) -> Objective:
    """Activation along a direction of a layer's channels: the dot product with a vector.

    Args:
        layer: Address of the layer.
        vector: (channels,), or (num_images, channels) for one per picture.
        cosine_power: The dot product is multiplied by max(0.1, cosine) to this power: 0 lets the
            activation grow in other directions too, larger keeps it to the vector's.
        row: Row of one position to look at; None, with `column`: the mean over all positions.
        column: Its column; row and column can be lists, one entry per picture.
        position: For layers of another rank: one index per position axis, in place of the two.

    Returns:
        An `Objective` in units of the layer's activation times those of the vector.

    Reference:
        Carter et al., "Activation Atlas", Distill 2019, https://distill.pub/2019/activation-atlas
        (the cosine-weighted product).
    """
    vectors, count = checked_vectors(vector)
    at_one = position is not None or row is not None or column is not None
    place = Place.of(row, column, position)

    def values(scene: Scene) -> Any:
        tensor = scene.features(layer)
        if at_one:
            tensor = place.taken(scene.spatial(layer, "direction"), layer)
        product = _dot(tensor, vectors, layer)
        if cosine_power:
            cosine = ops.maximum(_cosine(tensor, vectors, product), LEAST_COSINE)
            product = product * cosine**cosine_power
        return mean_of_positions(product)

    where = f" at {place}" if at_one else ""
    return Objective(
        f"direction of {layer}{where}", values, common_count([count, place.num_images])
    )


def cosine(layer: str, vector: Any) -> Objective:
    """Mean over positions of the cosine between a layer's channels and a vector, in [-1, 1].

    Args:
        layer: Address of the layer.
        vector: (channels,), or (num_images, channels) for one per picture.
    """
    vectors, count = checked_vectors(vector)

    def values(scene: Scene) -> Any:
        tensor = scene.features(layer)
        return mean_of_positions(_cosine(tensor, vectors, _dot(tensor, vectors, layer)))

    return Objective(f"cosine with {layer}", values, count)


def class_score(target: Any) -> Objective:
    """Score of a class, before softmax or sigmoid.

    Args:
        target: What explainers take: a class index, a label, one of these per picture, a callable
            `outputs -> (num_images,)`, a tf-keras-vis score, `{output: target}` or a target.

    Returns:
        An `Objective` in units of the logit.
    """
    listed = isinstance(target, (list, tuple, range, np.ndarray)) and np.ndim(target) == 1
    chosen = list(target) if isinstance(target, range) else target
    count = len(chosen) if listed and len(chosen) > 1 else None
    names = tuple(f"class {one}" for one in chosen) if count else ()
    return Objective(
        f"class {_told(target)}", lambda scene: scene.score(chosen), count, names=names
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """One position in each picture.

    Attributes:
        indices: One per position axis: a whole number, one per picture, or None for the middle.
            None for the middle of all axes.
        num_images: Number of pictures that they speak of; None: any.
    """

    indices: tuple[np.ndarray | None, ...] | None
    num_images: int | None

    @classmethod
    def of(cls, row: Any, column: Any, position: Any) -> Place:
        """What a user means by row and column, or by one index per position axis."""
        if position is None and row is None and column is None:
            return cls(None, None)
        if position is not None and (row is not None or column is not None):
            raise InputError(
                "`position` takes the place of `row` and `column`. Received: both. Leave one out."
            )
        given = (row, column) if position is None else position
        given = tuple(given) if isinstance(given, (tuple, list, np.ndarray)) else (given,)
        found = [(None, None) if one is None else per_picture(one, "position") for one in given]
        return cls(tuple(index for index, _ in found), common_count([count for _, count in found]))

    def taken(self, tensor: Any, layer: str) -> Any:
        """(num_images, channels) at this position of a layer's output."""
        sizes = tuple(tensor.shape[1:-1])
        indices = (None,) * len(sizes) if self.indices is None else self.indices
        if len(indices) != len(sizes):
            raise InputError(
                f"`position` must have {len(sizes)} indices for the layer {layer!r}, whose "
                f"positions are {sizes}. Received: {self}."
            )
        for index, size in zip(indices, sizes, strict=True):
            at = np.asarray(size // 2) if index is None else index
            if at.max() >= size:
                raise AddressError(
                    f"The position must be inside {sizes} for the layer {layer!r}. "
                    f"Received: {self}."
                )
            tensor = _at(tensor, at)
        return tensor

    def __str__(self) -> str:
        if self.indices is None or all(index is None for index in self.indices):
            return "the middle"
        return "(" + ", ".join("middle" if i is None else _listed(i) for i in self.indices) + ")"


def _at(tensor: Any, index: np.ndarray) -> Any:
    """The tensor at one index of its second axis, or at another one for each picture."""
    if not index.ndim:
        return tensor[:, int(index)]
    wanted = index.reshape((-1,) + (1,) * (len(tensor.shape) - 1))
    wanted = np.broadcast_to(wanted, (len(index), 1, *tensor.shape[2:]))
    return ops.take_along_axis(tensor, wanted, axis=1)[:, 0]


def checked_vectors(vector: Any) -> tuple[np.ndarray, int | None]:
    """(1 or num_images, channels) float32, and how many pictures they speak of."""
    try:
        array = np.asarray(vector, "float32")
    except (TypeError, ValueError):
        array = np.empty(0, "float32")
    if array.ndim not in (1, 2) or not np.isfinite(array).all() or not array.any():
        raise InputError(
            "`vector` must be finite numbers (channels,) or (num_images, channels), not all zero. "
            f"Received: shape {array.shape}."
        )
    return np.atleast_2d(array), len(array) if array.ndim == 2 and len(array) > 1 else None


def _dot(tensor: Any, vectors: np.ndarray, layer: str) -> Any:
    if tensor.shape[-1] != vectors.shape[-1]:
        raise InputError(
            f"`vector` must have {tensor.shape[-1]} numbers for the layer {layer!r}. "
            f"Received: {vectors.shape[-1]}."
        )
    return ops.sum(tensor * _aligned(vectors, tensor), axis=-1)


def _aligned(vectors: np.ndarray, tensor: Any) -> np.ndarray:
    return vectors.reshape((len(vectors),) + (1,) * (len(tensor.shape) - 2) + (-1,))


def _cosine(tensor: Any, vectors: np.ndarray, product: Any) -> Any:
    lengths = ops.sqrt(ops.sum(ops.square(tensor), axis=-1) + TINY)
    own = np.linalg.norm(vectors, axis=-1).reshape((-1,) + (1,) * (len(tensor.shape) - 2))
    return product / (lengths * own)


def _listed(numbers: np.ndarray) -> str:
    if numbers.ndim == 0:
        return str(int(numbers))
    return ",".join(map(str, numbers[:4].tolist())) + (",…" if len(numbers) > 4 else "")


def _told(target: Any) -> str:
    text = repr(target) if isinstance(target, str) else str(target)
    return text if len(text) <= 40 else text[:39] + "…"
