"""Weights across several layers, as one kernel."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe import saving

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class ExpandedWeights:
    """What the middle of a layer reads in the channels of an earlier one, as one kernel.

    `maps` = `positive` + `negative`: what excites and what inhibits at the same place may cancel,
    and `cancellation` says how much of it does.

    Args:
        maps: (targets, sources, *window) float32 ∂t[middle]/∂s, positive where more of the source
            raises the target.
        positive: The same shape, ≥ 0: the sum of all products of weights along paths that are
            positive; from examples, the mean of the positive parts of the gradients.
        negative: The same shape, ≤ 0, of the negative ones.
        sources: Numbers of the source channels.
        targets: Numbers of the target channels.
        source: Address of the earlier layer.
        target: Address of the later layer.
        method: "weights" or "examples".
        start: First position of the window in the source, per axis.
        source_size: Positions of the source, per axis.
        middle: The position of the target that was differentiated, per axis.
        strides: Positions of the source per position of the target, per axis; None where that is
            not known.
        is_cut: Whether the window would be larger but for the border of the source.
        diagnosis: What to beware of, in words; "" for nothing.
        parameters: All settings, and what was read as what.
        provenance: Versions, model, time.
    """

    maps: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    source: str
    target: str
    method: str
    start: tuple[int, ...]
    source_size: tuple[int, ...]
    middle: tuple[int, ...]
    strides: tuple[float | None, ...]
    is_cut: bool
    diagnosis: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        size = "×".join(map(str, self.size))
        return (
            f"ExpandedWeights({self.source!r} → {self.target!r}, {len(self.targets)} targets, "
            f"{len(self.sources)} sources, {size})"
        )

    @property
    def size(self) -> tuple[int, ...]:
        """Positions of the window, per axis."""
        return tuple(self.maps.shape[2:])

    @property
    def norms(self) -> np.ndarray:
        """(targets, sources) how strong each link is: ‖map‖."""
        squares = np.square(self.maps, dtype="float64")
        return np.sqrt(squares.sum(axis=tuple(range(2, self.maps.ndim))))

    @property
    def cancellation(self) -> np.ndarray:
        """(targets, sources) in [0, 1]: share of excitation and inhibition that the map hides,
        1 - Σ|map| / Σ(positive - negative); 0 where there is neither."""
        axes = tuple(range(2, self.maps.ndim))
        shown = np.abs(self.maps).sum(axis=axes, dtype="float64")
        whole = (self.positive - self.negative).sum(axis=axes, dtype="float64")
        return np.clip(1 - shown / np.where(whole > 0, whole, 1), 0, 1) * (whole > 0)

    def strongest(self, target: int, num: int = 8) -> list[tuple[int, float]]:
        """The sources of a target channel with the largest norms, and those norms.

        Raises:
            InputError: The channel is not among the targets.
        """
        norms = self.norms[self.row(target)]
        order = np.argsort(-norms, kind="stable")[:num]
        return [(self.sources[place], float(norms[place])) for place in order]

    def row(self, target: int) -> int:
        """The place of a target channel in `targets`.

        Raises:
            InputError: It is not among them.
        """
        if target not in self.targets:
            raise InputError(
                f"`target` must be one of the channels {list(self.targets)}. Received: {target!r}. "
                "Expand it first."
            )
        return self.targets.index(target)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything into one `.npz` file, without pickle.

        Raises:
            OutputError: The file can't be written.
        """
        return saving.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ExpandedWeights:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing, damaged, or something else.
        """
        return saving.load(cls, path)

    def plot(self, target: int | None = None, num: int = 8, **kwargs: Any) -> Figure:
        """The strongest sources of a target: their maps, and what excites and inhibits apart.

        Args:
            target: Channel number; None: the first of `targets`.
            num: How many sources to draw.
            **kwargs: See `kv.plots.expanded_weights`.

        Raises:
            InputError: The channel is not among the targets.
        """
        from kerasviz.plots.expanded_weights import expanded_weights

        return expanded_weights(self, target, num, **kwargs)
