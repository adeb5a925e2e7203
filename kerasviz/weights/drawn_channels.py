"""Pictures of channels, of several layers side by side, for the ends of links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.activation_maximization import ActivationMaximization
from kerasviz.features.painter import Icon

AT_ONCE = 64
TOLERANCE = 1e-5
NOTHING = np.empty(0, "float32")


def draw_channels(
    model: keras.Model,
    names: Sequence[str],
    steps: int,
    size: int | None,
    seed: int,
    verbose: Any,
    settings: Mapping[str, Any],
) -> np.ndarray:
    """What excites each channel, (n, *positions, channels) in [0, 1], in one run.

    Args:
        model: The model; not altered.
        names: "layer:channel", of as many layers as one likes.
        steps: Gradient steps.
        size: Height and width; None: what the model declares, 80 where it is open.
        seed: The same seed gives the same pictures.
        verbose: Keras's progress bar.
        settings: Further settings of `kv.ActivationMaximization`.
    """
    if size is not None and "image" in settings:
        raise InputError(
            "The size of the pictures must be said once. Received: `size` and `image`. "
            "Leave `size` out."
        )
    chosen: dict[str, Any] = {"image": Icon(size), "seed": seed} | dict(settings)
    found = []
    for start in range(0, len(names), AT_ONCE):
        part = [*names[start : start + AT_ONCE]]
        visualizer = ActivationMaximization(model, part, **chosen)
        visualizer(steps=steps, verbose=verbose)
        shown = visualizer.display()
        found.append(next(iter(shown.values())) if isinstance(shown, Mapping) else shown)
    return np.concatenate(found)


def checked_pictures(pictures: Any, count: int, name: str) -> np.ndarray:
    """(count, *positions, channels) float32 in [0, 1].

    Raises:
        InputError: Something else.
    """
    found = np.asarray(pictures)
    fits = found.ndim in (3, 4, 5) and len(found) == count and found.dtype.kind in "fiub"
    if fits and found.dtype == np.uint8:
        found = found / 255.0
    if not fits or not (found.min() >= -TOLERANCE and found.max() <= 1.0 + TOLERANCE):
        received = f"{found.dtype} {found.shape}" if not fits else "values outside of them"
        raise InputError(
            f"The pictures must be (n, *positions, channels) in [0, 1], one of each of the {count} "
            f"`{name}`. Received: {received}. Scale them, or call `visualize`."
        )
    return found.astype("float32")
