"""Units of a layer that serve a gate alone, where the layer's other units serve something else.

A gated linear unit is often one dense layer or convolution whose output is cut in two: a · σ(b).
No weight tensor then belongs to the gate as a whole, but the columns that compute b do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasviz.probe.backend import graph

READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
CUTS = {"Split", "SplitV", "Slice", "StridedSlice"}
MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
SAME = {"Identity", "Cast"}
UNITWISE = SAME | {"Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus"}
SHAPED = {"Reshape", "ExpandDims", "Squeeze"}
SUMS = {"Add", "AddV2", "BiasAdd", "Sub", "FusedBatchNormV3"}
PRODUCTS = {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}
PRODUCTS |= {"Conv2D", "Conv3D"}


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Some entries of the last axis of a variable.

    Attributes:
        handle: Of the variable.
        units: Which entries, ascending.
    """

    handle: Any
    units: tuple[int, ...]


def own_parts(region: Sequence[Any], relevant: Collection[int]) -> list[Part]:
    """The units that are used for nothing but a gate.

    Args:
        region: The ops from which every path to the outputs passes the gate.
        relevant: The ops, by `id`, that lead to an output.
    """
    found = []
    for piece in _pieces(region, relevant):
        source = _source(piece.op)
        for axis in {(source.shape.rank or 1) - 1, 1}:
            units = _units(piece, source, axis)
            if units and _are_apart(piece, units, source, axis, relevant):
                handles = _handles(source, axis, relevant)
                found += [Part(handle, units) for handle in handles]
    return found


def _pieces(region: Sequence[Any], relevant: Collection[int]) -> Iterator[Any]:
    """What was cut out of other tensors and is used inside of the region only."""
    inside = {id(op) for op in region}
    tensors = {id(x): x for op in region for x in (*op.outputs, *op.inputs)}
    for tensor in tensors.values():
        if tensor.op.type in CUTS and id(_source(tensor.op).op) not in inside:
            users = _users(tensor, relevant)
            if users and all(id(user) in inside for user in users):
                yield tensor


def _source(op: Any) -> Any:
    return op.inputs[1 if op.type == "Split" else 0]


def _users(tensor: Any, relevant: Collection[int]) -> list[Any]:
    return [
        user
        for user in tensor.consumers()
        if id(user) in relevant and user.type not in graph.COUNTS
    ]


def _units(piece: Any, source: Any, axis: int) -> tuple[int, ...]:
    """Which entries of an axis a cut takes, all of them or none along other axes; () if unclear."""
    size = None if source.shape.rank is None else source.shape[axis]
    if size is None or piece.shape.rank != source.shape.rank:
        return ()
    shape = [1] * source.shape.rank
    shape[axis] = size
    try:
        with tf.init_scope():
            taken = _cut(piece, np.arange(size).reshape(shape), axis)
    except (ValueError, tf.errors.InvalidArgumentError):
        return ()
    return () if len(taken) == size else tuple(sorted(taken))


def _cut(piece: Any, numbers: np.ndarray, axis: int) -> list[int]:
    """The same cut of an array of numbers that is one long along all other axes."""
    op = piece.op
    settings = [tf.get_static_value(x) for x in op.inputs if x is not _source(op)]
    if any(one is None for one in settings):
        return []
    if op.type == "Slice":
        start = int(settings[0][axis])
        return list(range(start, start + (piece.shape[axis] or 0)))
    if op.type == "StridedSlice":
        masks = {name: op.get_attr(name) for name in MASKS}
        begin, end, strides = settings
        found = tf.raw_ops.StridedSlice(
            input=numbers, begin=begin, end=end, strides=strides, **masks
        )
    else:
        count_or_sizes = len(op.outputs) if op.type == "Split" else settings[0]
        where = int(settings[0] if op.type == "Split" else settings[1])
        place = next(place for place, x in enumerate(op.outputs) if x is piece)
        found = tf.split(numbers, count_or_sizes, where)[place]
    return [int(one) for one in found.numpy().reshape(-1)]


def _are_apart(
    piece: Any, units: Sequence[int], source: Any, axis: int, relevant: Collection[int]
) -> bool:
    """Whether all else that is made of the source is cut from other units of it."""
    for user in _users(source, relevant):
        if user.type not in CUTS:
            return False
        for other in user.outputs:
            if other is not piece and _users(other, relevant):
                others = _units(other, source, axis)
                if not others or set(others) & set(units):
                    return False
    return True


def _handles(tensor: Any, axis: int, relevant: Collection[int]) -> list[Any]:
    """Handles of the variables whose last axis counts the units along this axis of a tensor.

    Walks up as long as each unit stays on its own and serves nothing else.
    """
    op, size = tensor.op, tensor.shape[axis]
    is_last = axis == tensor.shape.rank - 1
    if op.type == "Transpose":
        order = tf.get_static_value(op.inputs[1])
        return [] if order is None else _above(op.inputs[0], int(order[axis]), relevant)
    if op.type in UNITWISE:
        return _above(op.inputs[0], axis, relevant)
    if op.type in SHAPED:
        above = op.inputs[0]
        stays = is_last and above.shape.rank and above.shape[-1] == size
        return _above(above, above.shape.rank - 1, relevant) if stays else []
    if op.type in SUMS:
        found = []
        for x in op.inputs:
            handle = _read(x, size)
            deeper = x.shape.rank == tensor.shape.rank and handle is None
            found += [handle] if handle is not None else []
            found += _above(x, axis, relevant) if deeper else []
        return found
    if op.type in PRODUCTS and axis == _unit_axis(op):
        handle = _read(op.inputs[1], size)
        return [] if handle is None else [handle]
    return []


def _above(tensor: Any, axis: int, relevant: Collection[int]) -> list[Any]:
    return _handles(tensor, axis, relevant) if len(_users(tensor, relevant)) == 1 else []


def _unit_axis(op: Any) -> int | None:
    """The axis of a product's result that counts the last axis of its second factor."""
    rank = op.outputs[0].shape.rank
    if "Conv" in op.type:
        return 1 if op.get_attr("data_format").decode().startswith("NC") else rank - 1
    if op.type == "Einsum":
        factors, result = op.get_attr("equation").decode().split("->")
        return rank - 1 if result[-1:] == factors.split(",")[1][-1:] else None
    turned = any(op.get_attr(name) for name in ("transpose_b", "adj_y") if name in op.node_def.attr)
    return None if turned else rank - 1


def _read(tensor: Any, size: int | None) -> Any:
    """The variable that a tensor is read from, as it is or flattened; None if it is none."""
    while tensor.op.type in SAME | SHAPED:
        tensor = tensor.op.inputs[0]
    is_read = tensor.op.type in READS and tensor.shape.rank and tensor.shape[-1] == size
    return tensor.op.inputs[0] if is_read else None
