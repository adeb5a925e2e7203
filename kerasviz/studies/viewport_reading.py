"""Showing frames to a model, batch by batch; answers and pooled features are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe.answers import ANSWER, Answers
from kerasviz.studies.viewport_decoding import Sketch, globally, pooled
from kerasviz.studies.viewport_frames import Painter

if TYPE_CHECKING:
    import pandas as pd

PIXELS = "(pixels)"
GRID = (3, 4)
POOLINGS = {"grid": lambda values: pooled(values, GRID), "global": globally}


class Reading:
    """Goes through frames; frames and maps of one batch only are in memory at a time.

    Args:
        reader: Of the model.
        painter: Makes the frames.
        layers: Addresses, in order of depth.
        batch_size: Frames at once.

    Attributes:
        features: (layer, pooling) → (decoded frames, features) of the latest call with a seed.
        counts: How many features there were before they were folded.
    """

    def __init__(
        self, reader: Answers, painter: Painter, layers: Sequence[str], batch_size: int
    ) -> None:
        self._reader, self._painter = reader, painter
        self._layers, self._batch_size = layers, batch_size
        self.features: dict[tuple[str, str], np.ndarray] = {}
        self.counts: dict[tuple[str, str], int] = {}

    def close_ups(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """(pictures, classes) probabilities of pictures of any sizes, each a batch of one."""
        return np.concatenate([_checked(self._reader(one)[ANSWER]) for one in pictures])

    def answers(
        self,
        rows: pd.DataFrame,
        seed: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> np.ndarray:
        """(frames, classes) probabilities.

        Args:
            rows: Placements.
            seed: Of the folding of features; None keeps none.
            progress: Called after each batch.
        """
        sketch = None if seed is None else Sketch(seed)
        kept: dict[tuple[str, str], list[np.ndarray]] = {}
        answers = []
        for start in range(0, len(rows), self._batch_size):
            part = rows[start : start + self._batch_size]
            frames = self._painter.frames(part)
            found = self._reader(self._painter.inputs(frames))
            answers.append(_checked(found[ANSWER]))
            if sketch is not None and part["decoded"].any():
                wanted = part["decoded"].to_numpy()
                shown = {PIXELS: frames, **{name: found[name] for name in self._known(found)}}
                self._keep({name: one[wanted] for name, one in shown.items()}, sketch, kept)
            if progress is not None:
                progress(start + len(part), len(rows))
        self.features = {name: np.concatenate(parts) for name, parts in kept.items()}
        return np.concatenate(answers)

    def _known(self, found: dict[str, np.ndarray]) -> list[str]:
        return [name for name in self._layers if name in found and found[name].ndim > 1]

    def _keep(
        self,
        shown: dict[str, np.ndarray],
        sketch: Sketch,
        kept: dict[tuple[str, str], list[np.ndarray]],
    ) -> None:
        for layer, values in shown.items():
            for name, pool in POOLINGS.items():
                if name == "grid" and values.ndim == 2:
                    continue
                features = pool(values)
                if not np.isfinite(features).all():
                    raise MethodError(
                        f"Expected finite features. Received: NaN or infinity from '{layer}'. "
                        "Look for broken weights, or leave that layer out."
                    )
                self.counts[layer, name] = features.shape[1]
                kept.setdefault((layer, name), []).append(sketch(features))


def _checked(probabilities: np.ndarray) -> np.ndarray:
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise InputError(
            "`model` must tell at least two classes. Received: answers of shape "
            f"{probabilities.shape}. Name another output."
        )
    if not np.isfinite(probabilities).all():
        raise MethodError(
            "Expected finite answers. Received: NaN or infinity. Look for broken weights, or "
            "another `preprocess`."
        )
    return probabilities
