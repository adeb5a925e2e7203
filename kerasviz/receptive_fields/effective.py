"""How much of what a layer can see it really looks at."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARE = 1.0 - 0.9545


@dataclasses.dataclass(frozen=True, eq=False)
class EffectiveField(Kept):
    """The effective receptive field of a layer.

    Args:
        map: (*positions) float32: the mean magnitude of the gradient of the middle unit by each
            position of the whole input.
        size: Positions per axis of a square (cube) as large as the field: the root of the number
            of positions above 4.55 % of the largest value.
        std: Standard deviation of the map along each axis, in positions, with the map as weights.
        reach: Positions per axis of the theoretical field of that unit, cut at the border of the
            input. Where an operation is not understood, of the smallest box that holds every
            position with a gradient; `parameters["reach"]` says so.
        start: First position of that box, per axis.
        ratio: `size` divided by the geometric mean of `reach`.
        is_cut: Whether the reach touches the border of the input, so that the layer's could be
            larger.
        num_samples: Over how many inputs the mean goes.
        layer: Address of the layer.
        input_name: The input that is looked at.
        diagnosis: The cause of an empty map and what to try, or "".
        parameters: All settings.
        provenance: Versions, model, time.
    """

    map: np.ndarray
    size: float
    std: tuple[float, ...]
    reach: tuple[int, ...]
    start: tuple[int, ...]
    ratio: float
    is_cut: bool
    num_samples: int
    layer: str
    input_name: str
    diagnosis: str
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def source(self) -> str:
        """On what it was measured, in words."""
        count = self.num_samples
        if self.parameters["inputs"] == "noise":
            return f"{count} samples of noise"
        return f"{count} images" if count > 1 else "1 image"

    def __repr__(self) -> str:
        reach = "×".join(map(str, self.reach))
        return f"EffectiveField({self.layer!r}, size {self.size:.3g} of {reach})"

    def plot(self, **kwargs: Any) -> Figure:
        """The map, with the square of its size and the reach; see `kv.plots.effective_field`."""
        from kerasviz.plots.unit_fields import effective_field

        return effective_field(self, **kwargs)


def field_size(effect: np.ndarray) -> float:
    """The root of the number of positions above 4.55 % of the largest value; 0 for an empty map."""
    count = int((effect > SHARE * effect.max()).sum())
    return float(count ** (1.0 / effect.ndim)) if effect.ndim else 1.0


def field_std(effect: np.ndarray) -> tuple[float, ...]:
    """Standard deviation along each axis, with the map as weights; NaN for an empty map."""
    total = effect.sum(dtype="float64")
    if not total > 0:
        return (float("nan"),) * effect.ndim
    found = []
    for axis, count in enumerate(effect.shape):
        others = tuple(other for other in range(effect.ndim) if other != axis)
        shares, places = effect.sum(axis=others, dtype="float64") / total, np.arange(count)
        mean = (shares * places).sum()
        found.append(float(np.sqrt((shares * (places - mean) ** 2).sum())))
    return tuple(found)
