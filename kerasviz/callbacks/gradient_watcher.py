"""Gradients, updates and the noise of gradients during `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasviz.callbacks import probing
from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher
from kerasviz.dynamics.gradient_reader import GradientReader
from kerasviz.dynamics.updates import UpdateReader

MOST_OF_A_TENSOR = 2**16
STATISTICS = ("norm", "noise_scale", "mean", "std", "min", "max", "zeros", "not_finite")


class UpdateObserver(Observer):
    """What the last step of training did to each weight: exactly, from the weights around it."""

    name = "updates"

    def __init__(self) -> None:
        self._reader: UpdateReader | None = None
        self._table: Any = None

    def settings(self) -> dict[str, Any]:
        return {"of": "the real training step: weights after minus weights before"}

    def begin(self, model: keras.Model) -> None:
        super().begin(model)
        self._reader, self._table = UpdateReader(model), None

    def before_step(self) -> None:
        if self._reader is not None:
            self._reader.before()

    def after_step(self) -> None:
        if self._reader is not None:
            self._table = self._reader.after()

    def skip_step(self) -> None:
        if self._reader is not None:
            self._reader.skip()

    def look(self, logs: Mapping[str, Any]) -> Seen:
        if self._table is None:
            return Seen()
        scalars = {}
        for address, row in self._table.iterrows():
            scalars[f"weights/{address}/norm"] = row["weight_norm"]
            scalars |= {f"updates/{address}/{n}": row[n] for n in ("norm", "ratio", "cosine")}
        return Seen(scalars)


class GradientObserver(Observer):
    """The gradient of the model's loss on a probe.

    Args:
        probe: Arrays `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Samples in a microbatch.
        training: Whether the model runs as in training.
        loss: `(y, y_pred) -> values`, for a model without a loss of its own.
    """

    name = "gradients"

    def __init__(
        self,
        probe: Any,
        batch_size: int = 32,
        training: bool = True,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        self._batch = probing.unpacked(probe)
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "training": training,
            "loss": loss,
            "most_values": MOST_OF_A_TENSOR,
        }
        self._reader: GradientReader | None = None

    def settings(self) -> dict[str, Any]:
        mode = "training" if self._options["training"] else "inference"
        return {
            "of": f"a probe, in {mode} mode",
            "samples": probing.size_of(self._batch[0]),
            "batch_size": self._options["batch_size"],
            "noise_scale": "from microbatches of the probe",
        }

    def begin(self, model: keras.Model) -> None:
        super().begin(model)
        if self._reader is None or self._reader.model is not model:
            self._reader = GradientReader(model, **self._options)

    def look(self, logs: Mapping[str, Any]) -> Seen:
        if self._reader is None:
            return Seen()
        found = self._reader.read(*self._batch)
        scalars = {
            "probe_loss": found.loss,
            "gradient_norm": found.norm,
            "gradient_noise_scale": found.noise_scale,
        }
        for address, row in found.distributions.table.iterrows():
            scalars |= {f"gradients/{address}/{name}": row[name] for name in STATISTICS}
        return Seen(scalars, {"histograms": histograms("gradients", found.distributions)})


class GradientWatcher(Watcher):
    """Keeps gradients and updates of each trainable weight during `fit`.

    Updates are those of the real training step, exactly, without another pass: the weights after
    the last step before each time of looking, minus those before it (`steps_per_execution` steps
    where Keras runs several at once; of a data set of unknown size, the second step of the epoch).
    Keras gives callbacks no gradients of that step, so gradients are those of a probe, as
    `kv.dynamics.GradientReader` reads them.

    It writes, for each weight, "weights/…/norm", "updates/…/norm", "…/ratio" (to the weight's
    norm), "…/cosine" (with the update of the step before), and with a probe "gradients/…/norm",
    "…/noise_scale", "…/mean", "…/std", "…/min", "…/max", "…/zeros", "…/not_finite" and a
    histogram; of all weights together "gradient_norm", "gradient_noise_scale" (McCandlish et al.
    2018, in samples, from microbatches of the probe) and "probe_loss".

    Args:
        folder: The run's folder.
        probe: Arrays `(x, y)`, a few hundred samples. None: updates only.
        batch_size: Samples in a microbatch of the probe.
        training: Whether the probe is run as in training (dropout on, batch normalization on the
            microbatch); its state stays as it is.
        loss: `(y, y_pred) -> values`, for a model without a loss of its own.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.GradientWatcher("runs/gradients", probe=(images, labels))
    model.fit(images, labels, callbacks=[watcher], verbose=0)
    print(kv.dynamics.Run("runs/gradients").table("updates"))
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        probe: Any = None,
        *,
        batch_size: int = 32,
        training: bool = True,
        loss: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        observers: list[Observer] = [UpdateObserver()]
        if probe is not None:
            observers.append(GradientObserver(probe, batch_size, training, loss))
        super().__init__(folder, observers, "gradients", **options)


def histograms(group: str, found: Any) -> dict[str, Any]:
    """The histograms of `Distributions` as the run's folder names them."""
    arrays = {}
    for place, address in enumerate(found.addresses):
        arrays[f"{group}/{address}/edges"] = found.edges[place]
        arrays[f"{group}/{address}/counts"] = found.counts[place]
    return arrays
