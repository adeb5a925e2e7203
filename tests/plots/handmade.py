"""Explanations made by hand, so that pictures and pages are tested without a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasviz.attribution.explanation import Explanation

LABELS = ("tabby cat", "espresso", "moped", "lynx", "<script>alert('label')</script>", "sock")
PREDICTIONS = np.array(
    [[0.6, 0.02, 0.1, 0.2, 0.05, 0.03], [0.1, 0.7, 0.05, 0.05, 0.06, 0.04]], dtype=np.float32
)


def blob(height: int, width: int, down: float, right: float, spread: float = 0.15) -> np.ndarray:
    """A smooth hill whose largest value is 1."""
    rows, columns = np.mgrid[0:height, 0:width]
    distance = (rows / height - down) ** 2 + (columns / width - right) ** 2
    hill = np.exp(-distance / (2 * spread**2))
    return hill / hill.max()


def photos(count: int = 2, height: int = 24, width: int = 32) -> np.ndarray:
    """`(count, height, width, 3)` in [-1, 1]: reproducible, none constant."""
    return np.random.default_rng(7).uniform(-1.0, 1.0, (count, height, width, 3))


def explanation(method: str = "Grad-CAM", **changes: Any) -> Explanation:
    """Two samples of 24 × 32 pixels; any field can be replaced."""
    fields: dict[str, Any] = {
        "method": method,
        "maps": np.stack([blob(24, 32, 0.3, 0.7), blob(24, 32, 0.6, 0.2)]),
        "peaks": np.array([0.0321, 4.5]),
        "inputs": photos(),
        "scores": np.array([8.125, 3.5]),
        "score_kind": "before softmax",
        "targets": np.array([0, 1]),
        "target_names": ("tabby cat", "espresso"),
        "predictions": PREDICTIONS,
        "labels": LABELS,
        "layer": "encoder/conv",
        "resolution": (7, 9),
        "layer_reason": "last layer with a spatial map",
        "coverage": "rewrote 17 of 17 ReLU",
        "provenance": {"kerasviz": "0.1.0", "model": "little_net", "created": "2025-01-02"},
    }
    return Explanation(**(fields | changes))


def bare(maps: Any, inputs: Any, **changes: Any) -> Explanation:
    """One sample of any shape, with nothing but what must be there."""
    several = isinstance(maps, dict)
    fields: dict[str, Any] = {
        "method": "Saliency",
        "maps": maps,
        "peaks": {name: [1.0] for name in maps} if several else [1.0],
        "inputs": inputs,
        "scores": [1.0],
        "score_kind": "output as it is",
        "targets": None,
        "target_names": ("mean output",),
    }
    return Explanation(**(fields | changes))
