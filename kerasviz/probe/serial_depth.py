"""How often layers of one kind come one after the other on the way through a model."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Any

import keras

from kerasviz.probe.backend import graph
from kerasviz.probe.run import run
from kerasviz.probe.wrapper import Wrapper


def serial_depths(model: keras.Model, groups: Sequence[Collection[Any]]) -> list[int | None]:
    """For each group of layers, the largest number of its calls on one path through the model.

    Two branches of 11 blocks side by side give 11, not 22; a shared layer counts at each call.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed.
        groups: Layer objects, group by group. Of a layer with several outputs, paths through the
            first one count.

    Returns:
        A number per group; None where it cannot be known: the model does not say what it takes or
        cannot be traced, or a layer of the group is not called in the open, as in a loop.
    """
    found = None
    with contextlib.suppress(Exception):  # whatever the model's own code raises
        found = _Depths(model, groups).info("depths")
    return [None] * len(groups) if found is None else found


class _Depths(Wrapper):
    def __init__(self, model: keras.Model, groups: Sequence[Collection[Any]]) -> None:
        super().__init__(model)
        self._groups = _Groups(groups)

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        calls = run(self.model, inputs).calls
        return {}, [_depth(layers, calls) for layers in self._groups.layers]


class _Groups:
    """Keeps the layers out of Keras's attribute tracking."""

    def __init__(self, groups: Sequence[Collection[Any]]) -> None:
        self.layers = [{id(layer) for layer in group} for group in groups]


def _depth(layers: set[int], calls: Sequence[Any]) -> int | None:
    outputs = [_first(call.output) for call in calls if id(call.layer) in layers]
    called = {id(call.layer) for call in calls} & layers
    if called != layers or not all(graph.is_here(output) for output in outputs):
        return None
    marks: dict[int, int] = {}
    for output in outputs:
        marks[id(output.op)] = marks.get(id(output.op), 0) + 1
    return _heaviest_path(outputs, marks)


def _first(output: Any) -> Any:
    return keras.tree.flatten(output)[0]


def _heaviest_path(outputs: Sequence[Any], marks: dict[int, int]) -> int:
    """The largest sum of marks on one path that ends in any of `outputs`."""
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
    return max(known[id(output.op)] for output in outputs)
