"""Small arithmetic shared by the explainers: axes, reductions, enlargement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasviz.probe.backend import graph

ops: Any = keras.ops


def named(found: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The entries `kind/name` of a flat dict, by name."""
    return {key[len(kind) + 1 :]: v for key, v in found.items() if key.startswith(kind + "/")}


def unwrap(by_input: Mapping[str, Any], several: bool) -> Any:
    """The dict for a model with several inputs, the only value for a model with one."""
    return dict(by_input) if several else next(iter(by_input.values()), None)


def positions(rank: int, channel_axis: int | None) -> tuple[int, ...]:
    """All axes but the batch and the channel axis."""
    return tuple(axis for axis in range(1, rank) if axis != channel_axis)


def per_sample(vector: Any, rank: int) -> Any:
    """(batch,) → (batch, 1, …) of that rank."""
    return ops.reshape(vector, (-1,) + (1,) * (rank - 1))


def divided(values: Any, peak: Any) -> Any:
    """values / peak per sample; a zero map stays zero, a NaN map stays NaN."""
    safe = ops.where(peak > 0, peak, ops.ones_like(peak))
    safe = ops.where(ops.isnan(peak), peak, safe)
    return values / per_sample(safe, len(values.shape))


def blank(values: Any, spoilt: Any) -> Any:
    """The values with NaN for samples, (batch,) bool, whose score is NaN: a rule may drop it."""
    spoilt = per_sample(spoilt, len(values.shape))
    return ops.where(spoilt, ops.cast(float("nan"), values.dtype), values)


def largest(values: Any) -> Any:
    """(batch,) largest absolute value of each sample."""
    return ops.max(ops.abs(values), axis=tuple(range(1, len(values.shape))))


def enlarged(values: Any, sizes: Sequence[Any]) -> Any:
    """Linear interpolation of (batch, *positions) to new sizes, half-pixel centres.

    The same as `tf.image.resize(..., "bilinear")` for two axes, and its extension to any number
    of axes, one or two at a time. Axes that already have their size are left alone.
    """
    axes = [a for a in range(len(sizes)) if not _same(values.shape[a + 1], sizes[a])]
    while axes:
        pair = axes[:2] if len(axes) > 1 and axes[1] == axes[0] + 1 else axes[:1]
        values = _enlarged_axes(values, pair, sizes)
        axes = axes[len(pair) :]
    return values


def _same(size: Any, wanted: Any) -> bool:
    return isinstance(wanted, int) and size == wanted


def _enlarged_axes(values: Any, axes: Sequence[int], sizes: Sequence[Any]) -> Any:
    """Resize one or two neighbouring axes as the height and width of a picture."""
    shape = ops.shape(values)
    first, last = axes[0] + 1, axes[-1] + 1
    before, after = shape[1:first], shape[last + 1 :]
    height = shape[first] if len(axes) == 2 else 1
    target = (sizes[axes[0]] if len(axes) == 2 else 1, sizes[axes[-1]])
    picture = ops.reshape(values, (-1, height, shape[last], _product(after)))
    picture = graph.resize_bilinear(picture, target)
    kept = [sizes[a] for a in axes]
    return ops.reshape(picture, (-1, *before, *kept, *after))


def _product(sizes: Sequence[Any]) -> Any:
    result: Any = 1
    for size in sizes:
        result = result * size
    return result


def kept_where(usable: Sequence[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """`found` with NaN for every map of a sample that one of the (batch,) conditions excludes."""
    kept = dict(found)
    for key, values in found.items():
        for condition in usable if key.startswith("map/") else ():
            fits = per_sample(condition, len(values.shape))
            kept[key] = ops.where(fits, kept[key], float("nan"))
    return kept
