"""Every ReLU on the way from a score to an input, found in the traced graph and given another rule.

While TensorFlow builds the gradient, what follows a rectifier reads from a gate behind it, whose
own gradient is the rule's and leads to the rectifier's input; the graph is put back afterwards.
What a rule is asked for is counted meanwhile, so coverage is observed, not assumed.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from kerasviz.errors import RewriteError
from kerasviz.probe.backend import curves, graph, pointwise

Rule = Literal["guided", "deconvolution", "redirected"]

FUNCTION_ATTRIBUTES = ("f", "body", "then_branch", "else_branch", "branches")
SMOOTH = ("Elu", "Selu", "Celu", "Sigmoid", "Tanh", "Softplus", "Erf", "Softsign")
LINEAR = {
    "AddV2",
    "Add",
    "AddN",
    "Sub",
    "Neg",
    "BiasAdd",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv2dNative",
    "AvgPool",
    "AvgPool3D",
    "Mean",
    "Sum",
    "Reshape",
    "Squeeze",
    "ExpandDims",
    "Transpose",
    "Identity",
    "Cast",
    "Pad",
    "PadV2",
    "MirrorPad",
    "ConcatV2",
    "Pack",
    "StridedSlice",
    "Slice",
    "GatherV2",
    "GatherNd",
    "BroadcastTo",
}
PRODUCTS = {"MatMul", "BatchMatMulV2", "Mul", "RealDiv"}
GATES = ("HardSigmoid", "HardTanh")
PIECEWISE = ("Maximum", "Minimum", "SelectV2", "Select", "Abs", "Sign", "ClipByValue")
NATIVE: dict[str, Callable[[Any], curves.Shape]] = {
    "Relu": lambda op: curves.RELU,
    "Relu6": lambda op: curves.RELU6,
    "LeakyRelu": lambda op: curves.Shape(below=op.get_attr("alpha")),
}
DECIDED_BY_WEIGHTS = "decided by weights"
_rewritten = threading.local()


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How many of a model's rectifiers a rule reached, and what it left alone.

    Attributes:
        rewritten: Rectifiers whose gradient was computed by the rule.
        total: Rectifiers on a path from the explained score to the input.
        left_alone: Other nonlinearities on those paths, as (name, count).
        otherwise_linear: Whether everything else on those paths is linear in the input.
    """

    rewritten: int
    total: int
    left_alone: tuple[tuple[str, int], ...] = ()
    otherwise_linear: bool = False

    def __str__(self) -> str:
        others = ", ".join(f"{count} {name}" for name, count in self.left_alone)
        return f"rewrote {self.rewritten} of {self.total} ReLU" + (
            f"; left alone: {others}" if others else ""
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Rectifier:
    """A piece of the graph that acts as a ReLU, and its shape on paper."""

    piece: pointwise.Piece
    shape: curves.Shape

    @property
    def name(self) -> str:
        """The name of its last op, which begins with the layer's."""
        return self.piece.output.op.name


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The activations of a graph that are made of straight pieces.

    Attributes:
        rectifiers: All rectifiers, in the order of computation.
        inner: For those that are a part of another activation, by name, the `id`s of its ops.
        others: Activations that are no rectifiers but are made of some, as pairs (name, piece).
        idle: The `id`s of ops that change nothing behind a rectifier, as max(relu6(x), 0) does.
    """

    rectifiers: Sequence[Rectifier]
    inner: Mapping[str, set[int]]
    others: Sequence[tuple[str, pointwise.Piece]]
    idle: set[int]


def gradients(
    y: Any, xs: Sequence[Any], rule: Rule, seed: Any = None, scale: float = 1.0
) -> tuple[list[Any], Coverage]:
    """As `graph.gradients`, with every rectifier between `xs` and `y` under `rule`.

    Raises:
        RewriteError: A rectifier cannot be reached, or the rule was not asked for one that should
            have been on the way.
    """
    between = graph.ops_between([y], xs)
    _refuse_hidden(between)
    found = find(between, xs)
    below = graph.Below(xs)
    with _gated(found, rule) as (gates, asked):
        behind = [gates.get(id(tensor), tensor) for tensor in (y, *xs)]
        result = graph.gradients(behind[0], behind[1:], seed, scale)
    counted = [r for r in found.rectifiers if r.name not in found.inner or r.name in asked]
    missed = [r.name for r in counted if r.name not in asked]
    if missed:
        raise RewriteError(
            f"Expected the {rule} rule to reach all {len(counted)} ReLU. Received: no gradient "
            f"through {len(missed)} of them ({', '.join(missed[:3])}), as inside "
            "`tf.custom_gradient` or rematerialization. Use `kv.Saliency`, which needs no rule."
        )
    inside = found.idle | {id(op) for r in found.rectifiers for op in r.piece.region}
    rest = [op for op in between if id(op) not in inside]
    linear = not found.others and _is_linear(rest, below)
    return result, Coverage(len(asked), len(counted), _left_alone(rest, found), linear)


def _is_linear(operations: Sequence[Any], below: graph.Below) -> bool:
    """Whether all these ops are known to be linear in what lies `below`."""
    return all(
        op.type in LINEAR
        or (op.type in PRODUCTS and sum(tensor in below for tensor in op.inputs) == 1)
        for op in operations
    )


def _left_alone(operations: Sequence[Any], found: Found) -> tuple[tuple[str, int], ...]:
    """Nonlinearities that are no rectifiers, or none that is recognized."""
    pieced = {id(op) for _, piece in found.others for op in piece.region}
    kinds = collections.Counter(op.type for op in operations if id(op) not in pieced)
    kinds.update(name for name, _ in found.others)
    return tuple((k, kinds[k]) for k in SMOOTH + GATES + PIECEWISE if kinds[k])


def find(between: Sequence[Any], xs: Sequence[Any] = ()) -> Found:
    """All rectifiers among these ops of one graph, however they are spelled.

    Args:
        between: The ops, in the order of computation.
        xs: Tensors before which nothing is looked at.

    Raises:
        RewriteError: The model's weights decide whether something is a rectifier.
    """
    if not between:
        return Found([], {}, [], set())
    search = _Search(pointwise.Pieces(between[0].graph, xs))
    allowed = {id(op) for op in between}
    for op in between[0].graph.get_operations():
        if op.outputs and search.pieces.dominators(op.outputs[0]):
            search.visit(op, id(op) in allowed)
    return Found(list(search.found.values()), search.inner, search.others, search.idle)


class _Search:
    """Looks from each end of an element-wise piece that bends back to where it could begin."""

    def __init__(self, pieces: pointwise.Pieces) -> None:
        self.pieces = pieces
        self.found: dict[int, Rectifier] = {}
        self.inner: dict[str, set[int]] = {}
        self.others: list[tuple[str, pointwise.Piece]] = []
        self.idle: set[int] = set()
        self._bent: set[int] = set()
        self._unexplained: set[int] = set()
        self._verdicts: dict[Hashable, Any] = {}

    def visit(self, op: Any, may_end: bool) -> None:
        """Take the next op; an activation may end there if it is on the way to the score."""
        output, unknown = op.outputs[0], self.pieces.unknown(op)
        bends = pointwise.bends(op)
        for marked in (self._bent, self._unexplained):
            if bends or any(id(t) in marked for t in unknown):
                marked.add(id(output))
        joins = len(unknown) > 1 and id(output) in self._bent
        if may_end and (joins or id(output) in self._unexplained) and self._explains(op, output):
            self._unexplained.discard(id(output))

    def _explains(self, op: Any, output: Any) -> bool:
        """Whether an activation ends here; it is noted."""
        if op.type in NATIVE:
            return self._note_native(op, output)
        return any(self._is_other(p) for p in self._pieces_to(output)) or any(
            self._is_rectifier(p) for p in self._pieces_to(output)
        )

    def _note_native(self, op: Any, output: Any) -> bool:
        if op.type == "Relu6" and any(self._is_other(p) for p in self._pieces_to(output)):
            return True
        piece = self.pieces.piece(output, op.inputs[0])
        self.found[id(output)] = Rectifier(piece, NATIVE[op.type](op))
        return True

    def _pieces_to(self, output: Any) -> Iterator[pointwise.Piece]:
        """The likely first: from where a rectifier on the way begins; not from amid a bend."""
        dominators = self.pieces.dominators(output)
        earlier = [self.found[id(t)].piece.source for t in dominators if id(t) in self.found]
        first = {id(t) for t in earlier}
        bent = self._unexplained
        for tensor in sorted(dominators, key=lambda t: (id(t) not in first, id(t) in bent)):
            if tensor.dtype.is_floating and output.shape.is_compatible_with(tensor.shape):
                yield self.pieces.piece(output, tensor)

    def _is_rectifier(self, piece: pointwise.Piece) -> bool:
        """Whether the piece is one; it is noted unless it adds nothing to one that it holds."""
        shape = self._verdict(piece, _shape)
        inner = self._inside(piece)
        if shape == DECIDED_BY_WEIGHTS and not inner:
            raise RewriteError(
                "Expected a model in which it is certain what is a ReLU. Received: "
                f"'{piece.output.op.name}', which is one or not as its weights decide. "
                "Use `kv.Saliency`, which needs no rule."
            )
        if not isinstance(shape, curves.Shape) or (inner and not _is_leak(shape)):
            return False
        if any(r.piece.source is piece.source and r.shape.is_of(shape) for r in inner):
            self.idle.update(id(op) for op in piece.region)
            return True
        self._take_in(inner, piece)
        self.found[id(piece.output)] = Rectifier(piece, shape)
        return True

    def _is_other(self, piece: pointwise.Piece) -> bool:
        """Whether the piece is a hard sigmoid or tanh, or a smooth curve made of straight parts."""
        name, inner = self._verdict(piece, _gate), self._inside(piece)
        if name is None and inner and self._verdict(piece, _is_curve):
            name = "Celu" if any(op.type == "Expm1" for op in piece.region) else "Softplus"
        if name is None:
            return False
        self._take_in(inner, piece)
        self.others.append((name, piece))
        return True

    def _inside(self, piece: pointwise.Piece) -> list[Rectifier]:
        outputs = [id(op.outputs[0]) for op in piece.region[:-1]]
        return [self.found[key] for key in outputs if key in self.found]

    def _take_in(self, inner: Sequence[Rectifier], piece: pointwise.Piece) -> None:
        for rectifier in inner:
            users = self.inner.setdefault(rectifier.name, set())
            users.update(id(op) for op in piece.region)

    def _verdict(self, piece: pointwise.Piece, judge: Any) -> Any:
        """What `judge` says about the piece; asked once for all pieces that compute the same."""
        key = (judge, piece.signature)
        if key not in self._verdicts:
            self._verdicts[key] = judge(piece)
        return self._verdicts[key]


def _shape(piece: pointwise.Piece) -> curves.Shape | str | None:
    if not piece.has_weights:
        return curves.rectifier(piece.function())
    drawn = [curves.rectifier(piece.function(w), steepest=4.0) for w in pointwise.SOME_WEIGHTS]
    shape = curves.whatever_the_weights(drawn)
    if shape is None and curves.rectifier(piece.function(0.0)) is not None:
        return DECIDED_BY_WEIGHTS
    return shape


def _gate(piece: pointwise.Piece) -> str | None:
    lowest = curves.gate(piece.function(pointwise.SOME_WEIGHTS[0]))
    if lowest is None:
        return None
    return "HardTanh" if lowest < -curves.TOLERANCE else "HardSigmoid"


def _is_curve(piece: pointwise.Piece) -> bool:
    return curves.is_curve(piece.function(pointwise.SOME_WEIGHTS[0]))


def _is_leak(shape: curves.Shape) -> bool:
    """Whether the shape is a ReLU's or a leaky one's, rather than that of a ReLU beside a skip."""
    if shape.below is None:
        return True
    return not np.any(shape.below) or bool(np.allclose(shape.above, 1) and np.all(shape.below >= 0))


def _function_names(op: Any) -> list[str]:
    names = []
    for attribute in FUNCTION_ATTRIBUTES:
        with contextlib.suppress(ValueError):
            value = op.get_attr(attribute)
            names += [f.name for f in (value if isinstance(value, list) else [value])]
    return names


def _refuse_hidden(between: Sequence[Any]) -> None:
    hidden = [op.name for op in between if any(map(_holds, _bodies(op)))]
    if hidden:
        raise RewriteError(
            "Expected every ReLU in the open graph. Received: ReLU inside the function or loop "
            f"{', '.join(hidden[:3])}, which no rule can reach (recurrent layers with a ReLU, "
            "`tf.function(jit_compile=True)`). Use `kv.Saliency`, or unroll the layer."
        )


def _bodies(op: Any) -> list[Any]:
    """The graphs of the functions that an op calls."""
    functions = [op.graph._get_function(name) for name in _function_names(op)]
    return [function.graph for function in functions if function is not None]


def _holds(body: Any) -> bool:
    """Whether a function has a rectifier, or a maximum with a value that it is handed."""
    operations = body.get_operations()
    found = find(operations)
    if any(rectifier.name not in found.inner for rectifier in found.rectifiers):
        return True
    return any(
        _takes_a_maximum_of_what_it_is_handed(op) or any(map(_holds, _bodies(op)))
        for op in operations
    )


def _takes_a_maximum_of_what_it_is_handed(op: Any) -> bool:
    return (
        op.type == "Maximum"
        and op.outputs[0].dtype.is_floating
        and any(tensor.op.type == "Placeholder" for tensor in op.inputs)
    )


@contextlib.contextmanager
def _gated(found: Found, rule: Rule) -> Iterator[tuple[dict[int, Any], set[str]]]:
    """Within this context all that follows a rectifier reads from a gate that knows the rule.

    The gates are given by the `id` of what they stand for; the names of the rectifiers for whose
    gates a gradient was asked are added to the set.
    """
    gates: dict[int, Any] = {}
    asked: set[str] = set()
    outer = getattr(_rewritten, "state", None)
    behind: dict[str, Rectifier] = {}
    _rewritten.state = (behind, asked)
    try:
        for rectifier in found.rectifiers:
            gate = _gate_behind(rectifier, found.inner.get(rectifier.name, set()), gates, rule)
            behind[gate.op.name] = rectifier
        yield gates, asked
    finally:
        for rectifier in found.rectifiers:
            output = rectifier.piece.output
            if id(output) in gates:
                _reroute(gates[id(output)], output)
                gates[id(output)].op._clear_attr("_gradient_op_type")
        _rewritten.state = outer


def _gate_behind(rectifier: Rectifier, private: set[int], gates: dict[int, Any], rule: Rule) -> Any:
    output, source = rectifier.piece.output, rectifier.piece.source
    readers = [op for op in output.consumers() if id(op) not in private]
    gate = tf.raw_ops.IdentityN(input=[output, gates.get(id(source), source)])[0]
    value = tf.compat.v1.AttrValue(s=f"Kerasviz_{rule}".encode())
    gate.op._set_attr("_gradient_op_type", value)
    gates[id(output)] = gate
    _reroute(output, gate, readers)
    return gate


def _reroute(before: Any, after: Any, readers: Sequence[Any] | None = None) -> None:
    """Let ops that read one tensor read another of the same value."""
    for op in before.consumers() if readers is None else readers:
        for index, tensor in enumerate(op.inputs):
            if tensor is before:
                op._update_input(index, after)


def _asked(gate: Any) -> Rectifier:
    behind, asked = _rewritten.state
    rectifier = behind[gate.name]
    asked.add(rectifier.name)
    return rectifier


@tf.RegisterGradient("Kerasviz_guided")
def _guided(gate: Any, upstream: Any, _: Any) -> list[Any]:
    """The rectifier's own derivative, applied to what is positive in the signal from above."""
    rectifier = _asked(gate)
    gradient = _times_derivative(rectifier, tf.nn.relu(upstream))
    return [None, tf.cast(gradient, rectifier.piece.source.dtype)]


@tf.RegisterGradient("Kerasviz_deconvolution")
def _deconvolution(gate: Any, upstream: Any, _: Any) -> list[Any]:
    """The rectifier itself, applied to the signal from above; a leaky one leaks."""
    rectifier = _asked(gate)
    return [None, tf.cast(_leaked(rectifier, upstream), rectifier.piece.source.dtype)]


@tf.RegisterGradient("Kerasviz_redirected")
def _redirected(gate: Any, upstream: Any, _: Any) -> list[Any]:
    """The rectifier's own derivative; for samples of which it lets nothing through, whatever of the
    signal from above would bring its input back to where it is steep."""
    rectifier = _asked(gate)
    shape, x = rectifier.shape, rectifier.piece.source
    gradient = _times_derivative(rectifier, upstream)
    if shape.below is not None and not np.any(shape.below):
        steep = (x > _number(shape.threshold, x.dtype)) | (upstream > 0)
        steep &= (x < _number(shape.cap, x.dtype)) | (upstream < 0)
        axes = tuple(range(1, len(x.shape)))
        passes = tf.reduce_any(tf.not_equal(gradient, 0), axis=axes, keepdims=True)
        gradient = tf.where(passes | ~steep, gradient, upstream)
    return [None, tf.cast(gradient, x.dtype)]


def _leaked(rectifier: Rectifier, gradient: Any) -> Any:
    shape, positive = rectifier.shape, tf.nn.relu(gradient)
    if not np.allclose(shape.above, 1):
        positive *= _number(shape.above, gradient.dtype)
    if shape.below is not None and not np.any(shape.below):
        return positive
    return positive + tf.minimum(gradient, 0) * tf.cast(_below(rectifier), gradient.dtype)


def _times_derivative(rectifier: Rectifier, gradient: Any) -> Any:
    shape, x, y = rectifier.shape, rectifier.piece.source, rectifier.piece.output
    if shape.is_of(curves.RELU):
        return tf.raw_ops.ReluGrad(gradients=gradient, features=y)
    if shape.is_of(curves.RELU6):
        return tf.raw_ops.Relu6Grad(gradients=gradient, features=y)
    if shape.is_leaky_relu:
        return tf.raw_ops.LeakyReluGrad(gradients=gradient, features=x, alpha=shape.below)
    above, below = _number(shape.above, x.dtype), _below(rectifier)
    rising = tf.where(x > _number(shape.threshold, x.dtype), above, below)
    slope = tf.where(x < _number(shape.cap, x.dtype), rising, tf.zeros_like(rising))
    return tf.cast(slope, gradient.dtype) * gradient


def _below(rectifier: Rectifier) -> Any:
    """The slope below the threshold; where weights decide it, found from two points there."""
    shape, x = rectifier.shape, rectifier.piece.source
    if shape.below is not None:
        return _number(shape.below, x.dtype)
    point = tf.zeros_like(x) + _number(np.minimum(shape.threshold, 0.0) - 1.0, x.dtype)
    return rectifier.piece.replayed(point) - rectifier.piece.replayed(point - 1)


def _number(value: Any, dtype: Any) -> Any:
    with np.errstate(over="ignore"):
        return tf.constant(np.asarray(value).astype(dtype.as_numpy_dtype))
