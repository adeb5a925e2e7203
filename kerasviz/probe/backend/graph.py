"""Walking and differentiating the TensorFlow graph that one run of a model left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

NOT_DIFFERENTIABLE = {"StopGradient", "PreventGradient", "ZerosLike", "OnesLike"}
FLOAT16_SCALE = 1024.0
TOLD = "\u2063"


def is_here(value: Any) -> bool:
    """Whether a value is a tensor of the open graph, not of a loop or function inside it."""
    here = tf.compat.v1.get_default_graph()
    return isinstance(value, tf.Tensor) and getattr(value, "graph", None) is here


def position() -> int:
    """How many operations the open graph has; 0 where none is being built."""
    return tf.compat.v1.get_default_graph().version if tf.inside_function() else 0


def identity(tensor: Any) -> Any:
    """A tensor of its own with the same value."""
    return tf.identity(tensor)


def is_text(tensor: Any) -> bool:
    """Whether a tensor holds strings."""
    return bool(tensor.dtype == tf.string)


def finite_samples(tensor: Any) -> Any:
    """(batch,) bool: which samples hold neither NaN nor infinity."""
    return tf.reduce_all(tf.math.is_finite(tensor), axis=tf.range(1, tf.rank(tensor)))


def is_symbolic(value: Any) -> bool:
    """Whether a value is a tensor of a graph that is being built, so that nobody knows it yet."""
    return tf.is_tensor(value) and not hasattr(value, "numpy")


def is_real(tensor: Any) -> bool:
    """Whether a tensor holds real numbers."""
    dtype = tf.as_dtype(tensor.dtype)
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def is_float(tensor: Any) -> bool:
    """Whether a tensor holds floating-point numbers."""
    return bool(tf.as_dtype(tensor.dtype).is_floating)


def sizes(tensor: Any) -> Any:
    """(axes,) int32 sizes of a tensor, as known when the graph runs."""
    return tf.shape(tensor)


def cut_or_padded(tensor: Any, wanted: Any) -> Any:
    """(batch, …) with zeros behind, or values left out, so that its other axes have these sizes."""
    found = tf.shape(tensor)
    kept = tf.minimum(found[1:], wanted)
    part = tf.slice(tensor, tf.zeros_like(found), tf.concat([found[:1], kept], 0))
    behind = tf.concat([[0], wanted - kept], 0)
    return tf.pad(part, tf.stack([tf.zeros_like(behind), behind], axis=1))


def of_sizes(tensor: Any, wanted: Any, found: Any, message: str) -> Any:
    """`tensor`, once it is known at run time that two lists of sizes agree.

    Args:
        tensor: What depends on it.
        wanted: (axes,) the sizes that are right.
        found: (axes,) the sizes that came.
        message: What to say where they differ, with {} for each of the two.
    """
    text = tf.strings.format(TOLD + message + TOLD, (wanted, found))
    check = tf.debugging.Assert(tf.reduce_all(wanted == found), [text])
    with tf.control_dependencies([check]):
        return tf.identity(tensor)


def resize_bilinear(pictures: Any, size: Sequence[Any]) -> Any:
    """(batch, height, width, channels) at another size, which need not be known in advance."""
    return tf.image.resize(pictures, size, "bilinear")


def in_graph() -> bool:
    """Whether a graph is being built (inside `predict`, `export`, a `tf.function`)."""
    return tf.inside_function()


def outside() -> Any:
    """Within this context things are made outside of the graph that is being built."""
    return tf.init_scope()


def in_replica() -> bool:
    """Whether this thread builds one of several replicas of a distribution strategy."""
    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def function_names(op: Any) -> list[str]:
    """Names of the functions that an op calls, where it is a call, a branch or a loop."""
    return (
        called_by(op.node_def)
        if any(a.type in ("func", "list(func)") for a in op.op_def.attr)
        else []
    )


def called_by(node: Any) -> list[str]:
    """Names of the functions in the attributes of a node."""
    values = node.attr.values()
    lists = [f.name for value in values for f in value.list.func]
    return [value.func.name for value in values if value.HasField("func")] + lists


def library() -> dict[str, Any]:
    """The functions that the ops of the open graph call, by name."""
    functions = tf.compat.v1.get_default_graph().as_graph_def().library.function
    return {function.signature.name: function for function in functions}


def differentiable_inputs(op: Any) -> list[Any]:
    """Inputs of an op through which a gradient can flow back."""
    if op.type in NOT_DIFFERENTIABLE:
        return []
    return [t for t in op.inputs if _carries_gradients(t.dtype)]


def _carries_gradients(dtype: Any) -> bool:
    return dtype.is_floating or dtype.is_complex or dtype == tf.variant


def above(ys: Iterable[Any], stop: Iterable[Any] = ()) -> dict[int, Any]:
    """The ops from which a differentiable path leads to any of `ys`, by `id`."""
    stopped = {id(x) for x in stop}
    found: dict[int, Any] = {}
    stack = [y.op for y in ys if id(y) not in stopped]
    while stack:
        op = stack.pop()
        if id(op) not in found:
            found[id(op)] = op
            stack += [t.op for t in differentiable_inputs(op) if id(t) not in stopped]
    return found


class Below:
    """The tensors that depend on any of `xs`, found in one pass over the graph.

    Args:
        xs: Tensors to start from.
        differentiable: Follow only steps that a gradient can flow back through.
    """

    def __init__(self, xs: Sequence[Any], differentiable: bool = True) -> None:
        self._tensors = {id(x) for x in xs}
        for op in tf.compat.v1.get_default_graph().get_operations():
            inputs = differentiable_inputs(op) if differentiable else op.inputs
            if any(id(tensor) in self._tensors for tensor in inputs):
                self._tensors.update(map(id, op.outputs))

    def __contains__(self, tensor: Any) -> bool:
        return id(tensor) in self._tensors


MOVES = {
    "Cast",
    "ExpandDims",
    "Identity",
    "Reshape",
    "ResizeBicubic",
    "ResizeBilinear",
    "ResizeNearestNeighbor",
    "Squeeze",
    "Tile",
    "Transpose",
}


def is_moved(tensor: Any, source: Any) -> bool:
    """Whether `tensor` holds the values of `source`, at most rearranged or resized."""
    while tensor is not source and tensor.op.type in MOVES:
        tensor = tensor.op.inputs[0]
    return tensor is source


def bottlenecks(y: Any, x: Any) -> set[int]:
    """The ops, by `id`, that every path from `x` to `y` passes.

    An op is passed by all paths where no step leads from an op before it to one after it.
    Truth values (masks) and shapes carry nothing of what `x` shows.
    """
    leading, raw, below = above([y]), {id(x)}, {id(x)}
    places: dict[int, int] = {}
    furthest = [-1]
    for op in tf.compat.v1.get_default_graph().get_operations():
        given = [t for t in op.inputs if id(t) in below and t.dtype != tf.bool]
        if not given or op.type in COUNTS:
            continue
        below.update(map(id, op.outputs))
        if id(op) not in leading:
            raw.update(map(id, op.outputs if all(id(t) in raw for t in given) else ()))
            continue
        place = places[id(op)] = len(furthest)
        furthest.append(place)
        flowing = {id(t) for t in differentiable_inputs(op)}
        for tensor in given:
            if id(tensor) in raw:
                furthest[0] = place
            elif id(tensor) in flowing and id(tensor.op) in places:
                furthest[places[id(tensor.op)]] = place
    passed, open_until = set(), furthest[0]
    for key, place in places.items():
        if open_until <= place:
            passed.add(key)
        open_until = max(open_until, furthest[place])
    return passed


COUNTS = {"Shape", "ShapeN", "Size", "Rank"}


def float_casts(x: Any) -> list[Any]:
    """`x` itself when it is a float tensor, else the floats that the graph makes of its values.

    Empty where `x` holds ids: there is nothing to differentiate by.
    """
    if x.dtype.is_floating:
        return [] if holds_ids(x) else [x]
    return [
        op.outputs[0]
        for op in x.consumers()
        if op.type == "Cast" and op.outputs[0].dtype.is_floating
    ]


def holds_ids(x: Any) -> bool:
    """Whether a tensor is no float, or floats of which the graph takes the integer part only."""
    if not x.dtype.is_floating:
        return True
    uses = [output for op in x.consumers() for output in op.outputs]
    floats = [output for output in uses if output.dtype.is_floating]
    if any(output.op.type not in ("Cast", "Identity") for output in floats):
        return False
    casts = [output for output in uses if output.op.type == "Cast" and output.dtype.is_integer]
    return bool(casts or floats) and all(map(holds_ids, floats))


def ops_between(ys: Sequence[Any], xs: Sequence[Any]) -> list[Any]:
    """The ops on a differentiable path from `xs` to `ys`, in the order they were created."""
    leading, below = above(ys, xs), Below(xs)
    operations = tf.compat.v1.get_default_graph().get_operations()
    return [
        op
        for op in operations
        if id(op) in leading and any(t in below for t in differentiable_inputs(op))
    ]


@contextlib.contextmanager
def watching(xs: Sequence[Any]) -> Iterator[Any]:
    """A tape that records from `xs` on: faster to trace than `tf.gradients`, the same numbers."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([x for x in xs if x.dtype.is_floating])
        yield tape


