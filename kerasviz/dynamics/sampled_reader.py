"""Reading how a probe's activations are distributed at little cost: from a sample of the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.distribution_reader import Site, chosen_calls, sites_of, wanted_addresses
from kerasviz.dynamics.distribution_result import Distributions, gathered
from kerasviz.dynamics.metrics.statistic import real
from kerasviz.dynamics.metrics.units import SHARE, rows_by_unit
from kerasviz.dynamics.statistics import Found, Settings, reading_of, with_row
from kerasviz.errors import InputError
from kerasviz.probe.backend import compiled, floats
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import run
from kerasviz.probe.settings import whole
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops


class SampledReader(Wrapper):
    """Reads how the outputs of layers on a probe are distributed, from a sample of their values.

    It costs about as much as a prediction, where `DistributionReader` goes through all values of
    data of any size.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        layers: As in `DistributionReader`.
        most_values: How many values of each layer's output on a batch to look at, at most, evenly
            spread over samples, positions and channels, and always the same; `count` says how
            many they were. `not_finite`, `dead_units` and, where all are finite, `min` and `max`
            are of all values even so.

    Raises:
        AddressError: A layer that the model does not have, or does not call.
        InputError: Settings out of range.
    """

    def __init__(
        self, model: keras.Model, layers: Sequence[Any] | None = None, most_values: int = 2**13
    ) -> None:
        super().__init__(model)
        self._compiled = compiled.Compiled(self.compute, is_optimized=False)
        self._wanted = wanted_addresses(model, layers)
        self._most_values = whole(most_values, "most_values")

    def read(self, inputs: Any, batch_size: int = 32) -> Distributions:
        """The distributions now.

        Args:
            inputs: Arrays in the model's structure, one sample at least.
            batch_size: Samples run at once.

        Raises:
            InputError: No samples, or arrays that do not fit the model.
        """
        seen: dict[str, _Seen] = {}
        sites: Sequence[Site] = ()
        for batch in self._batches_of(inputs, batch_size):
            trace = self.traced("samples", batch)
            arrays, sites = self.evaluate_trace(trace, batch), trace.info
            for site in sites:
                parts = [
                    arrays[f"{name}:{site.address}"] for name in ("values", "ends", "lost", "size")
                ]
                seen.setdefault(site.address, _Seen()).add(*parts)
        found = {site.address: seen[site.address].found(site) for site in sites}
        return gathered(found, provenance(self.model))

    def _batches_of(self, inputs: Any, batch_size: int) -> list[Batch]:
        arrays = [a for a in keras.tree.flatten(inputs) if a is not None]
        samples = len(arrays[0]) if arrays else 0
        if not samples:
            raise InputError("`inputs` must hold at least one sample. Received: none. Pass some.")
        starts = range(0, samples, batch_size)
        return [self.batch(_part(inputs, at, at + batch_size), finite=False) for at in starts]

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        calls = chosen_calls(record, self._wanted)
        sites = sites_of(record, calls)
        found = {}
        for call, site in zip(calls, sites, strict=True):
            rows = rows_by_unit(real(call.output), *(site.units or (1, -1)))
            values = ops.reshape(rows, (-1,))
            lost = ops.logical_not(ops.isfinite(values))
            found[f"values:{site.address}"] = floats.spread_out(values, self._most_values)
            found[f"ends:{site.address}"] = ops.stack(floats.column_ends(rows))
            found[f"lost:{site.address}"] = ops.sum(ops.cast(lost, "int64"))
            found[f"size:{site.address}"] = ops.shape(rows)[0]
        return found, sites


class _Seen:
    """What was seen of one layer's output."""

    def __init__(self) -> None:
        self._values: list[np.ndarray] = []
        self._ends: list[np.ndarray] = []
        self._lost = self._size = 0

    def add(self, values: np.ndarray, ends: np.ndarray, lost: Any, size: Any) -> None:
        self._values.append(values)
        self._ends.append(ends)
        self._lost += int(lost)
        self._size += int(size)

    def found(self, site: Site) -> Found:
        values = np.concatenate(self._values)
        lows, highs = (np.array([ends[place] for ends in self._ends]) for place in (0, 1))
        low, high = lows.min(axis=0), highs.max(axis=0)
        found = reading_of(Settings()).of_values(values)
        row: dict[str, float] = {"not_finite": float(self._lost)}
        if not self._lost:
            row |= {"min": float(low.min()), "max": float(high.max())}
        known = np.isfinite(low) & np.isfinite(high)
        can_tell = site.units and self._size > 1 and known.any()
        row["dead_units"] = float(np.mean((low == high)[known])) if can_tell else np.nan
        row["saturation"] = _saturation(values, site)
        return with_row(found, row)


def _saturation(values: np.ndarray, site: Site) -> float:
    """As `kv.dynamics.metrics.units.Saturation`; NaN where the values are not bounded."""
    finite = values[np.isfinite(values)].astype("float64")
    if site.bounds is None or not len(finite):
        return np.nan
    low, high = site.bounds
    return float(np.mean(np.abs(finite - (high + low) / 2) > SHARE * (high - low) / 2))


def _part(inputs: Any, start: int, stop: int) -> Any:
    return keras.tree.map_structure(lambda a: None if a is None else a[start:stop], inputs)
