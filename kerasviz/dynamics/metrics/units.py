"""Units that do nothing, and values at the ends of their reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from kerasviz.dynamics.metrics.moments import extremes, merged_extremes
from kerasviz.dynamics.metrics.statistic import (
    Statistic,
    flat,
    merge_counts,
    real,
    spread_weights,
)
from kerasviz.probe.backend import floats, graph

ops: Any = keras.ops

SHARE = 0.99


class DeadUnits(Statistic):
    """Share of units (channels) that say the same whatever the input.

    A unit is dead when its least value equals its largest, over all samples and positions: a ReLU
    that never opens, a ReLU6 that never leaves 6, a channel whose weights are zero. At least two
    values are needed to tell.

    Args:
        num_units: Size of the axis of units.
        axis: Which axis of the values it is.
        name: Optional Keras name.

    Returns:
        `result()` is a dict of float64 scalars: `dead_units`, a share from 0 to 1, NaN where no
        unit has two finite values.
    """

    def __init__(self, num_units: int, axis: int = -1, name: str | None = None) -> None:
        super().__init__(3 * num_units, name=name)
        self.num_units = num_units
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        """What makes an equal metric."""
        return {**super().get_config(), "num_units": self.num_units, "axis": self.axis}

    def state_of(self, values: Any, sample_weight: Any) -> Any:
        """Per unit: how many values, the least, the largest."""
        values = real(values)
        weights = spread_weights(values, sample_weight)
        rows = self.by_unit(values)
        return state_of_units(rows, None if weights is None else self.by_unit(weights) > 0.0)

    def merged(self, a: Any, b: Any) -> Any:
        """The state of what two states were made of."""
        return merged_units(a, b)

    def result_of(self, state: Any) -> dict[str, Any]:
        """What a state says."""
        counts, low, high = fields(state)
        known = counts > 1.0
        dead = ops.sum(ops.cast(ops.logical_and(known, ops.equal(low, high)), "float64"))
        return {"dead_units": dead / ops.sum(ops.cast(known, "float64"))}

    def by_unit(self, tensor: Any) -> Any:
        """Values `(n, units)` of a tensor."""
        return rows_by_unit(tensor, self.num_units, self.axis)


def rows_by_unit(tensor: Any, num_units: int, axis: int) -> Any:
    """Values `(n, units)` of a tensor whose axis of units is `axis`; one unit takes all."""
    last = len(tensor.shape) - 1
    moved = tensor if num_units == 1 or axis in (-1, last) else ops.moveaxis(tensor, axis, -1)
    return ops.reshape(moved, (-1, num_units))


def state_of_units(rows: Any, used: Any = None) -> Any:
    """Per unit of `(n, units)`: how many finite values, the least, the largest; `(3·units,)`.

    Without marks of what is used, values that are all finite need no more than two passes.
    """
    if used is not None:
        return _marked_units(rows, used)
    low, high = floats.column_ends(rows)
    is_simple = ops.logical_and(ops.shape(rows)[0] > 0, ops.all(ops.isfinite(high - low)))
    counts = ops.ones_like(low) * ops.cast(ops.shape(rows)[0], "float64")
    return ops.cond(
        is_simple,
        lambda: ops.concatenate([counts, low, high]),
        lambda: _marked_units(rows, True),
    )


def _marked_units(rows: Any, used: Any) -> Any:
    x = ops.cast(rows, "float64")
    used = ops.logical_and(ops.isfinite(x), used)
    counts = ops.sum(ops.cast(used, "float64"), axis=0)
    return ops.concatenate([counts, *extremes(x, used)])


def merged_units(a: Any, b: Any) -> Any:
    """The state of the units of what two states were made of."""
    first, second = fields(a), fields(b)
    return ops.concatenate([first[0] + second[0], *merged_extremes(first, second)])


def fields(state: Any) -> tuple[Any, Any, Any]:
    """Counts, least and largest values of units."""
    rows = ops.reshape(state, (3, -1))
    return rows[0], rows[1], rows[2]


class Saturation(keras.Metric):
    """Share of values beyond 99 % of the reach of a bounded function.

    With bounds of centre c and half-width h: |value - c| > 0.99 h. For tanh that is beyond
    ±0.99, for sigmoid below 0.005 or above 0.995.

    Args:
        low: Least value that the function can have.
        high: The largest.
        name: Optional Keras name.

    Returns:
        `result()` is a dict of float64 scalars: `saturation`, a share from 0 to 1, NaN without
        finite values.
    """

    def __init__(self, low: float, high: float, name: str | None = None) -> None:
        super().__init__(dtype="float64", name=name)
        self.low, self.high = float(low), float(high)
        self._counts = self.add_variable((2,), "zeros", dtype="float64", name="counts")

    def get_config(self) -> dict[str, Any]:
        """What makes an equal metric."""
        return {"name": self.name, "low": self.low, "high": self.high}

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in a batch, as `Moments` does."""
        values, weights = flat(values, sample_weight)
        self.add(counts_beyond(values, self.low, self.high, weights))

    def add(self, counts: Any) -> None:
        """Take in counts of values beyond, and of all."""
        self._counts.assign(self._counts + counts)

    def merge_state(self, metrics: Iterable[Saturation]) -> None:
        """Take in what other metrics of the same bounds have seen."""
        merge_counts(self, metrics)

    def result(self) -> dict[str, Any]:
        """The share of all that was seen since the last `reset_state`."""
        counts = graph.identity(self._counts)
        return {"saturation": counts[0] / counts[1]}

    _check_alike = Statistic._check_alike


def counts_beyond(values: Any, low: Any, high: Any, weights: Any = None) -> Any:
    """How many finite values `(n,)` lie beyond 99 % of the reach between bounds, and how many do
    at all, or the sums of their weights."""
    x = ops.cast(values, "float64")
    weights = ops.ones_like(x) if weights is None else weights
    weights = ops.where(ops.isfinite(x), weights, ops.zeros_like(x))
    center, reach = (high + low) / 2, (high - low) / 2
    beyond = ops.where(ops.absolute(x - center) > SHARE * reach, weights, ops.zeros_like(x))
    return ops.stack([ops.sum(beyond), ops.sum(weights)])
