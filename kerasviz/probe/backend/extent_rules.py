"""What each operation of a graph does to what its elements see of an input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasviz.probe.backend import constants, convolutions, extent_windows
from kerasviz.probe.backend.extents import Extents, hull, joined

Given = list[Extents | None]
Rule = Callable[[Any, Given], "Extents | list[Extents] | None"]


class NotFollowedError(Exception):
    """An operation whose effect is not known; the message says which and why."""


def apply(op: Any, given: Given) -> list[Extents]:
    """What the outputs of an operation see.

    Args:
        op: The operation; all shapes are known.
        given: What its inputs see, None for those that do not depend on the input.

    Raises:
        NotFollowedError: The operation is not understood.
    """
    rule = RULES.get(op.type)
    if rule is None:
        raise NotFollowedError(f"the operation {op.type} is not understood")
    if op.type not in _KEEP_ZEROS and any(e is not None and e.zero is not None for e in given):
        raise NotFollowedError(
            f"the operation {op.type} after attention with a mask is not understood"
        )
    found = rule(op, given)
    if found is None:
        raise NotFollowedError(f"what the operation {op.type} takes is known only when it runs")
    return found if isinstance(found, list) else [found] * len(op.outputs)


def _value(tensor: Any) -> np.ndarray:
    found = constants.computed(tensor)
    if found is None:
        raise NotFollowedError(
            f"what the operation {tensor.op.type} gives is known only when it runs"
        )
    return found


def _combined(op: Any, given: Given) -> Extents:
    """Element by element, with broadcasting."""
    known = [extents for extents in given if extents is not None]
    found = known[0] if len(known) == 1 else hull(*known)
    return _broadcast(found, tuple(op.outputs[0].shape))


def _broadcast(extents: Extents, shape: tuple[int, ...]) -> Extents:
    return hull(extents, Extents.blind(shape)) if extents.shape != shape else extents


def _selected(op: Any, given: Given) -> Extents:
    """`where`; of a condition that never changes only the chosen side is seen."""
    condition = constants.computed(op.inputs[0]) if op.type == "SelectV2" else None
    if condition is None:
        return _combined(op, given)
    shape = tuple(op.outputs[0].shape)
    sides = [Extents.blind(shape) if e is None else _broadcast(e, shape) for e in given[1:]]
    both = hull(*sides)
    ends = np.where(condition, sides[0].ends, sides[1].ends)
    return Extents(ends, shape, both.steps)


def _one(op: Any, given: Given, place: int = 0) -> Extents:
    """The data input of an operation whose other inputs must not depend on the model's."""
    if given[place] is None or any(e is not None for i, e in enumerate(given) if i != place):
        raise NotFollowedError(f"the settings of the operation {op.type} depend on the input")
    return given[place]  # type: ignore[return-value]


def _transposed(op: Any, given: Given) -> Extents:
    return _one(op, given).transposed([int(axis) for axis in _value(op.inputs[1])])


def _expanded(op: Any, given: Given) -> Extents:
    return _one(op, given).expanded(int(_value(op.inputs[1]).ravel()[0]))


def _squeezed(op: Any, given: Given) -> Extents:
    extents = _one(op, given)
    axes = op.get_attr("squeeze_dims") or [a for a, n in enumerate(extents.shape) if n == 1]
    return extents.squeezed(axes)


def _reshaped(op: Any, given: Given) -> Extents:
    return _one(op, given).reshaped(tuple(op.outputs[0].shape))


def _sliced(op: Any, given: Given) -> Extents:
    extents, begins = _one(op, given), _value(op.inputs[1])
    for axis, size in enumerate(op.outputs[0].shape):
        extents = extents.taken(axis, np.arange(begins[axis], begins[axis] + size))
    return extents


def _strided(op: Any, given: Given) -> Extents:
    """`x[…]` with slices, whole numbers, `None` and an ellipsis."""
    extents = _one(op, given)
    begins, ends, strides = (_value(tensor).ravel() for tensor in op.inputs[1:4])
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


