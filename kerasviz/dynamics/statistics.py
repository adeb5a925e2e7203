"""All statistics of one tensor together."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.metrics.histogram import Histogram
from kerasviz.dynamics.metrics.moments import Moments
from kerasviz.dynamics.metrics.quantiles import Quantiles
from kerasviz.dynamics.metrics.statistic import joined, probabilities, quantile_name, real
from kerasviz.dynamics.metrics.units import (
    DeadUnits,
    Saturation,
    counts_beyond,
    merged_units,
    state_of_units,
)
from kerasviz.probe.backend import compiled, floats

ops: Any = keras.ops

MOMENTS = ("count", "mean", "variance", "std", "skewness", "kurtosis", "min", "max")
LAST = ("zeros", "not_finite")
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure.

    Args:
        quantiles: Numbers in [0, 1].
        num_bins: Bins of the histograms, a power of two from 16 on.

    Raises:
        InputError: Settings out of range.
    """

    quantiles: Sequence[float] = QUANTILES
    num_bins: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantiles", probabilities(self.quantiles))
        object.__setattr__(self, "num_bins", Histogram(self.num_bins).num_bins)

    @property
    def columns(self) -> list[str]:
        """Names of the numbers that describe a tensor."""
        return [*MOMENTS, *map(quantile_name, self.quantiles), *LAST]


