"""What element-wise ops mean: a piece of the graph evaluated as a function of one number.

A rectifier can be written in countless ways; all of them have the same graph on paper. So each
piece of the TensorFlow graph that leads element by element from one tensor to another, and bends
on the way, is drawn over a grid of numbers and compared with the picture of a rectifier.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasviz.probe.backend import curves

NATIVE = {"Relu", "Relu6", "LeakyRelu"}
COMPARISONS: dict[str, Any] = {
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
}
BENDS = {
    *NATIVE,
    *COMPARISONS,
    "Maximum",
    "Minimum",
    "Max",
    "Min",
    "SelectV2",
    "Select",
    "Abs",
    "Sign",
    "ClipByValue",
}
MEANING: dict[str, Any] = {
    **COMPARISONS,
    "Identity": lambda x: x,
    "StopGradient": lambda x: x,
    "AddV2": np.add,
    "Add": np.add,
    "AddN": lambda *terms: sum(terms),
    "Sub": np.subtract,
    "Mul": np.multiply,
    "MulNoNan": lambda x, y: np.where(y == 0, 0, x * y),
    "RealDiv": np.divide,
    "DivNoNan": lambda x, y: np.where(y == 0, 0, x / y),
    "Neg": np.negative,
    "Square": np.square,
    "Sqrt": np.sqrt,
    "Pow": np.power,
    "Exp": np.exp,
    "Expm1": np.expm1,
    "Log1p": np.log1p,
    "Abs": np.abs,
    "Sign": np.sign,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Max": lambda *values: functools.reduce(np.maximum, values),
    "Min": lambda *values: functools.reduce(np.minimum, values),
    "ClipByValue": np.clip,
    "SelectV2": np.where,
    "Select": np.where,
    "LogicalNot": np.logical_not,
    "LogicalAnd": np.logical_and,
    "LogicalOr": np.logical_or,
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "LeakyRelu": lambda x, slope: np.where(x > 0, x, slope * x),
    "Cast": lambda x: x * 1.0,
}
FILLED = {"Fill": 1, "BroadcastTo": 0, "Reshape": 0, "ExpandDims": 0}
DEPTH, DOMINATORS, LARGEST = 16, 12, 1024
SOME_WEIGHTS = (0.25, 2.0, -0.5)


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a graph that computes one tensor element by element from another.

    Attributes:
        source: Where it begins.
        output: Where it ends.
        region: The ops between, in the order of computation.
        fixed: The constants that are used, by `id` of their tensors; None for a weight.
        meaning: What the ops compute, by their type.
    """

    source: Any
    output: Any
    region: Sequence[Any]
    fixed: Mapping[int, Any]
    meaning: Mapping[str, Any] = dataclasses.field(default_factory=lambda: MEANING)

    @property
    def has_weights(self) -> bool:
        """Whether weights of the model are used."""
        return any(value is None for value in self.fixed.values())

    @property
    def signature(self) -> Hashable:
        """Equal for pieces that compute the same."""
        places = {id(op.outputs[0]): place for place, op in enumerate(self.region)}
        values = {key: np.asarray(value).tolist() for key, value in self.fixed.items()}

        def name(tensor: Any) -> str:
            key = id(tensor)
            return f"{places[key]}" if key in places else f"={values.get(key, 'source')}"

        steps = (
            (op.type, _slope(op), *map(name, operands(op, self.meaning) or ()))
            for op in self.region
        )
        return (self.source.shape.rank, *steps)

    def function(self, weight: float = 0.0) -> curves.Function:
        """`output` as a function of numbers in the place of `source`.

        Args:
            weight: What stands in the place of the model's weights.
        """
        fixed = {key: weight if v is None else v for key, v in self.fixed.items()}
        rank = max([self.source.shape.rank or 0, *(np.ndim(v) for v in fixed.values())])

        def evaluate(points: np.ndarray) -> np.ndarray:
            known = {**fixed, id(self.source): points.reshape(*points.shape, *_ones(points, rank))}
            with np.errstate(all="ignore"):
                for op in self.region:
                    values = [known[id(t)] for t in operands(op, self.meaning) or ()]
                    known[id(op.outputs[0])] = self.meaning[op.type](*values, *_slope(op))
            return np.asarray(known[id(self.output)], "float64")

        return evaluate

    def replayed(self, replacement: Any) -> Any:
        """`output` computed anew in the graph, with another tensor in the place of `source`."""
        made = {id(self.source): replacement}
        for op in self.region:
            inputs = [made.get(id(t), t) for t in operands(op, self.meaning) or ()]
            made[id(op.outputs[0])] = _again(op, inputs)
        return made[id(self.output)]


def _again(op: Any, inputs: Sequence[Any]) -> Any:
    """The result of the same op for other operands."""
    if op.type in ("Max", "Min"):
        return functools.reduce(tf.maximum if op.type == "Max" else tf.minimum, inputs)
    attributes = {k: v for k, v in op.node_def.attr.items() if not k.startswith("_")}
    dtypes = [t.dtype for t in op.outputs]
    return op.graph.create_op(op.type, list(inputs), dtypes, attrs=attributes).outputs[0]


def _ones(points: np.ndarray, rank: int) -> tuple[int, ...]:
    return (1,) * (rank + 1 - points.ndim)


def _slope(op: Any) -> tuple[float, ...]:
    return (op.get_attr("alpha"),) if op.type == "LeakyRelu" else ()