def _reduced(op: Any, given: Given) -> Extents:
    axes = [int(axis) for axis in _value(op.inputs[1]).ravel()]
    keep = "keep_dims" in op.node_def.attr and op.get_attr("keep_dims")
    return _one(op, given).reduced(axes, bool(keep)) if axes else _one(op, given)


def _each(op: Any, given: Given) -> list[Extents]:
    """`IdentityN`: every output is an input."""
    pairs = zip(given, op.inputs, strict=True)
    return [extents or Extents.blind(tuple(tensor.shape)) for extents, tensor in pairs]


def _along_last(op: Any, given: Given) -> Extents:
    """Each element depends on all along the last axis; what a fixed mask rules out is zero."""
    extents = _one(op, given)
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
    if op.type == "SelectV2":
        chosen, *sides = (constants.computed(tensor) for tensor in op.inputs)
        found: Any = False
        for side, taken in zip(sides, (chosen, None if chosen is None else ~chosen), strict=True):
            if side is not None and taken is not None:
                found = found | (taken & (side < MASKED))
    elif op.type in ("AddV2", "Sub"):
        sides = [constants.computed(tensor) for tensor in op.inputs]
        sign = -1 if op.type == "Sub" else 1
        found = False
        for side, factor in zip(sides, (1, sign), strict=True):
            found = found | (False if side is None else side * factor < MASKED)
    else:
        return None
    return np.asarray(found) if np.any(found) else None


def _joined(op: Any, given: Given) -> Extents:
    axis = int(_value(op.inputs[-1]))
    parts = zip(given[:-1], op.inputs[:-1], strict=True)
    return joined([e or Extents.blind(tuple(tensor.shape)) for e, tensor in parts], axis)


def _stacked(op: Any, given: Given) -> Extents:
    axis = op.get_attr("axis")
    parts = zip(given, op.inputs, strict=True)
    whole = [(e or Extents.blind(tuple(tensor.shape))).expanded(axis) for e, tensor in parts]
    return joined(whole, axis)


def _unstacked(op: Any, given: Given) -> list[Extents]:
    extents, axis = _one(op, given), op.get_attr("axis")
    axis %= extents.rank
    places = range(extents.shape[axis])
    return [extents.taken(axis, np.array([place])).squeezed([axis]) for place in places]


def _split(op: Any, given: Given) -> list[Extents]:
    data, place = (1, 0) if op.type == "Split" else (0, 2)
    extents, axis = _one(op, given, data), int(_value(op.inputs[place]))
    found, start = [], 0
    for tensor in op.outputs:
        size = tensor.shape[axis]
        found.append(extents.taken(axis % extents.rank, np.arange(start, start + size)))
        start += size
    return found


def _looked_up(op: Any, given: Given) -> Extents | None:
    """Rows of a table by numbers from the input (an embedding), or entries of the input."""
    table, numbers = given[0], given[1]
    if table is None and numbers is not None:
        return _broadcast(_with_axes(numbers, op), tuple(op.outputs[0].shape))
    if numbers is not None or table is None or op.get_attr("batch_dims"):
        return None
    axis = int(_value(op.inputs[2])) % table.rank
    places = _value(op.inputs[1])
    taken = table.taken(axis, places.ravel() % table.shape[axis])
    return taken.reshaped(tuple(op.outputs[0].shape))


def _with_axes(numbers: Extents, op: Any) -> Extents:
    axis = int(_value(op.inputs[2])) if len(op.inputs) > 2 else 0
    if axis or op.get_attr("batch_dims"):
        raise NotFollowedError(
            f"the operation {op.type} looks up along another axis than the first"
        )
    while numbers.rank < op.outputs[0].shape.rank:
        numbers = numbers.expanded(numbers.rank)
    return numbers


def _one_hot(op: Any, given: Given) -> Extents:
    extents, axis = _one(op, given), op.get_attr("axis")
    return extents.expanded(axis, op.outputs[0].shape[axis])


