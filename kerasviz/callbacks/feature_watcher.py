"""Feature pictures over the epochs of `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher

KIND = "pictures"


class FeatureObserver(Observer):
    """Pictures that a visualizer draws, each time from its start.

    Args:
        visualizer: A visualizer of the trained model, or what makes one of a model.
        steps: Gradient steps; None: the visualizer's own.
        name: What to call the pictures.
    """

    name = "features"

    def __init__(self, visualizer: Any, steps: int | None, name: str) -> None:
        self._given, self._steps, self._kept_as = visualizer, steps, name
        self._visualizer: Any = None

    def settings(self) -> dict[str, Any]:
        return {"steps": self._steps, "name": self._kept_as}

    def begin(self, model: keras.Model) -> None:
        if self.model is not model:
            is_ready = isinstance(self._given, keras.Model)
            self._visualizer = self._given if is_ready else self._given(model)
        super().begin(model)

    def start(self) -> Seen:
        return self.look({})

    def look(self, logs: Mapping[str, Any]) -> Seen:
        if self._visualizer is None:
            return Seen()
        self._visualizer(steps=self._steps, verbose=0)
        shown = self._visualizer.display()
        named = shown.items() if isinstance(shown, Mapping) else [("", shown)]
        pictures = {f"{self._kept_as}/{key}".rstrip("/"): np.asarray(p) for key, p in named}
        return Seen({}, {KIND: pictures})


class FeatureWatcher(Watcher):
    """Keeps what a model's channels or classes look for, as pictures, during `fit`.

    They are drawn anew each time, from the same start and with the same seed, so that what changes
    comes from the model. It writes "pictures" in [0, 1] under `name`.

    Args:
        folder: The run's folder.
        visualizer: A `kv.ActivationMaximization` of the trained model, or a function that makes
            one of a model.
        steps: Gradient steps for each drawing; the costs are those of as many forward and backward
            passes. None: the visualizer's own number.
        name: What to call the pictures.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    visualizer = kv.ActivationMaximization(model, target=1)
    watcher = kv.callbacks.FeatureWatcher("runs/features", visualizer, steps=8)
    model.fit(images, labels, epochs=1, callbacks=[watcher], verbose=0)
    print(kv.dynamics.Run("runs/features").stack("pictures", "features").shape)
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        visualizer: keras.Model | Callable[[keras.Model], keras.Model],
        steps: int | None = 64,
        *,
        name: str = "features",
        **options: Any,
    ) -> None:
        observer = FeatureObserver(visualizer, steps, name)
        super().__init__(folder, [observer], name, **options)
