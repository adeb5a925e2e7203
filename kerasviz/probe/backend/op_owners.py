"""Which part of a training step each operation of its graph belongs to."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend import graph

FORWARD, BACKWARD, LOSS, OPTIMIZER = "forward", "backward", "loss", "optimizer"
FUSED = ("BatchNorm", "DepthwiseConv", "Conv3D", "Conv2D", "MatMul")
STEPS_BACK = 12
DECORATION = re.compile(r"(^|/)(ArithmeticOptimizer|ConstantFolding|LayoutOptimizer)(?=/)")
REWRITTEN = re.compile(r"(?<=/)[A-Za-z]+(_[a-z]+)?_(?=[^/]*$)")


@dataclasses.dataclass(frozen=True, order=True)
class Owner:
    """A part of a training step.

    Attributes:
        phase: "forward", "backward", "loss" or "optimizer".
        address: The call site; "" for the model itself, and where the phase is not a layer's.
    """

    phase: str
    address: str = ""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Numbers of operations in the open graph at which the parts of a step begin.

    Attributes:
        forward: First of the model.
        loss: First of the loss.
        backward: First of the gradients.
        optimizer: First of the update.
        end: The one after the last.
    """

    forward: int
    loss: int
    backward: int
    optimizer: int
    end: int


class Owners:
    """Finds the owner of an operation by the name under which it ran.

    TensorFlow rewrites a graph before it runs it: operations are fused, which then bear the name
    of the last of them, moved, or replaced by others with names made from theirs.

    Args:
        bounds: Where the parts of the step begin in the open graph.
        spans: (first, one after the last, address) of each call whose operations are in the open
            graph, outer calls before those within them.
    """

    def __init__(self, bounds: Bounds, spans: Iterable[tuple[int, int, str]]) -> None:
        operations = tf.compat.v1.get_default_graph().get_operations()[: bounds.end]
        self._operations = {op.name: op for op in operations}
        self._owners: dict[str, Owner] = {}
        self._own_forward(operations, bounds, spans)
        self._own_backward(operations[bounds.backward : bounds.optimizer])
        for op in operations[bounds.optimizer :]:
            self._owners[op.name] = Owner(OPTIMIZER)
        self._scopes = self._only_owners()
        self._known: dict[str, Owner | None] = {}

    def _own_forward(self, operations: Sequence[Any], bounds: Bounds, spans: Any) -> None:
        addresses = [""] * bounds.loss
        for start, end, address in spans:
            addresses[start:end] = [address] * (end - start)
        for number in range(bounds.forward, bounds.loss):
            self._owners[operations[number].name] = Owner(FORWARD, addresses[number])
        for op in operations[bounds.loss : bounds.backward]:
            self._owners[op.name] = Owner(LOSS)

    def _own_backward(self, operations: Sequence[Any]) -> None:
        for op in reversed(operations):
            self._owners[op.name] = self._differentiated(op) or self._first_user(op)

    def _differentiated(self, op: Any) -> Owner | None:
        """By the operation whose gradient this is: "gradients/NAME_grad/…"."""
        parts = op.name.split("/")
        for count in range(len(parts), 1, -1):
            if parts[count - 1].endswith("_grad"):
                name = "/".join(parts[1:count]).removesuffix("_grad")
                if name in self._owners:
                    return _backward(self._owners[name])
        return None

    def _first_user(self, op: Any) -> Owner:
        """A sum of gradients belongs to whoever takes it."""
        users = [user.name for output in op.outputs for user in output.consumers()]
        return next((self._owners[name] for name in users if name in self._owners), Owner(LOSS))

    def _only_owners(self) -> dict[str, Owner | None]:
        """For each name scope its owner, None where there are several."""
        scopes: dict[str, Owner | None] = {}
        for name, owner in self._owners.items():
            parts = name.split("/")
            for count in range(1, len(parts)):
                scope = "/".join(parts[:count])
                scopes[scope] = owner if scopes.get(scope, owner) == owner else None
        return scopes

    def find(self, event: str) -> Owner | None:
        """The owner of what ran as "name:Type"; None where it is nobody's."""
        if event not in self._known:
            self._known[event] = self._find(*event.rsplit(":", 1))
        return self._known[event]

    def _find(self, name: str, kind: str) -> Owner | None:
        if name in self._operations:
            return self._owners.get(self._heaviest(self._operations[name], kind).name)
        for known in _plain_names(name):
            parts = known.split("/")
            for count in range(len(parts), 0, -1):
                scope = "/".join(parts[:count])
                owner = self._owners.get(scope) or self._scopes.get(scope)
                if owner is not None:
                    return owner
        return None

    def _heaviest(self, op: Any, kind: str) -> Any:
        """Of operations fused into one, that which the fused one is made of."""
        base = next((part for part in FUSED if part in kind), None)
        if "Fused" not in kind or base is None:
            return op
        near = [op]
        for _ in range(STEPS_BACK):
            for other in near:
                if base in other.type:
                    return other
            near = [t.op for other in near for t in other.inputs if len(near) < 64]
        return op


def _backward(owner: Owner) -> Owner:
    return Owner(BACKWARD, owner.address) if owner.phase == FORWARD else owner


def _plain_names(name: str) -> list[str]:
    """A name without what TensorFlow's optimizers add to it, and what they may have made it of."""
    plain = DECORATION.sub("", name).lstrip("/").split("-")[0]
    return [plain, REWRITTEN.sub("", plain)]


def spans_here(calls: Iterable[Any]) -> list[tuple[int, int, str]]:
    """Spans of the calls that made operations of the open graph, outer ones first."""
    found = [
        (*call.span, call.address)
        for call in calls
        if any(graph.is_here(tensor) for tensor in tf.nest.flatten(call.output))
    ]
    return sorted(found, key=lambda span: (span[0], -span[1]))
