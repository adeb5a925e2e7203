"""Which positions of an earlier layer the middle position of a later one sees."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from kerasviz.errors import MethodError
from kerasviz.probe.backend.extent_flow import ExtentFlow, Lost

Box = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Window:
    """The positions of an earlier layer that the middle position of a later one sees.

    Attributes:
        box: (first position, positions) per axis; None where it is not known.
        sizes: Positions of the earlier layer, per axis.
        middle: The middle position of the later layer, per axis.
        strides: Positions of the earlier layer per position of the later one; None where that is
            not known.
        is_cut: Whether the window would be larger but for the border of the earlier layer.
        reason: Why the box is not known; "" where it is.
    """

    box: Box | None
    sizes: tuple[int, ...]
    middle: tuple[int, ...]
    strides: tuple[float | None, ...]
    is_cut: bool = False
    reason: str = ""


def window_between(
    source: Any,
    target: Any,
    positions: tuple[Sequence[int], Sequence[int]],
    channel_axis: int,
    address: str,
) -> Window:
    """What the middle position of a tensor sees of an earlier one, both of known sizes.

    Args:
        source: The earlier tensor of the open graph.
        target: The later one.
        positions: The axes of positions of either.
        channel_axis: The channel axis of the later one.
        address: Of the layer that returned the later one.

    Raises:
        MethodError: The later one mixes samples.
    """
    sizes = tuple(source.shape[axis] for axis in positions[0])
    middle = tuple(target.shape[axis] // 2 for axis in positions[1])
    unknown = Window(None, sizes, middle, (None,) * len(sizes))
    found = ExtentFlow(source, positions[0], {}).of(target)
    if found is None or isinstance(found, Lost):
        reason = found.reason if found else "it sees padding or constants only"
        return dataclasses.replace(unknown, reason=reason)
    if any(extents.varies(0) for extents in found):
        raise MethodError(
            "Expected a layer that keeps samples apart. Received: "
            f"{address!r}, whose batch axis holds positions as well. "
            "Name the layer around it."
        )
    box, is_cut = [], False
    for extents, size in zip(found, sizes, strict=True):
        rows = extents.reduced([channel_axis], keep=True).ends
        for axis in positions[1]:
            if rows.shape[axis + 1] > 1:
                rows = rows.take([extents.shape[axis] // 2], axis + 1)
        first, last, free_first, free_last = rows.reshape(4, -1).min(axis=1) * (1, -1, 1, -1)
        if math.isinf(first):
            return dataclasses.replace(unknown, reason="it sees padding or constants only")
        box.append((int(first), int(last - first) + 1))
        is_cut |= _is_cut(first, last, free_first, free_last, size)
    if len(sizes) == len(middle):
        strides = tuple(_stride(extents.steps, positions[1]) for extents in found)
    else:
        strides = unknown.strides
    return Window(tuple(box), sizes, middle, strides, is_cut)


def _is_cut(first: float, last: float, free_first: float, free_last: float, size: int) -> bool:
    if math.isinf(free_first):
        return False
    if math.isnan(free_first) or math.isnan(free_last):
        return bool(first == 0 or last == size - 1)
    return bool(free_first < first or free_last > last)


def _stride(steps: Any, positions: Sequence[int]) -> float | None:
    moving = [steps[axis] for axis in positions if axis in steps and steps[axis].distance]
    return moving[0].distance / moving[0].period if len(moving) == 1 else None