def _multiplied(op: Any, given: Given) -> Extents:
    """Matrix products, of batches too."""
    sides = []
    for place, names in enumerate((("transpose_a", "adj_x"), ("transpose_b", "adj_y"))):
        if (extents := given[place]) is not None:
            flipped = any(n in op.node_def.attr and op.get_attr(n) for n in names)
            contracted = -1 if flipped == bool(place) else -2
            one = extents.reduced([contracted])
            sides.append(one.expanded(one.rank if place == 0 else one.rank - 1))
    return _broadcast(hull(*sides), tuple(op.outputs[0].shape))


def _summed(op: Any, given: Given) -> Extents | None:
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
    return _broadcast(hull(*sides), tuple(op.outputs[0].shape))


def _weighted(names: list[str], result: str, given: Given, op: Any) -> Extents:
    """A sum with weights that may be zero: what is multiplied by zero is not seen."""
    letters = result + "".join(sorted(set("".join(names)) - set(result)))
    parts, zero = [], np.zeros([1] * len(letters), bool)
    for term, extents in zip(names, given, strict=True):
        if extents is None:
            continue
        order = [term.index(letter) for letter in letters if letter in term]
        part, own = extents.transposed(order), extents.zero
        own = None if own is None else own.transpose(order)
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
    return _broadcast(whole, tuple(op.outputs[0].shape))


def _reversed(op: Any, given: Given) -> Extents:
    extents = _one(op, given)
    for axis in _value(op.inputs[1]).ravel():
        place = int(axis) % extents.rank
        extents = extents.taken(place, np.arange(extents.shape[place])[::-1])
    return extents


def _rolled(op: Any, given: Given) -> Extents:
    extents = _one(op, given)
    shifts, axes = (_value(tensor).ravel() for tensor in op.inputs[1:3])
    for shift, axis in zip(shifts, axes, strict=True):
        place = int(axis) % extents.rank
        places = np.roll(np.arange(extents.shape[place]), int(shift))
        extents = extents.taken(place, places)
    return extents


def _tiled(op: Any, given: Given) -> Extents:
    extents = _one(op, given)
    for axis, times in enumerate(_value(op.inputs[1])):
        places = np.tile(np.arange(extents.shape[axis]), int(times))
        extents = extents.taken(axis, places) if times != 1 else extents
    return extents


def _accumulated(op: Any, given: Given) -> Extents:
    extents, axis = _one(op, given), int(_value(op.inputs[1]))
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


def _sorted(op: Any, given: Given) -> list[Extents]:
    extents = _one(op, given)
    kept = extents.reduced([-1], keep=True)
    return [_broadcast(kept, tuple(tensor.shape)) for tensor in op.outputs]


def _normalized(op: Any, given: Given) -> list[Extents]:
    if op.get_attr("is_training"):
        raise NotFollowedError("batch normalization uses the statistics of the batch")
    extents = _one(op, given)
    return [extents, *(Extents.blind(tuple(tensor.shape)) for tensor in op.outputs[1:])]


def _windowed(op: Any, given: Given) -> Extents | None:
    """Convolutions, transposed ones and pooling."""
    data = 2 if op.type in convolutions.TRANSPOSED else 0
    extents = _one(op, given, data)
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


def _padded(op: Any, given: Given) -> Extents:
    extents = _one(op, given)
    mode = op.get_attr("mode").decode() if op.type == "MirrorPad" else ""
    for axis, (before, after) in enumerate(_value(op.inputs[1])):
        if before or after:
            extents = extent_windows.padded(extents, axis, int(before), int(after), mode)
    return extents


def _resized(op: Any, given: Given) -> Extents:
    extents = _one(op, given)
    for axis in (1, 2):
        window = extent_windows.resizing(op, axis)
        extents = extents.read(axis, window.table, window.ratio, window.inside)
    return extents


