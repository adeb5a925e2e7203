"""Which layer a class activation map should be taken from, and how its positions are laid out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.attribution import registration
from kerasviz.errors import AddressError, MethodError
from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run
from kerasviz.probe.taps import Call
from kerasviz.probe.targets import Score

ops: Any = keras.ops

PASSIVE = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Permute,
)
FRONT_ENDS = tuple(
    getattr(keras.layers, name)
    for name in ("STFTSpectrogram", "MelSpectrogram")
    if hasattr(keras.layers, name)
)
POOLING = ("AveragePooling", "MaxPooling", "AdaptiveAverage", "AdaptiveMax")
ATTENTION = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """A layer whose output has positions that belong to an input.

    Attributes:
        call: The call of the layer.
        channel_axis: Channel axis of its output.
        grid: Size of the positions when they come as a sequence of tokens, else None.
        picture: The call whose positions these are: `call`, or the one that the tokens come from.
        reason: Why it was chosen.
    """

    call: Call
    channel_axis: int
    grid: tuple[int, ...] | None
    picture: Call
    reason: str

    def as_picture(self, tensor: Any) -> Any:
        """(batch, *positions, channels) from the layer's output or its gradient."""
        if self.grid is None:
            return ops.moveaxis(tensor, self.channel_axis, -1)
        count = 1
        for size in self.grid:
            count *= size
        return ops.reshape(tensor[:, -count:], (-1, *self.grid, tensor.shape[-1]))

    @property
    def resolution(self) -> tuple[int | None, ...]:
        """Static size of the positions."""
        if self.grid is not None:
            return self.grid
        shape = list(self.call.output.shape)
        del shape[self.channel_axis]
        return tuple(shape[1:])


def sites(record: Run, score: Score, address: str | None) -> dict[str, Site]:
    """The site for each input that has positions.

    Args:
        record: One run of the model.
        score: The score; only layers that it depends on count.
        address: The layer asked for; None = chosen by rule.

    Raises:
        AddressError: The layer asked for has no positions.
        MethodError: No layer of the model has positions.
    """
    if address is not None:
        return _asked(record, address)
    leading = graph.above([score.value])
    candidates = [
        call
        for call in _outside_attention(record.calls)
        if _has_positions(record, call) and id(call.output.op) in leading
    ]
    inputs = record.input_tensors
    choice = _Choice(record, score, candidates, {n: _below(x) for n, x in inputs.items()})
    found = {name: choice.of(name) for name, x in inputs.items() if _may_have_positions(record, x)}
    chosen = _with_positions(record, {n: site for n, site in found.items() if site is not None})
    if not chosen:
        raise MethodError(
            f"Expected a model with a layer of shape (batch, positions…, channels). Received: "
            f"'{record.recorder.model.name}', which has none between input and score. "
            "Use `kv.Saliency`."
        )
    return chosen


def _with_positions(record: Run, found: dict[str, Site]) -> dict[str, Site]:
    """Without the vectors among the inputs, where a layer shows the positions of another input."""
    inputs = record.input_tensors
    if not any(registration.agree(record, s.picture, inputs[n]) for n, s in found.items()):
        return found
    return {
        name: site
        for name, site in found.items()
        if len(inputs[name].shape) > 2 or registration.agree(record, site.picture, inputs[name])
    }


def _asked(record: Run, address: str) -> dict[str, Site]:
    call = record.find(address)
    if len(call.output.shape) < 3:
        raise AddressError(
            "`layer` must have an output of shape (batch, positions…, channels). Received: "
            f"{address!r}, whose output has shape {tuple(call.output.shape)}. "
            "Choose an earlier layer, or use `kv.Saliency`."
        )
    return {
        name: site_at(record, call, tensor, "the layer asked for")
        for name, tensor in inputs_of(record, call).items()
    }


def inputs_of(record: Run, call: Call) -> dict[str, Any]:
    """The inputs that a layer depends on: those with positions, where there are any."""
    inputs = record.input_tensors
    below = {name: x for name, x in inputs.items() if call.output in _below(x)} or inputs
    return {name: x for name, x in below.items() if record.input_positions(x)} or below


def site_at(record: Run, call: Call, tensor: Any, reason: str) -> Site:
    """The site at a layer, for an input."""
    grid, picture = _grid(record, call, tensor) or (None, call)
    return Site(call, record.channel_axis(call), grid, picture, reason)


def _may_have_positions(record: Run, tensor: Any) -> bool:
    """Whether an input has position axes, or is text, which has words."""
    return bool(record.input_positions(tensor)) or graph.is_text(tensor)


def _below(tensor: Any) -> graph.Below:
    return graph.Below([tensor], differentiable=False)


def _has_positions(record: Run, call: Call) -> bool:
    output = call.output
    if not graph.is_here(output) or (output.shape.rank or 0) < 3:
        return False
    if isinstance(call.layer, PASSIVE) or type(call.layer).__name__.startswith(POOLING):
        return False
    shape = list(output.shape)
    del shape[record.channel_axis(call)]
    return any(size is None or size > 1 for size in shape[1:])


