"""What every attention layer of a model pays attention to, as graph tensors.

The softmax whose result multiplies the values is found in the graph, also where a layer computes by
`keras.ops.dot_product_attention` and hands out no scores: what the model computes is what is read.
Where the graph shows none, as for several attention axes, Keras's own layers are asked: called once
more, on copies of the same tensors and in inference mode, with `return_attention_scores=True`.
Either way the model is left as it was.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasviz.probe import attention_masks, containment
from kerasviz.probe.attention_masks import Arguments
from kerasviz.probe.backend import graph, softmaxes
from kerasviz.probe.quiet import quiet
from kerasviz.probe.run import Run, run
from kerasviz.probe.taps import Call

ops: Any = keras.ops

MULTI_HEAD = tuple(
    getattr(keras.layers, name)
    for name in ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")
    if hasattr(keras.layers, name)
)
ONE_HEAD = (keras.layers.Attention,)
STOCK = MULTI_HEAD + ONE_HEAD


@dataclasses.dataclass(frozen=True, eq=False)
class Attention:
    """What one call of an attention layer paid attention to.

    Attributes:
        address: Address of the call; "address#2" for the second of a layer that attends twice.
        layer: The layer.
        scores: (batch, heads, queries, keys) float32 probabilities.
        allowed: (batch, heads, queries, keys) bool: which keys no mask hides.
        grid: Static sizes of the positions of the queries, where they lie along several axes.
        is_self: Whether queries and keys are the same tokens.
        result: What the layer returned to the model; None where no layer is around the softmax.
        output: What it returned when it was asked; None where its softmax was found.
    """

    address: str
    layer: Any
    scores: Any
    allowed: Any
    grid: tuple[int | None, ...]
    is_self: bool
    result: Any
    output: Any = None

    @property
    def heads(self) -> int:
        """Number of heads."""
        return int(self.scores.shape[1])

    @property
    def tokens(self) -> tuple[int | None, int | None]:
        """Static numbers of queries and keys."""
        return tuple(self.scores.shape[2:])


@dataclasses.dataclass(frozen=True, eq=False)
class Heads:
    """The attention of one run.

    Attributes:
        record: The run.
        attentions: One per call of an attention layer, in the order of the calls.
        unreachable: Addresses of calls whose scores cannot be read: inside a loop or a function of
            its own, or without a softmax in the graph and unwilling to hand them out.
    """

    record: Run
    attentions: Sequence[Attention]
    unreachable: Sequence[str]


def has_attention(model: keras.Model) -> bool:
    """Whether a model holds one of Keras's attention layers."""
    return any(isinstance(layer, STOCK) for layer in containment.all_layers(model))


def attend(model: keras.Model, inputs: Any) -> Heads:
    """Run a model in the open graph and read all its attention.

    Args:
        model: The user's model; left as it was.
        inputs: Graph tensors in the model's structure.
    """
    reading = Reading()
    return reading.heads(run(model, inputs, reader=reading))


@dataclasses.dataclass(frozen=True, eq=False)
class _Question:
    """One call of an attention layer, to be asked for its scores if need be.

    Attributes:
        copies: Its arguments by name: a layer may strip the tensors themselves of their masks.
        arguments: What they say.
    """

    copies: Mapping[str, Any]
    arguments: Arguments


