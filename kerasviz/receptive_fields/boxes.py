"""The fields of a layer's units, and what can be said of all of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.backend.extent_steps import Step, found_step
from kerasviz.probe.backend.extents import Extents
from kerasviz.probe.extents import Site


@dataclasses.dataclass(frozen=True, eq=False)
class Boxes:
    """What the units of one call of a layer see.

    Args:
        input_size: Sizes of the input.
        shape: Number of units along each axis of the output that tells units apart.
        first: Per axis of the input the first position seen, broadcast to `shape`; NaN for units
            that see nothing.
        last: The last position seen, likewise.
        unclipped_first: The same as if nothing ended at the border; NaN where that is not known.
        unclipped_last: Likewise.
        steps: Per axis of the input, how what is seen moves and along which axis of `shape`; None
            where it does along several, or that is not known.
    """

    input_size: tuple[int, ...]
    shape: tuple[int, ...]
    first: tuple[np.ndarray, ...]
    last: tuple[np.ndarray, ...]
    unclipped_first: tuple[np.ndarray, ...]
    unclipped_last: tuple[np.ndarray, ...]
    steps: tuple[tuple[int, Step] | None, ...]

    @property
    def covering(self) -> float:
        """Share of the units that see the whole input."""
        sees_all = np.ones([1] * len(self.shape), bool)
        for first, last, size in zip(self.first, self.last, self.input_size, strict=True):
            sees_all = sees_all & (first == 0) & (last == size - 1)
        return float(sees_all.mean())

    @property
    def note(self) -> str:
        """What is not known; "" for nothing."""
        pairs = zip(self.unclipped_first, self.first, strict=True)
        if any((np.isnan(free) & ~np.isnan(clipped)).any() for free, clipped in pairs):
            return "how far fields hang over the border is not known"
        return ""

    def measures(self, axis: int) -> tuple[Any, ...]:
        """Size, stride, offset, number of units and largest share outside, along an input axis."""
        first, last = self.unclipped_first[axis], self.unclipped_last[axis]
        sees = ~np.isnan(self.first[axis]) | ~np.isnan(first)
        if not sees.any():
            return (0, None, None, 0, 0.0)
        is_known = not np.isnan(first[sees]).any()
        stride, units = self._stride(axis)
        if not is_known:
            return (None, stride, None, units, None)
        sizes = last - first + 1
        inside = np.nan_to_num(self.last[axis] - self.first[axis] + 1)
        centres = ((first + last) / 2)[sees]
        outside = float((1 - inside / sizes)[sees].max())
        return (int(sizes[sees].max()), stride, float(centres.flat[0]), units, outside)

    def _stride(self, axis: int) -> tuple[float | None, int]:
        moving = self.steps[axis]
        if moving is not None:
            place, step = moving
            return abs(step.distance) / step.period, self.shape[place]
        first, last = self.unclipped_first[axis], self.unclipped_last[axis]
        first = np.where(np.isnan(first), self.first[axis], first)
        last = np.where(np.isnan(last), self.last[axis], last)
        centres = (first + last) / 2
        distinct = np.unique(centres[~np.isnan(centres)])
        between = np.diff(distinct)
        regular = len(between) > 0 and (between == between[0]).all()
        return (float(between[0]) if regular else None), len(distinct)

    def position(self, unit: int | Sequence[int] | None, address: str) -> tuple[int, ...]:
        """A unit's position as one whole number an axis; None is the middle one, n // 2 of n.

        Raises:
            InputError: There is no such unit.
        """
        if unit is None:
            return tuple(size // 2 for size in self.shape)
        numbers = [unit] if isinstance(unit, (int, np.integer)) else unit
        numbers = list(numbers) if isinstance(numbers, (Sequence, np.ndarray)) else [None]
        fits = len(numbers) == len(self.shape) and all(
            isinstance(n, (int, np.integer)) and not isinstance(n, bool) and -size <= n < size
            for n, size in zip(numbers, self.shape, strict=True)
        )
        if not fits:
            raise InputError(
                f"`unit` must be a position in the output of '{address}', which has "
                f"{self.shape} units. Received: {unit!r}. Leave out batch and channels."
            )
        return tuple(int(n) % size for n, size in zip(numbers, self.shape, strict=True))

    def box(self, unit: tuple[int, ...], address: str) -> tuple[slice, ...]:
        """The part of the input that a unit sees.

        Raises:
            InputError: It sees nothing.
        """
        found = []
        for first, last in zip(self.first, self.last, strict=True):
            low, high = (np.broadcast_to(ends, self.shape)[unit] for ends in (first, last))
            if math.isnan(low):
                raise InputError(
                    f"`unit` must be one that sees part of the input. Received: {unit} of "
                    f"'{address}', which sees padding or constants only. Choose another."
                )
            found.append(slice(int(low), int(high) + 1))
        return tuple(found)


def boxes(site: Site, input_size: tuple[int, ...]) -> Boxes:
    """What the units of a call see, from what its elements see."""
    axes = site.unit_axes
    shape = tuple(site.seen[0].shape[axis] for axis in axes)
    clipped = [_ends(extents, axes, 0) for extents in site.seen]
    free = [
        _where_whole(_ends(extents, axes, 2), pair)
        for extents, pair in zip(site.seen, clipped, strict=True)
    ]
    steps = tuple(_step(extents, axes, site) for extents in site.seen)
    firsts, lasts = ([pair[end] for pair in clipped] for end in (0, 1))
    free_firsts, free_lasts = ([pair[end] for pair in free] for end in (0, 1))
    return Boxes(
        input_size, shape, tuple(firsts), tuple(lasts), tuple(free_firsts), tuple(free_lasts), steps
    )


def middle(site: Site) -> tuple[slice, ...] | None:
    """The part of the input that the middle position of a call sees, all channels together.

    Of an axis of n positions the middle one is number n // 2. None where it sees nothing.
    """
    found = []
    for extents in site.seen:
        ends = extents.ends[:2]
        for axis, size in enumerate(extents.shape):
            if axis in site.unit_axes and extents.rank > 2 and extents.varies(axis):
                ends = ends.take([size // 2], axis + 1)
        first, last = ends.reshape(2, -1).min(axis=1)
        if math.isinf(first):
            return None
        found.append(slice(int(first), int(-last) + 1))
    return tuple(found)


def _ends(extents: Extents, axes: tuple[int, ...], row: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last position, of units along `axes` only; NaN for nothing."""
    gone = tuple(axis for axis in range(extents.rank) if axis not in axes)
    rows = extents.ends[row : row + 2].min(axis=tuple(axis + 1 for axis in gone))
    rows = np.where(rows == math.inf, math.nan, rows)
    return rows[0], -rows[1]


def _where_whole(
    free: tuple[np.ndarray, np.ndarray], clipped: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Units that take all positions together see what there is, and nothing beyond."""
    first, last = (np.where(np.isinf(a), b, a) for a, b in zip(free, clipped, strict=True))
    return first, last


def _step(extents: Extents, axes: tuple[int, ...], site: Site) -> tuple[int, Step] | None:
    moving = [axis for axis in axes if extents.varies(axis) or axis in extents.steps]
    if len(moving) != 1:
        return None
    axis = moving[0]
    if sum(other.varies(axis) or axis in other.steps for other in site.seen) > 1:
        return None
    step = extents.steps.get(axis) or found_step(np.moveaxis(extents.ends[2:], axis + 1, -1))
    return None if step is None or not step.distance else (axes.index(axis), step)
