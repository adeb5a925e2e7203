"""Scores before the softmax or sigmoid, found in the traced graph however the model spells them."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kerasviz.probe.backend import graph

SQUASHING = {"Softmax": "softmax", "LogSoftmax": "log-softmax", "Sigmoid": "sigmoid"}


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """One output of a model.

    Attributes:
        output: What the model returns.
        linear: The same before its final softmax or sigmoid; `output` itself where it has none.
        squashing: "softmax", "log-softmax", "sigmoid", or "" when there is none.
    """

    output: Any
    linear: Any
    squashing: str

    @property
    def units(self) -> int | None:
        """Number of units on the last axis (None when unknown or when there is no such axis)."""
        return self.linear.shape[-1] if len(self.linear.shape) > 1 else None

    @property
    def is_binary(self) -> bool:
        """One sigmoid unit, which stands for two classes."""
        return self.squashing == "sigmoid" and tuple(self.linear.shape[1:]) == (1,)


def in_this_graph(output: Any) -> Any:
    """An output of the model as a tensor of the open graph; what is no tensor, as it is."""
    if not isinstance(output, (tf.Tensor, tf.Variable)) and not isinstance(output, keras.Variable):
        return output
    tensor = tf.convert_to_tensor(output)
    return tensor if graph.is_here(tensor) else tf.identity(tensor)


def is_head(output: Any) -> bool:
    """Whether an output can be explained: a plain tensor of real numbers."""
    return graph.is_here(output) and (output.dtype.is_floating or output.dtype.is_integer)


def head(output: Any) -> Head:
    """The head that ends in `output`, with its squashing function looked through."""
    found = _before(output)
    if found is None:
        return Head(output, output, "")
    return Head(output, found[0], found[1])


def _before(tensor: Any) -> tuple[Any, str] | None:
    """The tensor before the squashing function, re-applying what only moves values around."""
    op = tensor.op
    if op.type in SQUASHING:
        return op.inputs[0], SQUASHING[op.type]
    if op.type in _MOVES:
        return _move(op)
    if op.type in ("Pack", "ConcatV2"):
        return _join(op)
    return None


_MOVES = {
    "Identity": lambda op, x: tf.identity(x),
    "Cast": lambda op, x: tf.cast(x, op.outputs[0].dtype),
    "Reshape": lambda op, x: tf.reshape(x, op.inputs[1]),
    "Transpose": lambda op, x: tf.transpose(x, op.inputs[1]),
    "Squeeze": lambda op, x: tf.squeeze(x, op.get_attr("squeeze_dims")),
    "ExpandDims": lambda op, x: tf.expand_dims(x, op.inputs[1]),
}


def _move(op: Any) -> tuple[Any, str] | None:
    before = _before(op.inputs[0])
    return before and (_MOVES[op.type](op, before[0]), before[1])


def _join(op: Any) -> tuple[Any, str] | None:
    parts = list(op.inputs) if op.type == "Pack" else list(op.inputs)[:-1]
    before = [_before(part) for part in parts]
    kinds = {part and part[1] for part in before}
    if len(kinds) != 1 or None in kinds:
        return None
    linear = [part[0] for part in before if part]
    joined = (
        tf.stack(linear, op.get_attr("axis"))
        if op.type == "Pack"
        else tf.concat(linear, op.inputs[-1])
    )
    return joined, kinds.pop() or ""
