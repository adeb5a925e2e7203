"""Which layer a class activation map should be taken from, and how its positions are laid out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.errors import AddressError, MethodError
from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run
from kerasviz.probe.taps import Call

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
        grid: Size of the positions when they come as a sequence of tokens, else None.
        reason: Why it was chosen.
    """

    call: Call
    grid: tuple[int, ...] | None
    reason: str

    def as_picture(self, tensor: Any) -> Any:
        """(batch, *positions, channels) from the layer's output or its gradient."""
        if self.grid is None:
            return ops.moveaxis(tensor, self.call.channel_axis, -1)
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
        del shape[self.call.channel_axis]
        return tuple(shape[1:])


def sites(record: Run, score: Any, address: str | None) -> dict[str, Site]:
    """The site for each input that has positions.

    Args:
        record: One run of the model.
        score: (batch,) score; only layers that it depends on count.
        address: The layer asked for; None = chosen by rule.

    Raises:
        AddressError: The layer asked for has no positions.
        MethodError: No layer of the model has positions.
    """
    inputs = record.input_tensors
    spatial = {name: x for name, x in inputs.items() if feature_rank(x) > 2}
    if address is not None:
        return _asked(record, spatial or inputs, address)
    leading = graph.above([score])
    candidates = [
        call
        for call in _outside_attention(record.calls)
        if _has_positions(call) and id(call.output.op) in leading
    ]
    below = {name: graph.Below([tensor], differentiable=False) for name, tensor in inputs.items()}
    found = {}
    for name, tensor in spatial.items():
        site = _choose(record, candidates, tensor, name, below)
        if site is not None:
            found[name] = site
    if not found:
        raise MethodError(
            f"Expected a model with a layer of shape (batch, positions…, channels). Received: "
            f"'{record.recorder.model.name}', which has none between input and score. "
            "Use `kv.Saliency`."
        )
    return found


def _asked(record: Run, inputs: dict[str, Any], address: str) -> dict[str, Site]:
    call = record.find(address)
    if len(call.output.shape) < 3:
        raise AddressError(
            "`layer` must have an output of shape (batch, positions…, channels). Received: "
            f"{address!r}, whose output has shape {tuple(call.output.shape)}. "
            "Choose an earlier layer, or use `kv.Saliency`."
        )
    below = {
        name: x
        for name, x in inputs.items()
        if call.output in graph.Below([x], differentiable=False)
    }
    return {
        name: Site(call, _grid(record, call, feature_rank(tensor)), "the layer asked for")
        for name, tensor in (below or inputs).items()
    }


def _has_positions(call: Call) -> bool:
    output = call.output
    if not graph.is_here(output) or len(output.shape) < 3:
        return False
    if isinstance(call.layer, PASSIVE) or type(call.layer).__name__.startswith(POOLING):
        return False
    shape = list(output.shape)
    del shape[call.channel_axis]
    return any(size is None or size > 1 for size in shape[1:])


def feature_rank(tensor: Any) -> int:
    """Axes of an input once it has channels: sequences of ids get them from an embedding."""
    rank = len(tensor.shape)
    if graph.is_text(tensor):
        return 3
    return rank + 1 if rank == 2 and graph.holds_ids(tensor) else rank


def _choose(
    record: Run, candidates: Sequence[Call], tensor: Any, name: str, below: dict[str, graph.Below]
) -> Site | None:
    """The last layer with the positions of this input, exclusive to it where inputs merge."""
    rank = feature_rank(tensor)
    mine = [call for call in candidates if call.output in below[name]]
    others = [reach for other, reach in below.items() if other != name]
    same_rank = [call for call in mine if len(call.output.shape) == rank]
    own = [call for call in same_rank if not any(call.output in reach for reach in others)]
    chosen = own or same_rank
    tokens = _last_tokens(record, mine, rank)
    if tokens is not None and (not chosen or _is_before(record, chosen[-1], tokens.call)):
        return tokens
    if not chosen:
        return None
    merges = " before the inputs merge" if others and own else ""
    return Site(_innermost(chosen), None, f"the last layer with positions{merges}")


def _is_before(record: Run, one: Call, other: Call) -> bool:
    calls = list(record.calls)
    return calls.index(one) < calls.index(other)


def _innermost(calls: Sequence[Call]) -> Call:
    """The first call that returned the last tensor: a layer rather than the model around it."""
    last = calls[-1]
    return next(call for call in calls if call.output is last.output)


def _last_tokens(record: Run, mine: Sequence[Call], rank: int) -> Site | None:
    """For models that attend over the patches of a picture: the last tokens attended to."""
    attention = [c for c in record.calls if isinstance(c.layer, ATTENTION)]
    if not attention or rank < 4:
        return None
    start = list(record.calls).index(_first_inside(record, attention[-1]))
    earlier = {id(call) for call in record.calls[:start]}
    before = [c for c in mine if id(c) in earlier and len(c.output.shape) == 3]
    for call in reversed(before):
        grid = _grid(record, call, rank)
        if grid is not None and not isinstance(call.layer, ATTENTION):
            reason = "the last tokens that attention reads, laid out as the patches were"
            return Site(_innermost([c for c in before if c.output is call.output]), grid, reason)
    return None


def _outside_attention(calls: Sequence[Call]) -> list[Call]:
    """The calls that are not the projections within an attention layer."""
    inside = tuple(c.address + "/" for c in calls if isinstance(c.layer, ATTENTION))
    return [call for call in calls if not call.address.startswith(inside)]


def _first_inside(record: Run, outer: Call) -> Call:
    return next(c for c in record.calls if c is outer or c.address.startswith(outer.address + "/"))


def _grid(record: Run, call: Call, rank: int) -> tuple[int, ...] | None:
    """Layout of tokens by the last picture-shaped layer before them; extra tokens come first."""
    if len(call.output.shape) != 3 or rank < 4:
        return None
    tokens = call.output.shape[1]
    before = record.calls[: list(record.calls).index(call)]
    for earlier in reversed(_outside_attention(before)):
        shape = getattr(earlier.output, "shape", ())
        if len(shape) == rank:
            sizes = list(shape)
            del sizes[earlier.channel_axis]
            return _fitting(tuple(sizes[1:]), tokens)
    return None


def _fitting(sizes: tuple[Any, ...], tokens: int | None) -> tuple[int, ...] | None:
    if tokens is None or None in sizes:
        return None
    count = 1
    for size in sizes:
        count *= size
    return sizes if count <= tokens <= count + 8 else None
