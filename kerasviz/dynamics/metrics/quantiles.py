"""Quantiles of a stream of numbers, with a bound on their relative error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.metrics.statistic import (
    Statistic,
    flat,
    merge_counts,
    probabilities,
    quantile_name,
)
from kerasviz.errors import InputError
from kerasviz.probe.backend import floats, graph

ops: Any = keras.ops

EXPONENTS = 254
TINY = 1e-300


class Quantiles(keras.Metric):
    """A sketch of a distribution that knows each quantile to within a share of its own size.

    Counts on bins that are narrow near zero and wide far from it, on both signs: DDSketch with
    the linearly interpolated mapping, whose bins are the exponent and the first bits of a float32
    number. An estimate differs from the value at its rank by at most `bound` times that value,
    over all normal float32 numbers, however heavy the tails. Magnitudes below 2^-126 count as
    zero, those above float32's largest as that. The counts add, so that batches, replicas and
    shards merge exactly and in any order.

    Args:
        quantiles: Numbers in [0, 1].
        relative_error: Largest relative error wanted, 0.0001 to 0.25. `bound` is the next
            power of two below: 2^-7 for 0.01.
        name: Optional Keras name.

    Call arguments:
        values: Real numbers of any shape and dtype; may be empty. NaN and infinity are left out.
        sample_weight: As in `Moments`.

    Returns:
        `result()` is a dict of float64 scalars by name, "q25" for 0.25: the least value with at
        least that share of the weights at or below it (NumPy's "inverted_cdf"); NaN without data.

    Raises:
        InputError: Settings out of range, values that are not real numbers, or weights that do
            not fit.

    Reference:
        Masson, Rim, Lee 2019, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
        Relative-Error Guarantees", VLDB, section 2.

    Example:

    ```python
    quantiles = kv.dynamics.Quantiles([0.5, 0.99])
    quantiles.update_state(np.random.default_rng(0).exponential(size=1000))
    print(quantiles.result()["q50"])  # within 0.8 % of the median
    ```
    """

    def __init__(
        self,
        quantiles: Sequence[float] = (0.01, 0.25, 0.5, 0.75, 0.99),
        relative_error: float = 0.01,
        name: str | None = None,
    ) -> None:
        super().__init__(dtype="float64", name=name)
        self._asked = probabilities(quantiles)
        self._error = _checked_error(relative_error)
        self._bits = math.ceil(-math.log2(2.0 * self._error))
        self._cells = EXPONENTS << self._bits
        self._counts = self.add_variable(
            (2 * self._cells + 1,), "zeros", dtype="float64", name="counts"
        )

    @property
    def bound(self) -> float:
        """Largest relative error of an estimate."""
        return float(2.0 ** -(self._bits + 1))

    def get_config(self) -> dict[str, Any]:
        """What makes an equal metric; counts are always float64."""
        return {"name": self.name, "quantiles": self._asked, "relative_error": self._error}

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        self.add(self.counts_of(values, sample_weight))

    def add(self, counts: Any) -> None:
        """Take in counts of the same bins."""
        self._counts.assign(self._counts + counts)

    def counts_of(self, values: Any, sample_weight: Any = None) -> Any:
        """The counts of one batch, which add."""
        values, weights = flat(values, sample_weight)
        dtype = keras.backend.standardize_dtype(values.dtype)
        x = values if dtype == "float32" else ops.cast(values, _wide(dtype))
        cells = floats.leading_bits(x, self._bits) - (1 << self._bits) + 1
        places = self._cells + ops.cast(ops.sign(x), "int32") * ops.maximum(cells, 0)
        places = ops.where(ops.isfinite(x), places, 2 * self._cells + 1)
        return floats.counted(places, 2 * self._cells + 1, weights)

    def counts(self) -> Any:
        """The counts of all that was seen, from the most negative bin to the largest."""
        return graph.identity(self._counts)

    def merge_state(self, metrics: Iterable[Quantiles]) -> None:
        """Take in what other sketches with the same settings have seen.

        Raises:
            InputError: A metric of another kind, or with other settings.
        """
        merge_counts(self, metrics)

    def result(self) -> dict[str, Any]:
        """The quantiles of all that was seen since the last `reset_state`."""
        found = self.quantile(self._asked)
        return {quantile_name(q): found[place] for place, q in enumerate(self._asked)}

    def quantile(self, q: Any) -> Any:
        """Estimates of any quantiles.

        Args:
            q: A number in [0, 1], or several.

        Returns:
            Float64 tensor `(len(q),)`; NaN without data.

        Raises:
            InputError: Not numbers in [0, 1].
        """
        return self.quantile_of(self.counts(), q)

    def quantile_of(self, counts: Any, q: Any) -> Any:
        """Quantiles of counts."""
        below = ops.cumsum(counts)
        total = below[-1]
        ranks = ops.convert_to_tensor(probabilities(q), dtype="float64") * total
        places = ops.searchsorted(below, ops.maximum(ranks, TINY))
        places = ops.minimum(places, 2 * self._cells)
        found = ops.take(ops.convert_to_tensor(self._representatives()), places)
        return ops.where(total > 0.0, found, ops.full_like(found, float("nan")))

    def _representatives(self) -> np.ndarray:
        """The value that stands for each bin: the one with equal relative error to both ends."""
        cells = np.arange(self._cells + 1, dtype=np.int64)
        fraction = 1.0 + (cells & ((1 << self._bits) - 1)) / (1 << self._bits)
        ends = np.ldexp(fraction, (cells >> self._bits) - 126)
        middle = 2.0 / (1.0 / ends[:-1] + 1.0 / ends[1:])
        return np.concatenate([-middle[::-1], [0.0], middle])

    _check_alike = Statistic._check_alike


def _checked_error(relative_error: Any) -> float:
    is_number = isinstance(relative_error, (int, float)) and not isinstance(relative_error, bool)
    if not is_number or not 1e-4 <= relative_error <= 0.25:
        raise InputError(
            f"`relative_error` must be a number from 0.0001 to 0.25. Received: {relative_error!r}. "
            "0.01 is fine for most."
        )
    return float(relative_error)


def _wide(dtype: str) -> str:
    """A floating dtype that holds all values of another."""
    return "float32" if dtype in ("float16", "bfloat16", "int8", "uint8") else "float64"
