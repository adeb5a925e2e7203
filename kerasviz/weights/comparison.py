"""What changed between two models, or two checkpoints of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.weights.chunks import CHUNK, extent, histogram

if TYPE_CHECKING:
    import pandas as pd

EXACT = 1 << 20
BINS = 1 << 16
COLUMNS = ("role", "shape", "count", "not_finite", "shift", "std", "wasserstein")
CHANGES = ("relative_change", "cosine")


def compare(model: keras.Model, other: Any) -> pd.DataFrame:
    """What changed from one model to another of the same weights, the most changed first.

    Args:
        model: Any built Keras 3 model: before. Not altered.
        other: A model with weights of the same shapes: after. Or a list of arrays in the order of
            `model.get_weights()`, such as a checkpoint kept in memory. Weights of models are
            paired by address where both have the same addresses, else in the order in which the
            models hold them.

    Returns:
        DataFrame indexed by `address` (in `model`), sorted by `relative_change`, NaN last:

        - `role`, `shape`; `count` of pairs that are finite in both, `not_finite` of others, which
          are left out;
        - `shift`: mean after - mean before; `std` before, to compare it with;
        - `wasserstein`: how far the distribution moved (order 1, in the unit of the weights). 0
          where weights only changed places. Exact up to 2^20 values; of more, to a 65536th of
          their range;
        - `relative_change`: ‖after - before‖ / ‖before‖; NaN where all were zero before;
        - `cosine` between before and after, flat: 1 where only the scale changed; NaN where either
          is all zero.

    Raises:
        InputError: Not built Keras models, or weights of other shapes.
        MethodError: A layer is quantized, so that its numbers are codes, not weights.

    Example:

    ```python
    after = [1.01 * array for array in model.get_weights()]
    table = kv.weights.compare(model, after)
    print(table[["shift", "wasserstein", "relative_change", "cosine"]])
    ```
    """
    import pandas as pd

    check_model(model)
    weights = held_weights(model)
    others = _others(model, weights, other)
    rows = [_row(held, after) for held, after in zip(weights, others, strict=True)]
    index = pd.Index([held.addresses[0] for held in weights], name="address", dtype="object")
    table = pd.DataFrame(rows, index=index, columns=[*COLUMNS, *CHANGES])
    table = table.sort_values("relative_change", ascending=False, kind="stable")
    name = other.name if isinstance(other, keras.Model) else "arrays"
    table.attrs.update(provenance(model) | {"other": name})
    return table


def _others(model: keras.Model, weights: Sequence[HeldWeight], other: Any) -> list[Any]:
    """For each weight its counterpart: a `HeldWeight` or an array."""
    if isinstance(other, keras.Model):
        check_model(other)
        theirs: list[Any] = held_weights(other)
        named = {held.addresses[0]: held for held in theirs}
        if set(named) == {held.addresses[0] for held in weights}:
            theirs = [named[held.addresses[0]] for held in weights]
    elif isinstance(other, (list, tuple)):
        theirs = _in_order(model, weights, other)
    else:
        raise InputError(
            "`other` must be a Keras model or a list of arrays. "
            f"Received: {other!r} (of type {type(other).__name__}). "
            "Load a file first, e.g. `keras.models.load_model(path)`."
        )
    mine = [tuple(held.variable.shape) for held in weights]
    shapes = [tuple(getattr(one, "variable", one).shape) for one in theirs]
    if mine != shapes:
        raise InputError(_different(weights, mine, shapes))
    return theirs


def _in_order(
    model: keras.Model, weights: Sequence[HeldWeight], arrays: Sequence[Any]
) -> list[Any]:
    """Arrays in the order of `model.get_weights()`, put in ours."""
    places = {id(variable): place for place, variable in enumerate(model.weights)}
    if len(arrays) != len(places):
        raise InputError(
            f"`other` must hold an array for each of the {len(places)} weights of '{model.name}'. "
            f"Received: {len(arrays)}. Use what `model.get_weights()` gives."
        )
    return [np.asarray(arrays[places[id(held.variable)]]) for held in weights]


def _different(weights: Sequence[HeldWeight], mine: list[Any], theirs: list[Any]) -> str:
    expected = f"`other` must have weights of the same shapes, {len(mine)} of them. "
    way = "Compare checkpoints of one architecture."
    if len(mine) != len(theirs):
        return f"{expected}Received: {len(theirs)} weights. {way}"
    place = next(i for i, pair in enumerate(zip(mine, theirs, strict=True)) if pair[0] != pair[1])
    address = weights[place].addresses[0]
    return f"{expected}Received: {theirs[place]} for '{address}', {mine[place]}. {way}"


def _row(held: HeldWeight, other: Any) -> dict[str, Any]:
    before = held.view()
    after = np.ascontiguousarray(other.view() if isinstance(other, HeldWeight) else other)
    facts = {"role": held.role, "shape": tuple(before.shape)}
    return facts | _changes(before.reshape(-1), after.reshape(-1))


def _changes(before: np.ndarray, after: np.ndarray) -> dict[str, float]:
    """All numbers of a row, chunk by chunk, in float64."""
    count, pivot, sums = 0, None, np.zeros(7)
    is_whole = True
    for start in range(0, before.size, CHUNK):
        x = before[start : start + CHUNK].astype("float64")
        y = after[start : start + CHUNK].astype("float64")
        finite = np.isfinite(x) & np.isfinite(y)
        if not finite.all():
            x, y, is_whole = x[finite], y[finite], False
        if not x.size:
            continue
        pivot = x[0] if pivot is None else pivot
        change, moved = y - x, x - pivot
        parts = (change, change**2, x**2, y**2, x * y, moved, moved**2)
        sums += [part.sum() for part in parts]
        count += x.size
    found = {"count": count, "not_finite": before.size - count}
    if not count:
        names = ("shift", "std", "wasserstein", *CHANGES)
        return found | dict.fromkeys(names, math.nan)
    shift, changed, mine, theirs, product, moved, squares = sums
    norms = math.sqrt(mine) * math.sqrt(theirs)
    return found | {
        "shift": shift / count,
        "std": math.sqrt(max(0.0, squares / count - (moved / count) ** 2)),
        "wasserstein": _wasserstein(before, after, is_whole),
        "relative_change": math.sqrt(changed / mine) if mine > 0 else math.nan,
        "cosine": float(np.clip(product / norms, -1.0, 1.0)) if norms > 0 else math.nan,
    }


def _wasserstein(before: np.ndarray, after: np.ndarray, is_whole: bool) -> float:
    """Of the pairs that are finite in both."""
    if not is_whole:
        finite = np.isfinite(before) & np.isfinite(after)
        before, after = before[finite], after[finite]
    if before.size <= EXACT:
        gaps = np.sort(after).astype("float64") - np.sort(before)
        return float(np.abs(gaps).mean())
    ends = np.array([extent(before), extent(after)])
    edges = np.linspace(ends[:, 0].min(), ends[:, 1].max(), BINS + 1)
    if not edges[-1] > edges[0]:
        return 0.0
    gaps = np.cumsum(histogram(after, edges) - histogram(before, edges)) / before.size
    return float(np.abs(gaps).sum() * (edges[1] - edges[0]))
