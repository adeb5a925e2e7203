"""Operations that make an element of several: windows, products, sums, softmax."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kerasviz.probe.backend import constants, convolutions, extent_windows
from kerasviz.probe.backend.extent_given import (
    Given,
    NotFollowedError,
    broadcast,
    data_of,
    value_of,
)
from kerasviz.probe.backend.extents import Extents, hull

MASKED = -1e4


def reduced(op: Any, given: Given) -> Extents:
    axes = [int(axis) for axis in value_of(op.inputs[1]).ravel()]
    keep = "keep_dims" in op.node_def.attr and op.get_attr("keep_dims")
    return data_of(op, given).reduced(axes, bool(keep)) if axes else data_of(op, given)


def along_last(op: Any, given: Given) -> Extents:
    """Each element depends on all along the last axis; what a fixed mask rules out is zero."""
    extents = data_of(op, given)
    mask = _mask(op.inputs[0]) if op.type == "Softmax" else None
    if mask is None:
        return hull(extents, extents.reduced([-1], keep=True))
    zero = np.broadcast_to(mask, extents.shape)
    left = dataclasses.replace(extents, ends=np.where(zero, math.inf, extents.ends))
    whole = hull(left, left.reduced([-1], keep=True))
    return dataclasses.replace(whole, ends=np.where(zero, math.inf, whole.ends), zero=zero)


def _mask(scores: Any) -> np.ndarray | None:
    """Which scores a constant rules out, as in causal attention; None for none."""
    op = scores.op
    found: Any = False
    if op.type == "SelectV2":
        chosen = constants.computed(op.inputs[0])
        if chosen is None:
            return None
        for side, taken in zip(op.inputs[1:], (chosen, ~chosen), strict=True):
            found = found | (taken & (_shift(side) < MASKED))
    else:
        found = _shift(scores) < MASKED
    return np.asarray(found) if np.any(found) else None


def _shift(tensor: Any) -> np.ndarray:
    """What is added to what depends on the input; all of a tensor that does not; else 0."""
    known = constants.computed(tensor)
    if known is not None:
        return known
    if tensor.op.type not in ("AddV2", "Sub"):
        return np.zeros(())
    first, second = (constants.computed(part) for part in tensor.op.inputs)
    if second is not None:
        return -second if tensor.op.type == "Sub" else second
    return np.zeros(()) if first is None else first


def multiplied(op: Any, given: Given) -> Extents:
    """Matrix products, of batches too."""
    if any(extents is not None and extents.zero is not None for extents in given):
        return _weighted(*_product_letters(op), given, op)
    sides = []
    for place, flipped in enumerate(_flipped(op)):
        if (extents := given[place]) is not None:
            contracted = -1 if flipped == bool(place) else -2
            one = extents.reduced([contracted])
            sides.append(one.expanded(one.rank if place == 0 else one.rank - 1))
    return broadcast(hull(*sides), tuple(op.outputs[0].shape))


def _product_letters(op: Any) -> tuple[list[str], str]:
    """The axes of a matrix product's inputs and of its result, as in an equation of `einsum`."""
    ranks = [tensor.shape.rank - 2 for tensor in op.inputs]
    batch = "abcdefgh"[: max(ranks)]
    names = [
        batch[len(batch) - rank :] + (letters[::-1] if flipped else letters)
        for rank, letters, flipped in zip(ranks, ("yz", "zx"), _flipped(op), strict=True)
    ]
    return names, f"{batch}yx"


def _flipped(op: Any) -> list[bool]:
    """Whether a matrix product takes its first input transposed, and its second one."""
    sides = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))
    return [any(n in op.node_def.attr and op.get_attr(n) for n in names) for names in sides]


def summed(op: Any, given: Given) -> Extents | None:
    """`einsum`: letters of the equation name the axes."""
    terms, _, result = op.get_attr("equation").decode().replace(" ", "").partition("->")
    if "." in terms:
        return None
    names = terms.split(",")
    if any(len(set(term)) < len(term) for term in names):
        return None
    if any(e is not None and e.zero is not None for e in given):
        return _weighted(names, result, given, op)
    sides = []
    for term, extents in zip(names, given, strict=True):
        if extents is None:
            continue
        gone = [axis for axis, letter in enumerate(term) if letter not in result]
        one = extents.reduced(gone) if gone else extents
        left = [letter for letter in term if letter in result]
        one = one.transposed([left.index(letter) for letter in result if letter in left])
        for axis, letter in enumerate(result):
            one = one if letter in left else one.expanded(axis)
        sides.append(one)
    return broadcast(hull(*sides), tuple(op.outputs[0].shape))


