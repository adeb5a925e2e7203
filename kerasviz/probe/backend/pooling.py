"""Find "global average pooling, then one dense layer" at the end of a traced model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_VIEWS = {"Identity", "Cast", "Reshape", "Squeeze", "ExpandDims"}
_LINEAR = {"BiasAdd", "AddV2", "Add"}
_PRODUCTS = {"MatMul", "Conv2D"}


def pooled_head(logits: Any) -> tuple[Any, Any] | str:
    """(feature maps, their pooled means) of a head, or a text that says what stands in the way."""
    op = _through_views(logits).op
    product = 0
    while op.type in _LINEAR | _PRODUCTS | _VIEWS:
        if op.type in _PRODUCTS:
            product += 1
            if product > 1:
                return "a head of two or more dense layers"
            if op.type == "Conv2D" and tuple(op.inputs[1].shape[:2]) != (1, 1):
                return "a convolution without global average pooling after it"
        op = _through_views(op.inputs[0]).op
    if op.type == "Mean":
        return _global_mean(op)
    return f"'{op.type}' where the pooling should be"


def _global_mean(op: Any) -> tuple[Any, Any] | str:
    features = op.inputs[0]
    axes = tf.get_static_value(op.inputs[1])
    rank = len(features.shape)
    if axes is None or rank < 3:
        return "a mean over unknown axes"
    reduced = {int(axis) % rank for axis in axes.ravel()}
    if len(reduced) != rank - 2 or 0 in reduced:
        return f"a mean over axes {sorted(reduced)} of {rank}"
    return features, op.outputs[0]


def is_view(tensor: Any, source: Any) -> bool:
    """Whether `tensor` is `source`, give or take casts and identities."""
    if not tf.is_tensor(source):
        return False
    while tensor is not source and tensor.op.type in ("Identity", "Cast"):
        tensor = tensor.op.inputs[0]
    return tensor is source


def _through_views(tensor: Any) -> Any:
    while tensor.op.type in _VIEWS:
        tensor = tensor.op.inputs[0]
    return tensor
