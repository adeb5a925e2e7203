"""Which keys an attention layer of Keras lets each query look at, from the arguments of a call."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True, eq=False)
class Arguments:
    """What one call of an attention layer was given.

    Attributes:
        query: (batch, *positions, channels).
        key: The same of the keys.
        query_mask: (batch, positions) or None.
        key_masks: The masks of keys and of values, each (batch, positions).
        attention_mask: As given; None without any.
        is_causal: Whether each query sees itself and what comes before.
        window: How near a key must be, if it must; 1 is the query's own place.
        axes: The axes that are attended over, counted from 1; None for all.
    """

    query: Any
    key: Any
    query_mask: Any = None
    key_masks: tuple[Any, ...] = ()
    attention_mask: Any = None
    is_causal: bool = False
    window: int | None = None
    axes: tuple[int, ...] | None = None


def arguments(layer: Any, given: Mapping[str, Any]) -> Arguments:
    """Read the arguments of a call before it is made: a layer may strip tensors of their masks."""
    is_causal = given.get("use_causal_mask", False) is True
    if "inputs" in given:
        return _of_list(given["inputs"], given.get("mask"), is_causal)
    query, value = given["query"], given["value"]
    key = value if given.get("key") is None else given["key"]
    masks = {
        name: _mask(given.get(f"{name}_mask"), tensor)
        for name, tensor in (("query", query), ("value", value), ("key", given.get("key")))
    }
    attended = getattr(layer, "_attention_axes", None)
    return Arguments(
        query,
        key,
        masks["query"],
        tuple(masks[name] for name in ("value", "key") if masks[name] is not None),
        given.get("attention_mask"),
        is_causal,
        getattr(layer, "sliding_window", None) or getattr(layer, "_sliding_window", None),
        None if attended is None else tuple(attended),
    )


def _of_list(inputs: Sequence[Any], mask: Any, is_causal: bool) -> Arguments:
    """Of `Attention` and `AdditiveAttention`, which take [query, value] or [query, value, key]."""
    masks = list(mask) if mask is not None else [None, None]
    query_mask, value_mask = (_mask(m, x) for m, x in zip(masks, inputs[:2], strict=False))
    key_masks = () if value_mask is None else (value_mask,)
    return Arguments(inputs[0], inputs[-1], query_mask, key_masks, None, is_causal)


def _mask(explicit: Any, tensor: Any) -> Any:
    return getattr(tensor, "_keras_mask", None) if explicit is None else explicit


def token_axes(arguments: Arguments) -> tuple[int, ...]:
    """The position axes that are attended over, counted from 1."""
    return arguments.axes or tuple(range(1, len(arguments.query.shape) - 1))


def allowed(arguments: Arguments, scores: Any) -> Any:
    """Bool of the shape of the raw scores, (batch, …, *queries, *keys): which keys are seen.

    A query that is masked itself sees nothing.
    """
    count = len(token_axes(arguments))
    size = ops.shape(scores)
    parts = [] if arguments.query_mask is None else [ops.expand_dims(arguments.query_mask, -1)]
    parts += [ops.expand_dims(mask, -2) for mask in arguments.key_masks]
    if arguments.attention_mask is not None:
        parts.append(arguments.attention_mask)
    if arguments.is_causal:
        parts.append((ops.arange(size[-2])[:, None] >= ops.arange(size[-1]))[None])
    if arguments.window is not None:
        apart = ops.abs(ops.arange(size[-2])[:, None] - ops.arange(size[-1]))
        parts.append((apart < arguments.window)[None])
    found = ops.ones_like(scores, dtype="bool")
    for part in parts:
        found = ops.logical_and(found, _aligned(ops.cast(part, "bool"), len(scores.shape), count))
    return found


def _aligned(mask: Any, rank: int, count: int) -> Any:
    """The mask with axes of size 1 for the heads, in front of its query and key axes."""
    for _ in range(rank - len(mask.shape)):
        mask = ops.expand_dims(mask, max(-2 * count - 1, -len(mask.shape) - 1))
    return mask