class Pieces:
    """The element-wise pieces of a graph.

    Args:
        graph: The graph.
        roots: Tensors at which a piece may begin but not go on to what lies before them.
        meaning: The element-wise ops, by their type, and what they compute.
    """

    def __init__(
        self, graph: Any, roots: Sequence[Any] = (), meaning: Mapping[str, Any] = MEANING
    ) -> None:
        self._meaning = meaning
        self._roots = {id(tensor) for tensor in roots}
        self._captured = {id(tensor) for tensor in getattr(graph, "internal_captures", ())}
        self._constants: dict[int, Any] = {}
        self._dominators: dict[int, tuple[Any, ...]] = {}
        self._depths: dict[int, int] = {}
        self._fixed: set[int] = set()
        for op in graph.get_operations():
            self._enter(op)

    def _enter(self, op: Any) -> None:
        combined = operands(op, self._meaning)
        if combined is None or id(op.outputs[0]) in self._roots:
            return
        unknown = self.unknown(op)
        depth = 1 + max((self._depths.get(id(t), 0) for t in combined), default=0)
        if depth <= DEPTH:
            output = op.outputs[0]
            self._depths[id(output)] = depth
            chains = [(t, *self._dominators.get(id(t), ())) for t in unknown]
            self._dominators[id(output)] = _common(chains)[:DOMINATORS]
            if not unknown:
                self._fixed.add(id(output))

    def holds(self, tensor: Any) -> bool:
        """Whether the tensor is the result of an element-wise op."""
        return id(tensor) in self._depths

    def dominators(self, tensor: Any) -> tuple[Any, ...]:
        """The tensors of which it is an element-wise function, the nearest first."""
        return self._dominators.get(id(tensor), ())

    def unknown(self, op: Any) -> list[Any]:
        """The different operands that are neither constants nor weights."""
        combined = {id(t): t for t in operands(op, self._meaning) or ()}
        return [t for t in combined.values() if not self._is_fixed(t)]

    def piece(self, output: Any, source: Any) -> Piece:
        """What leads from `source`, one of the dominators of `output`, to it."""
        found: dict[int, Any] = {}
        self._collect(output, source, found)
        region = list(found.values())
        leaves = {id(t): t for op in region for t in operands(op, self._meaning) or ()}
        fixed = {
            key: self._constant(t)
            for key, t in leaves.items()
            if t is not source and id(t.op) not in found
        }
        return Piece(source, output, region, fixed, self._meaning)

    def _collect(self, tensor: Any, source: Any, found: dict[int, Any]) -> None:
        if tensor is source or not self.holds(tensor) or id(tensor.op) in found:
            return
        for operand in operands(tensor.op, self._meaning) or ():
            self._collect(operand, source, found)
        found[id(tensor.op)] = tensor.op

    def _is_fixed(self, tensor: Any) -> bool:
        if id(tensor) in self._roots:
            return False
        if self.holds(tensor):
            return id(tensor) in self._fixed
        return self._constant(tensor) is not None or self._is_weight(tensor)

    def _constant(self, tensor: Any) -> Any:
        if id(tensor) not in self._constants:
            self._constants[id(tensor)] = self._find_constant(tensor)
        return self._constants[id(tensor)]

    def _find_constant(self, tensor: Any) -> Any:
        if tensor.op.type in ("ZerosLike", "OnesLike"):
            return np.float64(tensor.op.type == "OnesLike")
        if tensor.op.type in FILLED:
            filling = self._constant(tensor.op.inputs[FILLED[tensor.op.type]])
            if filling is not None and filling.size == 1:
                return np.float64(filling.reshape(()))
        value = tf.get_static_value(tensor)
        if value is None or not (tensor.dtype.is_floating or tensor.dtype == tf.bool):
            return None
        array = np.asarray(value, bool if tensor.dtype == tf.bool else "float64")
        if array.size and (array == array.flat[0]).all():
            return array.reshape(-1)[0]
        return array if array.size <= LARGEST else None

    def _is_weight(self, tensor: Any) -> bool:
        if not tensor.dtype.is_floating or id(tensor) in self._roots:
            return False
        op = tensor.op
        if op.type in ("ReadVariableOp", "Const") or id(tensor) in self._captured:
            return True
        return op.type in FILLED and self._is_weight(op.inputs[FILLED[op.type]])


def _common(chains: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """What all the chains share, in their order."""
    if not chains:
        return ()
    shared = set.intersection(*({id(t) for t in chain} for chain in chains))
    return tuple(t for t in chains[0] if id(t) in shared)


def operands(op: Any, meaning: Mapping[str, Any] = MEANING) -> Sequence[Any] | None:
    """The tensors that an element-wise op combines; None for any other op."""
    if op.type in ("Max", "Min"):
        return _stacked(op)
    if op.type not in meaning:
        return None
    if not (op.outputs[0].dtype.is_floating or op.outputs[0].dtype == tf.bool):
        return None
    if op.type == "StopGradient" and op.inputs[0].op.type != "Cast":
        return None
    if op.type == "Cast" and not _keeps_reals(op):
        return None
    return op.inputs


def bends(op: Any) -> bool:
    """Whether the result may change its slope from one number to the next."""
    return op.type in BENDS or (op.type == "Sqrt" and op.inputs[0].op.type == "Square")


def _keeps_reals(cast: Any) -> bool:
    before, after = cast.inputs[0].dtype, cast.outputs[0].dtype
    return (before.is_floating or before == tf.bool) and after.is_floating


def _stacked(reduction: Any) -> Sequence[Any] | None:
    """The parts of a stack whose own axis is reduced, so that they are compared one by one."""
    stack, axes = reduction.inputs
    axis = tf.get_static_value(axes)
    if stack.op.type != "Pack" or axis is None or stack.shape.rank is None:
        return None
    own = stack.op.get_attr("axis") % stack.shape.rank
    reduced = [a % stack.shape.rank for a in np.ravel(axis)]
    return stack.op.inputs if reduced == [own] and not reduction.get_attr("keep_dims") else None
