"""Differences of two round Gaussians with one centre, fitted to maps."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from kerasviz.receptive_fields.fitting import Parts, best_fit, centroid, drawn, peak

PARAMETERS = 6
SMALLEST_SIGMA = 0.4
RATIOS = (1.2, 10.0)
START_SIGMAS = 7
START_RATIOS = (1.5, 2.5, 5.0)
SMOOTHINGS = (1.0, 2.0, 4.0)


class CenterSurroundSurface:
    """Differences of Gaussians on the pixels of maps of one size.

    Their parameters are the peaks of centre and surround (which is subtracted), column and row,
    logarithm of the centre's sigma, logarithm of the ratio of the surround's sigma to it.

    Args:
        shape: Height and width of the maps.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype("float64")
        self.row, self.column = rows.ravel(), columns.ravel()
        side, free = max(shape), np.inf
        low, high = np.log([SMALLEST_SIGMA, side])
        self.low = np.array([-free, -free, -1, -1, low, np.log(RATIOS[0])])
        self.high = np.array([free, free, shape[1], shape[0], high, np.log(RATIOS[1])])
        self.sigmas = np.geomspace(0.7, max(1.4, side / 3), START_SIGMAS)

    def draw(self, parameters: np.ndarray) -> np.ndarray:
        """The map (height, width) of one difference of Gaussians."""
        return drawn(self, parameters).reshape(self.shape)

    def parts(self, parameters: np.ndarray) -> Parts:
        """Centre, and surround with its sign (…, pixels), of height 1."""
        squared = self._squared(parameters)
        inner, outer = self._variances(parameters)
        return np.exp(-0.5 * squared / inner), -np.exp(-0.5 * squared / outer)

    def derivatives(self, parameters: np.ndarray, parts: Parts) -> np.ndarray:
        """(pixels, parameters) derivatives of the flat map, whose `parts` are these."""
        squared = self._squared(parameters)
        inner, outer = self._variances(parameters)
        small, large = parts
        by_inner, by_outer = parameters[0] * small / inner, parameters[1] * large / outer
        steep = by_inner + by_outer
        x, y = self.column - parameters[2], self.row - parameters[3]
        columns = [small, large, steep * x, steep * y, steep * squared, by_outer * squared]
        return np.stack(columns, axis=1)

    def _squared(self, parameters: np.ndarray) -> np.ndarray:
        column, row = parameters[..., 2, None], parameters[..., 3, None]
        return np.asarray((self.column - column) ** 2 + (self.row - row) ** 2)

    @staticmethod
    def _variances(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner = np.exp(2.0 * parameters[..., 4, None])
        return inner, inner * np.exp(2.0 * parameters[..., 5, None])


@dataclasses.dataclass(frozen=True, eq=False)
class CenterSurroundFit:
    """One fitted difference of Gaussians.

    Args:
        parameters: As `CenterSurroundSurface` takes them.
        squares: Sum of squared residuals.
    """

    parameters: np.ndarray
    squares: float

    def columns(self) -> dict[str, float]:
        """What a table says of it."""
        center, surround, column, row, log_sigma, log_ratio = map(float, self.parameters)
        sigma, ratio = float(np.exp(log_sigma)), float(np.exp(log_ratio))
        return {
            "sigma_center": sigma,
            "sigma_surround": sigma * ratio,
            "weight_center": center,
            "weight_surround": surround,
            "surround_share": surround * ratio**2 / center if center else np.nan,
            "dog_row": row,
            "dog_column": column,
        }


def center_surround_parameters(columns: Mapping[str, float]) -> np.ndarray:
    """The parameters of which `CenterSurroundFit.columns` tells."""
    sigma = columns["sigma_center"]
    return np.array(
        [
            columns["weight_center"],
            columns["weight_surround"],
            columns["dog_column"],
            columns["dog_row"],
            np.log(sigma),
            np.log(columns["sigma_surround"] / sigma),
        ]
    )


def fit_center_surround(surface: CenterSurroundSurface, one: np.ndarray) -> CenterSurroundFit:
    """The best difference of Gaussians for a map that is not zero.

    Starts are laid at the peaks of the map, smoothed more or less, and in the middle of its
    energy, with several sizes.

    Args:
        surface: Of the map's size.
        one: Map (height, width).
    """
    return CenterSurroundFit(*best_fit(surface, one, _starts(surface, one.astype("float64"))))


def _starts(surface: CenterSurroundSurface, one: np.ndarray) -> np.ndarray:
    peaks = [peak(np.abs(gaussian_filter(one, smoothing))) for smoothing in SMOOTHINGS]
    places = dict.fromkeys([*peaks, centroid(one**2)])
    found = [
        [0, 0, column, row, np.log(sigma), np.log(ratio)]
        for (row, column), sigma, ratio in itertools.product(places, surface.sigmas, START_RATIOS)
    ]
    return np.array(found, "float64")
