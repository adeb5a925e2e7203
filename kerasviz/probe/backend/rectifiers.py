"""Every ReLU on the way from a score to an input, found in the traced graph and given another rule.

The gradient of an op is overridden through the `_gradient_op_type` attribute that `tf.gradients`
reads; the attribute is taken off again afterwards. What a rule is asked for is counted while
TensorFlow builds the gradient, so coverage is observed, not assumed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import tensorflow as tf

from kerasviz.errors import RewriteError
from kerasviz.probe.backend import graph

Rule = Literal["guided", "deconvolution", "redirected"]

NATIVE = {"Relu", "Relu6", "LeakyRelu"}
FUNCTION_ATTRIBUTES = ("f", "body", "then_branch", "else_branch", "branches")
SMOOTH = ("Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Erf", "Softsign")
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
HARD = ("Relu", "Relu6", "Maximum", "Select", "MaskedProduct")
COMPARISONS = {">": ("Greater", "GreaterEqual"), "<": ("Less", "LessEqual")}
ABOVE, BELOW = (">", "<"), ("<", ">")
PIECEWISE = ("Maximum", "Minimum", "SelectV2", "Select", "Abs", "Sign", "ClipByValue")
_found = threading.local()


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
    """An op that acts as a ReLU: how it is spelled, and where its input is."""

    op: Any
    spelling: str
    operand: int = 0
    part_of_another: bool = False


def gradients(
    y: Any, xs: Sequence[Any], rule: Rule, seed: Any = None, scale: float = 1.0
) -> tuple[list[Any], Coverage]:
    """As `graph.gradients`, with every rectifier between `xs` and `y` under `rule`.

    Raises:
        RewriteError: A rectifier cannot be reached, or the rule was not asked for one that should
            have been on the way.
    """
    between = graph.ops_between([y], xs)
    found = find(between)
    with _overridden(found, rule) as asked:
        result = graph.gradients(y, xs, seed, scale)
    counted = [rectifier for rectifier in found if not rectifier.part_of_another]
    missed = [rectifier.op.name for rectifier in counted if rectifier.op.name not in asked]
    if missed:
        raise RewriteError(
            f"Expected the {rule} rule to reach all {len(counted)} ReLU. Received: no gradient "
            f"through {len(missed)} of them ({', '.join(missed[:3])}), as inside "
            "`tf.custom_gradient` or rematerialization. Use `kv.Saliency`, which needs no rule."
        )
    reached = sum(rectifier.op.name in asked for rectifier in counted)
    ruled = {rectifier.op.name for rectifier in found}
    others = [op for op in between if op.name not in ruled]
    linear = _is_linear(others, xs)
    return result, Coverage(reached, len(counted), _left_alone(others), linear)


def _is_linear(operations: Sequence[Any], xs: Sequence[Any]) -> bool:
    """Whether all these ops are known to be linear in what comes from `xs`."""
    below = graph.Below(xs)
    return all(
        op.type in LINEAR
        or (op.type in PRODUCTS and sum(tensor in below for tensor in op.inputs) == 1)
        for op in operations
    )


def _left_alone(others: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """Nonlinearities that are no rectifiers, or none that is recognized."""
    kinds = [op.type for op in others]
    return tuple((k, kinds.count(k)) for k in SMOOTH + PIECEWISE if k in kinds)


def find(between: Sequence[Any]) -> list[Rectifier]:
    """All rectifiers among these ops, however they are spelled.

    Raises:
        RewriteError: One lies inside a function or loop, where its gradient cannot be replaced.
    """
    _refuse_hidden([op for op in between if _function_names(op)])
    sums = [s for s in (_two_sided(op) for op in between) if s is not None]
    inside = {op.name for s in sums for op in s[1]}
    found = [s[0] for s in sums]
    for op in between:
        rectifier = _recognise(op) or _cap(op)
        if rectifier is not None:
            part = rectifier.part_of_another or op.name in inside or _floors_a_rectifier(op)
            found.append(dataclasses.replace(rectifier, part_of_another=part))
    return found


def _cap(op: Any) -> Rectifier | None:
    """min(relu(x), m), or the inner half of max(min(x, m), 0)."""
    if op.type != "Minimum":
        return None
    for index, other in ((0, 1), (1, 0)):
        if _is_constant(op.inputs[other]):
            below = _is_rectifier(_skip_identity(op.inputs[index]).op)
            above = any(_floored(user) is op for user in op.outputs[0].consumers())
            return Rectifier(op, "Cap", index, True) if below or above else None
    return None


def _floored(op: Any) -> Any | None:
    """The op whose result a max(…, 0) takes."""
    rectifier = _maximum(op) if op.type == "Maximum" else None
    if rectifier is None or rectifier.spelling != "Maximum":
        return None
    return _skip_identity(op.inputs[rectifier.operand]).op


def _floors_a_rectifier(op: Any) -> bool:
    """Whether op is the max(…, 0) of a clip that follows a rectifier, which is counted already."""
    below = _floored(op)
    while below is not None and below.type == "Minimum":
        inner = [_skip_identity(t).op for t in below.inputs if not _is_constant(t)]
        below = inner[0] if inner else None
        if below is not None and _is_rectifier(below):
            return True
    return below is not None and _is_rectifier(below)


def _recognise(op: Any) -> Rectifier | None:
    if op.type in NATIVE:
        return Rectifier(op, op.type)
    if op.type == "Maximum":
        return _maximum(op)
    if op.type in ("SelectV2", "Select"):
        return _select(op)
    if op.type == "Mul":
        return _masked_product(op)
    return None


def _maximum(op: Any) -> Rectifier | None:
    """max(x, 0) and max(x, αx)."""
    for index, other in ((0, 1), (1, 0)):
        x, floor = op.inputs[index], op.inputs[other]
        if _is_zero(floor) and not _is_constant(x):
            return Rectifier(op, "Maximum", index)
        if floor.op.type == "Mul" and any(_same(part, x) for part in floor.op.inputs):
            return Rectifier(op, "LeakyMaximum", index)
    return None


def _select(op: Any) -> Rectifier | None:
    """where(x > t, x, 0), where(x < t, 0, x), and the same with αx in the place of 0."""
    condition, upper, lower = op.inputs
    if _tells(condition, upper, ABOVE) and _is_zero(lower):
        return Rectifier(op, "Select", 1)
    if _tells(condition, lower, BELOW) and _is_zero(upper):
        return Rectifier(op, "Select", 2)
    if _tells(condition, upper, ABOVE) and _is_multiple(lower, upper):
        return Rectifier(op, "LeakySelect", 1)
    if _tells(condition, lower, BELOW) and _is_multiple(upper, lower):
        return Rectifier(op, "LeakySelect", 2)
    return None


def _tells(condition: Any, x: Any, side: tuple[str, str]) -> bool:
    """Whether a condition says that x lies above (or below) a threshold."""
    plain, swapped = (COMPARISONS[which] for which in (side[0], side[1]))
    test = _skip_identity(condition).op
    return (test.type in plain and _same(test.inputs[0], x)) or (
        test.type in swapped and _same(test.inputs[1], x)
    )


def _is_multiple(tensor: Any, x: Any) -> bool:
    op = _skip_identity(tensor).op
    return op.type == "Mul" and any(_same(part, x) for part in op.inputs)


def _masked_product(op: Any) -> Rectifier | None:
    """x · cast(x > t)."""
    for index, other in ((0, 1), (1, 0)):
        x, mask = op.inputs[index], op.inputs[other].op
        if mask.type == "Cast" and _tells(mask.inputs[0], x, ABOVE):
            return Rectifier(op, "MaskedProduct", index)
    return None


def _two_sided(op: Any) -> tuple[Rectifier, list[Any]] | None:
    """relu(x) − α·relu(−x), as PReLU and `ReLU(negative_slope, max_value)` spell a leaky ReLU."""
    if op.type not in ("AddV2", "Sub"):
        return None
    for operand in (0, 1):
        upper = _rectifier_below(op.inputs[operand])
        lower = _negated_half(op.inputs[1 - operand])
        if upper is not None and lower is not None and _same(_operand(upper), lower[1]):
            return Rectifier(op, "TwoSided", operand), [upper, lower[0]]
    return None


def _rectifier_below(tensor: Any) -> Any | None:
    op = _skip_identity(tensor).op
    while op.type in ("Minimum", "Maximum", "ClipByValue") and not _is_rectifier(op):
        op = _skip_identity(op.inputs[0]).op
    if op.type == "Maximum" and _skip_identity(op.inputs[0]).op.type in ("Minimum", *NATIVE):
        return _rectifier_below(op.inputs[0])
    return op if _is_rectifier(op) else None


def _is_rectifier(op: Any) -> bool:
    return _recognise(op) is not None


def _operand(op: Any) -> Any:
    rectifier = _recognise(op)
    return op.inputs[rectifier.operand if rectifier else 0]


def _negated_half(tensor: Any) -> tuple[Any, Any] | None:
    """(relu op, x) when the tensor is ±α·relu(−x) or α·relu(t − x)."""
    op = _skip_identity(tensor).op
    if op.type == "Mul":
        return next((half for t in op.inputs if (half := _negated_half(t))), None)
    if op.type == "Neg":
        return _negated_half(op.inputs[0])
    if op.type != "Relu":
        return None
    source = _skip_identity(op.inputs[0]).op
    if source.type in ("AddV2", "Sub"):
        source = next((t.op for t in source.inputs if t.op.type == "Neg"), source)
    return (op, source.inputs[0]) if source.type == "Neg" else None


def _skip_identity(tensor: Any) -> Any:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _same(a: Any, b: Any) -> bool:
    return _skip_identity(a) is _skip_identity(b)


def _is_constant(tensor: Any) -> bool:
    return tf.get_static_value(tensor) is not None


def _is_zero(tensor: Any) -> bool:
    if _skip_identity(tensor).op.type == "ZerosLike":
        return True
    value = tf.get_static_value(tensor)
    return value is not None and not value.any()


def _function_names(op: Any) -> list[str]:
    names = []
    for attribute in FUNCTION_ATTRIBUTES:
        with contextlib.suppress(ValueError):
            value = op.get_attr(attribute)
            names += [f.name for f in (value if isinstance(value, list) else [value])]
    return names


def _refuse_hidden(callers: Sequence[Any]) -> None:
    if not callers:
        return
    library = {
        f.signature.name: f
        for f in tf.compat.v1.get_default_graph().as_graph_def().library.function
    }
    hidden = [op.name for op in callers if any(_holds(n, library) for n in _function_names(op))]
    if hidden:
        raise RewriteError(
            "Expected every ReLU in the open graph. Received: ReLU inside the function or loop "
            f"{', '.join(hidden[:3])}, which no rule can reach (recurrent layers with a ReLU, "
            "`tf.function(jit_compile=True)`). Use `kv.Saliency`, or unroll the layer."
        )


def _holds(name: str, library: dict[str, Any], seen: frozenset[str] = frozenset()) -> bool:
    if name not in library or name in seen:
        return False
    for node in library[name].node_def:
        may_rectify = node.op == "Maximum" and tf.as_dtype(node.attr["T"].type).is_floating
        if node.op in NATIVE or may_rectify:
            return True
        called = [node.attr[a].func.name for a in FUNCTION_ATTRIBUTES if a in node.attr]
        if any(_holds(n, library, seen | {name}) for n in called):
            return True
    return False


@contextlib.contextmanager
def _overridden(found: Sequence[Rectifier], rule: Rule) -> Iterator[dict[str, Rectifier]]:
    asked: dict[str, Rectifier] = {}
    outer = getattr(_found, "state", None)
    _found.state = ({r.op.name: r for r in found}, asked)
    value = tf.compat.v1.AttrValue(s=f"Kerasviz_{rule}".encode())
    try:
        for rectifier in found:
            rectifier.op._set_attr("_gradient_op_type", value)
        yield asked
    finally:
        for rectifier in found:
            rectifier.op._clear_attr("_gradient_op_type")
        _found.state = outer


def _asked(op: Any) -> Rectifier:
    known, asked = _found.state
    asked[op.name] = known[op.name]
    return known[op.name]


@tf.RegisterGradient("Kerasviz_guided")
def _guided(op: Any, upstream: Any) -> list[Any]:
    """The op's own derivative, applied to what is positive in the signal from above."""
    rectifier = _asked(op)
    upstream = upstream if rectifier.part_of_another else tf.nn.relu(upstream)
    return _spread(rectifier, _DERIVATIVES[rectifier.spelling](rectifier, upstream))


