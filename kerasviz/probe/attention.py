"""What every attention layer of a model pays attention to, as graph tensors.

Keras's own layers are asked: each is called once more, on the same tensors and in inference mode,
with `return_attention_scores=True`, which the layer's fused path cannot do and its other path can.
What they handed on to the model is left as it was. Layers that spell softmax(QKᵀ)V themselves are
found in the graph.
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
        was_asked: Whether the layer was asked, and not its softmax found in the graph.
        result: What the layer returned to the model; None where no layer is around the softmax.
        output: What it returned in the extra call; None where it was not asked.
    """

    address: str
    layer: Any
    scores: Any
    allowed: Any
    grid: tuple[int | None, ...]
    is_self: bool
    was_asked: bool
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
        unreachable: Addresses of calls inside a loop or a function of its own (`TimeDistributed`,
            a recurrent layer), whose scores are not in this graph.
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
class _Answer:
    """What an attention layer said when it was asked."""

    scores: Any
    output: Any
    arguments: Arguments


class Reading:
    """A reader for `probe.run.run`: asks each attention layer for its scores, as it is called."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def __call__(self, layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not isinstance(layer, STOCK):
            return None
        parameters = inspect.signature(layer.call).parameters
        if "return_attention_scores" not in parameters:
            return None
        start = graph.position()
        try:
            return _ask(layer, args, kwargs)
        except (TypeError, ValueError, NotImplementedError):
            return None
        finally:
            self._spans.append((start, graph.position()))

    def heads(self, record: Run) -> Heads:
        """All attention of a run that this has read."""
        asked = [(call, call.read) for call in record.calls if call.read is not None]
        here = [(call, answer) for call, answer in asked if graph.is_here(answer.scores)]
        hidden = [call.address for call, answer in asked if not graph.is_here(answer.scores)]
        sources = _Sources(record)
        done = [*self._spans, *(call.span for call, _ in here)]
        found = [(call.span[0], _asked(call, answer, sources)) for call, answer in here]
        found += _unasked(record, done, sources)
        return Heads(record, [one for _, one in sorted(found, key=lambda pair: pair[0])], hidden)


def _ask(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Answer | None:
    """The layer's scores for copies of its arguments: a layer may strip tensors of their masks."""
    bound = inspect.signature(layer.call).bind(*args, **kwargs)
    given = dict(bound.arguments)
    arguments = attention_masks.arguments(layer, given)
    copies = _copies(given)
    if "training" in inspect.signature(layer.call).parameters:
        copies["training"] = False
    found = layer(**{**copies, "return_attention_scores": True})
    if not isinstance(found, (tuple, list)) or len(found) != 2 or found[1] is None:
        return None
    return _Answer(found[1], found[0], arguments)


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


def _asked(call: Call, answer: _Answer, sources: _Sources) -> Attention:
    arguments = answer.arguments
    raw = ops.cast(answer.scores, "float32")
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
        True,
        _first(call.output),
        answer.output,
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


def _unasked(
    record: Run, done: Sequence[tuple[int, int]], sources: _Sources
) -> list[tuple[int, Attention]]:
    """Attention that no layer was asked for, by the softmaxes of the graph."""
    inputs = [x for x in keras.tree.flatten(record.inputs) if x is not None]
    free = [
        found
        for found in softmaxes.weightings(inputs)
        if not any(start <= found.start < end for start, end in done)
    ]
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
    return Attention(address, layer, scores, scores > 0, (), is_self, False, result)