def _weighted(names: list[str], result: str, given: Given, op: Any) -> Extents:
    """A sum with weights that may be zero: what is multiplied by zero is not seen."""
    letters = result + "".join(sorted(set("".join(names)) - set(result)))
    parts, zero = [], np.zeros([1] * len(letters), bool)
    for term, extents in zip(names, given, strict=True):
        if extents is None:
            continue
        order = [term.index(letter) for letter in letters if letter in term]
        part = extents.transposed(order)
        own = part.zero
        for axis, letter in enumerate(letters):
            if letter not in term:
                part = part.expanded(axis)
                own = None if own is None else np.expand_dims(own, axis)
        zero = zero if own is None else zero | own
        parts.append(part)
    both = hull(*parts)
    ends = np.where(zero, math.inf, both.ends)
    gone = range(len(result), len(letters))
    whole = dataclasses.replace(both, ends=ends).reduced(gone)
    return broadcast(whole, tuple(op.outputs[0].shape))


def accumulated(op: Any, given: Given) -> Extents:
    extents, axis = data_of(op, given), int(value_of(op.inputs[1]))
    axis %= extents.rank
    if op.get_attr("exclusive"):
        raise NotFollowedError(f"the operation {op.type} leaves out each element itself")
    ends = extents.full([axis])
    backwards = op.get_attr("reverse")
    ends = np.flip(ends, axis + 1) if backwards else ends
    ends = np.minimum.accumulate(ends, axis + 1)
    ends = np.array(np.flip(ends, axis + 1) if backwards else ends)
    ends[2:] = -math.inf
    return Extents(ends, extents.shape, extents.steps)


def ranked(op: Any, given: Given) -> list[Extents]:
    extents = data_of(op, given)
    kept = extents.reduced([-1], keep=True)
    return [broadcast(kept, tuple(tensor.shape)) for tensor in op.outputs]


def normalized(op: Any, given: Given) -> list[Extents]:
    if op.get_attr("is_training"):
        raise NotFollowedError("batch normalization uses the statistics of the batch")
    extents = data_of(op, given)
    return [extents, *(Extents.blind(tuple(tensor.shape)) for tensor in op.outputs[1:])]


def windowed(op: Any, given: Given) -> Extents | None:
    """Convolutions, transposed ones and pooling."""
    data = 2 if op.type in convolutions.TRANSPOSED else 0
    extents = data_of(op, given, data)
    channel = convolutions.channel_axis(op)
    if "Pool" not in op.type:
        extents = _channels_mixed(op, extents, channel)
    for window in extent_windows.of(op, op.inputs[data]):
        extents = extents.read(window.axis, window.table, window.ratio, window.inside)
    return extents


def _channels_mixed(op: Any, extents: Extents, channel: int) -> Extents:
    """With the channels that the filters make: of all channels, of groups, or of one each."""
    kernel, count = op.inputs[1].shape, op.outputs[0].shape[channel]
    if not extents.varies(channel):
        shape = (*extents.shape[:channel], count, *extents.shape[channel + 1 :])
        return Extents(
            extents.ends, shape, {a: s for a, s in extents.steps.items() if a != channel}
        )
    groups = extents.shape[channel] // (1 if op.type in convolutions.DEPTHWISE else kernel[-2])
    if op.type in convolutions.TRANSPOSED or groups == 1:
        whole = extents.reduced([channel], keep=True)
        return whole.taken(channel, np.zeros(count, int))
    split = list(extents.shape)
    split[channel : channel + 1] = [groups, split[channel] // groups]
    grouped = extents.reshaped(split).reduced([channel + 1])
    return grouped.taken(channel, np.repeat(np.arange(groups), count // groups))


def resized(op: Any, given: Given) -> Extents:
    extents = data_of(op, given)
    for axis in (1, 2):
        window = extent_windows.resizing(op, axis)
        extents = extents.read(axis, window.table, window.ratio, window.inside)
    return extents
