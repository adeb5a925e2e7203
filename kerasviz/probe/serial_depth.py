"""How often layers of one kind come one after the other on the way through a model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras

from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run


class Paths:
    """What leads to the output of each call of a model; made while its graph is open.

    Args:
        record: A run of the model.
    """

    def __init__(self, record: Run) -> None:
        firsts = [(call.layer, _first(call.output)) for call in record.calls]
        self._outputs = [(layer, x if graph.is_here(x) else None) for layer, x in firsts]

    def depth(self, layers: Collection[Any]) -> int | None:
        """The largest number of calls of these layers on one path through the model.

        Two branches of 11 blocks side by side give 11, not 22; a shared layer counts at each call.

        Args:
            layers: Layer objects. Of a layer with several outputs, paths through the first count.

        Returns:
            None where it cannot be known: a layer is not called in the open, as in a loop.
        """
        wanted = {id(layer) for layer in layers}
        called = {id(layer) for layer, _ in self._outputs} & wanted
        outputs: list[Any] = [x for layer, x in self._outputs if id(layer) in wanted]
        if called != wanted or any(output is None for output in outputs):
            return None
        sums = _heaviest_paths(outputs)
        return max(sums[id(output.op)] for output in outputs)

    def positions(self, layers: Collection[Any]) -> dict[int, int]:
        """For each layer, by `id`, the calls of these layers on the longest path to its first call.

        Its own call counts, so that the first layers of a model are at 1. Layers that are not
        called in the open are left out.
        """
        wanted = {id(layer) for layer in layers}
        seen = [(layer, x) for layer, x in self._outputs if id(layer) in wanted and x is not None]
        sums = _heaviest_paths([x for _, x in seen])
        found: dict[int, int] = {}
        for layer, x in seen:
            found[id(layer)] = min(sums[id(x.op)], found.get(id(layer), sums[id(x.op)]))
        return found


def _first(output: Any) -> Any:
    return next(iter(keras.tree.flatten(output)), None)


def _heaviest_paths(outputs: Sequence[Any]) -> dict[int, int]:
    """The largest number of `outputs` on one path to each op above them, by `id`, it included."""
    marks: dict[int, int] = {}
    for output in outputs:
        marks[id(output.op)] = marks.get(id(output.op), 0) + 1
    known: dict[int, int] = {}
    waiting = [output.op for output in outputs]
    while waiting:
        op = waiting[-1]
        above = [tensor.op for tensor in op.inputs]
        unknown = [one for one in above if id(one) not in known]
        if id(op) in known or not unknown:
            waiting.pop()
            most = max((known[id(one)] for one in above), default=0)
            known.setdefault(id(op), most + marks.get(id(op), 0))
        else:
            waiting += unknown
    return known
