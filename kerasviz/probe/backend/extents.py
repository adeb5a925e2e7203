"""From where to where each element of a tensor sees along one axis of an input.

An `Extents` holds the first and the last position that each element of a tensor depends on, once
within the input and once as if nothing ended at a border. It is moved as the tensor is moved: an
operation that reshapes, slices or joins tensors does the same to these arrays, one that combines
elements takes the hull of what they see. Nothing is assumed about the operations being regular.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from kerasviz.probe.backend.extent_steps import SIGNS, Step, beyond, found_step, taken_step

ROWS = 4
ABSENT = -(2**40)


@dataclasses.dataclass(frozen=True, eq=False)
class Extents:
    """What the elements of a tensor see along one axis of the input.

    Attributes:
        ends: (4, *sizes), where a size is 1 along axes that make no difference: the first position
            seen, minus the last one, both within the input, then both unclipped. Of two elements
            together the smaller entries hold. Infinity: nothing is seen; in the unclipped rows
            minus infinity: all of the axis was taken together, so that no window slides any more;
            NaN: what lies beyond the border is not known.
        shape: The whole shape of the tensor.
        steps: How what is seen moves, for axes of the tensor of which that is known.
        zero: Where the tensor is zero whatever the input is, for attention with a fixed mask;
            None where that does not matter.
    """

    ends: np.ndarray
    shape: tuple[int, ...]
    steps: Mapping[int, Step]
    zero: np.ndarray | None = None

    @classmethod
    def of_input(cls, shape: Sequence[int], axis: int) -> Extents:
        """Of the input itself: each element sees its own position."""
        positions = np.arange(shape[axis]) * SIGNS[:, None]
        sizes = [1] * len(shape)
        sizes[axis] = shape[axis]
        return cls(positions.reshape(ROWS, *sizes), tuple(shape), {axis: Step(1, 1)})

    @classmethod
    def blind(cls, shape: Sequence[int]) -> Extents:
        """Of a tensor that does not depend on the input."""
        return cls(np.full((ROWS, *[1] * len(shape)), math.inf), tuple(shape), {})

    @property
    def rank(self) -> int:
        """Number of axes of the tensor."""
        return len(self.shape)

    def varies(self, axis: int) -> bool:
        """Whether elements along an axis of the tensor see different positions."""
        return self.ends.shape[axis + 1] > 1

    def full(self, axes: Sequence[int]) -> np.ndarray:
        """`ends` with these axes of the tensor at their whole size."""
        sizes = list(self.ends.shape)
        for axis in axes:
            sizes[axis + 1] = self.shape[axis]
        return np.broadcast_to(self.ends, sizes)

    def reduced(self, axes: Sequence[int], keep: bool = False) -> Extents:
        """With all elements along these axes taken together."""
        axes = sorted({axis % self.rank for axis in axes})
        counted = [axis for axis in axes if self.varies(axis) or axis in self.steps]
        ends = self.ends.min(axis=tuple(axis + 1 for axis in axes), keepdims=True)
        steps = {axis: step for axis, step in self.steps.items() if axis not in axes}
        if counted and not steps and ends.size == ROWS:
            ends = ends.copy()
            ends[2:] = -math.inf
        sizes = [1 if axis in axes else size for axis, size in enumerate(self.shape)]
        result = Extents(ends, tuple(sizes), steps)
        return result if keep else result.squeezed(axes)

    def squeezed(self, axes: Sequence[int]) -> Extents:
        """Without these axes, all of size 1."""
        gone = {axis % self.rank for axis in axes}
        kept = [axis for axis in range(self.rank) if axis not in gone]
        ends = self.ends.reshape(ROWS, *(self.ends.shape[axis + 1] for axis in kept))
        steps = {new: self.steps[old] for new, old in enumerate(kept) if old in self.steps}
        return Extents(ends, tuple(self.shape[axis] for axis in kept), steps)

    def expanded(self, axis: int, size: int = 1) -> Extents:
        """With one more axis, along which all elements are alike."""
        axis %= self.rank + 1
        shape = (*self.shape[:axis], size, *self.shape[axis:])
        steps = {old + (old >= axis): step for old, step in self.steps.items()}
        return Extents(np.expand_dims(self.ends, axis + 1), shape, steps)

    def transposed(self, order: Sequence[int]) -> Extents:
        """With its axes in another order."""
        ends = self.ends.transpose(0, *(axis + 1 for axis in order))
        steps = {new: self.steps[old] for new, old in enumerate(order) if old in self.steps}
        zero = None if self.zero is None else self.zero.transpose(order)
        return Extents(ends, tuple(self.shape[axis] for axis in order), steps, zero)

    def taken(self, axis: int, places: np.ndarray) -> Extents:
        """The elements at these places of an axis, in their order."""
        ends = self.ends
        if self.varies(axis):
            ends = _compressed(ends.take(places, axis + 1), [axis])
        shape = (*self.shape[:axis], len(places), *self.shape[axis + 1 :])
        return Extents(ends, shape, self._stepped(axis, taken_step(self.steps.get(axis), places)))

    def read(
        self, axis: int, table: np.ndarray, ratio: tuple[int, int], inside: np.ndarray
    ) -> Extents:
        """What windows see that read this axis.

        Args:
            axis: The axis that is read.
            table: (windows, taps) places that each window reads, also beyond both ends; `ABSENT`
                where a tap reads nothing.
            ratio: How many places stand for how many windows.
            inside: (windows, taps) which of the places there are; -1 where nothing is read.
        """
        step = self.steps.get(axis)
        shape = (*self.shape[:axis], len(table), *self.shape[axis + 1 :])
        steps = self._stepped(axis, step.scaled(*ratio) if step else None)
        if not self.varies(axis) and step is None:
            if (inside >= 0).any(axis=1).all():
                return Extents(self.ends, shape, steps)
            step = Step(1, 0)
        ends = np.moveaxis(self.full([axis]), axis + 1, -1)
        nothing = np.full((2, *ends.shape[1:-1], 1), math.inf)
        clipped = np.concatenate([ends[:2], nothing], -1)[..., inside].min(axis=-1)
        read = table != ABSENT
        low, high = (int(bound) for bound in (table[read].min(), table[read].max()))
        outer = beyond(ends[2:], step, np.arange(low, high + 1))
        outer = np.concatenate([outer, nothing], -1)
        unclipped = outer[..., np.where(read, table - low, -1)].min(axis=-1)
        both = np.moveaxis(np.concatenate([clipped, unclipped]), -1, axis + 1)
        return Extents(_compressed(both, [axis]), shape, steps)

    def _stepped(self, axis: int, step: Step | None) -> dict[int, Step]:
        others = {old: other for old, other in self.steps.items() if old != axis}
        return others if step is None else {**others, axis: step}

    def reshaped(self, shape: Sequence[int]) -> Extents:
        """With the same elements in another shape."""
        parts: list[int] = []
        steps: dict[int, Step] = {}
        groups = _groups(self.shape, shape)
        flat = self.full([a for old, _ in groups if self._any_varies(old) for a in old])
        for old, new in groups:
            varies = self._any_varies(old)
            parts += [shape[axis] if varies else 1 for axis in new]
        ends = _compressed(flat.reshape(ROWS, *parts), range(len(shape)))
        for old, new in groups:
            steps.update(self._regrouped(old, new, shape, ends))
        kept = {
            axis: step
            for axis, step in steps.items()
            if ends.shape[axis + 1] > 1 or shape[axis] == 1 or np.isinf(ends[2:]).all()
        }
        return Extents(ends, tuple(shape), kept)

    def _any_varies(self, axes: Sequence[int]) -> bool:
        return any(self.varies(axis) for axis in axes)

    def _regrouped(
        self, old: Sequence[int], new: Sequence[int], shape: Sequence[int], ends: np.ndarray
    ) -> dict[int, Step]:
        """The steps along the axes that take the place of others."""
        merged = self._merged_step(old)
        if merged is None:
            return {}
        step: Step | None = merged
        found = {}
        for axis in reversed([axis for axis in new if shape[axis] > 1] or new[:1]):
            own = step if merged.distance or len(new) == 1 else _shown(ends, axis)
            if own is not None:
                found[axis] = own
            step = step and step.scaled(shape[axis], 1)
        return found

    def _merged_step(self, axes: Sequence[int]) -> Step | None:
        """How what is seen moves along the axis that these make when they become one."""
        if len(axes) == 1:
            return self.steps.get(axes[0])
        step, lead = None, 1
        for axis in axes:
            size = self.shape[axis]
            own = self.steps.get(axis) or _shown(self.ends, axis)
            if own is None and self.varies(axis):
                return None
            if step is None:
                step = Step(size, 0) if own and lead > 1 else own
            elif own is None:
                step = step.scaled(1, size)
            elif size > 1:
                if step != own.scaled(size, 1):
                    return None
                step = own
            lead *= size
        return step


def hull(*parts: Extents) -> Extents:
    """What elements see that combine those of tensors, with broadcasting."""
    rank = max(part.rank for part in parts)
    aligned = []
    for part in parts:
        for _ in range(rank - part.rank):
            part = part.expanded(0)
        aligned.append(part)
    shape = np.broadcast_shapes(*(part.shape for part in aligned))
    ends = aligned[0].ends
    for part in aligned[1:]:
        ends = np.minimum(ends, part.ends)
    if len(parts) > 1 and (ends[2:] == -math.inf).all():
        ends = _compressed(ends, range(rank))
    return Extents(ends, shape, _common_steps(aligned, shape))


def joined(parts: Sequence[Extents], axis: int) -> Extents:
    """Of tensors one after the other along an axis."""
    axis %= parts[0].rank
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    others = [_without(part.ends.shape[1:], axis) for part in parts]
    sizes = list(np.broadcast_shapes(*others))
    pieces = [
        np.broadcast_to(part.ends, [ROWS, *sizes[:axis], part.ends.shape[axis + 1], *sizes[axis:]])
        for part in parts
    ]
    steps = {old: step for old, step in _common_steps(parts, shape).items() if old != axis}
    alike = not any(part.varies(axis) for part in parts)
    if alike and all(_equal(piece, pieces[0]) for piece in pieces[1:]):
        return Extents(pieces[0], tuple(shape), steps)
    wholes = [
        np.broadcast_to(piece, [*piece.shape[: axis + 1], size, *piece.shape[axis + 2 :]])
        for piece, size in zip(pieces, (part.shape[axis] for part in parts), strict=True)
    ]
    return Extents(np.concatenate(wholes, axis + 1), tuple(shape), steps)


def _common_steps(parts: Sequence[Extents], shape: Sequence[int]) -> dict[int, Step]:
    steps: dict[int, Step | None] = {}
    for part in parts:
        for axis, step in part.steps.items():
            if part.shape[axis] == shape[axis]:
                known = steps.get(axis, step)
                steps[axis] = known and known.merged(step)
    return {axis: step for axis, step in steps.items() if step}


def _shown(ends: np.ndarray, axis: int) -> Step | None:
    """How what is seen moves along an axis of a tensor, as far as its elements show it."""
    return found_step(np.moveaxis(ends[2:], axis + 1, -1))


def _groups(
    old: Sequence[int], new: Sequence[int]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The shortest runs of axes of two shapes that hold the same elements."""
    groups = []
    i = j = 0
    while i < len(old) or j < len(new):
        first, other = i, j
        one = two = 1
        while True:
            if i < len(old) and (i == first or one < two):
                one *= old[i]
                i += 1
            elif j < len(new) and (j == other or two < one):
                two *= new[j]
                j += 1
            else:
                break
        groups.append((tuple(range(first, i)), tuple(range(other, j))))
    return groups


def _compressed(ends: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """With size 1 along those axes of the tensor that make no difference."""
    for axis in axes:
        if ends.shape[axis + 1] > 1:
            first = ends.take([0], axis + 1)
            if _equal(ends, first):
                ends = first
    return ends


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(((one == other) | (np.isnan(one) & np.isnan(other))).all())


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])
