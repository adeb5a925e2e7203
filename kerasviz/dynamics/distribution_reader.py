"""Reading distributions again and again, compiled once: of what layers return, and of weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.distribution_result import Distributions, gathered
from kerasviz.dynamics.metrics.statistic import real
from kerasviz.dynamics.statistics import QUANTILES, Settings, Statistics, reading_of
from kerasviz.errors import AddressError, InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import compiled, graph, replicas
from kerasviz.probe.backend.bounds import bounds_of
from kerasviz.probe.evaluation import Evaluation
from kerasviz.probe.held_weights import held_weights
from kerasviz.probe.inputs import Batch
from kerasviz.probe.provenance import provenance
from kerasviz.probe.run import Run, run
from kerasviz.probe.settings import whole
from kerasviz.probe.taps import Call


@dataclasses.dataclass(frozen=True)
class Site:
    """A layer's output, as its statistics need to know it.

    Attributes:
        address: Where.
        units: Size and number of the axis of units; None where there is none of a known size.
        bounds: What its values lie between, where both are finite; else None.
        dtype: Of its values.
    """

    address: str
    units: tuple[int, int] | None
    bounds: tuple[float, float] | None
    dtype: str


class DistributionReader(Evaluation):
    """Reads how the outputs of layers are distributed, as often as asked, compiled once.

    Runs by Keras's `evaluate`: data of any size, in memory that depends on the number of layers
    and on one batch only; on all replicas when it is made under a strategy's scope. Statistics
    are float64 whatever the model computes in.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        layers: Addresses, layer objects or indices. None: every call site whose output is a
            single tensor of numbers.
        quantiles: Numbers in [0, 1].
        num_bins: Bins of the histograms, a power of two from 16 on.

    Raises:
        AddressError: A layer that the model does not have, or does not call.
        InputError: Settings out of range.

    Example:

    ```python
    reader = kv.dynamics.DistributionReader(model)
    before = reader.read(images)
    after = reader.read(images)  # same compiled function, the weights as they are then
    print(after.table["std"] - before.table["std"])
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[Any] | None = None,
        quantiles: Sequence[float] = QUANTILES,
        num_bins: int = 128,
    ) -> None:
        self._kept = _Kept(Settings(quantiles, num_bins))
        super().__init__(model)
        self._compiled = compiled.Compiled(self.compute, is_optimized=False)
        self._wanted = wanted_addresses(model, layers)

    def read(self, dataset: Any, batch_size: int = 32, verbose: Any = "auto") -> Distributions:
        """Go through a data set.

        Args:
            dataset: Arrays in the model's structure, or anything that `evaluate` takes.
            batch_size: Samples run at once when `dataset` holds arrays.
            verbose: Keras's progress bar: "auto", 0, 1 or 2.

        Returns:
            `Distributions`, with the columns of `kv.dynamics.distributions`.

        Raises:
            AddressError: A layer that the model does not have, or does not call.
            InputError: The data set is empty, or holds what does not fit the model.
        """
        for statistics in self._kept.by_address.values():
            statistics.reset()
        self.go_through(dataset, batch_size, verbose)
        found = {address: one.found() for address, one in self._kept.by_address.items()}
        return gathered(found, provenance(self.model))

    def refresh(self) -> None:
        """Forget what was traced, and look at the model anew."""
        super().refresh()
        self._kept.by_address = {}

    def prepare(self, batch: Batch | None) -> bool:
        if self._kept.by_address or not self._has_replicas:
            return True
        sites = self.info("sites") if batch is None else self.traced("sites", batch).info
        if sites is None:
            return False
        with self.distribute_strategy.scope():
            self._kept.make(sites)
        return True

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        calls = chosen_calls(record, self._wanted)
        if key == "sites":
            return {}, sites_of(record, calls)
        if not self._kept.by_address:
            sites = sites_of(record, calls)
            with graph.outside():
                self._kept.make(sites)
        by_address = {call.address: call.output for call in calls}
        for address, statistics in self._kept.by_address.items():
            values = by_address[address]
            statistics.update(replicas.all_or_none(values, *feeds) if feeds else values)
        return {}, None


class _Kept:
    """Keeps the metrics out of Keras's attribute tracking."""

    def __init__(self, settings: Settings) -> None:
        self.reading = reading_of(settings)
        self.by_address: dict[str, Statistics] = {}

    def make(self, sites: Sequence[Site]) -> None:
        """Make the metrics, and trace what they share."""
        for dtype in {site.dtype for site in sites}:
            self.reading.step(dtype)
        self.by_address = {
            site.address: Statistics(self.reading, site.units, site.bounds) for site in sites
        }


class WeightReader:
    """Reads how the values of each weight are distributed, as often as asked.

    Args:
        model: Any built Keras 3 model; not altered.
        quantiles: Numbers in [0, 1].
        num_bins: Bins of the histograms, a power of two from 16 on.
        most_values: How many values of a weight to look at, at most, evenly spread; `min`, `max`
            and `not_finite` are of all even so. None: all.

    Raises:
        InputError: Not a built Keras model, or settings out of range.

    Example:

    ```python
    print(kv.dynamics.WeightReader(model).read().table["std"])
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        quantiles: Sequence[float] = QUANTILES,
        num_bins: int = 128,
        most_values: int | None = None,
    ) -> None:
        probe_inputs.check_model(model)
        self._model = model
        self._most = None if most_values is None else whole(most_values, "most_values")
        self._reading = reading_of(Settings(quantiles, num_bins))

    def read(self) -> Distributions:
        """The distributions now: a row for each weight, under its first address.

        Raises:
            MethodError: No weights at all, or quantized ones, whose numbers are codes.
        """
        found = {
            held.addresses[0]: self._reading.of_values(held.values(), self._most)
            for held in held_weights(self._model)
        }
        if not found:
            raise MethodError(
                f"Expected a model with weights. Received: '{self._model.name}', which has none. "
                "See `kv.dynamics.distributions` for what its layers return."
            )
        return gathered(found, provenance(self._model))


