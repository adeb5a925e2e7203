"""Which layers a layer reads: the nearest before it that mix channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

from kerasviz.errors import MethodError
from kerasviz.probe.backend.graph import COUNTS
from kerasviz.probe.run import Run, run
from kerasviz.probe.wrapper import Wrapper

_CONVOLUTIONS = {"Conv2D": 0, "Conv3D": 0, "Conv2DBackpropInput": 2, "Conv3DBackpropInputV2": 2}
_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
_LOOPS = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)


def feeding(model: keras.Model, layer: str, levels: int = 2) -> dict[str, tuple[str, ...]]:
    """For a layer and those before it, the layers that they read, the nearest first.

    A layer reads the convolutions and dense layers from which a way through the graph leads to it
    that meets no other of their kind: one in a chain, several behind an addition or concatenation.
    Normalization, activation, pooling and depthwise convolutions keep channels apart: on the way
    they are passed, and as `layer` they stand for the convolution that they follow. One whose
    output goes to a batch normalization alone is named by that, whose channels have like scales.

    Args:
        model: Any built Keras 3 model; it is traced once.
        layer: Address of a layer whose output is one tensor.
        levels: How far to go back.

    Returns:
        Address to addresses, in the order in which they were met; none where a layer reads the
        input of the model.

    Raises:
        AddressError: No such layer.
        MethodError: The model does not say what it takes.
    """
    found = _Tracer(model).info((layer, levels))
    if found is None:
        raise MethodError(
            "Expected a model that says what it takes, to find which layers come before one. "
            f"Received: '{model.name}', which does not. Build it with an `Input`, or call "
            "`model.build(input_shape)`."
        )
    return dict(found)


class _Tracer(Wrapper):
    """Finds what leads to the layer that the key names."""

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        layer, levels = key
        return {}, _found(run(self.model, inputs), layer, levels)


def _found(record: Run, layer: str, levels: int) -> dict[str, tuple[str, ...]]:
    graph = _Graph(record)
    own = graph.nearest([record.find(layer).output])
    waiting, known = {layer: own}, dict[str, tuple[str, ...]]()
    for _ in range(levels):
        later: dict[str, list[Any]] = {}
        for address, ops in waiting.items():
            if address in known:
                continue
            before = graph.nearest([x for op in ops for x in graph.read_by(op)])
            known[address] = tuple(dict.fromkeys(map(graph.address, before)))
            for op in before:
                later.setdefault(graph.address(op), []).append(op)
        waiting = later
    return known


class _Graph:
    """The ops of a run, and the calls that made them."""

    def __init__(self, record: Run) -> None:
        self._record = record
        graph = next(iter(record.input_tensors.values())).graph
        self._numbers = {id(op): number for number, op in enumerate(graph.get_operations())}
        self._loops = [call for call in record.calls if isinstance(call.layer, _LOOPS)]
        self._normalizations = [
            call for call in record.calls if isinstance(call.layer, keras.layers.BatchNormalization)
        ]

    def address(self, op: Any) -> str:
        """Of the layer that made an op, or of the batch normalization that alone reads it."""
        call = self._record.innermost(self._numbers[id(op)])
        if call is None:
            return ""
        return next((n.address for n in self._normalizations if self._reads(n, call)), call.address)

    def _reads(self, normalization: Any, call: Any) -> bool:
        """Whether all that is done with the output of a call is to normalize it."""
        if normalization.source is not call.output:
            return False
        first, last = normalization.span
        uses = call.output.consumers()
        return all(first <= self._numbers.get(id(op), -1) < last for op in uses)

    def nearest(self, tensors: Iterable[Any]) -> list[Any]:
        """The mixing ops that lead to some tensors with none between, the latest first."""
        found, seen = [], set[int]()
        waiting = [tensor.op for tensor in tensors]
        while waiting:
            op = waiting.pop()
            if id(op) in seen or op.type in COUNTS:
                continue
            seen.add(id(op))
            if self._mixes(op):
                found.append(op)
            else:
                waiting += [tensor.op for tensor in op.inputs]
        return sorted(found, key=lambda op: -self._numbers.get(id(op), 0))

    def read_by(self, op: Any) -> Iterator[Any]:
        """The tensors that a mixing op mixes; of a loop what the whole of it reads."""
        loop = self._loop(op)
        if loop is not None:
            yield loop.source
        elif op.type in _CONVOLUTIONS:
            yield op.inputs[_CONVOLUTIONS[op.type]]
        else:
            yield from op.inputs

    def _loop(self, op: Any) -> Any:
        place = self._numbers.get(id(op), -1)
        return next((one for one in self._loops if one.span[0] <= place < one.span[1]), None)

    def _mixes(self, op: Any) -> bool:
        if self._loop(op) is not None:
            return bool(op.inputs)
        if op.type in _PRODUCTS:
            return self._record.innermost(self._numbers.get(id(op), -1)) is not None
        return op.type in _CONVOLUTIONS and not _keeps_apart(op)


def _keeps_apart(op: Any) -> bool:
    """Whether a grouped convolution has one input channel a group."""
    if op.type != "Conv2D" and op.type != "Conv3D":
        return False
    first = op.get_attr("data_format").decode().startswith("NC")
    channels = op.inputs[0].shape[1 if first else -1]
    return bool(op.inputs[1].shape[-2] == 1 and channels != 1)
