"""Products of features with a bounded factor, found in the traced graph however they are spelled.

A gate is a factor of a product that lies between 0 and 2 whatever the input, depends on the input,
and is computed by weights of its own: weights from which every path to the model's outputs leads
through it (through all parts of it where it is cut into parts, as a softmax over branches is), or
columns of weights of which that is true, as of the half of a gated linear unit.
Squeeze-and-excitation, CBAM, pixel-wise fusion and gated linear units are such; x·σ(x) (swish) and
x·Φ(x) (GELU) are not, for they have no weights of their own.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend import gate_parts, graph
from kerasviz.probe.backend.bounds import ANYTHING, MOVES, Bounds, all_bounds
from kerasviz.probe.backend.gate_parts import READS, Part

LARGEST = 2.0
WIDENED = {"BroadcastTo", "Tile"}


@dataclasses.dataclass(frozen=True, eq=False)
class Factor:
    """A gate.

    Attributes:
        gate: The factor, before it is spread over positions or channels.
        product: What it makes of the features.
        bounds: The least and the largest value that it can have.
        place: Number of the op that computes the gate, in the order of the graph.
        product_place: The same for the product.
        handles: Handles of the variables that are read for this gate only.
        parts: Units of other variables that are used for this gate only.
    """

    gate: Any
    product: Any
    bounds: Bounds
    place: int
    product_place: int
    handles: Sequence[Any]
    parts: Sequence[Part]


def factors(outputs: Sequence[Any], inputs: Sequence[Any]) -> list[Factor]:
    """The gates between inputs and outputs, each once, in the order of their products."""
    search = _Search(outputs, inputs)
    found: dict[int, Factor] = {}
    for op in search.products():
        for mine, other in (op.inputs, reversed(op.inputs)):
            gate = _narrow(mine)
            if id(gate) not in found and search.is_candidate(gate, other):
                handles, parts = search.own(gate, other)
                if handles or parts:
                    found[id(gate)] = search.factor(gate, op, handles, parts)
    return list(found.values())


def handle(variable: Any) -> Any:
    """The handle by which a graph reads a Keras variable; None where it has none."""
    return getattr(variable.value, "handle", None)


def _narrow(tensor: Any) -> Any:
    """The factor before it was repeated along an axis."""
    while tensor.op.type in WIDENED and tensor.op.inputs[0].shape.rank == tensor.shape.rank:
        tensor = tensor.op.inputs[0]
    return tensor


def _numbers(op: Any) -> Sequence[Any]:
    """The outputs of an op, but for the places of what it chose, as `top_k` returns them."""
    return op.outputs[:1] if op.type == "TopKV2" else op.outputs


def _root(tensor: Any) -> Any:
    """The tensor of which this one is a part, or the same values put another way."""
    while tensor.op.type in MOVES:
        tensor = tensor.op.inputs[1 if tensor.op.type == "Split" else 0]
    return tensor


class _Search:
    """One pass over the open graph."""

    def __init__(self, outputs: Sequence[Any], inputs: Sequence[Any]) -> None:
        here = tf.compat.v1.get_default_graph()
        self._operations = here.get_operations()
        self._places = {id(op): place for place, op in enumerate(self._operations)}
        self._relevant = _leading_to(outputs)
        self._below = graph.Below(inputs, differentiable=False)
        self._bounds = all_bounds(self._operations)
        self._external = {id(internal): external for external, internal in here.captures}

    def products(self) -> list[Any]:
        """The products of two tensors that depend on the input and matter for an output."""
        return [
            op
            for op in self._operations
            if op.type == "Mul"
            and id(op) in self._relevant
            and op.outputs[0].dtype.is_floating
            and all(x in self._below for x in op.inputs)
        ]

    def is_candidate(self, gate: Any, other: Any) -> bool:
        """Whether a factor is bounded, of the rank of what it multiplies, and no part of it."""
        low, high = self._bounds.get(id(gate), ANYTHING)
        ranked = gate.shape.rank is not None and gate.shape.rank == other.shape.rank
        return ranked and gate is not other and 0.0 <= low < high <= LARGEST

    def own(self, gate: Any, other: Any) -> tuple[list[Any], list[Part]]:
        """The variables, by handle, and the units of further ones from which all paths to the
        outputs lead through the gate.

        None where the other factor is computed from the gate.
        """
        root = _root(gate)
        if self._depends_on(other, root):
            return [], []
        region = self._dominated(root)
        handles = [self._outside(op.inputs[0]) for op in region if op.type in READS]
        parts = gate_parts.own_parts(region, self._relevant)
        return (
            list({id(one): one for one in handles}.values()),
            [Part(self._outside(part.handle), part.units) for part in parts],
        )

    def _outside(self, handle: Any) -> Any:
        """The handle outside of the graph that this one inside stands for."""
        return self._external.get(id(handle), handle)

    def factor(
        self, gate: Any, product: Any, handles: Sequence[Any], parts: Sequence[Part]
    ) -> Factor:
        """What is known of a gate."""
        return Factor(
            gate=gate,
            product=product.outputs[0],
            bounds=self._bounds[id(gate)],
            place=self._places[id(gate.op)],
            product_place=self._places[id(product)],
            handles=handles,
            parts=parts,
        )

    def _dominated(self, gate: Any) -> list[Any]:
        """The ops from which every path to the outputs passes the gate."""
        region = {id(gate.op): gate.op}
        waiting: list[tuple[int, Any]] = []
        seen: set[int] = set()

        def push(op: Any) -> None:
            for tensor in op.inputs:
                if id(tensor.op) not in seen:
                    seen.add(id(tensor.op))
                    heapq.heappush(waiting, (-self._places[id(tensor.op)], tensor.op))

        push(gate.op)
        while waiting:
            _, op = heapq.heappop(waiting)
            users = {id(user) for tensor in _numbers(op) for user in tensor.consumers()}
            if all(user in region for user in users & self._relevant):
                region[id(op)] = op
                push(op)
        return list(region.values())

    def _depends_on(self, tensor: Any, source: Any) -> bool:
        lowest = self._places[id(source.op)]
        stack, seen = [tensor.op], set()
        while stack:
            op = stack.pop()
            if op is source.op:
                return True
            if id(op) not in seen and self._places[id(op)] > lowest:
                seen.add(id(op))
                stack += [x.op for x in op.inputs]
        return False


def _leading_to(outputs: Sequence[Any]) -> set[int]:
    """The ops, by `id`, from which any path leads to an output."""
    found: set[int] = set()
    stack = [tensor.op for tensor in outputs]
    while stack:
        op = stack.pop()
        if id(op) not in found:
            found.add(id(op))
            stack += [tensor.op for tensor in op.inputs]
    return found
