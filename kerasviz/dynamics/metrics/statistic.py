"""What all statistics have in common: a state that replicas and shards can merge exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe.backend import graph, replicas

ops: Any = keras.ops


class Statistic(keras.Metric):
    """A metric whose state merges by a rule of its own, not by adding.

    Keras adds up what the replicas of a strategy hold. Central moments and extremes don't add, so
    each replica writes into a row of its own and leaves the others zero: the sum of all replicas'
    variables holds every row as it is, and `result` merges the rows.

    A subclass implements `state_of`, `merged` and `result_of`; a state of zeros is that of no data.

    Args:
        size: Numbers in a state.
        name: Optional Keras name.
    """

    def __init__(self, size: int, name: str | None = None) -> None:
        super().__init__(dtype="float64", name=name)
        self.size = size
        self._replicas = replicas.count()
        self._rows = self._state((self._replicas, size), "rows")
        self._shared = self._state((size,), "shared")

    def _state(self, shape: tuple[int, ...], name: str) -> Any:
        return self.add_variable(shape, "zeros", dtype="float64", name=name)

    def state_of(self, values: Any, sample_weight: Any) -> Any:
        """The state of one batch, float64 `(size,)`."""
        raise NotImplementedError

    def merged(self, a: Any, b: Any) -> Any:
        """The state of what two states were made of."""
        raise NotImplementedError

    def result_of(self, state: Any) -> dict[str, Any]:
        """What a state says."""
        raise NotImplementedError

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            values: Real numbers of any shape and dtype; may be empty.
            sample_weight: None, or weights whose axes are the first ones of `values`, or which
                broadcast to it. Values whose weight is not above 0 are left out.
        """
        self._take_in(self.state_of(values, sample_weight))

    def merge_state(self, metrics: Iterable[Statistic]) -> None:
        """Take in what other metrics of the same kind and settings have seen.

        Raises:
            InputError: A metric of another kind, or with other settings.
        """
        for other in metrics:
            self._check_alike(other)
            self._take_in(other.state())

    def state(self) -> Any:
        """All that was seen, on all replicas, as one state of shape `(size,)`."""
        return joined(self, *self.parts())

    def parts(self) -> tuple[Any, Any]:
        """The rows of all replicas, and what belongs to none of them."""
        return graph.identity(self._rows), graph.identity(self._shared)

    def result(self) -> dict[str, Any]:
        """The statistics of all that was seen since the last `reset_state`, as float64 tensors."""
        return self.result_of(self.state())

    def get_config(self) -> dict[str, Any]:
        """What makes an equal metric; states are always float64."""
        return {"name": self.name}

    def own(self) -> Any:
        """The state that belongs to the replica which runs this code, or to none of them."""
        number = self._replica()
        if number is None:
            return graph.identity(self._shared)
        return graph.identity(self._rows)[number]

    def put(self, state: Any) -> None:
        """Write the state that `own` reads."""
        number = self._replica()
        if number is None:
            self._shared.assign(state)
        elif self._replicas == 1:
            self._rows.assign(state[None])
        else:
            is_own = ops.arange(self._replicas)[:, None] == number
            self._rows.assign(ops.where(is_own, state, graph.identity(self._rows)))

    def _take_in(self, state: Any) -> None:
        self.put(self.merged(self.own(), state))

    def _replica(self) -> Any:
        count = replicas.count()
        if count not in (1, self._replicas):
            raise MethodError(
                f"Expected '{self.name}' to be made in the scope of the strategy that it runs "
                f"under. Received: one made for {self._replicas} replicas, on {count}. "
                "Make it inside of `strategy.scope()`."
            )
        return replicas.own_number() if count == self._replicas else None

    def _check_alike(self, other: Any) -> None:
        mine = self.get_config() | {"name": ""}
        if type(other) is not type(self) or other.get_config() | {"name": ""} != mine:
            settings = {key: value for key, value in mine.items() if key != "name"}
            raise InputError(
                f"`metrics` must be {type(self).__name__}s with the settings {settings}. "
                f"Received: {other!r}. Make all of them alike."
            )


def joined(metric: Statistic, rows: Any, shared: Any) -> Any:
    """The parts of a metric of this kind as one state."""
    for place in range(rows.shape[0]):
        shared = metric.merged(shared, rows[place])
    return shared


def merge_counts(metric: Any, others: Iterable[Any]) -> None:
    """Add the variables of others to those of a metric whose states add."""
    for other in others:
        metric._check_alike(other)
        for mine, theirs in zip(metric.variables, other.variables, strict=True):
            mine.assign(mine + graph.identity(theirs))


def flat(values: Any, sample_weight: Any = None) -> tuple[Any, Any]:
    """Values in one row, and float64 weights in one row: None where all are 1.

    Raises:
        InputError: Not real numbers, or weights whose shape does not fit.
    """
    values = real(values)
    weights = spread_weights(values, sample_weight)
    return ops.reshape(values, (-1,)), None if weights is None else ops.reshape(weights, (-1,))


def real(values: Any) -> Any:
    """Values as a tensor, booleans as integers.

    Raises:
        InputError: Not real numbers.
    """
    try:
        values = ops.convert_to_tensor(values)
    except (TypeError, ValueError) as error:
        raise _not_real(values, type(values).__name__) from error
    if not graph.is_real(values):
        raise _not_real(values, values.dtype)
    is_bool = keras.backend.standardize_dtype(values.dtype) == "bool"
    return ops.cast(values, "int32") if is_bool else values


def spread_weights(values: Any, sample_weight: Any) -> Any:
    """Float64 weights of the shape of the values; None stays None.

    Raises:
        InputError: Weights whose shape does not fit.
    """
    if sample_weight is None:
        return None
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float64")
    missing = len(values.shape) - len(weights.shape)
    wanted, given = tuple(values.shape), (*weights.shape, *[1] * missing)
    if missing < 0 or any(g not in (1, w, None) and w for w, g in zip(wanted, given, strict=True)):
        raise InputError(
            "`sample_weight` must have the first axes of `values`, of shape "
            f"{tuple(values.shape)}. Received: shape {tuple(weights.shape)}. "
            "Give one weight a sample."
        )
    weights = ops.reshape(weights, (*ops.shape(weights), *[1] * missing))
    weights = ops.broadcast_to(weights, ops.shape(values))
    return ops.where(weights > 0.0, weights, ops.zeros_like(weights))


def _not_real(values: Any, dtype: Any) -> InputError:
    return InputError(
        f"`values` must be real numbers. Received: {type(values).__name__} of dtype {dtype}. "
        "Give an array or a tensor of numbers."
    )


def probabilities(quantiles: Any) -> tuple[float, ...]:
    """Quantiles that a user asks for, checked.

    Raises:
        InputError: Not numbers in [0, 1].
    """
    try:
        found = tuple(float(q) for q in np.atleast_1d(quantiles))
    except (TypeError, ValueError):
        found = (np.nan,)
    if not all(0.0 <= q <= 1.0 for q in found) or len(set(found)) < len(found):
        raise InputError(
            "`quantiles` must be different numbers from 0 to 1. "
            f"Received: {quantiles!r}. 0.5 is the median."
        )
    return found


def quantile_name(q: float) -> str:
    """What a quantile is called: "q25" for 0.25."""
    return f"q{100 * q:.6g}"