@tf.RegisterGradient("Kerasviz_deconvolution")
def _deconvolution(op: Any, upstream: Any) -> list[Any]:
    """The rectifier itself, applied to the signal from above; a leaky one leaks."""
    rectifier = _asked(op)
    if rectifier.spelling == "LeakyRelu":
        return [tf.nn.leaky_relu(upstream, op.get_attr("alpha"))]
    if rectifier.spelling == "LeakySelect":
        pair = [tf.nn.relu(upstream), tf.minimum(upstream, 0)]
        return [None, *(pair if rectifier.operand == 1 else pair[::-1])]
    if rectifier.spelling in ("LeakyMaximum", "TwoSided"):
        return _leaking(rectifier, tf.nn.relu(upstream), tf.minimum(upstream, 0))
    return _spread(rectifier, tf.nn.relu(upstream))


@tf.RegisterGradient("Kerasviz_redirected")
def _redirected(op: Any, upstream: Any) -> list[Any]:
    """The op's own derivative; for samples of which it lets nothing through, what would open it."""
    rectifier = _asked(op)
    own = _DERIVATIVES[rectifier.spelling](rectifier, upstream)
    if rectifier.part_of_another or rectifier.spelling not in HARD:
        return _spread(rectifier, own)
    x = op.inputs[rectifier.operand]
    opening = _masked((x > 0) | (upstream > 0), upstream)
    if rectifier.spelling == "Relu6":
        opening = _masked((x < 6) | (upstream < 0), opening)
    axes = tuple(range(1, len(x.shape)))
    passes = tf.reduce_any(tf.not_equal(own, 0), axis=axes, keepdims=True)
    return _spread(rectifier, tf.where(passes, own, opening))


