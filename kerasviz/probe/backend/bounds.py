"""What the values of a tensor lie between whatever the input, found in the traced graph.

Interval arithmetic over the graph (Moore 1966), so that a sigmoid, a hard sigmoid, ReLU6 divided by
6, a softmax and a sigmoid of a sigmoid are all known for what they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Bounds = tuple[float, float]
ANYTHING: Bounds = (-np.inf, np.inf)
MOVES = {
    *("Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "Transpose", "Tile", "BroadcastTo"),
    *("StridedSlice", "Slice", "Split", "SplitV", "Unpack", "GatherV2"),
}


def bounds_of(tensors: Sequence[Any]) -> list[Bounds]:
    """The least and largest value that each tensor of the open graph can have."""
    found = all_bounds(tf.compat.v1.get_default_graph().get_operations())
    return [found.get(id(tensor), ANYTHING) for tensor in tensors]


def all_bounds(operations: Sequence[Any]) -> dict[int, Bounds]:
    """For each tensor of numbers, by `id`, what its values lie between."""
    found: dict[int, Bounds] = {}
    for op in operations:
        if op.outputs and op.type in _RULES:
            given = [found.get(id(x), _constant_bounds(x)) for x in op.inputs]
            low, high = _RULES[op.type](op, given)
            if not (np.isnan(low) or np.isnan(high)):
                found.update((id(x), (float(low), float(high))) for x in op.outputs)
    return found


def _constant_bounds(tensor: Any) -> Bounds:
    if tensor.dtype == tf.bool:
        return 0.0, 1.0
    value = tf.get_static_value(tensor) if tensor.op.type in ("Const", "Fill") else None
    if value is None or not np.size(value) or not np.issubdtype(np.asarray(value).dtype, np.number):
        return ANYTHING
    return float(np.min(value)), float(np.max(value))


def _union(_: Any, given: Sequence[Bounds]) -> Bounds:
    return min(low for low, _ in given), max(high for _, high in given)


def _first(_: Any, given: Sequence[Bounds]) -> Bounds:
    return given[0]


def _added(_: Any, given: Sequence[Bounds]) -> Bounds:
    return sum(low for low, _ in given), sum(high for _, high in given)


def _subtracted(_: Any, given: Sequence[Bounds]) -> Bounds:
    (low, high), (other_low, other_high) = given
    return low - other_high, high - other_low


def _multiplied(_: Any, given: Sequence[Bounds]) -> Bounds:
    corners = [0.0 if 0.0 in pair else pair[0] * pair[1] for pair in itertools.product(*given)]
    return min(corners), max(corners)


def _divided(op: Any, given: Sequence[Bounds]) -> Bounds:
    low, high = given[1]
    if low <= 0.0 <= high:
        return ANYTHING
    return _multiplied(op, [given[0], (1.0 / high, 1.0 / low)])


def _inverse(op: Any, given: Sequence[Bounds]) -> Bounds:
    return _divided(op, [(1.0, 1.0), given[0]])


def _negated(_: Any, given: Sequence[Bounds]) -> Bounds:
    low, high = given[0]
    return -high, -low


def _absolute(_: Any, given: Sequence[Bounds]) -> Bounds:
    low, high = given[0]
    least = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    return least, max(abs(low), abs(high))


def _squared(op: Any, given: Sequence[Bounds]) -> Bounds:
    low, high = _absolute(op, given)
    return low**2, high**2


def _clipped(_: Any, given: Sequence[Bounds]) -> Bounds:
    (low, high), (least, _), (_, most) = given
    return min(max(low, least), most), min(max(high, least), most)


def _rising(function: Callable[[float], float]) -> Callable[[Any, Sequence[Bounds]], Bounds]:
    """The rule of a function that never falls."""

    def rule(_: Any, given: Sequence[Bounds]) -> Bounds:
        with np.errstate(all="ignore"):
            return function(given[0][0]), function(given[0][1])

    return rule


def _sigmoid(x: float) -> float:
    return float(1.0 / (1.0 + np.exp(-x)))


def _within_one(_: Any, given: Sequence[Bounds]) -> Bounds:
    return -1.0, 1.0


def _not_above_zero(_: Any, given: Sequence[Bounds]) -> Bounds:
    return -np.inf, 0.0


def _inverse_root(op: Any, given: Sequence[Bounds]) -> Bounds:
    low, high = given[0]
    return _inverse(op, [(np.sqrt(low), np.sqrt(high))]) if low > 0.0 else ANYTHING


def _power(_: Any, given: Sequence[Bounds]) -> Bounds:
    """Of a factor that is not negative, to a constant above 0."""
    (low, high), (least, most) = given
    return (low**least, high**least) if low >= 0.0 and 0.0 < least == most else ANYTHING


def _share(_: Any, given: Sequence[Bounds]) -> Bounds:
    return 0.0, 1.0


def _largest(_: Any, given: Sequence[Bounds]) -> Bounds:
    return max(low for low, _ in given), max(high for _, high in given)


def _smallest(_: Any, given: Sequence[Bounds]) -> Bounds:
    return min(low for low, _ in given), min(high for _, high in given)


def _joined(_: Any, given: Sequence[Bounds]) -> Bounds:
    return _union(_, given[:-1])


def _selected(_: Any, given: Sequence[Bounds]) -> Bounds:
    return _union(_, given[1:])


def _padded(_: Any, given: Sequence[Bounds]) -> Bounds:
    return _union(_, [given[0], (0.0, 0.0)])


_WITHIN = {
    *("Mean", "Max", "Min", "AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D"),
    *("StopGradient", "ResizeBilinear", "ResizeNearestNeighbor", "TopKV2", "GatherNd"),
    *("ReverseV2", "Roll", "DepthToSpace", "SpaceToDepth", "MirrorPad"),
}
_RULES: dict[str, Callable[[Any, Sequence[Bounds]], Bounds]] = {
    **dict.fromkeys(MOVES | _WITHIN, _first),
    "Split": lambda _, given: given[-1],
    "Sigmoid": _rising(_sigmoid),
    "Tanh": _rising(np.tanh),
    "Exp": _rising(np.exp),
    "Relu": _rising(lambda x: max(x, 0.0)),
    "Relu6": _rising(lambda x: min(max(x, 0.0), 6.0)),
    "Elu": _rising(lambda x: x if x > 0.0 else np.expm1(x)),
    "Log": _rising(lambda x: np.log(max(x, 0.0))),
    "Log1p": _rising(lambda x: np.log1p(max(x, -1.0))),
    "Expm1": _rising(np.expm1),
    "Sqrt": _rising(lambda x: np.sqrt(max(x, 0.0))),
    "Softplus": _rising(lambda x: np.logaddexp(x, 0.0)),
    "Softsign": _rising(lambda x: x / (1.0 + abs(x)) if np.isfinite(x) else np.sign(x)),
    "Atan": _rising(np.arctan),
    "Rsqrt": _inverse_root,
    "Sin": _within_one,
    "Cos": _within_one,
    "Softmax": _share,
    "LogSoftmax": _not_above_zero,
    "Erf": _within_one,
    "Pow": _power,
    "Add": _added,
    "AddV2": _added,
    "BiasAdd": _added,
    "AddN": _added,
    "Sub": _subtracted,
    "Mul": _multiplied,
    "RealDiv": _divided,
    "Reciprocal": _inverse,
    "Inv": _inverse,
    "Neg": _negated,
    "Abs": _absolute,
    "Square": _squared,
    "ClipByValue": _clipped,
    "Maximum": _largest,
    "Minimum": _smallest,
    "Pack": _union,
    "ConcatV2": _joined,
    "SelectV2": _selected,
    "Pad": _padded,
    "PadV2": lambda _, given: _union(_, [given[0], given[2]]),
}
