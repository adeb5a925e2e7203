"""Absorption and emission of channels over the epochs of `fit`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras

from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher
from kerasviz.dynamics.channel_reading import ChannelGradientReader

KIND = "channel-gradients"
QUANTITIES = ("absorption", "emission")


class ChannelGradientObserver(Observer):
    """What the channels of convolutions absorb and emit.

    Args:
        data: As `kv.dynamics.channel_gradients` takes it; gone through each time.
        batch_size: Samples run at once.
        settings: `definition`, `layers`, `loss` and `batch_statistics`, as there.
    """

    name = KIND

    def __init__(self, data: Any, batch_size: int, settings: Mapping[str, Any]) -> None:
        self._data, self._batch_size, self._settings = data, batch_size, dict(settings)
        self._reader: ChannelGradientReader | None = None

    def settings(self) -> dict[str, Any]:
        told = {name: str(value) for name, value in self._settings.items() if value is not None}
        return {"of": "a probe, in inference mode", **told}

    def begin(self, model: keras.Model) -> None:
        if self.model is not model:
            self._reader = ChannelGradientReader(model, **self._settings)
        super().begin(model)

    def start(self) -> Seen:
        return self.look({})

    def look(self, logs: Mapping[str, Any]) -> Seen:
        if self._reader is None:
            return Seen()
        found = self._reader.read(self._data, self._batch_size, verbose=0, num_kept=1, seed=0)
        scalars, arrays = {}, {}
        for layer, rows in found.table.groupby("layer", sort=False):
            for name in QUANTITIES:
                scalars[f"{KIND}/{layer}/{name}"] = float(rows[name].sum())
                arrays[f"{layer}/{name}"] = rows[name].to_numpy("float32")
        return Seen(scalars, {KIND: arrays})


class ChannelGradientWatcher(Watcher):
    """Keeps how much gradient the channels of convolutions absorb and emit during `fit`.

    It writes, for each convolution, "channel-gradients/…/absorption" and "…/emission" (the means
    over the data, summed over channels), and as arrays "channel-gradients" the mean of each
    channel.

    Args:
        folder: The run's folder.
        data: Arrays, a tuple `(x, y)` of these and labels, or a data set that can be gone through
            again and again; see `kv.dynamics.channel_gradients`, as for all of these:
        definition: "paper" or "code".
        layers: Addresses, layer objects or indices. None: all.
        loss: What is differentiated.
        batch_statistics: Let batch normalization use the statistics of each sample.
        batch_size: Samples run at once.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.ChannelGradientWatcher("runs/channels", (images, labels))
    model.fit(images, labels, epochs=1, callbacks=[watcher], verbose=0)
    print(kv.dynamics.Run("runs/channels").table("channel-gradients"))
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        data: Any,
        *,
        definition: str = "paper",
        layers: Any = None,
        loss: Any = None,
        batch_statistics: bool = False,
        batch_size: int = 8,
        **options: Any,
    ) -> None:
        settings = {
            "definition": definition,
            "layers": layers,
            "loss": loss,
            "batch_statistics": batch_statistics,
        }
        observer = ChannelGradientObserver(data, batch_size, settings)
        super().__init__(folder, [observer], KIND, **options)