def _leaking(rectifier: Rectifier, positive: Any, negative: Any) -> list[Any]:
    """The positive signal to the branch x, the negative one to the branch that scales it."""
    pair = [positive, -negative if rectifier.op.type == "Sub" else negative]
    return pair if rectifier.operand == 0 else pair[::-1]


def _spread(rectifier: Rectifier, gradient: Any) -> list[Any]:
    """Gradients for all inputs of the op: one for its operand, or the pair of a two-sided sum."""
    if isinstance(gradient, list):
        return gradient
    return [
        gradient if index == rectifier.operand else None
        for index in range(len(rectifier.op.inputs))
    ]


def _masked(mask: Any, gradient: Any) -> Any:
    return tf.where(mask, gradient, tf.zeros_like(gradient))


def _leaky_maximum(rectifier: Rectifier, gradient: Any) -> list[Any]:
    x, other = (rectifier.op.inputs[i] for i in (rectifier.operand, 1 - rectifier.operand))
    pair = [_masked(x >= other, gradient), _masked(x < other, gradient)]
    return pair if rectifier.operand == 0 else pair[::-1]


_DERIVATIVES: dict[str, Callable[[Rectifier, Any], Any]] = {
    "Relu": lambda r, g: tf.raw_ops.ReluGrad(gradients=g, features=r.op.outputs[0]),
    "Relu6": lambda r, g: tf.raw_ops.Relu6Grad(gradients=g, features=r.op.outputs[0]),
    "LeakyRelu": lambda r, g: tf.raw_ops.LeakyReluGrad(
        gradients=g, features=r.op.inputs[0], alpha=r.op.get_attr("alpha")
    ),
    "Maximum": lambda r, g: _masked(r.op.outputs[0] > 0, g),
    "Cap": lambda r, g: _masked(r.op.inputs[r.operand] <= r.op.inputs[1 - r.operand], g),
    "Select": lambda r, g: _masked(r.op.inputs[0] == (r.operand == 1), g),
    "LeakySelect": lambda r, g: [
        None,
        _masked(r.op.inputs[0], g),
        _masked(tf.logical_not(r.op.inputs[0]), g),
    ],
    "MaskedProduct": lambda r, g: g * r.op.inputs[1 - r.operand],
    "LeakyMaximum": _leaky_maximum,
    "TwoSided": lambda r, g: [g, -g if r.op.type == "Sub" else g],
}
