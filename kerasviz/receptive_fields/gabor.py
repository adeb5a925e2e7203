"""Gabor functions: stripes under an envelope, fitted to maps."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from kerasviz.receptive_fields.fitting import Parts, best_fit, centroid, drawn, peak

PARAMETERS = 8
SMALLEST_SIGMA = 0.4
HIGHEST_FREQUENCY = float(np.sqrt(0.5))
STRIPES_PER_SIGMA = (0.2, 0.4, 0.8)
HALF_RESPONSE = np.sqrt(np.log(2) / 2)
Wave = tuple[float, float]


class GaborSurface:
    """Gabor functions on the pixels of maps of one size.

    Their parameters are the amplitudes of cosine and sine, column and row of the centre,
    logarithms of sigma across and along the stripes, angle of the normal from the columns' axis
    towards the rows', logarithm of the frequency in 1 / pixel.

    Args:
        shape: Height and width of the maps.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype("float64")
        self.row, self.column = rows.ravel(), columns.ravel()
        side, free = max(shape), np.inf
        smallest, largest = np.log(SMALLEST_SIGMA), np.log(2.0 * side)
        lowest, highest = np.log(0.25 / side), np.log(HIGHEST_FREQUENCY)
        self.low = np.array([-free, -free, -1, -1, smallest, smallest, -free, lowest])
        self.high = np.array([free, free, shape[1], shape[0], largest, largest, free, highest])

    def draw(self, parameters: np.ndarray) -> np.ndarray:
        """The map (height, width) of one Gabor function."""
        return drawn(self, parameters).reshape(self.shape)

    def parts(self, parameters: np.ndarray) -> Parts:
        """The waves of cosine and sine (…, pixels) under the envelope."""
        u, v = self._axes(parameters)
        across, along, turn = self._sizes(parameters)
        envelope = np.exp(-0.5 * ((u / across) ** 2 + (v / along) ** 2))
        return envelope * np.cos(turn * u), envelope * np.sin(turn * u)

    def derivatives(self, parameters: np.ndarray, parts: Parts) -> np.ndarray:
        """(pixels, parameters) derivatives of the flat map, whose `parts` are these."""
        even, odd, angle = parameters[0], parameters[1], parameters[6]
        u, v = self._axes(parameters)
        across, along, turn = self._sizes(parameters)
        cosine_wave, sine_wave = parts
        flat = even * cosine_wave + odd * sine_wave
        slope = turn * (odd * cosine_wave - even * sine_wave)
        by_u, by_v = slope - flat * u / across**2, -flat * v / along**2
        found = np.empty((len(u), PARAMETERS))
        found[:, 0], found[:, 1] = cosine_wave, sine_wave
        found[:, 2] = np.sin(angle) * by_v - np.cos(angle) * by_u
        found[:, 3] = -np.sin(angle) * by_u - np.cos(angle) * by_v
        found[:, 4] = flat * (u / across) ** 2
        found[:, 5] = flat * (v / along) ** 2
        found[:, 6] = by_u * v - by_v * u
        found[:, 7] = slope * u
        return found

    def _axes(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances from the centre along the normal, and along the stripes."""
        column, row, angle = (parameters[..., place, None] for place in (2, 3, 6))
        x, y = self.column - column, self.row - row
        cosine, sine = np.cos(angle), np.sin(angle)
        return cosine * x + sine * y, cosine * y - sine * x

    @staticmethod
    def _sizes(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        across, along, frequency = (np.exp(parameters[..., place, None]) for place in (4, 5, 7))
        return across, along, 2.0 * np.pi * frequency


@dataclasses.dataclass(frozen=True, eq=False)
class GaborFit:
    """One fitted Gabor function.

    Args:
        parameters: As `GaborSurface` takes them, the normal pointing to the right, or down.
        squares: Sum of squared residuals.
    """

    parameters: np.ndarray
    squares: float

    def columns(self) -> dict[str, float]:
        """What a table says of it."""
        even, odd, column, row, log_across, log_along, angle, log_frequency = self.parameters
        across, frequency = float(np.exp(log_across)), float(np.exp(log_frequency))
        reach = np.pi * across * frequency
        is_narrow = reach > HALF_RESPONSE
        ratio = (reach + HALF_RESPONSE) / (reach - HALF_RESPONSE) if is_narrow else np.inf
        return {
            "orientation": float(np.mod(90.0 - np.degrees(angle), 180.0)),
            "wavelength": 1.0 / frequency,
            "phase": float(np.degrees(np.arctan2(-odd, even))),
            "bandwidth": float(np.log2(ratio)),
            "sigma_across": across,
            "sigma_along": float(np.exp(log_along)),
            "gabor_amplitude": float(np.hypot(even, odd)),
            "gabor_row": float(row),
            "gabor_column": float(column),
        }


def gabor_parameters(columns: Mapping[str, float]) -> np.ndarray:
    """The parameters of which `GaborFit.columns` tells."""
    phase, amplitude = np.radians(columns["phase"]), columns["gabor_amplitude"]
    return np.array(
        [
            amplitude * np.cos(phase),
            -amplitude * np.sin(phase),
            columns["gabor_column"],
            columns["gabor_row"],
            np.log(columns["sigma_across"]),
            np.log(columns["sigma_along"]),
            np.radians(90.0 - columns["orientation"]),
            -np.log(columns["wavelength"]),
        ]
    )


def fit_gabor(surface: GaborSurface, one: np.ndarray) -> GaborFit:
    """The best Gabor function for a map that is not zero.

    Starts are laid from the peaks of the spectrum, of the whole map and of its liveliest part,
    and from the axes of the map's energy.

    Args:
        surface: Of the map's size.
        one: Map (height, width).
    """
    parameters, squares = best_fit(surface, one, _starts(surface, one.astype("float64")))
    turns = np.ceil(parameters[6] / np.pi - 0.5)
    parameters[6] -= turns * np.pi
    parameters[1] *= -1.0 if turns % 2 else 1.0
    return GaborFit(parameters, squares)


def _starts(surface: GaborSurface, one: np.ndarray) -> np.ndarray:
    energy, side = one**2, max(one.shape)
    row, column = middle = peak(gaussian_filter(energy, side / 12))
    far = (surface.row - row) ** 2 + (surface.column - column) ** 2
    window = np.exp(-far / (2 * (side / 5) ** 2)).reshape(one.shape)
    found = []
    for (row, column), seen in ((centroid(energy), np.ones_like(one)), (middle, window)):
        for angle, frequency in [*_waves(one * seen), _short_axis(energy * seen)]:
            for across, along in itertools.product(STRIPES_PER_SIGMA, repeat=2):
                sigmas = np.log(np.minimum([across / frequency, along / frequency], side))
                found.append([0, 0, column, row, *sigmas, angle, np.log(frequency)])
    return np.array(found, "float64")


def _waves(one: np.ndarray) -> Iterator[Wave]:
    """Angle and frequency of the two strongest waves of different direction or length."""
    sizes = [4 * size for size in one.shape]
    power = np.abs(np.fft.rfft2(one, sizes)) ** 2
    down, right = np.fft.fftfreq(sizes[0])[:, None], np.fft.rfftfreq(sizes[1])[None, :]
    lengths, step = np.hypot(down, right), 1.0 / max(one.shape)
    power[(lengths < 0.5 * step) | (lengths > HIGHEST_FREQUENCY)] = 0.0
    for _ in range(2):
        row, column = np.unravel_index(int(power.argmax()), power.shape)
        fy, fx = float(down[row, 0]), float(right[0, column])
        yield float(np.arctan2(fy, fx)), max(float(np.hypot(fx, fy)), 0.25 * step)
        near = np.minimum(np.hypot(down - fy, right - fx), np.hypot(down + fy, right + fx))
        power[near < 1.5 * step] = 0.0


def _short_axis(energy: np.ndarray) -> Wave:
    """The short axis of a map's energy, with a wave of which it shows a half."""
    row, column = centroid(energy)
    shares = energy / energy.sum()
    y, x = np.arange(len(energy)) - row, np.arange(energy.shape[1]) - column
    across, mixed, down = x**2 @ shares.sum(axis=0), y @ shares @ x, y**2 @ shares.sum(axis=1)
    values, vectors = np.linalg.eigh(np.array([[across, mixed], [mixed, down]]))
    sigma = max(float(np.sqrt(max(values[0], 0.0))), SMALLEST_SIGMA)
    angle = float(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return angle, min(1.0 / (6.0 * sigma), HIGHEST_FREQUENCY)