class Reading:
    """A reader for `probe.run.run`: notes what each attention layer is called on."""

    def __call__(self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not isinstance(layer, STOCK):
            return None
        signature = inspect.signature(layer.call)
        if "return_attention_scores" not in signature.parameters:
            return None
        try:
            given = dict(signature.bind(*args, **kwargs).arguments)
        except TypeError:
            return None
        return _Question(_copies(given), attention_masks.arguments(layer, given))

    def heads(self, record: Run) -> Heads:
        """All attention of a run that this has read."""
        sources = _Sources(record)
        inputs = [x for x in keras.tree.flatten(record.inputs) if x is not None]
        weightings = softmaxes.weightings(inputs)
        calls = [call for call in record.calls if call.read is not None]
        found, hidden = [], []
        for call in calls:
            one = _of_call(record, call, weightings, sources)
            if one is None:
                hidden.append(call.address)
            else:
                found.append((call.span[0], one))
        rest = [one for one in weightings if not any(_within(one, call) for call in calls)]
        found += _of_others(record, rest, sources)
        return Heads(record, [one for _, one in sorted(found, key=lambda pair: pair[0])], hidden)


def _within(found: softmaxes.Weighting, call: Call) -> bool:
    return call.span[0] <= found.start < call.span[1]


def _of_call(
    record: Run, call: Call, weightings: Sequence[softmaxes.Weighting], sources: _Sources
) -> Attention | None:
    """The attention of one call of a layer of Keras; None where it cannot be read."""
    arguments = call.read.arguments
    if not graph.is_here(arguments.query):
        return None
    inside = [one for one in weightings if _within(one, call)]
    rank = len(arguments.query.shape)
    wanted = {3: 4} if isinstance(call.layer, MULTI_HEAD) else {rank: rank}
    if len(inside) == 1 and len(inside[0].order) == wanted.get(rank):
        raw = ops.transpose(ops.cast(inside[0].weights, "float32"), inside[0].order)
        return _read(call, raw, sources, None)
    with quiet(record.recorder.model):
        answer = _ask(call.layer, call.read.copies)
    return None if answer is None else _read(call, answer[1], sources, answer[0])


def _ask(layer: Any, copies: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The layer's output and scores in an extra call; None where it does not hand them out."""
    given = {**copies, "return_attention_scores": True}
    if "training" in inspect.signature(layer.call).parameters:
        given["training"] = False
    try:
        found = layer(**given)
    except (TypeError, ValueError, NotImplementedError):
        return None
    return None if found[1] is None else (found[0], found[1])


def _copies(arguments: Any) -> dict[str, Any]:
    """Arguments whose tensors are copies with the same masks; one tensor stays one tensor."""
    known: dict[int, Any] = {}

    def copy(value: Any) -> Any:
        if not graph.is_symbolic(value):
            return value
        if id(value) not in known:
            known[id(value)] = graph.identity(value)
            mask = getattr(value, "_keras_mask", None)
            if mask is not None:
                known[id(value)]._keras_mask = mask
        return known[id(value)]

    return {name: keras.tree.map_structure(copy, value) for name, value in arguments.items()}


class _Sources:
    """Which of the model's inputs a tensor depends on."""

    def __init__(self, record: Run) -> None:
        self._record = record
        self._below: list[graph.Below] | None = None

    def same(self, queries: Any, keys: Any) -> bool:
        """Whether two tensors come from the same inputs."""
        return queries is keys or self._of(queries) == self._of(keys)

    def _of(self, tensor: Any) -> list[bool]:
        if self._below is None:
            tensors = self._record.input_tensors.values()
            self._below = [graph.Below([x], differentiable=False) for x in tensors]
        return [tensor in below for below in self._below]


def _read(call: Call, raw: Any, sources: _Sources, output: Any) -> Attention:
    """From scores in the layer's own layout, and the output of the extra call if there was one."""
    arguments, raw = call.read.arguments, ops.cast(raw, "float32")
    allowed = attention_masks.allowed(arguments, raw)
    axes = attention_masks.token_axes(arguments)
    rank = len(arguments.query.shape) - 2
    is_multi = isinstance(call.layer, MULTI_HEAD)
    fold = _folded if is_multi else _one_head
    scores = fold(raw, axes, rank)
    is_self = _equal(*scores.shape[2:]) and sources.same(arguments.query, arguments.key)
    return Attention(
        call.address,
        call.layer,
        scores,
        ops.cast(fold(ops.cast(allowed, "float32"), axes, rank), "bool"),
        tuple(arguments.query.shape[1:-1]) if is_multi and rank > 1 else (),
        is_self,
        _first(call.output),
        output,
    )


def _first(output: Any) -> Any:
    return next((t for t in keras.tree.flatten(output) if graph.is_here(t)), None)


def _equal(queries: int | None, keys: int | None) -> bool:
    return queries == keys


def _one_head(scores: Any, axes: Sequence[int], rank: int) -> Any:
    """(batch, …, queries, keys) → (batch, heads, queries, keys): further axes count as heads."""
    size = ops.shape(scores)
    return ops.reshape(scores, (-1, _product(scores.shape[1:-2]), size[-2], size[-1]))


def _folded(scores: Any, axes: Sequence[int], rank: int) -> Any:
    """(batch, *free, heads, *queries, *keys) → (batch, heads, queries, keys) over all positions.

    Along a free axis a layer attends to nothing but the same place: 0 elsewhere.

    Args:
        scores: As Keras's layers return them.
        axes: The axes that are attended over, counted from 1.
        rank: Number of position axes of the queries.
    """
    if rank == 1:
        return scores
    free = [axis for axis in range(1, rank + 1) if axis not in axes]
    scores = ops.moveaxis(scores, len(free) + 1, 1)
    for place in range(len(free)):
        size = ops.shape(scores)[2 + place]
        same = ops.cast(ops.arange(size)[:, None] == ops.arange(size), scores.dtype)
        behind = len(scores.shape) - 3 - place
        shape = (size, *[1] * behind, size)
        scores = scores[..., None] * ops.reshape(same, shape)
    count = len(axes)
    queries = dict(zip(free, range(2, 2 + len(free)), strict=True))
    queries |= dict(zip(axes, range(2 + len(free), 2 + rank), strict=True))
    keys = dict(zip(axes, range(2 + rank, 2 + rank + count), strict=True))
    keys |= dict(zip(free, range(2 + rank + count, 2 + 2 * rank), strict=True))
    order = [*(queries[a] for a in sorted(queries)), *(keys[a] for a in sorted(keys))]
    scores = ops.transpose(scores, (0, 1, *order))
    size = ops.shape(scores)
    return ops.reshape(
        scores, (-1, scores.shape[1], _product(size[2 : 2 + rank]), _product(size[2 + rank :]))
    )


def _product(sizes: Sequence[Any]) -> Any:
    found: Any = 1
    for size in sizes:
        found = found * size
    return found


def _of_others(
    record: Run, free: Sequence[softmaxes.Weighting], sources: _Sources
) -> list[tuple[int, Attention]]:
    """Attention outside of Keras's layers, with the number of the operation it starts at."""
    owners = [_owner(record, found.start, found.end) for found in free]
    counts: dict[str, int] = {}
    result = []
    for found, owner in zip(free, owners, strict=True):
        shared = sum(other is owner for other in owners) > 1
        call = (_owner(record, found.start, found.start) if shared else owner) or owner
        address = call.address if call is not None else "softmax"
        counts[address] = counts.get(address, 0) + 1
        name = address if counts[address] == 1 else f"{address}#{counts[address]}"
        result.append((found.start, _found(name, record, call, owner, found, sources)))
    return result


def _owner(record: Run, first: int, last: int) -> Call | None:
    """The innermost call that made both operations."""
    around = [c for c in record.calls if c.span[0] <= first and last < c.span[1]]
    return min(around, key=lambda call: call.span[1] - call.span[0], default=None)


def _found(
    address: str,
    record: Run,
    call: Call | None,
    owner: Call | None,
    found: softmaxes.Weighting,
    sources: _Sources,
) -> Attention:
    weights = ops.transpose(ops.cast(found.weights, "float32"), found.order)
    scores = _one_head(weights, (), 1)
    is_self = _equal(*scores.shape[2:]) and (not found.factors or sources.same(*found.factors))
    layer = record.recorder.model if call is None else call.layer
    result = found.product if owner is None else _first(owner.output)
    return Attention(address, layer, scores, scores > 0, (), is_self, result)
