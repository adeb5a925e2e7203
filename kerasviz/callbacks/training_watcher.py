"""All that is worth a look in any training, with sensible defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.callbacks import probing
from kerasviz.callbacks.distribution_watcher import ActivationObserver, WeightObserver
from kerasviz.callbacks.gradient_watcher import GradientObserver, UpdateObserver
from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher


class LogObserver(Observer):
    """What Keras logs: loss, metrics, learning rate, seconds of the epoch."""

    name = "logs"

    def look(self, logs: Mapping[str, Any]) -> Seen:
        scalars = self._learning_rate() | dict(logs)
        return Seen({name: float(v) for name, v in scalars.items() if _is_number(v)})

    def _learning_rate(self) -> dict[str, Any]:
        rate = getattr(getattr(self.model, "optimizer", None), "learning_rate", None)
        if rate is None:
            return {}
        return {"learning_rate": keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(rate))}


class TrainingWatcher(Watcher):
    """Keeps what `DistributionWatcher` and `GradientWatcher` keep, and what Keras logs.

    The logs are written under their names, with "learning_rate", "seconds" (of the epoch up to
    then) and "watching_seconds" (how much of it this watcher took before it looked).

    Args:
        folder: The run's folder.
        probe: Arrays `(x, y)`, a few hundred samples. None: weights, updates and logs only. With
            inputs alone: no gradients.
        layers: Whose outputs to read: addresses, layer objects or indices. None: all.
        batch_size: Samples in a microbatch of the probe.
        training: Whether gradients are read as in training (dropout on, batch normalization on the
            microbatch).
        loss: `(y, y_pred) -> values`, for a model without a loss of its own.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.TrainingWatcher("runs/first", (images, labels), layers=["block_3"])
    model.fit(images, labels, epochs=2, callbacks=[watcher], verbose=0)
    print(kv.dynamics.Run("runs/first").scalars[["loss", "gradient_norm"]])
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        probe: Any = None,
        *,
        layers: Sequence[Any] | None = None,
        batch_size: int = 32,
        training: bool = True,
        loss: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        observers: list[Observer] = [LogObserver(), UpdateObserver(), WeightObserver()]
        if probe is not None:
            observers.append(ActivationObserver(probe, layers, batch_size))
            if probing.unpacked(probe)[1] is not None:
                observers.append(GradientObserver(probe, batch_size, training, loss))
        super().__init__(folder, observers, "training", **options)


def _is_number(value: Any) -> bool:
    try:
        return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
    except Exception:
        return False
