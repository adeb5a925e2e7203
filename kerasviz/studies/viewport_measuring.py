"""Tables of the viewport study: detection by distance, decoding by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from kerasviz.studies import viewport_decoding as decoding
from kerasviz.studies.viewport_intervals import between, group_draws, grouped_share_interval

if TYPE_CHECKING:
    import pandas as pd

TARGETS = ("x", "y", "distance")
SHUFFLES = 20


def detection_table(placements: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """The table that `Viewport.detection` is."""
    import pandas as pd

    rows = [
        {"distance": distance, **_detected(part, seed)}
        for distance, part in placements.groupby("distance", sort=True)
    ]
    table = pd.DataFrame(rows)
    enough = table["accuracy"] >= share * table["accuracy"].iloc[0]
    passed = enough & (table["accuracy_low"] > table["chance"])
    table["reliable"] = passed.cummin()
    return table


def _detected(part: pd.DataFrame, seed: int) -> dict[str, Any]:
    grouped = part.groupby("image")
    correct, counts = grouped["correct"].sum().to_numpy(), grouped.size().to_numpy()
    low, high = grouped_share_interval(correct.astype(float), counts.astype(float))
    draws = group_draws(len(counts), seed)
    means = (draws @ grouped["confidence"].sum().to_numpy()) / (draws @ counts)
    confidence_low, confidence_high = between(means)
    return {
        "size": int(part["size"].iloc[0]),
        "frames": len(part),
        "accuracy": float(part["correct"].mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "chance": agreement_by_chance(part["predicted"].to_numpy(), part["label"].to_numpy()),
        "confidence": float(part["confidence"].mean()),
        "confidence_low": float(confidence_low),
        "confidence_high": float(confidence_high),
    }


def agreement_by_chance(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Σ over classes of the share of answers times the share of labels, as in Cohen's kappa."""
    classes = np.union1d(predicted, labels)
    return float(sum((predicted == one).mean() * (labels == one).mean() for one in classes))


def reliable_interval(
    placements: pd.DataFrame, detection: pd.DataFrame, share: float, seed: int
) -> tuple[float, float]:
    """95 % of the reliable distances of bootstrap draws of pictures; NaN for none."""
    distances = detection["distance"].to_numpy()
    by_image = placements.groupby(["image", "distance"])["correct"]
    correct, counts = (part.unstack().to_numpy(float) for part in (by_image.sum(), by_image.size()))
    draws = group_draws(len(correct), seed)
    accuracy = (draws @ correct) / (draws @ counts)
    enough = accuracy >= share * accuracy[:, :1]
    passed = np.cumprod(enough & (accuracy > detection["chance"].to_numpy()), axis=1)
    reached = np.concatenate([[0.0], distances])[passed.sum(axis=1)]
    low, high = np.percentile(reached, [2.5, 97.5], method="nearest")
    return float(low) or float("nan"), float(high) or float("nan")


def decoding_table(
    features: Mapping[tuple[str, str], np.ndarray],
    counts: Mapping[tuple[str, str], int],
    placements: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """The table that `Viewport.decoding` is.

    Args:
        features: (layer, pooling) → (frames, features), layers in order of depth.
        counts: How many features there were before they were folded.
        placements: Of these frames.
        seed: Of folds, shuffles and bootstrap.

    Linear algebra runs on one thread: on matrices this small, threads that wait for each other on a
    busy machine cost ten times what they gain.
    """
    import pandas as pd

    groups = placements["image"].to_numpy()
    values = placements[list(TARGETS)].to_numpy("float64", copy=True)
    values[:, 2] = np.log2(values[:, 2])
    generator = np.random.default_rng((seed, 5))
    shuffled = [values[generator.permutation(len(values))] for _ in range(SHUFFLES)]
    targets = np.concatenate([values, *shuffled], axis=1)
    folds, draws = decoding.folds_of(groups, seed), group_draws(len(np.unique(groups)), seed)
    depths = {layer: depth for depth, layer in enumerate(dict.fromkeys(x for x, _ in features))}
    rows = []
    for (layer, pooling), part in features.items():
        with threadpool_limits(1, "blas"):
            kernel = decoding.similarity(part)
            predictions = decoding.held_out_predictions(kernel, targets, folds)
        sums = decoding.sums_of(targets, predictions, groups)
        once = np.ones((1, draws.shape[1]))
        r2 = decoding.explained(sums, once)[0]
        low, high = between(_of_targets(sums, draws))
        error = np.sqrt(sums[1].sum(axis=0) / len(values))
        chance = r2[len(TARGETS) :].reshape(SHUFFLES, len(TARGETS))
        for place, target in enumerate(TARGETS):
            rows.append(
                {
                    "layer": layer,
                    "depth": depths[layer],
                    "pooling": pooling,
                    "target": target,
                    "r2": r2[place],
                    "r2_low": low[place],
                    "r2_high": high[place],
                    "error": error[place],
                    "chance": chance[:, place].mean(),
                    "chance_high": np.quantile(chance[:, place], 0.95),
                    "features": counts[layer, pooling],
                }
            )
    return pd.DataFrame(rows)


def _of_targets(sums: tuple[np.ndarray, ...], draws: np.ndarray) -> np.ndarray:
    """R² of the bootstrap draws, of the targets that were not shuffled."""
    count, *others = sums
    return decoding.explained((count, *(one[:, : len(TARGETS)] for one in others)), draws)
