"""Transforms that move, scale, turn and mirror, each a random matrix."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.backend.sampling import Draws

ops: Any = keras.ops
Matrix = Callable[[Draws, Sequence[int]], Any]


@dataclasses.dataclass(frozen=True)
class Affine:
    """A random affine map of the picture.

    Args:
        description: How it was asked for.
        matrix: Takes random draws and the sizes of the position axes; returns float32
            (rank + 1, rank + 1), from coordinates of the result to those of the picture, in pixels
            from the centre.
        fill: What lies beyond the edges: a number in [0, 1], or None: the edge, repeated.
    """

    description: str
    matrix: Matrix = dataclasses.field(repr=False)
    fill: float | None = None

    def __repr__(self) -> str:
        return self.description


def jitter(pixels: int) -> Affine:
    """Move by whole pixels, up to half of `pixels` to each side along each axis."""
    half = _whole(pixels, "pixels") // 2

    def matrix(draws: Draws, sizes: Sequence[int]) -> Any:
        return _shifted([draws.integer(-half, half) for _ in sizes])

    return Affine(f"jitter({pixels})", matrix)


def pad(width: int, value: float | None = 0.5) -> Affine:
    """Lay a border of `value` around the picture, for what later transforms bring into view.

    The picture keeps its size: nothing is seen of the border until the picture is moved, turned or
    made smaller, so `width` need only be as wide as that.

    Args:
        width: Width of the border in pixels.
        value: Its brightness, 0.5 for middle grey; None repeats the edge of the picture.
    """
    _whole(width, "width")
    if value is not None:
        value = _one_number(value, "value", -np.inf, np.inf)
    return Affine(f"pad({width}, {value})", lambda draws, sizes: _eye(len(sizes)), value)


def scale(factors: Sequence[float]) -> Affine:
    """Enlarge (above 1) or shrink (below 1) by one of the factors, about the centre."""
    chosen = _numbers(factors, "factors")
    if min(chosen) <= 0 or not np.isfinite(chosen).all():
        raise InputError(f"`factors` must be above 0 and finite. Received: {factors!r}.")

    def matrix(draws: Draws, sizes: Sequence[int]) -> Any:
        return _scaled([1.0 / draws.choice(chosen)] * len(sizes))

    return Affine(f"scale({_span(chosen)})", matrix)


def rotate(degrees: Sequence[float]) -> Affine:
    """Turn clockwise by one of the angles, in degrees, about the centre; two axes only."""
    chosen = _numbers(degrees, "degrees")

    def matrix(draws: Draws, sizes: Sequence[int]) -> Any:
        if len(sizes) != 2:
            raise InputError(
                f"`rotate` needs pictures of height and width. Received: {len(sizes)} position "
                "axes. Leave it out of `transforms`."
            )
        angle = draws.choice(chosen) * (np.pi / 180)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        zero, one = ops.zeros_like(angle), ops.ones_like(angle)
        rows = [[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]]
        return ops.stack([ops.stack(row) for row in rows])

    return Affine(f"rotate({_span(chosen)})", matrix)


def flip(axis: int = -1, probability: float = 0.5) -> Affine:
    """Mirror along a position axis; -1 is the last one: left to right.

    Args:
        axis: Position axis: 0 is the first after the batch.
        probability: How often, in [0, 1].
    """
    axis = int(_one_number(axis, "axis", -np.inf, np.inf))
    probability = _one_number(probability, "probability", 0.0, 1.0)

    def matrix(draws: Draws, sizes: Sequence[int]) -> Any:
        if not -len(sizes) <= axis < len(sizes):
            raise InputError(
                f"`axis` must be one of the {len(sizes)} position axes. Received: {axis}."
            )
        sign = ops.where(draws.uniform(0.0, 1.0) < probability, -1.0, 1.0)
        factors: list[Any] = [ops.ones_like(sign)] * len(sizes)
        factors[axis] = sign
        return _scaled(factors)

    return Affine(f"flip({axis}, {probability:g})", matrix)


def crop(share: float) -> Affine:
    """Cut out a window of that share of each side, anywhere, and enlarge it to the full size."""
    share = _one_number(share, "share", np.nextafter(0.0, 1.0), 1.0)

    def matrix(draws: Draws, sizes: Sequence[int]) -> Any:
        reach = [(1 - share) * size / 2 for size in sizes]
        shift = _shifted([draws.uniform(-r, r) if r else ops.zeros(()) for r in reach])
        return ops.matmul(shift, _scaled([share * ops.ones(())] * len(sizes)))

    return Affine(f"crop({share:g})", matrix)


def compose(*transforms: Any) -> list[Any]:
    """The transforms as one flat list, lists among them opened."""
    return [
        one
        for given in transforms
        for one in (compose(*given) if isinstance(given, (list, tuple)) else [given])
    ]


def joined(transforms: Sequence[Affine]) -> Affine:
    """One affine map that does what these do one after another; the last given fill holds."""
    fills = [one.fill for one in transforms if one.fill is not None]

    def matrix(draws: Draws, sizes: Sequence[int]) -> Any:
        product = _eye(len(sizes))
        for one in transforms:
            product = ops.matmul(product, one.matrix(draws, sizes))
        return product

    name = " → ".join(map(repr, transforms))
    return Affine(name, matrix, fills[-1] if fills else None)


def _eye(rank: int) -> Any:
    return ops.eye(rank + 1, dtype="float32")


def _shifted(amounts: Sequence[Any]) -> Any:
    shift = ops.stack([ops.cast(amount, "float32") for amount in [*amounts, 0.0]])
    column = ops.convert_to_tensor(np.eye(len(amounts) + 1, dtype="float32")[-1:])
    return _eye(len(amounts)) + shift[:, None] * column


def _scaled(factors: Sequence[Any]) -> Any:
    return ops.diag(ops.stack([*factors, ops.ones_like(factors[0])]))


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise InputError(
            f"`{name}` must be a whole number of pixels from 0 on. Received: {value!r}."
        )
    return int(value)


def _one_number(value: Any, name: str, low: float, high: float) -> float:
    if not isinstance(value, numbers.Real) or not low <= float(value) <= high:
        raise InputError(
            f"`{name}` must be a number from {low:g} to {high:g}. Received: {value!r}."
        )
    return float(value)


def _numbers(values: Any, name: str) -> list[float]:
    found = np.asarray(list(values) if isinstance(values, (range, tuple, list)) else values)
    found = found.reshape(-1) if found.ndim == 0 else found
    if found.ndim != 1 or found.size == 0 or found.dtype.kind not in "iuf":
        raise InputError(f"`{name}` must be numbers to choose from. Received: {values!r}.")
    return [float(value) for value in found]


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