def _interleaved(op: Any, given: Given) -> Extents:
    """`SpaceToBatchND`: positions at a distance come to lie together, in more samples."""
    extents, blocks = _one(op, given), [int(block) for block in _value(op.inputs[1])]
    for place, (before, after) in enumerate(_value(op.inputs[2])):
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


def _put_together(op: Any, given: Given) -> Extents:
    """`BatchToSpaceND`, which undoes it."""
    extents, blocks = _one(op, given), [int(block) for block in _value(op.inputs[1])]
    count, samples = len(blocks), extents.shape[0] // math.prod(blocks)
    split = extents.reshaped([*blocks, samples, *extents.shape[1:]])
    order = [count]
    for place in range(count):
        order += [count + 1 + place, place]
    order += range(2 * count + 1, split.rank)
    sizes = [size * block for size, block in zip(extents.shape[1:], blocks, strict=False)]
    whole = split.transposed(order).reshaped([samples, *sizes, *extents.shape[count + 1 :]])
    for place, (before, after) in enumerate(_value(op.inputs[2])):
        whole = whole.taken(place + 1, np.arange(before, sizes[place] - after))
    return whole


def _depth_to_space(op: Any, given: Given) -> Extents | None:
    extents, block = _one(op, given), op.get_attr("block_size")
    if op.get_attr("data_format") != b"NHWC":
        return None
    batch, height, width, channels = extents.shape
    if op.type == "SpaceToDepth":
        split = extents.reshaped([batch, height // block, block, width // block, block, channels])
        return split.transposed([0, 1, 3, 2, 4, 5]).reshaped(tuple(op.outputs[0].shape))
    split = extents.reshaped([batch, height, width, block, block, channels // block**2])
    return split.transposed([0, 1, 3, 2, 4, 5]).reshaped(tuple(op.outputs[0].shape))


MASKED = -1e4
_KEEP_ZEROS = {"Einsum", "Identity", "StopGradient", "Cast"}
RULES: dict[str, Rule] = {
    "Transpose": _transposed,
    "ExpandDims": _expanded,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "Slice": _sliced,
    "StridedSlice": _strided,
    "ConcatV2": _joined,
    "Pack": _stacked,
    "Unpack": _unstacked,
    "Einsum": _summed,
    "OneHot": _one_hot,
    "ReverseV2": _reversed,
    "Roll": _rolled,
    "Tile": _tiled,
    "Cumsum": _accumulated,
    "TopKV2": _sorted,
    "SelectV2": _selected,
    "IdentityN": _each,
    "SpaceToBatchND": _interleaved,
    "BatchToSpaceND": _put_together,
}
_COMBINED = (
    "Abs Acos Acosh Add AddN AddV2 Asin Asinh Atan Atan2 Atanh BiasAdd BroadcastTo Cast Ceil "
    "CheckNumerics ClipByValue Cos Cosh Digamma Div DivNoNan Elu EnsureShape Equal Erf Erfc Erfinv "
    "Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Identity Inv IsFinite IsInf IsNan "
    "LeakyRelu Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod "
    "Mul MulNoNan Neg NextAfter NotEqual Pow PreventGradient RealDiv Reciprocal Relu Relu6 Rint "
    "Round Rsqrt Select Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square SquaredDifference "
    "StopGradient Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy"
)
for _names, _rule in (
    (_COMBINED, _combined),
    ("Mean Sum Max Min Prod All Any ArgMax ArgMin EuclideanNorm", _reduced),
    ("Softmax LogSoftmax", _along_last),
    ("Split SplitV", _split),
    ("GatherV2 ResourceGather", _looked_up),
    ("MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3", _multiplied),
    ("FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3", _normalized),
    ("Pad PadV2 MirrorPad", _padded),
    ("ResizeBilinear ResizeNearestNeighbor ResizeBicubic", _resized),
    ("SpaceToDepth DepthToSpace", _depth_to_space),
    (
        "Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput Conv3DBackpropInputV2 "
        "AvgPool AvgPool3D MaxPool MaxPool3D",
        _windowed,
    ),
):
    RULES |= dict.fromkeys(_names.split(), _rule)