@dataclasses.dataclass(frozen=True, eq=False)
class _Choice:
    """Chooses the layer for each input.

    Attributes:
        record: One run of the model.
        score: The score.
        candidates: Calls with positions that the score depends on.
        below: What depends on each input.
    """

    record: Run
    score: Score
    candidates: Sequence[Call]
    below: dict[str, graph.Below]

    def of(self, name: str) -> Site | None:
        """The last layer with the positions of this input, exclusive to it where inputs merge."""
        record, tensor = self.record, self.record.input_tensors[name]
        every = [call for call in self.candidates if call.output in self.below[name]]
        mine = [call for call in every if self._is_inside(call, tensor)] or every
        agreeing = [call for call in mine if registration.agree(record, call, tensor)]
        own = self._exclusive(agreeing, name) or agreeing or self._exclusive(mine, name) or mine
        chosen, reason = self._last(own, tensor)
        tokens = _last_tokens(record, every, tensor)
        if tokens is not None and (chosen is None or _is_before(record, chosen, tokens.call)):
            return tokens
        if chosen is None:
            return None
        if len(self.below) > 1 and self._exclusive([chosen], name):
            reason += " before the inputs merge"
        return site_at(record, chosen, tensor, reason)

    def _exclusive(self, calls: Sequence[Call], name: str) -> list[Call]:
        others = [reach for other, reach in self.below.items() if other != name]
        return [call for call in calls if not any(call.output in reach for reach in others)]

    def _last(self, calls: Sequence[Call], tensor: Any) -> tuple[Call | None, str]:
        """The last call; of parallel branches the last that all paths to the score pass."""
        reason = "the last layer with positions"
        if not calls:
            return None, reason
        passed = graph.bottlenecks(self.score.value, tensor)
        common = [call for call in calls if id(call.output.op) in passed]
        if common and common[-1].output is not calls[-1].output:
            reason += " that every path to the score passes"
        elif not common:
            reason += ", though other paths to the score pass it by"
        return _innermost(calls, (common or calls)[-1]), reason

    def _is_inside(self, call: Call, tensor: Any) -> bool:
        """Neither preparation of the input nor the head that gives the score."""
        head = self.score.head
        is_head = head is not None and graph.is_moved(head.linear, call.output)
        is_front = isinstance(call.layer, FRONT_ENDS) or not self.record.is_learned(call, tensor)
        return not (is_head or is_front)


def _is_before(record: Run, one: Call, other: Call) -> bool:
    calls = list(record.calls)
    return calls.index(one) < calls.index(other)


def _innermost(calls: Sequence[Call], last: Call) -> Call:
    """The first call that returned the last tensor: a layer rather than the model around it."""
    return next(call for call in calls if call.output is last.output)


def _last_tokens(record: Run, mine: Sequence[Call], tensor: Any) -> Site | None:
    """For models that attend over the patches of a picture: the last tokens attended to."""
    attention = [c for c in record.calls if isinstance(c.layer, ATTENTION)]
    if not attention:
        return None
    start = list(record.calls).index(_first_inside(record, attention[-1]))
    earlier = {id(call) for call in record.calls[:start]}
    before = [c for c in mine if id(c) in earlier and len(c.output.shape) == 3]
    for call in reversed(before):
        if _grid(record, call, tensor) is not None and not isinstance(call.layer, ATTENTION):
            reason = "the last tokens that attention reads, laid out as the patches were"
            return site_at(record, _innermost(before, call), tensor, reason)
    return None


def _outside_attention(calls: Sequence[Call]) -> list[Call]:
    """The calls that are not the projections within an attention layer."""
    inside = tuple(c.address + "/" for c in calls if isinstance(c.layer, ATTENTION))
    return [call for call in calls if not call.address.startswith(inside)]


def _first_inside(record: Run, outer: Call) -> Call:
    return next(c for c in record.calls if c is outer or c.address.startswith(outer.address + "/"))


def _grid(record: Run, call: Call, tensor: Any) -> tuple[tuple[int, ...], Call] | None:
    """Layout of tokens, by the last picture-shaped layer before them; extra tokens come first."""
    rank = len(record.input_positions(tensor)) + 2
    if len(call.output.shape) != 3 or rank < 4:
        return None
    tokens = call.output.shape[1]
    before = record.calls[: list(record.calls).index(call)]
    for earlier in reversed(_outside_attention(before)):
        if getattr(getattr(earlier.output, "shape", None), "rank", None) == rank:
            sizes = list(earlier.output.shape)
            del sizes[record.channel_axis(earlier)]
            grid = _fitting(tuple(sizes[1:]), tokens)
            return None if grid is None else (grid, earlier)
    return None


def _fitting(sizes: tuple[Any, ...], tokens: int | None) -> tuple[int, ...] | None:
    if tokens is None or None in sizes:
        return None
    count = 1
    for size in sizes:
        count *= size
    return sizes if count <= tokens <= count + 8 else None
