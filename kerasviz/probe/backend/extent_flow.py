"""What every tensor of a graph sees of one input, followed operation by operation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasviz.probe.backend import extent_rules
from kerasviz.probe.backend.extent_given import NotFollowedError
from kerasviz.probe.backend.extents import Extents, hull

_SIZES_ONLY = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "Assert", "NoOp"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


@dataclasses.dataclass(frozen=True)
class Lost:
    """A tensor of which it is not known what it sees.

    Attributes:
        reason: Why, in words.
        place: Number of the operation in the graph.
    """

    reason: str
    place: int


@dataclasses.dataclass(frozen=True, eq=False)
class Recurrence:
    """A tensor that a recurrent layer returned: loops can't be followed by operation.

    Attributes:
        source: The sequence that the layer took, (batch, steps, features).
        others: Further tensors that it took, such as initial states.
        is_causal: Whether each step is returned, and has seen those before it; otherwise all of
            the sequence is seen.
        backwards: Whether the sequence was gone through from its end.
    """

    source: Any
    others: tuple[Any, ...]
    is_causal: bool
    backwards: bool


Followed = tuple[Extents, ...]


class ExtentFlow:
    """What the tensors of a graph see of one input.

    Args:
        source: The input tensor; its sizes are all known.
        axes: The axes of positions of the input.
        recurrences: For tensors that recurrent layers returned, by `id`, what is known of them.
    """

    def __init__(
        self, source: Any, axes: Sequence[int], recurrences: Mapping[int, Recurrence]
    ) -> None:
        shape = tuple(source.shape)
        self._recurrences = recurrences
        self._found: dict[int, Followed | Lost] = {
            id(source): tuple(Extents.of_input(shape, axis) for axis in axes)
        }
        self._kept: list[Any] = [source]
        self._place = 0
        for self._place, op in enumerate(source.graph.get_operations()):
            self._visit(op)

    def of(self, tensor: Any) -> Followed | Lost | None:
        """Per axis of the input what the tensor sees; None where it does not depend on it."""
        return self._found.get(id(tensor))

    def _visit(self, op: Any) -> None:
        given = [self._found.get(id(tensor)) for tensor in op.inputs]
        if op.type in _SIZES_ONLY or all(one is None for one in given):
            return
        for tensor, found in zip(op.outputs, self._outputs(op, given), strict=False):
            if id(tensor) in self._recurrences:
                found = self._recurrent(tensor, self._recurrences[id(tensor)])
            self._found[id(tensor)] = found
            self._kept.append(tensor)

    def _outputs(self, op: Any, given: list[Any]) -> Sequence[Followed | Lost]:
        lost = next((one for one in given if isinstance(one, Lost)), None)
        if lost is not None:
            return [lost] * len(op.outputs)
        if op.type in _CALLS:
            return self._inside(op, given)
        if not all(_has_sizes(tensor) for tensor in op.outputs):
            return self._lost(op, f"the operation {op.type} gives what is known only when it runs")
        axes = len(next(one for one in given if one is not None))
        try:
            per_axis = [
                extent_rules.apply(op, [one and one[axis] for one in given]) for axis in range(axes)
            ]
        except NotFollowedError as error:
            return self._lost(op, str(error))
        return list(zip(*per_axis, strict=True))

    def _lost(self, op: Any, reason: str) -> list[Lost]:
        return [Lost(reason, self._place)] * len(op.outputs)

    def _inside(self, op: Any, given: list[Any]) -> Sequence[Any]:
        """Through the body of a function that `op` calls."""
        find = getattr(op.graph, "_get_function", None)
        body = getattr(find and find(op.get_attr("f").name), "graph", None)
        if body is None or len(body.inputs) != len(op.inputs):
            return self._lost(op, f"the operation {op.type} cannot be looked into")
        self._kept.append(body)
        for tensor, found in zip(body.inputs, given, strict=True):
            if found is not None:
                self._found[id(tensor)] = found
        for inner in body.get_operations():
            self._visit(inner)
        return [
            self._found.get(id(tensor)) or self._blind(tensor, given) for tensor in body.outputs
        ]

    @staticmethod
    def _blind(tensor: Any, given: list[Any]) -> Followed:
        axes = len(next(one for one in given if one is not None))
        return (Extents.blind(tuple(tensor.shape)),) * axes

    def _recurrent(self, tensor: Any, layer: Recurrence) -> Followed | Lost:
        source = self._found.get(id(layer.source))
        others = [self._found.get(id(other)) for other in layer.others]
        known = [one for one in (source, *others) if one is not None]
        lost = next((one for one in known if isinstance(one, Lost)), None)
        if lost is not None:
            return lost
        shape = tuple(tensor.shape)
        return tuple(
            _through_steps(
                None if source is None else source[axis],  # type: ignore[index]
                [one[axis] for one in others if one is not None],  # type: ignore[index]
                shape,
                layer,
            )
            for axis in range(len(known[0]))  # type: ignore[arg-type]
        )


def _has_sizes(tensor: Any) -> bool:
    return tensor.dtype not in (tf.variant, tf.resource) and tensor.shape.is_fully_defined()


def _through_steps(
    source: Extents | None, others: list[Extents], shape: tuple[int, ...], layer: Recurrence
) -> Extents:
    parts = [other.reduced(range(1, other.rank), keep=False) for other in others]
    parts = [
        part.expanded(1) if len(shape) == 2 else part.expanded(1).expanded(2) for part in parts
    ]
    if source is not None:
        steps = source.reduced(range(2, source.rank))
        if layer.is_causal:
            steps = _accumulated(steps, layer.backwards)
        else:
            steps = steps.reduced([1], keep=True)
            steps = steps if len(shape) == 2 else steps.expanded(2)
        parts.append(steps)
    return hull(Extents.blind(shape), *parts)


def _accumulated(steps: Extents, backwards: bool) -> Extents:
    """(batch, steps, 1): each step has seen those that came before it."""
    ends = steps.full([1])
    ends = np.minimum.accumulate(ends[:, :, ::-1] if backwards else ends, axis=2)
    ends = np.array(ends)
    ends[2:] = -math.inf
    return Extents(ends, steps.shape, steps.steps).expanded(2)