def gradients(
    y: Any, xs: Sequence[Any], seed: Any = None, scale: float = 1.0, tape: Any = None
) -> list[Any]:
    """∂Σy/∂x for each x as float32, None where y does not depend on x.

    Args:
        y: Tensor to differentiate.
        xs: Tensors to differentiate by; the graph between them and `y` is all that is visited.
        seed: Optional upstream gradient, of the shape of `y`.
        scale: Power of two that keeps half-precision gradients above underflow; divided out again.
            Where gradients of that size overflow, they are computed again without it.
        tape: The tape that has watched all of `xs`, if there is one.
    """
    found = _scaled_gradients(y, xs, seed, scale, tape)
    if scale == 1.0:
        return found
    if not _in_loop():
        return _where_finite(found, lambda: _scaled_gradients(y, xs, seed, 1.0))
    unscaled = _scaled_gradients(y, xs, seed, 1.0)
    return _where_finite(found, lambda: unscaled)


def _in_loop() -> bool:
    """Whether the open graph is part of another function: `tf.gradients` then finds nothing from
    inside a branch."""
    return bool(getattr(tf.compat.v1.get_default_graph().outer_graph, "building_function", False))


def _scaled_gradients(
    y: Any, xs: Sequence[Any], seed: Any, scale: float, tape: Any = None
) -> list[Any]:
    upstream = (tf.ones_like(y) if seed is None else seed) * tf.cast(scale, y.dtype)
    if tape is None:
        found = tf.gradients(y, list(xs), grad_ys=upstream)
    else:
        found = tape.gradient(y, list(xs), output_gradients=upstream)
    return [
        None if g is None else tf.cast(tf.convert_to_tensor(g), tf.float32) / scale for g in found
    ]


def _where_finite(found: Sequence[Any], instead: Callable[[], list[Any]]) -> list[Any]:
    """What was found, with other numbers where it has overflown; they are computed only then."""
    connected = [g for g in found if g is not None]
    if not connected:
        return list(found)

    def mended() -> list[Any]:
        others = [g for g in instead() if g is not None]
        pairs = zip(connected, others, strict=True)
        return [tf.where(tf.math.is_finite(g), g, other) for g, other in pairs]

    is_finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in connected])
    chosen = iter(tf.cond(is_finite, lambda: connected, mended))
    return [None if g is None else next(chosen) for g in found]


def precision_scale(tensors: Iterable[Any]) -> float:
    """The gradient scale that a model which computes these tensors needs."""
    return FLOAT16_SCALE if any(t.dtype == tf.float16 for t in tensors) else 1.0
