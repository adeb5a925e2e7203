"""Explanations of fixed images over the epochs of `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kerasviz.callbacks import probing
from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher
from kerasviz.dynamics.folder import Run
from kerasviz.dynamics.map_stability import rank_correlation
from kerasviz.errors import InputError

KIND = "explanations"


class ExplanationObserver(Observer):
    """Maps of fixed images.

    Args:
        explainer: An explainer of the trained model, or what makes one of a model (`kv.GradCAM`).
        images: What to explain.
        target: What `explainer(images, target=...)` takes; None: left out.
    """

    def __init__(self, explainer: Any, images: Any, target: Any = None) -> None:
        self._given, self._target = explainer, target
        self._images, _, _ = probing.unpacked(images)
        self._explainer: Callable[..., Any] | None = None
        self._previous: np.ndarray | None = None
        made = explainer if isinstance(explainer, type) else type(explainer)
        self.name = getattr(explainer, "__name__", made.__name__)

    def settings(self) -> dict[str, Any]:
        return {"images": probing.size_of(self._images), "explainer": self.name}

    def begin(self, model: keras.Model) -> None:
        if self.model is not model:
            is_ready = isinstance(self._given, keras.Model)
            self._explainer = self._given if is_ready else self._given(model)
        super().begin(model)
        self._previous = None

    def start(self) -> Seen:
        return self.look({})

    def resume(self, run: Run) -> None:
        if KIND in run.kinds:
            self._previous = run.stack(KIND, self.name)[-1]

    def look(self, logs: Mapping[str, Any]) -> Seen:
        if self._explainer is None:
            return Seen()
        told = {} if self._target is None else {"target": self._target}
        found = self._explainer(self._images, **told)
        if isinstance(found, Mapping):
            raise InputError(
                "`explainer` must return one map for each sample. Received: maps of the inputs "
                f"{sorted(found)}. Explain a model with one input, or one of its inputs."
            )
        maps = np.asarray(found)
        scalars = {}
        if self._previous is not None and self._previous.shape == maps.shape:
            scalars[f"{KIND}/{self.name}/stability"] = rank_correlation(self._previous, maps)
        self._previous = maps
        return Seen(scalars, {KIND: {self.name: maps}})


class ExplanationWatcher(Watcher):
    """Keeps what an explainer says of fixed images during `fit`.

    It writes the maps ("explanations", under the explainer's name) and
    "explanations/…/stability": the rank correlation (Spearman) of each image's map with the one
    before, averaged over images; the first with that before training. `kv.dynamics.stability`
    compares all epochs with the last.

    Args:
        folder: The run's folder.
        explainer: An explainer of the trained model, or its class (`kv.GradCAM`).
        images: What to explain, in the model's structure.
        target: What to explain, as the explainer takes it. None: the predicted class, which may
            change as the model learns: give classes to follow one.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.ExplanationWatcher("runs/maps", kv.GradCAM, images[:4])
    model.fit(images, labels, epochs=2, callbacks=[watcher], verbose=0)
    print(kv.dynamics.stability(kv.dynamics.Run("runs/maps"), "GradCAM"))
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        explainer: Any,
        images: Any,
        target: Any = None,
        **options: Any,
    ) -> None:
        observer = ExplanationObserver(explainer, images, target)
        super().__init__(folder, [observer], f"explanations-{observer.name}", **options)
