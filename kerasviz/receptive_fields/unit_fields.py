"""What each unit of a layer answers to: a picture per unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class UnitFields(Kept):
    """The receptive field of each unit of a layer, as a picture of weights.

    Args:
        maps: (units, *positions, colours) float32, channels last, cut to what the layer can see;
            positive where more of that colour raises the unit. Of an input without positions
            (units, features).
        units: Number of each unit in the layer.
        peaks: (units,) largest magnitude of each map.
        errors: (units,) standard error that chance alone gives each value of a map, NaN where
            nothing was drawn by chance.
        method: "gradient" or "triggered average".
        layer: Address of the layer.
        input_name: The input that is looked at.
        start: First position of the maps in the input, per axis.
        input_size: Positions of the input, per axis.
        is_cut: Whether the field touches the border of the input, so that the layer's could be
            larger.
        diagnosis: One text a unit: the cause of an empty map and what to try, or "".
        parameters: All settings.
        provenance: Versions, model, time.
    """

    maps: np.ndarray
    units: np.ndarray
    peaks: np.ndarray
    errors: np.ndarray
    method: str
    layer: str
    input_name: str
    start: tuple[int, ...]
    input_size: tuple[int, ...]
    is_cut: bool
    diagnosis: tuple[str, ...]
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.maps)

    def __repr__(self) -> str:
        size = "×".join(map(str, self.size)) or "one"
        return f"UnitFields({self.method}, {self.layer!r}, {len(self)} units of {size})"

    @property
    def size(self) -> tuple[int, ...]:
        """Positions of each map, per axis."""
        return tuple(self.maps.shape[1:-1])

    @property
    def strength(self) -> np.ndarray:
        """(units,) the largest magnitude of each map, as a share of that of all maps."""
        most = self.peaks.max(initial=0.0)
        return self.peaks / most if most > 0 else np.zeros_like(self.peaks)

    @property
    def display(self) -> np.ndarray:
        """The maps in [0, 1], each stretched evenly about grey: 0.5 is zero, and the largest
        magnitude becomes 0 or 1."""
        peaks = self.peaks.reshape(-1, *[1] * (self.maps.ndim - 1))
        return 0.5 + 0.5 * self.maps / np.where(peaks > 0, peaks, 1.0)

    def plot(self, num: int = 64, order: str = "number", **kwargs: Any) -> Figure:
        """A picture per unit, evenly about grey, with its strength.

        Args:
            num: How many units to draw.
            order: "number", or "strength" for the strongest first.
            **kwargs: `columns`, `title` of `kv.plots.unit_fields`.

        Raises:
            InputError: An unknown order.
        """
        from kerasviz.plots.unit_fields import unit_fields

        what = "noise" if self.method == "triggered average" else self._stimulus()
        title = f"{self.layer}: {self.method} on {what}"
        note = "cut by the border of the input" if self.is_cut else ""
        settings: dict[str, Any] = {"title": title, "note": note} | kwargs
        return unit_fields(
            self.display, self.strength, self.units, num=num, order=order, **settings
        )

    def _stimulus(self) -> str:
        samples = self.parameters.get("samples")
        fill = self.parameters.get("fill")
        return f"constant {fill:g}" if samples is None else f"{samples} samples of noise"


def peaks_of(maps: np.ndarray) -> np.ndarray:
    """(units,) largest magnitude of each map."""
    peaks: np.ndarray = np.abs(maps).max(axis=tuple(range(1, maps.ndim)))
    return peaks
