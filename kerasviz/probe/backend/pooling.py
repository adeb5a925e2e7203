"""Find "global average pooling, then one dense layer" at the end of a traced model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend import graph

_VIEWS = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims"}
_LINEAR = {"BiasAdd", "AddV2", "Add"}
_PRODUCTS = {"MatMul", "Conv2D"}


@dataclasses.dataclass(frozen=True, eq=False)
class Pooled:
    """Feature maps with their means over all positions.

    Attributes:
        features: The feature maps.
        means: Their means.
        channel_axis: Channel axis of the feature maps.
    """

    features: Any
    means: Any
    channel_axis: int


def pooled_head(logits: Any, inputs: Sequence[Any]) -> Pooled | str:
    """What a head pools and multiplies once, or a text that says what stands in the way.

    Args:
        logits: What the head returns, before any softmax.
        inputs: The model's inputs: what does not depend on them is a weight.
    """
    below = graph.Below(inputs, differentiable=False)
    op = logits.op
    product = 0
    while op.type in _LINEAR | _PRODUCTS | _VIEWS:
        if op.type in _PRODUCTS:
            product += 1
            if product > 1:
                return "a head of two or more dense layers"
            if op.type == "Conv2D" and tuple(op.inputs[1].shape[:2]) != (1, 1):
                return "a convolution without global average pooling after it"
        values = [tensor for tensor in op.inputs if tensor in below and op.type not in _VIEWS]
        if len(values) > 1:
            return f"'{op.type}' of two tensors that both depend on the input, not of one head"
        op = (values or op.inputs)[0].op
    if op.type == "Mean":
        return _global_mean(op)
    return f"'{op.type}' where the pooling should be"


def _global_mean(op: Any) -> Pooled | str:
    features = op.inputs[0]
    axes = tf.get_static_value(op.inputs[1])
    rank = len(features.shape)
    if axes is None or rank < 3:
        return "a mean over unknown axes"
    reduced = {int(axis) % rank for axis in axes.ravel()}
    if len(reduced) != rank - 2 or 0 in reduced:
        return f"a mean over axes {sorted(reduced)} of {rank}"
    channel_axis = next(axis for axis in range(1, rank) if axis not in reduced)
    return Pooled(features, op.outputs[0], channel_axis)


def is_view(tensor: Any, source: Any) -> bool:
    """Whether `tensor` is `source`, give or take casts and identities."""
    if not tf.is_tensor(source):
        return False
    while tensor is not source and tensor.op.type in ("Identity", "Cast"):
        tensor = tensor.op.inputs[0]
    return tensor is source
