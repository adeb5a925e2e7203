"""Attention from a layer's weights, statistics of heads and rollout, in NumPy and plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis; rows of minus infinity become zero."""
    top = logits.max(axis=-1, keepdims=True)
    parts = np.exp(logits - np.where(np.isfinite(top), top, 0.0))
    return parts / np.maximum(parts.sum(axis=-1, keepdims=True), 1e-300)


def projected(layer: Any, name: str, x: np.ndarray) -> np.ndarray:
    """(batch, positions, heads, size) of the layer's query or key projection."""
    weights = {w.path.split("/")[-2] + "/" + w.path.split("/")[-1]: w for w in layer.weights}
    kernel = np.asarray(weights[f"{name}/kernel"], "float64")
    bias = np.asarray(weights[f"{name}/bias"], "float64")
    return np.einsum("bpc,chd->bphd", x.reshape(len(x), -1, x.shape[-1]), kernel) + bias


def multi_head_scores(
    layer: Any, query: np.ndarray, key: np.ndarray, seen: np.ndarray | None = None
) -> np.ndarray:
    """(batch, heads, queries, keys) of MultiHeadAttention or GroupQueryAttention.

    Args:
        layer: The layer, for its weights.
        query: (batch, *positions, channels).
        key: The same.
        seen: Bool, broadcast to the scores: what is not hidden by a mask.
    """
    queries = projected(layer, "query", np.asarray(query, "float64"))
    keys = projected(layer, "key", np.asarray(key, "float64"))
    batch, count, heads, size = queries.shape
    logits = np.zeros((batch, heads, count, keys.shape[1]))
    for head in range(heads):
        other = head * keys.shape[2] // heads
        for sample in range(batch):
            product = queries[sample, :, head] @ keys[sample, :, other].T
            logits[sample, head] = product / math.sqrt(size)
    if seen is not None:
        logits = np.where(np.broadcast_to(seen, logits.shape), logits, -np.inf)
    return softmax(logits)


def statistics(
    scores: np.ndarray, seen: np.ndarray, grid: tuple[int, ...] | None, leading: int
) -> dict[str, np.ndarray]:
    """(samples, heads) of each measure, one query after another."""
    samples, heads = scores.shape[:2]
    names = "entropy normalized_entropy perplexity distance on_class_token on_self on_first"
    found = {
        name: np.full((samples, heads), np.nan) for name in [*names.split(), "largest", "focused"]
    }
    for sample in range(samples):
        for head in range(heads):
            for name, value in of_one(
                scores[sample, head].astype("float64"), seen[sample, head], grid, leading
            ).items():
                found[name][sample, head] = value
    return found


def of_one(
    score: np.ndarray, seen: np.ndarray, grid: tuple[int, ...] | None, leading: int
) -> dict[str, float]:
    """The measures of one head of one sample."""
    lists: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        lists.setdefault(name, []).append(value)

    for query, row in enumerate(score):
        keys = [key for key in range(len(row)) if seen[query, key]]
        if not keys:
            continue
        entropy = -sum(row[key] * math.log(row[key]) for key in keys if row[key] > 0)
        note("entropy", entropy)
        note("perplexity", math.exp(entropy))
        if len(keys) > 1:
            note("normalized_entropy", entropy / math.log(len(keys)))
        note("on_self", row[query] if seen[query, query] else 0.0)
        note("on_first", row[0] if seen[query, 0] else 0.0)
        note("largest", max(row[key] for key in keys))
        note("focused", float(max(row[key] for key in keys) > 0.5))
        if grid is None or query < leading:
            continue
        if leading:
            note("on_class_token", sum(row[key] for key in keys if key < leading))
        mass = sum(row[key] for key in keys if key >= leading)
        if mass > 0:
            far = sum(
                row[key] * apart(query - leading, key - leading, grid)
                for key in keys
                if key >= leading
            )
            note("distance", far / mass)
    return {name: sum(values) / len(values) for name, values in lists.items()}


def apart(one: int, other: int, grid: tuple[int, ...]) -> float:
    """Distance of two tokens of a grid, in tokens."""
    places = [np.unravel_index(which, grid) for which in (one, other)]
    return math.sqrt(sum((float(a) - float(b)) ** 2 for a, b in zip(*places, strict=True)))


def similarity(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(samples, heads, heads) mean cosine of rows."""
    samples, heads, count = scores.shape[:3]
    found = np.zeros((samples, heads, heads))
    for sample in range(samples):
        rows = [query for query in range(count) if seen[sample, 0, query].any()]
        for one in range(heads):
            for other in range(heads):
                cosines = []
                for query in rows:
                    a, b = scores[sample, one, query], scores[sample, other, query]
                    cosines.append(a @ b / math.sqrt((a @ a) * (b @ b)))
                found[sample, one, other] = sum(cosines) / len(cosines)
    return found


def rollout(
    layers: list[np.ndarray],
    residual: float = 0.5,
    fusion: str = "mean",
    discard: float = 0.0,
) -> np.ndarray:
    """(samples, tokens, tokens): row q says which input tokens token q is mixed from.

    Args:
        layers: (samples, heads, tokens, tokens) of each layer, the first first.
        residual: Share of the residual path.
        fusion: "mean", "max" or "min" over the heads.
        discard: Share of each row that is set to zero, lowest first.
    """
    samples, _, count, _ = layers[0].shape
    found = np.zeros((samples, count, count))
    for sample in range(samples):
        joint = np.eye(count)
        for scores in layers:
            fused = getattr(np, fusion)(scores[sample].astype("float64"), axis=0)
            mixed = np.zeros((count, count))
            for query in range(count):
                order = np.argsort(fused[query], kind="stable")
                fused[query, order[: int(discard * count)]] = 0.0
                for key in range(count):
                    own = residual if key == query else 0.0
                    mixed[query, key] = (1 - residual) * fused[query, key] + own
                mixed[query] /= mixed[query].sum()
            joint = mixed @ joint
        found[sample] = joint
    return found
