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
from kerasviz.probe.backend import graph

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
        x, weights = ops.cast(values, "float64"), spread_weights(values, sample_weight)
        used = ops.isfinite(x)
        if weights is not None:
            used = ops.logical_and(used, weights > 0.0)
        x, used = (self._by_unit(tensor) for tensor in (x, used))
        counts = ops.sum(ops.cast(used, "float64"), axis=0)
        return ops.concatenate([counts, *extremes(x, used)])

    def merged(self, a: Any, b: Any) -> Any:
        """The state of what two states were made of."""
        a, b = self._fields(a), self._fields(b)
        return ops.concatenate([a[0] + b[0], *merged_extremes(a, b)])

    def result_of(self, state: Any) -> dict[str, Any]:
        """What a state says."""
        counts, low, high = self._fields(state)
        known = counts > 1.0
        dead = ops.sum(ops.cast(ops.logical_and(known, ops.equal(low, high)), "float64"))
        return {"dead_units": dead / ops.sum(ops.cast(known, "float64"))}

    def _by_unit(self, tensor: Any) -> Any:
        return ops.reshape(ops.moveaxis(tensor, self.axis, -1), (-1, self.num_units))

    @staticmethod
    def _fields(state: Any) -> tuple[Any, Any, Any]:
        counts, low, high = ops.split(state, 3)
        return counts, low, high


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
        x = ops.cast(values, "float64")
        weights = ops.ones_like(x) if weights is None else weights
        weights = ops.where(ops.isfinite(x), weights, ops.zeros_like(x))
        center, reach = (self.high + self.low) / 2, (self.high - self.low) / 2
        beyond = ops.where(ops.absolute(x - center) > SHARE * reach, weights, ops.zeros_like(x))
        self._counts.assign(self._counts + ops.stack([ops.sum(beyond), ops.sum(weights)]))

    def merge_state(self, metrics: Iterable[Saturation]) -> None:
        """Take in what other metrics of the same bounds have seen."""
        merge_counts(self, metrics)

    def result(self) -> dict[str, Any]:
        """The share of all that was seen since the last `reset_state`."""
        counts = graph.identity(self._counts)
        return {"saturation": counts[0] / counts[1]}

    _check_alike = Statistic._check_alike
