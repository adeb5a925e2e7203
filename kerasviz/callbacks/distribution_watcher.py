"""Distributions of weights and activations during `fit`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.callbacks import probing
from kerasviz.callbacks.gradient_watcher import MOST_OF_A_TENSOR, histograms
from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher
from kerasviz.dynamics.distribution_reader import WeightReader
from kerasviz.dynamics.drift import Histogram, wasserstein
from kerasviz.dynamics.folder import Run
from kerasviz.dynamics.sampled_reader import SampledReader

LEFT_OUT = ("count", "variance")
MOST_VALUES = 2**13
WHERE_KNOWN = ("dead_units", "saturation")


class _Distributions(Observer):
    """Distributions of a group, and their drift from the start."""

    def __init__(self) -> None:
        self._reader: Any = None
        self._first: dict[str, Histogram] = {}

    def begin(self, model: keras.Model) -> None:
        if self.model is not model:
            self._reader = self.reader(model)
        super().begin(model)
        self._first = {}

    def reader(self, model: keras.Model) -> Any:
        """What reads the distributions."""
        raise NotImplementedError

    def read(self) -> Any:
        """The distributions now."""
        raise NotImplementedError

    def start(self) -> Seen:
        found = self.read()
        self._first = {address: found.histogram(address) for address in found.addresses}
        return self._seen(found)

    def resume(self, run: Run) -> None:
        if run.steps and "histograms" in run.kinds:
            known = run.histograms(step=run.steps[0])
            start = f"{self.name}/"
            self._first = {k[len(start) :]: v for k, v in known.items() if k.startswith(start)}

    def look(self, logs: Mapping[str, Any]) -> Seen:
        return self._seen(self.read())

    def _seen(self, found: Any) -> Seen:
        scalars = {}
        for address, row in found.table.iterrows():
            for name, value in row.items():
                if name not in LEFT_OUT and not (name in WHERE_KNOWN and np.isnan(value)):
                    scalars[f"{self.name}/{address}/{name}"] = float(value)
            if address in self._first:
                drift = wasserstein(self._first[address], found.histogram(address))
                scalars[f"{self.name}/{address}/drift"] = drift
        return Seen(scalars, {"histograms": histograms(self.name, found)})


class WeightObserver(_Distributions):
    """How the values of each weight are distributed."""

    name = "weights"

    def reader(self, model: keras.Model) -> WeightReader:
        return WeightReader(model, most_values=MOST_OF_A_TENSOR)

    def read(self) -> Any:
        return self._reader.read()


class ActivationObserver(_Distributions):
    """How the outputs of layers on a probe are distributed, in inference.

    Args:
        probe: Arrays `x`, or a tuple that begins with them.
        layers: Addresses, layer objects or indices; None: all.
        batch_size: Samples run at once.
        most_values: How many values of each layer's output on a batch to look at, at most.
    """

    name = "activations"

    def __init__(
        self,
        probe: Any,
        layers: Sequence[Any] | None = None,
        batch_size: int = 32,
        most_values: int = MOST_VALUES,
    ) -> None:
        super().__init__()
        self._inputs, _, _ = probing.unpacked(probe)
        self._layers, self._batch_size = layers, batch_size
        self._most_values = most_values

    def settings(self) -> dict[str, Any]:
        return {
            "of": "a probe, in inference mode",
            "samples": probing.size_of(self._inputs),
            "most_values": self._most_values,
        }

    def reader(self, model: keras.Model) -> SampledReader:
        return SampledReader(model, self._layers, self._most_values)

    def read(self) -> Any:
        return self._reader.read(self._inputs, self._batch_size)


class DistributionWatcher(Watcher):
    """Keeps how weights, and the outputs of layers on a probe, are distributed during `fit`.

    It writes "weights/…" and "activations/…" with "mean", "std", "skewness", "kurtosis", "min",
    "max", quantiles, "zeros", "not_finite", for activations also "dead_units" and "saturation"
    (as `kv.dynamics.distributions`), "drift" (Wasserstein distance of order 1 from the
    distribution before training, by the histograms, in the unit of the values), and histograms.

    Args:
        folder: The run's folder.
        probe: Inputs, or a tuple that begins with them, a few hundred samples; run in inference.
            None: weights only.
        layers: Whose outputs: addresses, layer objects or indices. None: all.
        batch_size: Samples run at once.
        most_values: How many values of each layer's output on a batch to look at, at most,
            evenly spread. Of a weight, at most 65536 are. `min`, `max`, "not_finite" and
            "dead_units" are of all values even so.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.DistributionWatcher("runs/distributions", probe=images)
    model.fit(images, labels, callbacks=[watcher], verbose=0)
    print(kv.dynamics.Run("runs/distributions").table("activations")["std"])
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        probe: Any = None,
        layers: Sequence[Any] | None = None,
        *,
        batch_size: int = 32,
        most_values: int = MOST_VALUES,
        **options: Any,
    ) -> None:
        observers: list[Observer] = [WeightObserver()]
        if probe is not None:
            observers.append(ActivationObserver(probe, layers, batch_size, most_values))
        super().__init__(folder, observers, "distributions", **options)