class Reading:
    """What the states of the three metrics say, compiled once for all tensors.

    Args:
        settings: What to measure.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._moments, self._histogram, self._quantiles = self.metrics()
        self._compiled = compiled.Compiled(self._compute, is_apart=True)

    def metrics(self) -> tuple[Moments, Histogram, Quantiles]:
        """New metrics."""
        settings = self.settings
        return Moments(), Histogram(settings.num_bins), Quantiles(settings.quantiles)

    def of_metrics(self, moments: Moments, histogram: Histogram, quantiles: Quantiles) -> Found:
        """What metrics have seen."""
        parts = [*moments.parts(), *histogram.parts(), quantiles.counts()]
        return self._run("metrics", parts)

    def of_values(self, values: np.ndarray, most: int | None = None) -> Found:
        """What there is to say of values `(n,)`, float32 or float64.

        Args:
            values: The values.
            most: How many to look at, at most, evenly spread; the least, the largest and those
                not finite are found among all. None: all.
        """
        if most is None or len(values) <= most:
            return self._run("values", [ops.convert_to_tensor(values)])
        found = self._run("values", [ops.convert_to_tensor(values[spread_out(len(values), most)])])
        low, high = float(values.min()), float(values.max())
        if math.isfinite(low) and math.isfinite(high):
            return with_row(found, {"min": low, "max": high})
        return with_row(found, {"not_finite": float(np.sum(~np.isfinite(values)))})

    def update(
        self, rows: Any, main: Sequence[Any], units: DeadUnits, saturation: Saturation | None
    ) -> None:
        """Show values `(n, units)` to metrics; inside a graph this calls one shared function."""
        moments, histogram, quantiles = main
        bounds = (saturation.low, saturation.high) if saturation else (-np.inf, np.inf)
        bounds = ops.convert_to_tensor(np.array(bounds), dtype="float64")
        dtype = keras.backend.standardize_dtype(rows.dtype)
        found = self.step(dtype)(rows, moments.own(), histogram.own(), units.own(), bounds)
        moments.put(found["moments"])
        histogram.put(found["histogram"])
        quantiles.add(found["quantiles"])
        units.put(ops.reshape(found["units"], (units.size,)))
        if saturation:
            saturation.add(found["beyond"])

    def step(self, dtype: str) -> compiled.Trace:
        """The function that takes rows of a dtype, any number of them, into states."""
        shapes = (None, None), (self._moments.size,), (self._histogram.size,), (None,), (2,)
        form = compiled.Form([0] * len(shapes), shapes, (dtype, *["float64"] * 4))
        return self._compiled.trace("step", form, (), None)

    def _run(self, key: str, tensors: Sequence[Any]) -> Found:
        form = compiled.form_of(tensors)
        form = form.of_size(None) if key == "values" else form
        found = self._compiled.trace(key, form, (), None)(*tensors)
        row, edges, counts = (found[name].numpy() for name in ("row", "edges", "counts"))
        row = dict(zip(self.settings.columns, row.tolist(), strict=True))
        return Found(row, edges, counts)

    def _compute(self, key: str, tensors: Sequence[Any], extras: Any) -> tuple[Any, None]:
        if key == "step":
            return self._stepped(*tensors), None
        if key == "values":
            moments = self._moments.state_of(tensors[0], None)
            histogram = self._histogram.state_of(tensors[0], None)
            counts = self._quantiles.counts_of(tensors[0])
        else:
            moments = joined(self._moments, tensors[0], tensors[1])
            histogram = joined(self._histogram, tensors[2], tensors[3])
            counts = tensors[4]
        return self._described(moments, histogram, counts), None

    def _stepped(
        self, rows: Any, moments: Any, histogram: Any, units: Any, bounds: Any
    ) -> dict[str, Any]:
        values, new_units = ops.reshape(rows, (-1,)), state_of_units(rows)
        new = self._moments.state_of(values, None)
        bins = self._histogram.state_of(values, None)
        return {
            "moments": self._moments.merged(moments, new),
            "histogram": self._histogram.merged(histogram, bins),
            "quantiles": self._quantiles.counts_of(values),
            "units": merged_units(units, new_units),
            "beyond": counts_beyond(values, bounds[0], bounds[1]),
        }

    def _described(self, moments: Any, histogram: Any, counts: Any) -> dict[str, Any]:
        numbers = self._moments.result_of(moments)
        bins = self._histogram.result_of(histogram)
        quantiles = self._best_quantiles(histogram, counts, bins["edges"])
        quantiles = ops.clip(quantiles, numbers["min"], numbers["max"])
        first, last = (ops.stack([numbers[name] for name in names]) for names in (MOMENTS, LAST))
        return {"row": ops.concatenate([first, quantiles, last]), **bins}

    def _best_quantiles(self, histogram: Any, counts: Any, edges: Any) -> Any:
        """Each by the histogram or by the sketch, whichever has the smaller bound there."""
        linear = self._histogram.quantile_of(histogram, self.settings.quantiles)
        relative = self._quantiles.quantile_of(counts, self.settings.quantiles)
        is_sharper = self._quantiles.bound * ops.absolute(relative) < edges[1] - edges[0]
        return ops.where(is_sharper, relative, linear)


@functools.lru_cache(maxsize=8)
def reading_of(settings: Settings) -> Reading:
    """The reading with these settings, which all readers share: it depends on no model."""
    return Reading(settings)


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """What the statistics of one tensor say.

    Attributes:
        row: The numbers, by name.
        edges: Edges of the histogram.
        counts: Its counts.
    """

    row: dict[str, float]
    edges: np.ndarray
    counts: np.ndarray


def with_row(found: Found, row: Mapping[str, float]) -> Found:
    """The same with other numbers."""
    return dataclasses.replace(found, row={**found.row, **row})


def spread_out(size: int, most: int) -> np.ndarray:
    """Places of `most` of `size` values, as `floats.spread_out` chooses them."""
    numbers = np.arange(most, dtype="float64")
    shifts = numbers * floats.GOLDEN % 1.0
    places = np.floor((numbers + shifts) * (size / most)).astype("int64")
    return np.minimum(places, size - 1)


class Statistics:
    """The metrics of one tensor.

    Args:
        reading: What makes the metrics and reads them.
        units: Size and number of the axis of units; None where there is none.
        bounds: What the values lie between, where both are finite; else None.
    """

    def __init__(
        self,
        reading: Reading,
        units: tuple[int, int] | None = None,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        self._reading = reading
        self._main = reading.metrics()
        self._has_units = units is not None
        self._units = DeadUnits(*(units or (1, -1)))
        self._saturation = Saturation(*bounds) if bounds else None

    @property
    def metrics(self) -> list[Any]:
        """The metrics."""
        return [*self._main, self._units, *([self._saturation] if self._saturation else [])]

    def update(self, values: Any) -> None:
        """Take in a batch."""
        rows = self._units.by_unit(real(values))
        self._reading.update(rows, self._main, self._units, self._saturation)

    def reset(self) -> None:
        """Forget everything."""
        for metric in self.metrics:
            metric.reset_state()

    def found(self) -> Found:
        """What they say, with the shares of dead units and of saturated values."""
        found = self._reading.of_metrics(*self._main)
        return with_row(found, self._behaviour())

    def _behaviour(self) -> dict[str, float]:
        """NaN where there is no such thing."""
        dead = self._units.result()["dead_units"] if self._has_units else np.nan
        beyond = self._saturation.result()["saturation"] if self._saturation else np.nan
        return {"dead_units": float(dead), "saturation": float(beyond)}
