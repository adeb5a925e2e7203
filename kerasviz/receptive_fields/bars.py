"""How much more a map resembles a bar at one angle than at others."""

from __future__ import annotations

import dataclasses

import numpy as np

ANGLES, WIDTHS, PHASES = 50, 30, 30
LARGEST_BANK = 4_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class BarMatch:
    """How maps resemble bars.

    Args:
        scores: (units, 50) best score at each angle of the normal, over the phases, at the best
            width, as a share of the score at the preferred angle; NaN for maps without contrast.
        preferred: (units,) which angle has the highest score.
        width: (units,) pixels of the best bar.
    """

    scores: np.ndarray
    preferred: np.ndarray
    width: np.ndarray

    @property
    def orientation(self) -> np.ndarray:
        """(units,) direction of the preferred bar: degrees in [0, 180), 0 lies, 90 stands,
        counterclockwise."""
        return np.mod(-np.degrees(self.preferred * np.pi / ANGLES) - 90.0, 180.0)

    @property
    def ratio(self) -> np.ndarray:
        """(units,) score at the preferred angle over that at the one across: 1 is isotropic."""
        across = (self.preferred + ANGLES // 2) % ANGLES
        values = np.take_along_axis(self.scores, across[:, None], axis=1)[:, 0]
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / values)

    @property
    def std(self) -> np.ndarray:
        """(units,) standard deviation of the scores over the angles: 0 is isotropic."""
        return np.asarray(self.scores.std(axis=1))


def match_bars(maps: np.ndarray) -> BarMatch:
    """Compare maps with bars of 50 angles, 30 widths and 30 phases.

    A bar is 1 where the distance from its middle line is below half its width, with edges one
    pixel soft, else 0. The score is the magnitude of its covariance with the map over all pixels.
    Widths go in equal ratios from one pixel to half the longer side, phases shift the middle line
    along its normal over the whole of that side. Bars are made angle by angle and shared by all
    units, so that memory does not grow with the number of bars.

    Args:
        maps: (units, height, width).

    Reference:
        Lindsey, Ocko, Ganguli, Deny, "A Unified Theory of Early Visual Representations from
        Retina to Cortex through Anatomically Constrained Deep CNNs", ICLR 2019, arXiv:1901.00945.
        There angles go round the full turn, in which each bar occurs twice, phases shift along
        the diagonal, and scores are smoothed over five neighbours in each direction.
    """
    units, height, width = maps.shape
    centered = maps - maps.mean(axis=(1, 2), keepdims=True)
    flat = centered.reshape(units, -1).astype("float32")
    side = max(height, width)
    y, x = (axis.ravel() for axis in np.mgrid[:height, :width].astype("float32"))
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    widths = np.geomspace(1.0, max(2.0, side / 2), WIDTHS).astype("float32")
    phases = np.linspace(-side / 2, side / 2, PHASES, dtype="float32")
    table = np.empty((ANGLES, WIDTHS, units), "float32")
    group = max(1, LARGEST_BANK // (PHASES * len(x)))
    for a in range(ANGLES):
        angle = np.pi * a / ANGLES
        distance = np.abs(np.cos(angle) * x + np.sin(angle) * y - phases[:, None])
        for start in range(0, WIDTHS, group):
            half = widths[start : start + group, None, None] / 2
            bars = np.clip(half + 0.5 - distance, 0.0, np.minimum(1.0, 2 * half))
            scores = np.abs(bars.reshape(-1, len(x)) @ flat.T) / len(x)
            table[a, start : start + group] = scores.reshape(len(half), PHASES, units).max(axis=1)
    return _best(table, widths)


def _best(table: np.ndarray, widths: np.ndarray) -> BarMatch:
    """At the width with the highest score of all, the scores of all angles."""
    angles, count, units = table.shape
    best = table.transpose(1, 0, 2).reshape(count, angles, units).max(axis=1).argmax(axis=0)
    scores = np.take_along_axis(table, best[None, None, :], axis=1)[:, 0].T.astype("float64")
    preferred = scores.argmax(axis=1)
    top = scores.max(axis=1, keepdims=True)
    shares = np.divide(scores, top, out=np.full_like(scores, np.nan), where=top > 0)
    return BarMatch(shares, preferred, widths[best].astype("float64"))
