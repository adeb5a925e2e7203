"""Scores before the softmax or sigmoid, found in the traced graph however the model spells them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasviz.probe.backend import graph

SQUASHING = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}
Axis = int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """One output of a model.

    Attributes:
        output: What the model returns.
        linear: The same before its final softmax or sigmoid; `output` itself where it has none.
        squashing: "softmax", "log-softmax", "sigmoid", or "" when there is none.
        axis: The axis of `linear` that counts the units; None where it has one unit and no axis
            for it, as (batch,) and a squeezed (batch, height, width).
        is_grouped: Whether several softmaxes lie side by side, so that the largest of `linear`
            need not be the largest of `output`.
        fault: What the output is, where it is nothing that can be explained; else "".
    """

    output: Any
    linear: Any
    squashing: str = ""
    axis: Axis = None
    is_grouped: bool = False
    fault: str = ""

    @property
    def units(self) -> int | None:
        """Number of units (None when the model leaves it open)."""
        return 1 if self.axis is None else self.linear.shape[self.axis]

    @property
    def is_binary(self) -> bool:
        """One sigmoid unit, which stands for two classes."""
        return self.squashing == "sigmoid" and self.units == 1

    @property
    def classes(self) -> int | None:
        """Number of classes that a target may name (None when the model leaves it open)."""
        return 2 if self.is_binary else self.units

    @property
    def positions(self) -> tuple[int | None, ...]:
        """Sizes of the axes between batch and units, such as height and width."""
        sizes = enumerate(self.linear.shape)
        return tuple(size for axis, size in sizes if axis not in (0, self.axis))


def in_this_graph(output: Any) -> Any:
    """An output of the model as a tensor of the open graph; what is no tensor, as it is."""
    if not isinstance(output, (tf.Tensor, tf.Variable)) and not isinstance(output, keras.Variable):
        return output
    tensor = tf.convert_to_tensor(output)
    return tensor if graph.is_here(tensor) else tf.identity(tensor)


def is_head(output: Any) -> bool:
    """Whether an output can be explained: a plain tensor of real numbers."""
    return graph.is_here(output) and (output.dtype.is_floating or output.dtype.is_integer)


def head(output: Any, unit_axis: Callable[[int], int]) -> Head:
    """The head that ends in `output`, with its squashing function looked through.

    Args:
        output: A tensor of the open graph that the model returned.
        unit_axis: The axis of the units of an output of that rank, where the graph does not say.
    """
    fault = _fault(output)
    if fault:
        return Head(output, output, fault=fault)
    walk = _Walk(unit_axis)
    found = walk.before(output)
    if found is None:
        return Head(output, output, "", walk.axis(output))
    return Head(output, found.linear, found.squashing, found.axis, found.is_grouped)


def _fault(output: Any) -> str:
    if not isinstance(output, tf.Tensor):
        return "None" if output is None else f"{output!r} (of type {type(output).__name__})"
    if not (output.dtype.is_floating or output.dtype.is_integer):
        return f"a tensor of dtype {output.dtype.name}"
    if output.shape.rank is None:
        return "a tensor of unknown rank"
    if output.shape.rank == 0 or 0 in output.shape[1:]:
        return f"a tensor of shape {tuple(output.shape)}"
    return ""


@dataclasses.dataclass(frozen=True, eq=False)
class _Before:
    linear: Any
    squashing: str
    axis: Axis
    is_grouped: bool = False


class _Walk:
    """From an output back through what only moves values around.

    Args:
        unit_axis: The axis of the units of a tensor of that rank, where the graph does not say.
    """

    def __init__(self, unit_axis: Callable[[int], int]) -> None:
        self._unit_axis = unit_axis

    def before(self, tensor: Any) -> _Before | None:
        """The tensor before the squashing function, with the moves applied to it again."""
        op = tensor.op
        if any(x.shape.rank is None for x in op.inputs):
            return None
        if op.type in SQUASHING:
            linear, squashing = op.inputs[0], SQUASHING[op.type]
            last = linear.shape.rank - 1
            return _Before(linear, squashing, self.axis(linear) if squashing == "sigmoid" else last)
        if op.type in _MOVES and tensor.dtype.is_floating:
            return self._moved(op)
        if op.type in ("Pack", "ConcatV2"):
            return self._joined(op)
        return None

    def axis(self, tensor: Any) -> Axis:
        """The axis of `tensor` that counts the units of the convolution or matrix it came from."""
        op, rank = tensor.op, tensor.shape.rank
        if rank <= 2:
            return rank - 1 or None
        if _layout(op):
            return 1 if _layout(op).startswith("NC") else rank - 1
        if op.type in _MATRIX:
            return int(rank - 1)
        if op.type in _MOVES and op.inputs[0].shape.rank:
            return self._placed(op, self.axis(op.inputs[0]))
        same = [x for x in op.inputs if x.shape.rank == rank] if op.type in _POINTWISE else []
        return self.axis(same[0]) if same else self._unit_axis(rank)

    def _moved(self, op: Any) -> _Before | None:
        found = self.before(op.inputs[0])
        if found is None:
            return None
        linear = _MOVES[op.type](op, found.linear)
        return dataclasses.replace(found, linear=linear, axis=self._placed(op, found.axis))

    def _placed(self, op: Any, axis: Axis) -> Axis:
        """The axis of the units after a move; the usual one where they are no axis any more."""
        before, rank = op.inputs[0].shape, op.outputs[0].shape.rank
        if rank <= 2:
            return rank - 1 or None
        place = _after(op, axis)
        is_one = axis is None or before[axis] == 1
        return place if place is not None or is_one else self._unit_axis(rank)

    def _joined(self, op: Any) -> _Before | None:
        is_pack = op.type == "Pack"
        parts = [self.before(x) for x in (op.inputs if is_pack else list(op.inputs)[:-1])]
        where = op.get_attr("axis") if is_pack else _constant(op.inputs[-1])
        found = [part for part in parts if part]
        alike = {(part.squashing, part.axis) for part in found}
        if len(alike) != 1 or len(found) < len(parts) or where is None:
            return None
        where = int(where) % op.outputs[0].shape.rank
        joined = (tf.stack if is_pack else tf.concat)([part.linear for part in found], where)
        squashing, axis = alike.pop()
        if is_pack:
            axis = where if axis is None else _shifted(axis, where)
        beside = not is_pack and where == axis and squashing != "sigmoid"
        grouped = beside or any(part.is_grouped for part in found)
        return _Before(joined, squashing, 1 if joined.shape.rank == 2 else axis, grouped)


_MOVES = {
    "Identity": lambda op, x: tf.identity(x),
    "Cast": lambda op, x: tf.cast(x, op.outputs[0].dtype),
    "Reshape": lambda op, x: tf.reshape(x, op.inputs[1]),
    "Transpose": lambda op, x: tf.transpose(x, op.inputs[1]),
    "Squeeze": lambda op, x: tf.squeeze(x, op.get_attr("squeeze_dims")),
    "ExpandDims": lambda op, x: tf.expand_dims(x, op.inputs[1]),
}
_MATRIX = {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}
_POINTWISE = {"Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "Neg"}
_POINTWISE |= {"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Softplus", "Tanh", "Sigmoid", "Exp"}
_POINTWISE |= {"StridedSlice", "Pad", "PadV2", "MirrorPad", "Tile", "StopGradient"}
_POINTWISE |= {"ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ClipByValue"}


def _layout(op: Any) -> str:
    """How a convolution (or a bias on 4 axes and more) lays out its axes, such as "NHWC"."""
    known = "Conv" in op.type or op.type == "BiasAdd"
    return (
        op.get_attr("data_format").decode() if known and "data_format" in op.node_def.attr else ""
    )


def _after(op: Any, axis: Axis) -> Axis:
    """Where a move puts an axis of its input; None where it is no axis any more."""
    before, after = list(op.inputs[0].shape), list(op.outputs[0].shape)
    if op.type in ("Identity", "Cast"):
        return axis
    if axis is None:
        return len(after) - 1 if op.type in ("Reshape", "ExpandDims") and after[-1] == 1 else None
    if op.type == "Squeeze":
        squeezed = op.get_attr("squeeze_dims") or [i for i, size in enumerate(before) if size == 1]
        gone = {place % len(before) for place in squeezed}
        return None if axis in gone else axis - sum(place < axis for place in gone)
    if op.type == "Reshape":
        return _reshaped(before, after, axis)
    places = _constant(op.inputs[1])
    if places is None:
        return None
    if op.type == "Transpose":
        return list(places).index(axis)
    return _shifted(axis, int(places) % len(after))


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Sub": np.subtract,
    "Range": np.arange,
    "Pack": lambda *parts: np.stack(parts),
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1], parts[-1]),
}


def _constant(tensor: Any) -> Any:
    """The value of a tensor of axes that does not depend on data; None where it does."""
    value = tf.get_static_value(tensor)
    if value is not None or tensor.op.type not in _ARITHMETIC:
        return value
    inputs = [_constant(x) for x in tensor.op.inputs]
    return None if any(x is None for x in inputs) else _ARITHMETIC[tensor.op.type](*inputs)


def _shifted(axis: int, place: int) -> int:
    """Where an axis is once a new one was put in at `place`."""
    return axis if axis < place else axis + 1


def _reshaped(before: Sequence[Any], after: Sequence[Any], axis: int) -> Axis:
    """The axis of `after` with the size of `axis` and as many values behind it."""
    for place in range(len(after) - 1, 0, -1):
        behind = _count(after[place + 1 :])
        if after[place] == before[axis] and behind == _count(before[axis + 1 :]):
            return place
    return None


def _count(sizes: Sequence[Any]) -> int | None:
    return None if None in sizes else math.prod(sizes)
