"""Counts on bins whose widths double as the data demand."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.dynamics.metrics.moments import extremes, merged_extremes
from kerasviz.dynamics.metrics.statistic import Statistic, flat, probabilities
from kerasviz.errors import InputError
from kerasviz.probe.backend import floats
from kerasviz.probe.settings import whole

ops: Any = keras.ops

FINEST = -149
FINEST_RELATIVE = 40
MOST_DOUBLINGS = 60
HEAD = 3


class Histogram(Statistic):
    """How often values fall into each of a fixed number of bins, as a Keras metric.

    A bin is [k·w, (k + 1)·w) with whole k and a width w that is a power of two: the smallest
    with which the bins reach from the least to the largest value seen. When the range grows, the
    width doubles and neighbouring bins are added up, which loses no count and splits none.
    The result depends on the values alone, not on the order or size of batches, and is the
    histogram that would have been counted with the final bins from the start. At least a quarter
    of the bins lie within the range of the data, unless it is narrower than 2^-40 of its largest
    magnitude.

    Args:
        num_bins: A power of two from 16 on.
        name: Optional Keras name.

    Call arguments:
        values: Real numbers of any shape and dtype; may be empty. NaN and infinity are left out.
        sample_weight: As in `Moments`.

    Returns:
        `result()` is a dict of float64 tensors: `edges`, `(num_bins + 1,)` in the values' unit, and
        `counts`, `(num_bins,)`.

    Raises:
        InputError: A number of bins that is no power of two from 16 on, values that are not real
            numbers, or weights that do not fit.

    Example:

    ```python
    histogram = kv.dynamics.Histogram(num_bins=64)
    histogram.update_state(np.random.default_rng(0).normal(size=1000))
    print(histogram.result()["counts"], histogram.quantile(0.5))
    ```
    """

    def __init__(self, num_bins: int = 128, name: str | None = None) -> None:
        self.num_bins = whole(num_bins, "num_bins", 16)
        if self.num_bins & (self.num_bins - 1):
            raise InputError(
                f"`num_bins` must be a power of two. Received: {num_bins}. "
                f"Use {1 << self.num_bins.bit_length()}."
            )
        super().__init__(HEAD + self.num_bins, name=name)

    def get_config(self) -> dict[str, Any]:
        """What makes an equal metric."""
        return {**super().get_config(), "num_bins": self.num_bins}

    def state_of(self, values: Any, sample_weight: Any) -> Any:
        """The state of one batch: count, least and largest value, counts."""
        values, weights = flat(values, sample_weight)
        x = ops.cast(values, "float64")
        used = ops.isfinite(x)
        if weights is not None:
            used = ops.logical_and(used, weights > 0.0)
        low, high = extremes(x, used)
        exponent, first = self._bins(low, high)
        places = ops.floor(x * floats.power_of_two(-exponent)) - first
        places = ops.where(used, ops.clip(places, 0, self.num_bins - 1), float(self.num_bins))
        counts = floats.counted(ops.cast(places, "int32"), self.num_bins, weights)
        return ops.concatenate([ops.stack([ops.sum(counts), low, high]), counts])

    def merged(self, a: Any, b: Any) -> Any:
        """The state of what two states were made of."""
        low, high = merged_extremes(_head(a), _head(b))
        ends = (ops.stack([a[place], b[place], new]) for place, new in ((1, low), (2, high)))
        exponents, firsts = self._bins(*ends)
        doublings = ops.clip(exponents[2] - exponents[:2], 0.0, float(MOST_DOUBLINGS))
        places = firsts[:2, None] + ops.arange(self.num_bins, dtype="float64")
        places = ops.floor(places * floats.power_of_two(-doublings)[:, None]) - firsts[2]
        places = ops.cast(ops.clip(places, 0, self.num_bins - 1), "int32")
        given = ops.concatenate([a[HEAD:], b[HEAD:]])
        counts = floats.counted(ops.reshape(places, (-1,)), self.num_bins, given)
        return ops.concatenate([ops.stack([a[0] + b[0], low, high]), counts])

    def result_of(self, state: Any) -> dict[str, Any]:
        """Edges and counts of a state."""
        exponent, first = self._bins(state[1], state[2])
        places = ops.arange(self.num_bins + 1, dtype="float64")
        return {
            "edges": (first + places) * floats.power_of_two(exponent),
            "counts": state[HEAD:],
        }

    def quantile(self, q: Any) -> Any:
        """Quantiles, as if values were spread evenly over each bin.

        Args:
            q: A number in [0, 1], or several.

        Returns:
            Float64 tensor `(len(q),)`, each at most one bin's width from the true quantile; NaN
            without data.

        Raises:
            InputError: Not numbers in [0, 1].
        """
        return self.quantile_of(self.state(), q)

    def quantile_of(self, state: Any, q: Any) -> Any:
        """Quantiles of a state."""
        edges, counts = (self.result_of(state)[key] for key in ("edges", "counts"))
        below = ops.cumsum(counts)
        ranks = ops.convert_to_tensor(probabilities(q), dtype="float64") * state[0]
        places = ops.minimum(ops.searchsorted(below, ranks), self.num_bins - 1)
        within = ops.take(counts, places)
        share = 1.0 - (ops.take(below, places) - ranks) / ops.where(within > 0.0, within, 1.0)
        found = ops.take(edges, places) + share * (edges[1] - edges[0])
        found = ops.clip(found, state[1], state[2])
        return ops.where(state[0] > 0.0, found, ops.full_like(found, float("nan")))

    def _bins(self, low: Any, high: Any) -> tuple[Any, Any]:
        """Exponents of the widths, and the numbers of the first bins, that ranges need."""
        span = floats.exponent(0.5 * high - 0.5 * low) + 1.0
        largest = floats.exponent(ops.maximum(ops.absolute(low), ops.absolute(high)))
        exponent = ops.maximum(span - (self.num_bins.bit_length() - 1), largest - FINEST_RELATIVE)
        exponent = ops.maximum(exponent, float(FINEST))
        for _ in range(2):
            fits = self._number(high, exponent) - self._number(low, exponent) < self.num_bins
            exponent = ops.where(fits, exponent, exponent + 1.0)
        return exponent, self._number(low, exponent)

    @staticmethod
    def _number(value: Any, exponent: Any) -> Any:
        return ops.floor(value * floats.power_of_two(-exponent))


def _head(state: Any) -> tuple[Any, ...]:
    return tuple(state[place] for place in range(HEAD))
