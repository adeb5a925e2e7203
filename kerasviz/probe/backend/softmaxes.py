"""Find softmax(…) · values in a graph: attention, however a layer spells it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend import graph

_VIEWS = {"Cast", "Identity"}
_MASKS = {"SelectV2": 1, "Mul": 0}
_LOGITS = {"AddV2", "Add", "BiasAdd", "Cast", "Identity", "Mul", "RealDiv", "SelectV2", "Sub"}
_MATRIX_PRODUCTS = {"BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"}


@dataclasses.dataclass(frozen=True, eq=False)
class Weighting:
    """Values weighted by a softmax.

    Attributes:
        weights: The probabilities, keys on the last axis.
        order: The axes of `weights` as (batch, …heads, queries, keys).
        start: Number of the operation that made the probabilities.
        end: Number of the operation that multiplies them with the values.
        product: What that multiplication gave.
        factors: The two tensors whose product gave the logits; none where no product did.
    """

    weights: Any
    order: tuple[int, ...]
    start: int
    end: int
    product: Any
    factors: tuple[Any, ...]


def weightings(inputs: Sequence[Any]) -> list[Weighting]:
    """Every softmax of the open graph, over the last of three axes or more, whose result
    multiplies values that depend on the inputs, in the order of creation."""
    operations = tf.compat.v1.get_default_graph().get_operations()
    numbers = {id(op): number for number, op in enumerate(operations)}
    below = graph.Below(inputs, differentiable=False)
    found = []
    for number, op in enumerate(operations):
        if op.type != "Softmax" or (op.outputs[0].shape.rank or 0) < 3:
            continue
        for weights, product, order in _products(op.outputs[0], below):
            end = numbers[id(product)]
            factors = _factors(op.inputs[0])
            found.append(Weighting(weights, order, number, end, product.outputs[0], factors))
            break
    return found


def _products(weights: Any, below: graph.Below) -> Iterator[tuple[Any, Any, tuple[int, ...]]]:
    """The products with values that probabilities enter, at most cast or masked before."""
    pending = [(weights, weights)]
    while pending:
        tensor, kept = pending.pop()
        for op in tensor.consumers():
            if op.type in _VIEWS:
                pending.append((op.outputs[0], kept))
            elif op.type in _MASKS and op.inputs[_MASKS[op.type]] is tensor:
                pending.append((op.outputs[0], op.outputs[0]))
            else:
                order = _order(op, tensor, below)
                if order is not None:
                    yield kept, op, order


def _order(op: Any, weights: Any, below: graph.Below) -> tuple[int, ...] | None:
    rank = weights.shape.rank
    if op.type in _MATRIX_PRODUCTS:
        left, right = op.inputs[:2]
        is_product = left is weights and right in below and not op.get_attr("adj_x")
        return tuple(range(rank)) if is_product else None
    if op.type != "Einsum" or len(op.inputs) != 2:
        return None
    place = 0 if op.inputs[0] is weights else 1
    return _einsum_order(op, place) if op.inputs[1 - place] in below else None


def _einsum_order(op: Any, place: int) -> tuple[int, ...] | None:
    """By the labels: keys are summed over, queries are the weights' alone, heads are shared."""
    terms, result = op.get_attr("equation").decode().split("->")
    labels = terms.split(",")
    own, other = labels[place], labels[1 - place]
    if "." in terms or own[-1] in result or own[-1] not in other or own[0] not in result:
        return None
    queries = [axis for axis, label in enumerate(own[:-1]) if label not in other]
    heads = [axis for axis, label in enumerate(own[:-1]) if label in other and axis > 0]
    if len(queries) != 1 or queries[0] == 0:
        return None
    return (0, *heads, *queries, len(own) - 1)


def _factors(logits: Any) -> tuple[Any, ...]:
    """The two factors of the product that gave the logits, at most scaled, biased or masked."""
    tensor = logits
    for _ in range(16):
        op = tensor.op
        if op.type in _MATRIX_PRODUCTS or (op.type == "Einsum" and len(op.inputs) == 2):
            return tuple(op.inputs[:2])
        if op.type not in _LOGITS:
            break
        tensor = op.inputs[1 if op.type == "SelectV2" else 0]
    return ()
