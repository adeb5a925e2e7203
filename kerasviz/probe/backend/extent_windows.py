"""Which places of an axis each window of a convolution, pooling, padding or resizing reads."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kerasviz.probe.backend import convolutions
from kerasviz.probe.backend.extents import ABSENT, Extents


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """The windows along one axis.

    Attributes:
        axis: The axis of the tensor that is read.
        table: (windows, taps) places that are read, also beyond both ends.
        inside: The same within the axis, -1 where nothing is read.
        ratio: How many places stand for how many windows.
    """

    axis: int
    table: np.ndarray
    inside: np.ndarray
    ratio: tuple[int, int]


def of(op: Any, source: Any) -> list[Window]:
    """The windows of a convolution or pooling, per axis of positions."""
    axes = convolutions.position_axes(op, source)
    output = op.outputs[0].shape
    if op.type in convolutions.TRANSPOSED:
        return [_transposed(axis, source.shape[axis.source], output[axis.output]) for axis in axes]
    return [_sliding(axis, source.shape[axis.source], output[axis.output]) for axis in axes]


def _sliding(axis: convolutions.Axis, size: int, count: int) -> Window:
    taps = np.arange(axis.taps) * axis.dilation - axis.before
    table = np.arange(count)[:, None] * axis.stride + taps
    return Window(axis.source or 0, table, _within(table, size), (axis.stride, 1))


def _transposed(axis: convolutions.Axis, size: int, count: int) -> Window:
    shifted = np.arange(count)[:, None] + axis.before - np.arange(axis.taps) * axis.dilation
    table = np.where(shifted % axis.stride == 0, shifted // axis.stride, ABSENT)
    return Window(axis.source or 0, table, _within(table, size), (1, axis.stride))


def _within(table: np.ndarray, size: int) -> np.ndarray:
    return np.where((table >= 0) & (table < size), table, -1)


def padded(extents: Extents, axis: int, before: int, after: int, mode: str = "") -> Extents:
    """With so many more places in front of an axis and behind it.

    Args:
        extents: What is padded.
        axis: The axis.
        before: Places in front.
        after: Places behind.
        mode: "" for a constant, "REFLECT" or "SYMMETRIC" for places of the axis, mirrored.
    """
    size = extents.shape[axis]
    places = np.arange(-before, size + after)
    inside = _within(places, size)
    if mode:
        edge = int(mode == "SYMMETRIC")
        inside = np.where(places < 0, -places - edge, places)
        inside = np.where(inside >= size, 2 * (size - 1) + edge - inside, inside)
    return extents.read(axis, places[:, None], (1, 1), inside[:, None])


def resizing(op: Any, axis: int) -> Window:
    """The windows of an operation that resizes pictures, along their axis 1 or 2."""
    size, count = op.inputs[0].shape[axis], op.outputs[0].shape[axis]
    numerator, denominator, ratio = _sources(op, size, count)
    floor, rest = numerator // denominator, numerator % denominator
    if op.type == "ResizeNearestNeighbor":
        if op.get_attr("align_corners"):
            floor = (2 * numerator + denominator) // (2 * denominator)
        table = floor[:, None]
    elif op.type == "ResizeBilinear":
        table = np.stack([floor, floor + (rest > 0)], 1)
    else:
        taps = np.arange(-1, 3)
        table = floor[:, None] + np.where(rest[:, None] > 0, taps, 0)
    return Window(axis, table, table.clip(0, size - 1), ratio)


def _sources(op: Any, size: int, count: int) -> tuple[np.ndarray, int, tuple[int, int]]:
    """Where in the source each result lies, as whole numbers over a denominator."""
    places = np.arange(count)
    if op.get_attr("align_corners") and count > 1:
        return places * (size - 1), count - 1, _lowest(size - 1, count - 1)
    if not op.get_attr("half_pixel_centers"):
        return places * size, count, _lowest(size, count)
    if op.type == "ResizeNearestNeighbor":
        return (2 * places + 1) * size, 2 * count, _lowest(size, count)
    return (2 * places + 1) * size - count, 2 * count, _lowest(size, count)


def _lowest(one: int, other: int) -> tuple[int, int]:
    common = math.gcd(one, other) or 1
    return max(one // common, 1), other // common
