"""Raw TensorFlow variables that a layer writes to, shielded as Keras's own are.

Keras's `StatelessScope` knows `keras.Variable`s only. The methods by which a `tf.Variable` is read
and assigned are replaced while a model runs: a value that is assigned is kept aside, in this run's
graph, and whoever reads the variable later in the run is given that value. No op that changes a
variable enters the graph; a way of writing that is not seen through is refused.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable, ResourceVariable

from kerasviz.errors import MethodError
from kerasviz.probe.backend import graph
from kerasviz.probe.patches import Patch

WRITES = (
    "Assign",
    "LookupTableImport",
    "LookupTableInsert",
    "LookupTableRemove",
    "ResourceApply",
    "ResourceScatter",
    "ResourceSparseApply",
    "ResourceStridedSliceAssign",
    "RngReadAndSkip",
    "RngSkip",
    "StatefulRandom",
    "StatefulStandardNormal",
    "StatefulTruncatedNormal",
    "StatefulUniform",
)
_shield = threading.local()


class _Values:
    """The values assigned in one run, by the handle of the variable, and the graph they are in."""

    def __init__(self) -> None:
        self.graph = tf.compat.v1.get_default_graph()
        self.by_handle: dict[int, tuple[Any, Any]] = {}

    def get(self, variable: Any) -> Any:
        """The value assigned to a variable in this run, None where there is none."""
        return self.by_handle.get(id(variable.handle), (None, None))[1]

    def put(self, variable: Any, value: Any) -> None:
        """Keep a value aside."""
        if tf.compat.v1.get_default_graph() is not self.graph:
            raise _refusal(f"'{variable.name}' is assigned inside a loop, branch or function")
        self.by_handle[id(variable.handle)] = variable.handle, value


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Within this context what this thread's graph assigns to a `tf.Variable` is kept aside.

    Raises:
        MethodError: The graph holds an op that changes a variable, a table or a generator.
    """
    outer = getattr(_shield, "values", None)
    with contextlib.ExitStack() as patches:
        for patch in _patches:
            patches.enter_context(patch.on())
        try:
            _shield.values = values = _Values()
            start = len(values.graph.get_operations())
            yield
            _refuse_writes(values.graph.get_operations()[start:])
        finally:
            _shield.values = outer


def _refuse_writes(operations: list[Any]) -> None:
    writing = [op.name for op in operations if op.type.startswith(WRITES)]
    callers = [op for op in operations if op.op_def.is_stateful and graph.function_names(op)]
    if callers:
        library = graph.library()
        names = {op.name: graph.function_names(op) for op in callers}
        writing += [n for n, called in names.items() if any(_writes(f, library) for f in called)]
    if writing:
        raise _refusal(f"the op {writing[0]}")


def _refusal(what: str) -> MethodError:
    return MethodError(
        "Expected a model that changes no state but Keras variables when it runs in inference. "
        f"Received: {what}, which every explanation would change. "
        "Keep the state in `self.add_weight(...)` and randomness in `keras.random` with a "
        "`SeedGenerator`, or change them only `if training`."
    )


def _writes(name: str, library: dict[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    if name not in library or name in seen:
        return False
    nodes = library[name].node_def
    return any(
        node.op.startswith(WRITES)
        or any(_writes(f, library, seen | {name}) for f in graph.called_by(node))
        for node in nodes
    )


def _shielding(answer: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def replace(original: Callable[..., Any]) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            values = getattr(_shield, "values", None)
            if values is not None and not tf.executing_eagerly():
                found = answer(values, self, *args, **kwargs)
                if found is not None:
                    return found
            return original(self, *args, **kwargs)

        return method

    return replace


def _assign(
    values: _Values,
    variable: Any,
    value: Any,
    use_locking: Any = None,
    name: str | None = None,
    read_value: bool = True,
) -> Any:
    tensor = tf.ensure_shape(tf.convert_to_tensor(value, variable.dtype), variable.shape)
    values.put(variable, tensor)
    return variable if read_value else tensor.op


def _assign_add(values: _Values, variable: Any, delta: Any, *args: Any, **kwargs: Any) -> Any:
    total = variable.read_value() + tf.convert_to_tensor(delta, variable.dtype)
    return _assign(values, variable, total, *args, **kwargs)


def _assign_sub(values: _Values, variable: Any, delta: Any, *args: Any, **kwargs: Any) -> Any:
    total = variable.read_value() - tf.convert_to_tensor(delta, variable.dtype)
    return _assign(values, variable, total, *args, **kwargs)


def _read(values: _Values, variable: Any, no_copy: bool = False) -> Any:
    return values.get(variable)


def _sparse_read(values: _Values, variable: Any, indices: Any, name: str | None = None) -> Any:
    value = values.get(variable)
    return None if value is None else tf.gather(value, indices)


def _gather_nd(values: _Values, variable: Any, indices: Any, name: str | None = None) -> Any:
    value = values.get(variable)
    return None if value is None else tf.gather_nd(value, indices)


ANSWERS: dict[str, Callable[..., Any]] = {
    "assign": _assign,
    "assign_add": _assign_add,
    "assign_sub": _assign_sub,
    "_read_variable_op": _read,
    "sparse_read": _sparse_read,
    "gather_nd": _gather_nd,
}
_patches = [
    Patch(kind, name, _shielding(answer))
    for kind in (BaseResourceVariable, ResourceVariable)
    for name, answer in ANSWERS.items()
    if name in vars(kind)
]
