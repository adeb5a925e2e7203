"""How far a class is still detected, and what each layer tells about where it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class Viewport(Kept):
    """What `kv.studies.viewport` found.

    Args:
        detection: A row a distance, nearest first: `distance`, `size` (the longer side in pixels),
            `frames`, `accuracy` with its 95 % interval `accuracy_low` and `accuracy_high`,
            `chance` (how often answers and labels would agree if they knew nothing of each other),
            `confidence` (the mean probability of the true class) with `confidence_low` and
            `confidence_high`, and `reliable`.
        decoding: A row for each layer, pooling ("grid" or "global") and target ("x", "y",
            "distance"): `depth` (0 for the pixels), `r2` on pictures that were held out, with its
            95 % interval `r2_low` and `r2_high`, `error` (root mean square: pixels; for distance
            octaves), `chance` and `chance_high` (mean and 95 % quantile of R² where the targets
            were shuffled), and `features`.
        placements: A row a frame: `image`, `label`, `distance`, `size`, `height`, `width`, `top`,
            `left`, the centre `x` and `y` in pixels, `predicted`, `correct`, `confidence`, and
            whether it was `decoded`.
        examples: (distances, height, width, channels) uint8: a frame a distance, of the first
            picture.
        reliable_distance: The largest distance up to which all are detected somewhat reliably;
            NaN where not even the nearest is.
        reliable_interval: Its 95 % interval; NaN for less than the nearest.
        is_open: Whether the farthest distance was still reliable, so that the truth may lie beyond.
        parameters: All settings.
        provenance: Versions, model, time.
    """

    detection: pd.DataFrame
    decoding: pd.DataFrame
    placements: pd.DataFrame
    examples: np.ndarray
    reliable_distance: float
    reliable_interval: tuple[float, float]
    is_open: bool
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        frames, layers = len(self.placements), self.decoding["layer"].nunique()
        return f"Viewport({frames} frames, {layers} layers, reliable {self.reliable_words()})"

    def size_at(self, distance: float) -> int:
        """The longer side in pixels of the first picture at a distance."""
        return max(1, round(float(self.parameters["size"]) / distance))

    def reliable_words(self) -> str:
        """Up to which distance, such as "up to distance 4 (30 pixels)"."""
        if np.isnan(self.reliable_distance):
            return "at no distance"
        least = "at least " if self.is_open else ""
        pixels = self.size_at(self.reliable_distance)
        return f"up to distance {least}{self.reliable_distance:.3g} ({pixels} pixels)"

    def words(self) -> list[str]:
        """What was found, in sentences."""
        near, share = self.detection.iloc[0], float(self.parameters["share"])
        low, high = (f"{x:.3g}" if x == x else "none" for x in self.reliable_interval)
        said = [
            f"At distance {near['distance']:g} ({near['size']} pixels) {near['accuracy']:.0%} are "
            f"named rightly ({near['accuracy_low']:.0%} to {near['accuracy_high']:.0%}).",
            f"Somewhat reliable, {share:.0%} of that and above chance, {self.reliable_words()}; "
            f"95 % interval {low} to {high}.",
        ]
        for target, told in (("x", "x"), ("y", "y"), ("distance", "Log distance")):
            said.extend(self._best(target, told))
        return said

    def _best(self, target: str, told: str) -> list[str]:
        rows = self.decoding[self.decoding["target"] == target]
        rows = rows[(rows["depth"] > 0) & rows["r2"].notna()]
        if not len(rows):
            return []
        best, last = rows.iloc[int(rows["r2"].argmax())], rows[rows["depth"] == rows["depth"].max()]
        kept = last.iloc[int(last["r2"].argmax())]
        return [
            f"{told} is best decoded from {best['layer']} ({best['pooling']} pooling): R² "
            f"{best['r2']:.2f} ({best['r2_low']:.2f} to {best['r2_high']:.2f}), error "
            f"{best['error']:.2g} {'octaves' if target == 'distance' else 'pixels'}; from the last "
            f"layer, {kept['layer']}, R² {kept['r2']:.2f}."
        ]

    def plot(self, **kwargs: Any) -> Figure:
        """Examples, detection by distance, decoding by depth; see `kv.plots.viewport`."""
        from kerasviz.plots.viewport import viewport

        return viewport(self, **kwargs)
