"""Operations that move elements: slices, joins, transpositions, padding, looking up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasviz.probe.backend import extent_windows
from kerasviz.probe.backend.extent_given import (
    Given,
    NotFollowedError,
    broadcast,
    data_of,
    value_of,
)
from kerasviz.probe.backend.extents import Extents, joined


def transposed(op: Any, given: Given) -> Extents:
    return data_of(op, given).transposed([int(axis) for axis in value_of(op.inputs[1])])


def expanded(op: Any, given: Given) -> Extents:
    return data_of(op, given).expanded(int(value_of(op.inputs[1]).ravel()[0]))


def squeezed(op: Any, given: Given) -> Extents:
    extents = data_of(op, given)
    axes = op.get_attr("squeeze_dims") or [a for a, n in enumerate(extents.shape) if n == 1]
    return extents.squeezed(axes)


def reshaped(op: Any, given: Given) -> Extents:
    return data_of(op, given).reshaped(tuple(op.outputs[0].shape))


def sliced(op: Any, given: Given) -> Extents:
    extents, begins = data_of(op, given), value_of(op.inputs[1])
    for axis, size in enumerate(op.outputs[0].shape):
        extents = extents.taken(axis, np.arange(begins[axis], begins[axis] + size))
    return extents


def strided(op: Any, given: Given) -> Extents:
    """`x[…]` with slices, whole numbers, `None` and an ellipsis."""
    extents = data_of(op, given)
    begins, ends, strides = (value_of(tensor).ravel() for tensor in op.inputs[1:4])
    masks = {
        name: op.get_attr(f"{name}_mask")
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    place, numbers = 0, []
    for index in range(len(begins)):
        bits = {name: bool(mask >> index & 1) for name, mask in masks.items()}
        if bits["ellipsis"]:
            rest = range(index + 1, len(begins))
            later = sum(not masks["new_axis"] >> i & 1 for i in rest)
            place = extents.rank - later
        elif bits["new_axis"]:
            extents = extents.expanded(place)
            place += 1
        else:
            first, last = int(begins[index]), int(ends[index])
            chosen = slice(
                None if bits["begin"] else first,
                None if bits["end"] else last,
                int(strides[index]),
            )
            whole = np.arange(extents.shape[place])
            one = bits["shrink_axis"]
            extents = extents.taken(place, whole[[first]] if one else whole[chosen])
            numbers += [place] if one else []
            place += 1
    return extents.squeezed(numbers) if numbers else extents


def concatenated(op: Any, given: Given) -> Extents:
    axis = int(value_of(op.inputs[-1]))
    parts = zip(given[:-1], op.inputs[:-1], strict=True)
    return joined([e or Extents.blind(tuple(tensor.shape)) for e, tensor in parts], axis)


def stacked(op: Any, given: Given) -> Extents:
    axis = op.get_attr("axis")
    parts = zip(given, op.inputs, strict=True)
    whole = [(e or Extents.blind(tuple(tensor.shape))).expanded(axis) for e, tensor in parts]
    return joined(whole, axis)


def unstacked(op: Any, given: Given) -> list[Extents]:
    extents, axis = data_of(op, given), op.get_attr("axis")
    axis %= extents.rank
    places = range(extents.shape[axis])
    return [extents.taken(axis, np.array([place])).squeezed([axis]) for place in places]


def split(op: Any, given: Given) -> list[Extents]:
    data, place = (1, 0) if op.type == "Split" else (0, 2)
    extents, axis = data_of(op, given, data), int(value_of(op.inputs[place]))
    found, start = [], 0
    for tensor in op.outputs:
        size = tensor.shape[axis]
        found.append(extents.taken(axis % extents.rank, np.arange(start, start + size)))
        start += size
    return found


def looked_up(op: Any, given: Given) -> Extents | None:
    """Rows of a table by numbers from the input (an embedding), or entries of the input."""
    table, numbers = given[0], given[1]
    if table is None and numbers is not None:
        return broadcast(_with_axes(numbers, op), tuple(op.outputs[0].shape))
    if numbers is not None or table is None or op.get_attr("batch_dims"):
        return None
    axis = int(value_of(op.inputs[2])) % table.rank
    places = value_of(op.inputs[1])
    taken = table.taken(axis, places.ravel() % table.shape[axis])
    return taken.reshaped(tuple(op.outputs[0].shape))


def _with_axes(numbers: Extents, op: Any) -> Extents:
    axis = int(value_of(op.inputs[2])) if len(op.inputs) > 2 else 0
    if axis or op.get_attr("batch_dims"):
        raise NotFollowedError(
            f"the operation {op.type} looks up along another axis than the first"
        )
    while numbers.rank < op.outputs[0].shape.rank:
        numbers = numbers.expanded(numbers.rank)
    return numbers


def one_hot(op: Any, given: Given) -> Extents:
    extents, axis = data_of(op, given), op.get_attr("axis")
    return extents.expanded(axis, op.outputs[0].shape[axis])


def flipped(op: Any, given: Given) -> Extents:
    extents = data_of(op, given)
    for axis in value_of(op.inputs[1]).ravel():
        place = int(axis) % extents.rank
        extents = extents.taken(place, np.arange(extents.shape[place])[::-1])
    return extents


def rolled(op: Any, given: Given) -> Extents:
    extents = data_of(op, given)
    shifts, axes = (value_of(tensor).ravel() for tensor in op.inputs[1:3])
    for shift, axis in zip(shifts, axes, strict=True):
        place = int(axis) % extents.rank
        places = np.roll(np.arange(extents.shape[place]), int(shift))
        extents = extents.taken(place, places)
    return extents


def tiled(op: Any, given: Given) -> Extents:
    extents = data_of(op, given)
    for axis, times in enumerate(value_of(op.inputs[1])):
        places = np.tile(np.arange(extents.shape[axis]), int(times))
        extents = extents.taken(axis, places) if times != 1 else extents
    return extents


def padded(op: Any, given: Given) -> Extents:
    extents = data_of(op, given)
    mode = op.get_attr("mode").decode() if op.type == "MirrorPad" else ""
    for axis, (before, after) in enumerate(value_of(op.inputs[1])):
        if before or after:
            extents = extent_windows.padded(extents, axis, int(before), int(after), mode)
    return extents


def interleaved(op: Any, given: Given) -> Extents:
    """`SpaceToBatchND`: positions at a distance come to lie together, in more samples."""
    extents, blocks = data_of(op, given), [int(block) for block in value_of(op.inputs[1])]
    for place, (before, after) in enumerate(value_of(op.inputs[2])):
        if before or after:
            extents = extent_windows.padded(extents, place + 1, int(before), int(after))
    shape, inner = [extents.shape[0]], []
    for place, block in enumerate(blocks):
        shape += [extents.shape[place + 1] // block, block]
        inner.append(2 * place + 2)
    rest = extents.shape[len(blocks) + 1 :]
    outer = [2 * place + 1 for place in range(len(blocks))]
    last = [2 * len(blocks) + 1 + place for place in range(len(rest))]
    split = extents.reshaped([*shape, *rest]).transposed([*inner, 0, *outer, *last])
    return split.reshaped(tuple(op.outputs[0].shape))


def put_together(op: Any, given: Given) -> Extents:
    """`BatchToSpaceND`, which undoes it."""
    extents, blocks = data_of(op, given), [int(block) for block in value_of(op.inputs[1])]
    count, samples = len(blocks), extents.shape[0] // math.prod(blocks)
    split = extents.reshaped([*blocks, samples, *extents.shape[1:]])
    order = [count]
    for place in range(count):
        order += [count + 1 + place, place]
    order += range(2 * count + 1, split.rank)
    sizes = [size * block for size, block in zip(extents.shape[1:], blocks, strict=False)]
    whole = split.transposed(order).reshaped([samples, *sizes, *extents.shape[count + 1 :]])
    for place, (before, after) in enumerate(value_of(op.inputs[2])):
        whole = whole.taken(place + 1, np.arange(before, sizes[place] - after))
    return whole


def depth_to_space(op: Any, given: Given) -> Extents | None:
    extents, block = data_of(op, given), op.get_attr("block_size")
    if op.get_attr("data_format") != b"NHWC":
        return None
    batch, height, width, channels = extents.shape
    if op.type == "SpaceToDepth":
        split = extents.reshaped([batch, height // block, block, width // block, block, channels])
        return split.transposed([0, 1, 3, 2, 4, 5]).reshaped(tuple(op.outputs[0].shape))
    split = extents.reshaped([batch, height, width, block, block, channels // block**2])
    return split.transposed([0, 1, 3, 2, 4, 5]).reshaped(tuple(op.outputs[0].shape))
