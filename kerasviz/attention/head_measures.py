"""What can be measured of one attention layer, per sample and head, in the graph."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.probe.attention import Attention
from kerasviz.probe.tokens import Layout

ops: Any = keras.ops

MEASURES = (
    "entropy",
    "normalized_entropy",
    "perplexity",
    "distance",
    "distance_share",
    "on_class_token",
    "on_self",
    "on_first",
    "largest",
    "focused",
    "similarity",
)


def measures(attention: Attention, layout: Layout | None) -> dict[str, Any]:
    """(batch, heads) float32 of every measure, and "pairs", (batch, heads, heads).

    NaN where a measure has no meaning: distances without a layout or between different
    sequences, the class token where there is none, similarity of a single head.

    Args:
        attention: What a layer paid attention to.
        layout: Where its tokens lie; None where they do not lie on an input.
    """
    scores = attention.scores
    allowed = ops.cast(attention.allowed, "float32")
    scores = scores * allowed
    counts = ops.sum(allowed, axis=-1)
    rows = ops.cast(counts > 0, "float32")
    entropy = -ops.sum(_x_log_x(scores), axis=-1)
    several = ops.cast(counts > 1, "float32")
    share = entropy / ops.log(ops.maximum(counts, 2.0))
    largest = ops.max(scores, axis=-1)
    pairs = _pairs(scores, rows)
    return {
        "entropy": _mean(entropy, rows),
        "normalized_entropy": _mean(share, several),
        "perplexity": _mean(ops.exp(entropy), rows),
        "on_first": _mean(scores[..., 0], rows),
        "largest": _mean(largest, rows),
        "focused": _mean(ops.cast(largest > 0.5, "float32"), rows),
        "on_self": _on_self(attention, scores, rows),
        "similarity": _others(pairs),
        "pairs": pairs,
        **_placed(attention, layout, scores, rows),
    }


def _x_log_x(values: Any) -> Any:
    return values * ops.log(ops.where(values > 0, values, 1.0))


def _mean(values: Any, weights: Any) -> Any:
    """Mean over the queries that count; NaN without any. (batch, heads, queries) each."""
    total = ops.sum(weights, axis=-1)
    found = ops.sum(values * weights, axis=-1) / ops.maximum(total, 1e-30)
    return ops.where(total > 0, found, _nan())


def _nan() -> Any:
    return ops.cast(float("nan"), "float32")


def _nothing(scores: Any) -> Any:
    return ops.sum(scores, axis=(2, 3)) * _nan()


def _on_self(attention: Attention, scores: Any, rows: Any) -> Any:
    if not attention.is_self:
        return _nothing(scores)
    return _mean(ops.diagonal(scores, axis1=2, axis2=3), rows)


def _pairs(scores: Any, rows: Any) -> Any:
    """(batch, heads, heads): cosine of two heads' rows, mean over the queries of both."""
    lengths = ops.sqrt(ops.sum(ops.square(scores), axis=-1, keepdims=True))
    unit = scores / ops.maximum(lengths, 1e-30)
    both = ops.einsum("bhq,bgq->bhg", rows, rows)
    found = ops.einsum("bhqk,bgqk->bhg", unit, unit) / ops.maximum(both, 1.0)
    return ops.where(both > 0, found, _nan())


def _others(pairs: Any) -> Any:
    """(batch, heads) mean similarity to the other heads."""
    heads = pairs.shape[-1]
    if heads == 1:
        return pairs[..., 0] * _nan()
    own = ops.diagonal(pairs, axis1=1, axis2=2)
    return (ops.sum(pairs, axis=-1) - own) / (heads - 1)


def _placed(attention: Attention, layout: Layout | None, scores: Any, rows: Any) -> dict[str, Any]:
    """What needs to know where the tokens lie."""
    nothing = _nothing(scores)
    found = {"distance": nothing, "distance_share": nothing, "on_class_token": nothing}
    if layout is None or not attention.is_self:
        return found
    if layout.leading:
        others = scores[:, :, layout.leading :]
        on_class = ops.sum(others[..., : layout.leading], axis=-1)
        found["on_class_token"] = _mean(on_class, rows[..., layout.leading :])
    grid = scores[:, :, layout.leading :, layout.leading :]
    distances = ops.cast(layout.distances, "float32")
    mass = ops.sum(grid, axis=-1)
    far = ops.sum(grid * distances, axis=-1) / ops.maximum(mass, 1e-30)
    found["distance"] = _mean(far, ops.cast(mass > 0, "float32"))
    if layout.longest > 0:
        found["distance_share"] = found["distance"] / layout.longest
    return found
