"""Mean and spread of columns over samples that come in batches, and a sample of the samples."""

from __future__ import annotations

import numpy as np


class Reservoir:
    """Which of the samples that come are kept: all up to a number, then each with equal chance.

    Args:
        size: How many to keep.
        seed: Of the choice.

    Reference:
        Vitter, "Random Sampling with a Reservoir", ACM TOMS 1985, algorithm R.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._random = np.random.default_rng(seed)
        self.count = 0

    def places(self, number: int) -> list[tuple[int, int]]:
        """For the next samples: which of them goes to which place."""
        found = []
        for sample in range(number):
            place = self.count if self.count < self._size else int(self._draw())
            self.count += 1
            if place < self._size:
                found.append((sample, place))
        return found

    def _draw(self) -> np.int64:
        return self._random.integers(0, self.count + 1)


class Columns:
    """Statistics of columns over all samples, in float64, and the values of those that are kept."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())
        self.low: np.ndarray = np.asarray(np.inf)
        self.high: np.ndarray = np.asarray(-np.inf)
        self._kept: list[np.ndarray] = []

    def add(self, values: np.ndarray, places: list[tuple[int, int]]) -> None:
        """Take a batch.

        Args:
            values: (samples, columns).
            places: Which samples are kept, and where.
        """
        count = self.count + len(values)
        mean = values.mean(axis=0)
        moved = mean - self._mean
        self._squares = self._squares + ((values - mean) ** 2).sum(axis=0)
        self._squares = self._squares + moved**2 * self.count * len(values) / count
        self._mean = self._mean + moved * len(values) / count
        self.count = count
        self.low = np.minimum(self.low, values.min(axis=0))
        self.high = np.maximum(self.high, values.max(axis=0))
        for sample, place in places:
            self._keep(values[sample], place)

    def _keep(self, row: np.ndarray, place: int) -> None:
        row = row.astype("float32")
        if place == len(self._kept):
            self._kept.append(row)
        else:
            self._kept[place] = row

    @property
    def kept(self) -> np.ndarray:
        """(kept samples, columns) float32."""
        return np.stack(self._kept)

    def described(self) -> dict[str, np.ndarray]:
        """(columns,) of each statistic: mean and population standard deviation, least and largest
        over all samples; quartiles of those kept."""
        low, middle, high = np.percentile(self.kept.astype("float64"), (25, 50, 75), axis=0)
        return {
            "": self._mean,
            "std": np.sqrt(self._squares / self.count),
            "min": self.low,
            "q25": low,
            "median": middle,
            "q75": high,
            "max": self.high,
        }
