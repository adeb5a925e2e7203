"""Why a map is zero, constant or NaN, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.probe.backend import compiled
from kerasviz.probe.inputs import EXACT, Batch


def of_explanation(
    model: keras.Model,
    found: Mapping[str, np.ndarray],
    names: Sequence[str],
    score_kind: str,
    batch: Batch,
) -> list[str]:
    """One text per sample, "" where there is nothing to report.

    Args:
        model: The explained model, whose weights are searched for NaN when a map is NaN.
        found: Computed arrays: `low/…`, `high/…`, `total/…`, `signal/…/…` and `score`, (batch,)
            each, and `output`, (batch, units), where there is one.
        names: Names of the explained inputs.
        score_kind: Where the score was taken.
        batch: What was given to the model.
    """
    lows = np.stack([found[f"low/{name}"] for name in names])
    highs = np.stack([found[f"high/{name}"] for name in names])
    totals = np.stack([found[f"total/{name}"] for name in names])
    suspicious = ~np.isfinite(totals) | (lows == highs)
    texts = [""] * batch.size
    for sample in map(int, np.flatnonzero(suspicious.any(axis=0))):
        parts = []
        for which in map(int, np.flatnonzero(suspicious[:, sample])):
            cause = _bad_input(batch, sample) or _cause(
                model, found, names[which], score_kind, sample
            )
            parts.append(f"{names[which]}: {cause}" if len(names) > 1 else cause)
        texts[sample] = "; ".join(parts)
    return texts


def of_maps(maps: Any) -> list[str]:
    """One text per map, from the maps alone (as after `predict` on several replicas)."""
    if isinstance(maps, dict):
        return [text for values in maps.values() for text in of_maps(values)]
    return [_appearance(one) for one in np.asarray(maps)]


def _appearance(one: np.ndarray) -> str:
    if not np.isfinite(one).all():
        return "NaN; `explain` names the cause"
    if one.min() < one.max():
        return ""
    return f"{'constant' if one.any() else 'all zero'}; `explain` names the cause"


def blanked(values: np.ndarray, spoilt: np.ndarray) -> np.ndarray:
    """The values with NaN for spoilt samples, whose NaN a ReLU may have turned into zeros."""
    if not spoilt.any():
        return values
    values = values.copy()
    values[spoilt] = np.nan
    return values


def _bad_input(batch: Batch, sample: int) -> str:
    for name, tensor in zip(batch.names, batch.flat, strict=True):
        values = compiled.as_array(tensor[sample])
        if values.dtype.kind not in EXACT and not np.isfinite(values.astype("float32")).all():
            return f"NaN: the input '{name}' itself holds NaN or infinity; repair this sample"
    return ""


def _cause(
    model: keras.Model,
    found: Mapping[str, np.ndarray],
    name: str,
    score_kind: str,
    sample: int,
) -> str:
    low, high = float(found[f"low/{name}"][sample]), float(found[f"high/{name}"][sample])
    if not np.isfinite(found[f"total/{name}"][sample]):
        return _not_finite(model)
    if low == high and low != 0:
        return "constant: every position counts the same; choose an earlier layer"
    return _zero(found, name, score_kind, sample)


def _not_finite(model: keras.Model) -> str:
    bad = [
        variable.path
        for variable in model.weights
        if not np.isfinite(np.asarray(variable, dtype="float32")).all()
    ]
    if bad:
        return f"NaN: the weights {', '.join(bad[:3])} hold NaN or infinity; reload the model"
    return (
        "NaN: a value overflowed inside the model although inputs and weights are finite; "
        "try float32 instead of half precision, or smaller inputs"
    )


def _signal(found: Mapping[str, np.ndarray], signal: str, name: str, sample: int) -> float | None:
    values = found.get(f"signal/{signal}/{name}")
    return None if values is None else float(values[sample])


def _zero(found: Mapping[str, np.ndarray], name: str, score_kind: str, sample: int) -> str:
    gradient = _signal(found, "gradient", name, sample)
    activation = _signal(found, "activation", name, sample)
    evidence = _signal(found, "evidence", name, sample)
    if activation == 0:
        return "all zero: the layer's activations are zero (dead ReLUs); choose an earlier layer"
    if gradient == 0 and score_kind == "output as it is" and _saturated(found, sample):
        return (
            "all zero: the score is saturated at 0 or 1 and has no slope, and no softmax or "
            "sigmoid was found to look behind; give a target that returns the logits"
        )
    if gradient == 0:
        return (
            "all zero: the score does not change with this layer for this sample (dead ReLUs above "
            "it, or the head reads other positions only); choose another layer or target"
        )
    if evidence is not None and evidence <= 0:
        return (
            "all zero: every position speaks against the target, and only evidence for it "
            "is shown; pass `rectify=False` to see the negative evidence, or choose another target"
        )
    return "all zero: the rule let no signal through; try `kv.Saliency`"


def _saturated(found: Mapping[str, np.ndarray], sample: int) -> bool:
    """Whether the outputs look like probabilities of which one is all but certain."""
    outputs = found.get("output")
    if outputs is None or abs(float(outputs[sample].sum()) - 1) > 1e-3:
        return False
    return bool(outputs[sample].min() >= 0 and outputs[sample].max() > 1 - 1e-6)
