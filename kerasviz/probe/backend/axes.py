"""What became of each axis of an input: followed through the graph, operation by operation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend import constants, graph

CHANNEL, NEW, UNKNOWN = "channel", "new", "unknown"
UNDECIDED = "undecided"
LOST = math.nan


@dataclasses.dataclass(frozen=True)
class Factor:
    """One thing that an axis runs over; a flattened axis runs over several.

    Attributes:
        meaning: The number of an axis of the input, "channel" for features that the model made,
            "new" for an axis that the input has not got, "unknown" where it could not be followed.
        size: Static size.
        before: Positions of the input that were cut off in front (negative: padded), until the
            first convolution or pooling. NaN where that is not known.
        after: The same at the end.
        scale: Positions of the input per position; None after the first convolution or pooling.
    """

    meaning: Any
    size: int | None = None
    before: float = 0.0
    after: float = 0.0
    scale: float | None = 1.0

    def cropped(self, before: float | None, after: float | None) -> Factor:
        """After so many of its positions were cut off (negative: padded); None = unknown."""
        if self.scale is None:
            return self
        first, last = (LOST if n is None else n * self.scale for n in (before, after))
        return dataclasses.replace(self, before=self.before + first, after=self.after + last)

    def resized(self, size: int | None) -> Factor:
        """With another number of positions for the same stretch of the input."""
        if size == self.size:
            return self
        scale = self.scale
        if scale is not None:
            scale = scale * self.size / size if size and self.size else LOST
        return dataclasses.replace(self, size=size, scale=scale)

    def lost(self) -> Factor:
        """With its positions shuffled, or mixed with others."""
        return self.cropped(None, None)

    def convolved(self, margin: float) -> Factor:
        """After a convolution that yields nothing for `margin` positions at each end.

        The margin eats padding; beyond that a map counts as covering all of the picture.
        """
        if self.scale is None:
            return self
        eaten = margin * self.scale
        ends = (min(end + eaten, 0.0) if end < 0 else end for end in (self.before, self.after))
        return dataclasses.replace(self, before=next(ends), after=next(ends), scale=None)


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """A layer that steps along axis 1.

    Attributes:
        source: The tensor that it took.
        channel_axis: Channel axis of that tensor.
        is_recurrent: Whether it may return its last step only.
    """

    source: Any
    channel_axis: int
    is_recurrent: bool


Axis = tuple[Factor, ...]
Axes = tuple[Axis, ...]
_MADE: Axis = (Factor(CHANNEL, None, scale=None),)
Rule = Callable[["Flow", Any, list["Axes | None"]], "Sequence[Axes | None] | Axes | None"]


def meaning(axis: Axis) -> Any:
    """What one axis stands for; several things at once are "unknown", none is "new"."""
    axis = _repeated(axis)
    if len(axis) > 1:
        return UNKNOWN
    return axis[0].meaning if axis else NEW


class Flow:
    """Where the axes of one input go.

    Args:
        source: The input tensor.
        loops: For tensors that layers with a loop inside returned, by `id`, what is known of the
            layer: loops can't be followed by operation.
    """

    def __init__(self, source: Any, loops: Mapping[int, Loop]) -> None:
        self._axes: dict[int, Axes] = {}
        self._kept = [source]
        self._loops = loops
        self._operations = iter(source.graph.get_operations())
        self._channel: int | str | None = UNDECIDED
        self._axes[id(source)] = tuple(
            (Factor(axis, size),) for axis, size in enumerate(source.shape)
        )

    def axes(self, tensor: Any) -> Axes | None:
        """One entry per axis of `tensor`; None when it does not depend on the input."""
        self._follow(lambda: False)
        return self._axes.get(id(tensor))

    @property
    def channel(self) -> int | str | None:
        """The input's axis that the first layer to look took as channels.

        None when that layer was given channels which the input has not got (as after a `Reshape`
        that adds them, or an embedding of the input); "undecided" when no layer tells.
        """
        self._follow(lambda: self._channel != UNDECIDED)
        return self._channel

    def see(self, axis: Axis) -> None:
        """A layer has taken this axis as its channels."""
        if self._channel != UNDECIDED:
            return
        found = meaning(axis)
        if found == NEW:
            self._channel = None
        elif isinstance(found, int) and found > 0:
            self._channel = found

    def _follow(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            op = next(self._operations, None)
            if op is None:
                return
            self._visit(op)

    def _visit(self, op: Any) -> None:
        given = [self._axes.get(id(tensor)) for tensor in op.inputs]
        if op.type in graph.COUNTS or all(axes is None for axes in given):
            return
        pairs = zip(op.inputs, given, strict=True)
        is_known = all(axes is None or tensor.shape.rank == len(axes) for tensor, axes in pairs)
        rule = _RULES.get(op.type, _aligned) if is_known else _scrambled
        found = rule(self, op, given)
        several = isinstance(found, list)
        for index, tensor in enumerate(op.outputs):
            axes = found[index] if several and found else found
            self._keep(tensor, axes if axes is None else tuple(axes), op.type == "Reshape")

    def _keep(self, tensor: Any, axes: Any, is_sized: bool) -> None:
        if id(tensor) in self._loops:
            axes = self._through_loop(tensor, self._loops[id(tensor)]) or axes
        if tensor.shape.rank is None or tensor.dtype in (tf.variant, tf.resource):
            axes = ()
        elif axes is None or len(axes) != len(tensor.shape):
            axes = _unknown(tensor)
        elif not is_sized:
            axes = tuple(map(_sized, axes, tensor.shape))
        self._axes[id(tensor)] = axes
        self._kept.append(tensor)

    def _through_loop(self, tensor: Any, loop: Loop) -> Axes | None:
        given, rank = self._axes.get(id(loop.source)), len(tensor.shape)
        if given is None:
            return None
        self.see(given[loop.channel_axis])
        kept = [_frozen(axis) for axis in given]
        kept[loop.channel_axis] = _MADE
        if loop.is_recurrent and rank == len(kept) - 1:
            del kept[1]
        elif rank < len(kept):
            kept = [*kept[: rank - 1], _MADE]
        return tuple(kept) if len(kept) == rank else None

    def inside(self, body: Any, op: Any, given: list[Axes | None]) -> list[Axes | None]:
        """Follow the axes through the body of a function that `op` calls."""
        self._kept.append(body)
        for tensor, axes in zip(body.inputs, given, strict=False):
            if axes is not None:
                self._axes[id(tensor)] = axes
        for inner in body.get_operations():
            self._visit(inner)
        return [self._axes.get(id(tensor)) for tensor in body.outputs[: len(op.outputs)]]


def _unknown(tensor: Any) -> Axes:
    first = [(Factor(0, size),) for size in tensor.shape[:1]]
    return (*first, *((Factor(UNKNOWN, size, LOST, LOST),) for size in tensor.shape[1:]))


def _frozen(axis: Axis) -> Axis:
    return tuple(factor.convolved(0.0) for factor in axis)


def _sized(axis: Axis, size: int | None) -> Axis:
    if not axis:
        return () if size == 1 else (Factor(NEW, size, scale=None),)
    if len(axis) == 1:
        return (axis[0].resized(size),)
    sizes = [factor.size for factor in axis]
    if size is None or None in sizes or math.prod(s for s in sizes if s) == size:
        return axis
    return (Factor(UNKNOWN, size, LOST, LOST),)


def single(axis: Axis) -> Factor:
    """The one factor of an axis that has a meaning."""
    return _repeated(axis)[0]


def _repeated(axis: Axis) -> Axis:
    """Steps within each position leave what the axis stands for, at another size."""
    if len(axis) < 2 or any(factor.meaning not in (NEW, CHANNEL) for factor in axis[1:]):
        return axis
    sizes = [factor.size for factor in axis]
    known = math.prod(size for size in sizes if size) if None not in sizes else None
    return (axis[0].resized(known),)


def _merged(one: Axis, other: Axis) -> Axis:
    """The axis of a sum or product of tensors with these axes."""
    if one == other or not other:
        return one
    if not one or len(one) != 1 or len(other) != 1:
        return one or other
    a, b = one[0], other[0]
    if a.meaning == b.meaning:
        same = a.scale is None or (a.before, a.after) == (b.before, b.after)
        return one if same else (a.lost(),)
    for kind in (NEW, UNKNOWN):
        if kind in (a.meaning, b.meaning):
            return other if a.meaning == kind else one
    if CHANNEL in (a.meaning, b.meaning):
        return one if a.meaning == CHANNEL else other
    return (Factor(UNKNOWN, a.size, LOST, LOST),)


def _aligned(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    """Element by element, with broadcasting; also whatever leaves the axes where they are."""
    rank = op.outputs[0].shape.rank if op.outputs else None
    found: list[Axis] | None = None
    for axes in given:
        if axes is None or rank is None or len(axes) > rank:
            continue
        padded = [()] * (rank - len(axes)) + list(axes)
        found = padded if found is None else [_merged(*p) for p in zip(found, padded, strict=True)]
    too_many = any(axes is not None and rank is not None and len(axes) > rank for axes in given)
    return None if found is None or too_many else tuple(found)


def _scrambled(flow: Flow, op: Any, given: list[Axes | None]) -> None:
    return None


def _transposed(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    order = constants.value(op.inputs[1])
    return None if order is None or not given[0] else tuple(given[0][axis] for axis in order)


def _expanded(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    axis = constants.value(op.inputs[1])
    if axis is None or given[0] is None:
        return None
    place = int(axis.ravel()[0]) % (len(given[0]) + 1)
    return (*given[0][:place], (), *given[0][place:])


def _squeezed(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    axes = given[0] or ()
    sizes = op.inputs[0].shape
    dropped = {axis % len(axes) for axis in op.get_attr("squeeze_dims")} or {
        axis for axis, size in enumerate(sizes) if size == 1
    }
    return tuple(a for axis, a in enumerate(axes) if axis not in dropped)


def _reshaped(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    shape = op.outputs[0].shape
    if given[0] is None or shape.rank is None:
        return None
    counts = _numbers_of_axes(op.inputs[1])
    if counts is not None and sum(counts) == len(given[0]):
        flat = iter(given[0])
        return tuple(sum((next(flat) for _ in range(count)), ()) for count in counts)
    factors = [factor for axis in given[0] for factor in axis if factor.size != 1]
    return _grouped(factors, list(shape))


def _numbers_of_axes(shape: Any) -> list[int] | None:
    """For a shape of products of other sizes, as of `tf.tensordot`: how many sizes each."""
    if shape.op.type != "Pack" or any(part.op.type != "Prod" for part in shape.op.inputs):
        return None
    sizes = [part.op.inputs[0] for part in shape.op.inputs]
    if any(size.op.type != "GatherV2" for size in sizes):
        return None
    places = [constants.value(size.op.inputs[1]) for size in sizes]
    return None if any(p is None for p in places) else [p.size for p in places if p is not None]


def _grouped(factors: list[Factor], sizes: list[int | None]) -> Axes | None:
    """Deal factors out to axes of these sizes, from both ends; the rest goes to the open ones."""
    front = _taken(factors, sizes, backwards=False)
    open_sizes = sizes[len(front) :]
    factors.reverse()
    back = [axis[::-1] for axis in _taken(factors, open_sizes[::-1], backwards=True)[::-1]]
    middle = factors[::-1]
    count = len(open_sizes) - len(back)
    if count == 0:
        return (*front, *back)
    if count == 1:
        return (*front, tuple(middle), *back)
    if count == len(middle):
        return (*front, *((factor,) for factor in middle), *back)
    return None


def _taken(factors: list[Factor], sizes: list[int | None], backwards: bool) -> list[Axis]:
    """Take the first factors that exactly fill axes of known size, one after the other.

    A factor that is too large is split. What was taken is removed from `factors`.
    """
    taken: list[Axis] = []
    for size in sizes:
        if size is None:
            break
        parts = _filling(factors, size, backwards)
        if parts is None:
            break
        taken.append(tuple(parts))
    return taken


def _filling(factors: list[Factor], size: int, backwards: bool) -> list[Factor] | None:
    rest, parts = list(factors), []
    while size > 1 and rest and rest[0].size:
        whole = rest.pop(0)
        own = whole.size or 1
        if size % own:
            if own % size:
                return None
            outer, inner = _halves(whole, own // size if backwards else size)
            whole, left = (inner, outer) if backwards else (outer, inner)
            rest.insert(0, left)
            own = size
        parts.append(whole)
        size //= own
    if size > 1:
        return None
    factors[:] = rest
    return parts


def _halves(factor: Factor, outer: int) -> tuple[Factor, Factor]:
    """An axis dealt out to two: the coarse positions, and the steps within each."""
    inner = (factor.size or 1) // outer
    kind = CHANNEL if factor.meaning == CHANNEL else NEW
    return factor.resized(outer), Factor(kind, inner, scale=None)


def _convolved(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    data = 2 if op.type.endswith("BackpropInput") or op.type == "Conv3DBackpropInputV2" else 0
    axes = given[data]
    if axes is None:
        return None
    channel = 1 if op.get_attr("data_format").startswith(b"NC") else len(axes) - 1
    flow.see(axes[channel])
    margins = _margins(op, data)
    new = [
        tuple(_position(factor).convolved(margins[place]) for factor in _repeated(axis))
        for place, axis in enumerate(axes)
    ]
    is_pool = "Pool" in op.type
    new[channel] = axes[channel] if is_pool else _MADE
    return tuple(new)


def _position(factor: Factor) -> Factor:
    """Features that a convolution slides over have become positions."""
    if factor.meaning == CHANNEL:
        return dataclasses.replace(factor, meaning=NEW)
    return factor


def _margins(op: Any, data: int) -> list[float]:
    """Half of what a convolution or pooling without padding leaves out, per axis."""
    rank = len(op.inputs[data].shape)
    if data or op.get_attr("padding") != b"VALID":
        return [0.0] * rank
    first = 2 if op.get_attr("data_format").startswith(b"NC") else 1
    margins = [0.0] * rank
    if "Pool" in op.type:
        return [(size - 1) / 2 for size in op.get_attr("ksize")]
    dilations = op.get_attr("dilations")
    for place, size in enumerate(op.inputs[1].shape[: rank - 2]):
        margins[first + place] = ((size or 1) - 1) / 2 * dilations[first + place]
    return margins


def _padded(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    amounts = constants.value(op.inputs[1])
    if given[0] is None:
        return None
    ends = [(None, None)] * len(given[0]) if amounts is None else -amounts
    return tuple(
        tuple(factor.cropped(*ends[place]) for factor in _to_size(op, place, axis))
        for place, axis in enumerate(given[0])
    )


def _to_size(op: Any, place: int, axis: Axis) -> Axis:
    """The axis with the size that it has after cropping or padding, at the scale from before."""
    size = op.outputs[0].shape[place]
    return tuple(dataclasses.replace(f, size=size) if len(axis) == 1 else f for f in axis)


def _sliced(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    begins, sizes = (constants.elements(t) for t in op.inputs[1:3])
    if given[0] is None or op.outputs[0].shape.rank is None or begins is None or sizes is None:
        return None
    new = []
    for place, axis in enumerate(given[0]):
        before, total = begins[place], op.inputs[0].shape[place]
        after = 0 if sizes[place] == -1 else _left(total, before, op.outputs[0].shape[place])
        new.append(_cropped(_to_size(op, place, axis), before, after))
    return tuple(new)


def _left(total: int | None, before: int | None, kept: int | None) -> int | None:
    if total is None or before is None or kept is None:
        return None
    return total - before - kept


def _cropped(axis: Axis, before: int | None, after: int | None) -> Axis:
    return tuple(factor.cropped(before, after) for factor in axis)


def _strided(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    """`x[…]` with slices, whole numbers, `None` and an ellipsis."""
    axes = given[0]
    begins, ends, strides = (constants.elements(t) for t in op.inputs[1:4])
    if axes is None or begins is None or ends is None or strides is None:
        return None
    masks = {kind: op.get_attr(f"{kind}_mask") for kind in _MASKS}
    new: list[Axis] = []
    place = 0
    for index in range(len(begins)):
        bits = {kind: bool(mask >> index & 1) for kind, mask in masks.items()}
        if bits["ellipsis"]:
            later = sum(not masks["new_axis"] >> i & 1 for i in range(index + 1, len(begins)))
            new += axes[place : len(axes) - later]
            place = len(axes) - later
        elif bits["new_axis"]:
            new.append(())
        elif bits["shrink_axis"]:
            place += 1
        else:
            first = 0 if bits["begin"] else begins[index]
            last = None if bits["end"] else (ends[index], "end")
            size = op.inputs[0].shape[place]
            new.append(_slice_of(axes[place], size, first, last, strides[index]))
            place += 1
    return (*new, *axes[place:])


_MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")


def _slice_of(axis: Axis, size: int | None, first: Any, last: Any, stride: int | None) -> Axis:
    """`axis[first:last:stride]` of an axis of that size; `last` is None for the end."""
    if len(axis) != 1:
        return axis if (first, last, stride) == (0, None, 1) else (Factor(UNKNOWN, size, LOST),)
    factor = axis[0]
    if first is None or stride is None or stride < 1:
        return (dataclasses.replace(factor.lost(), size=None),)
    before = first if first >= 0 else (None if size is None else max(0, size + first))
    after: int | None = 0
    if last is not None:
        stop = last[0]
        if stop is None or (stop >= 0 and size is None):
            after = None
        else:
            after = -stop if stop < 0 else max(0, (size or 0) - stop)
    kept = _left(size, before, after)
    new = dataclasses.replace(factor.cropped(before, after), size=kept)
    return (new.resized(None if kept is None else -(-kept // stride)) if stride > 1 else new,)


def _reduced(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    places = constants.value(op.inputs[1])
    if given[0] is None or places is None:
        return None
    gone = {int(place) % len(given[0]) for place in places.ravel()}
    keeps = "keep_dims" in op.node_def.attr and op.get_attr("keep_dims")
    if keeps:
        return tuple(() if place in gone else axis for place, axis in enumerate(given[0]))
    return tuple(axis for place, axis in enumerate(given[0]) if place not in gone)


def _joined(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    axes = _aligned(flow, op, given[:-1])
    last = constants.value(op.inputs[-1])
    if axes is None or last is None:
        return None
    at = int(last) % len(axes)
    size = op.outputs[0].shape[at]
    mixed = tuple(dataclasses.replace(f.lost(), size=size) for f in axes[at][:1])
    return (*axes[:at], mixed, *axes[at + 1 :])


def _stacked(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    known = [axes for axes in given if axes is not None]
    if any(len(axes) != len(known[0]) for axes in known):
        return None
    merged = known[0]
    for axes in known[1:]:
        merged = tuple(map(_merged, merged, axes))
    at = op.get_attr("axis") % (len(merged) + 1)
    return (*merged[:at], (Factor(NEW, len(op.inputs)),), *merged[at:])


def _unstacked(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    axes = given[0]
    if axes is None:
        return None
    at = op.get_attr("axis") % len(axes)
    return (*axes[:at], *axes[at + 1 :])


def _split(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    data, place = (1, 0) if op.type == "Split" else (0, 2)
    axes, axis = given[data], constants.value(op.inputs[place])
    if axes is None or axis is None:
        return None
    at = int(axis) % len(axes)
    size = op.outputs[0].shape[at]
    part = tuple(dataclasses.replace(f.lost(), size=size) for f in axes[at][:1])
    return (*axes[:at], part, *axes[at + 1 :])


def _looked_up(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    """Rows of a table by numbers from the input (an embedding), or entries of the input."""
    table, numbers = given[0], given[1]
    at = constants.value(op.inputs[2]) if len(op.inputs) > 2 else None
    if numbers is not None and table is None:
        rank = op.outputs[0].shape.rank
        if rank != len(numbers) + 1 or (at is not None and int(at) != 0):
            return None
        flow.see(())
        return (*numbers, _MADE)
    if table is None or numbers is not None or at is None:
        return None
    place, rank = int(at) % len(table), op.inputs[1].shape.rank
    if rank == 0:
        return (*table[:place], *table[place + 1 :])
    lost = tuple(dataclasses.replace(f.lost(), size=None) for f in table[place][:1])
    return (*table[:place], lost, *table[place + 1 :]) if rank == 1 else None


def _one_hot(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    if given[0] is None:
        return None
    flow.see(())
    at = op.get_attr("axis") % (len(given[0]) + 1)
    return (*given[0][:at], _MADE, *given[0][at:])


def _multiplied(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    """Matrix products, of batches too."""
    flips = [
        _is_flipped(op, names) for names in (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))
    ]
    one, other = given[0], given[1]
    rows, summed = _MADE, None
    if one is not None:
        rows, summed = (one[-1], one[-2]) if flips[0] else (one[-2], one[-1])
    columns = _MADE if other is None else (other[-2] if flips[1] else other[-1])
    if summed is not None and other is None:
        flow.see(summed)
    leading = _leading(op.outputs[0].shape.rank, one, other)
    return None if leading is None else (*leading, rows, columns)


def _is_flipped(op: Any, names: Iterable[str]) -> bool:
    return any(name in op.node_def.attr and op.get_attr(name) for name in names)


def _leading(rank: int | None, one: Axes | None, other: Axes | None) -> list[Axis] | None:
    if rank is None:
        return None
    leading: list[Axis] = [()] * (rank - 2)
    for axes in (one, other):
        own = list(axes[:-2]) if axes is not None else []
        padded = [()] * (rank - 2 - len(own)) + own
        leading = [_merged(a, b) for a, b in zip(leading, padded, strict=True)]
    return leading


def _summed(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    """`einsum`: letters of the equation carry the axes."""
    terms, _, result = op.get_attr("equation").decode().replace(" ", "").partition("->")
    if "." in terms:
        return None
    letters: dict[str, Axis] = {}
    for term, axes in zip(terms.split(","), given, strict=True):
        for letter, axis in zip(term, axes or (), strict=False):
            letters[letter] = _merged(letters.get(letter, ()), axis)
    if sum(axes is not None for axes in given) == 1:
        gone = [axis for letter, axis in letters.items() if letter not in result]
        if len(gone) == 1:
            flow.see(gone[0])
    return tuple(letters.get(letter, _MADE) for letter in result)


def _reversed(flow: Flow, op: Any, given: list[Axes | None]) -> Axes | None:
    places = constants.value(op.inputs[1])
    if given[0] is None or places is None:
        return None
    turned = {int(place) % len(given[0]) for place in places.ravel()}
    return tuple(
        tuple(f.lost() for f in axis) if place in turned else axis
        for place, axis in enumerate(given[0])
    )


def _called(flow: Flow, op: Any, given: list[Axes | None]) -> Any:
    """A function: through its body."""
    find = getattr(op.graph, "_get_function", None)
    function = find and find(op.get_attr("f").name)
    body = getattr(function, "graph", None)
    if body is None or len(body.inputs) != len(op.inputs):
        return _aligned(flow, op, given) if len(op.outputs) == 1 else None
    return flow.inside(body, op, given)


_RULES: dict[str, Rule] = {
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
}
for _names, _rule in (
    (
        "Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput Conv3DBackpropInputV2 "
        "AvgPool AvgPool3D MaxPool MaxPool3D",
        _convolved,
    ),
    ("Pad PadV2 MirrorPad", _padded),
    ("Mean Sum Max Min Prod All Any ArgMax ArgMin EuclideanNorm", _reduced),
    ("Split SplitV", _split),
    ("GatherV2 ResourceGather", _looked_up),
    ("MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3", _multiplied),
    ("PartitionedCall StatefulPartitionedCall", _called),
    (
        "While StatelessWhile If StatelessIf Case StatelessCase TopKV2 GatherNd ScatterNd FFT RFFT "
        "IFFT IRFFT FFT2D RFFT2D TensorListStack TensorListFromTensor TensorListGetItem",
        _scrambled,
    ),
):
    _RULES |= dict.fromkeys(_names.split(), _rule)