def wanted_addresses(model: keras.Model, layers: Any) -> tuple[str, ...] | None:
    """The addresses of chosen layers; None for all.

    Raises:
        AddressError: A layer that the model does not have.
        InputError: An empty choice.
    """
    if layers is None:
        return None
    if isinstance(layers, (str, int, np.integer, keras.Operation)):
        layers = [layers]
    found = tuple(dict.fromkeys(addresses.to_address(model, layer) for layer in layers))
    if not found:
        raise InputError(
            "`layers` must name at least one layer, or be None for all. Received: an empty list. "
            "See `kv.layers(model)`."
        )
    return found


def chosen_calls(record: Run, wanted: Sequence[str] | None) -> list[Call]:
    """The calls of these addresses; of None, all that return one tensor of numbers.

    Raises:
        AddressError: One that is not called, or returns no real numbers.
        MethodError: None is left.
    """
    if wanted is None:
        calls = [c for c in record.calls if graph.is_here(c.output) and graph.is_real(c.output)]
        if not calls:
            raise MethodError(
                f"Expected a model that calls layers. Received: '{record.recorder.model.name}', "
                "which calls none that returns one tensor of numbers. See `kv.layers(model)`."
            )
        return calls
    found = [record.find(address) for address in wanted]
    for call in found:
        if not graph.is_real(call.output):
            raise AddressError(
                f"`layers` must return real numbers. Received: {call.address!r}, which returns "
                f"{call.output.dtype.name}. Choose a layer after it."
            )
    return found


def sites_of(record: Run, calls: Sequence[Call]) -> list[Site]:
    """What the statistics of these calls' outputs need to know."""
    bounds = bounds_of([call.output for call in calls])
    return [
        Site(
            call.address,
            _units(record, call),
            pair if all(map(math.isfinite, pair)) else None,
            real(call.output).dtype.name,
        )
        for call, pair in zip(calls, bounds, strict=True)
    ]


def _units(record: Run, call: Call) -> tuple[int, int] | None:
    if len(call.output.shape) < 2:
        return None
    axis = record.channel_axis(call)
    size = call.output.shape[axis]
    return None if size is None else (int(size), axis)
