"""Receptive fields of units over the epochs of `fit`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.callbacks.observing import Observer, Seen
from kerasviz.callbacks.watcher import Watcher
from kerasviz.errors import InputError
from kerasviz.receptive_fields.gradient_fields import (
    GradientReceptiveField,
    asked_of,
    made_of,
)
from kerasviz.receptive_fields.snapshots import KIND, arrays_of

MOST_UNITS = 64


class ReceptiveFieldObserver(Observer):
    """The gradient fields of one layer's units.

    Args:
        layer: Address, layer object or index.
        units: Numbers of the units, or how many of the first at most.
        asked: `fill`, `samples` and `seed` of a call of `GradientReceptiveField`.
        made: `input`, `size` and `batch_size` of its constructor.
    """

    def __init__(
        self,
        layer: Any,
        units: int | list[int],
        asked: Mapping[str, Any],
        made: Mapping[str, Any],
    ) -> None:
        self._layer, self._units = layer, units
        self._asked, self._made = dict(asked), dict(made)
        self._field: GradientReceptiveField | None = None
        self.name = f"{KIND}/{layer if isinstance(layer, (str, int)) else layer.name}"

    def settings(self) -> dict[str, Any]:
        return {"units": self._units, **self._asked, **self._made}

    def begin(self, model: keras.Model) -> None:
        if self.model is not model:
            self._field = GradientReceptiveField(model, self._layer, **self._made)
        super().begin(model)

    def start(self) -> Seen:
        return self.look({})

    def look(self, logs: Mapping[str, Any]) -> Seen:
        if self._field is None:
            return Seen()
        units: Sequence[int] | int = self._units
        if isinstance(units, int):
            units = range(min(units, self._field.num_units))
        fields = self._field(units=units, **self._asked)
        kept = {f"{fields.layer}/{name}": array for name, array in arrays_of(fields).items()}
        return Seen({}, {KIND: kept})


class ReceptiveFieldWatcher(Watcher):
    """Keeps the gradient receptive field of every unit of some layers during `fit`.

    One snapshot of what `kv.receptive_fields.GradientReceptiveField` answers at each time of
    looking, and one of before the first step. It is compiled once for a layer. Read them with
    `kv.receptive_fields.Development`, or as arrays "receptive-fields" of the run, "…/maps" and
    "…/units" by layer; `kv.report.development` makes a page of them.

    Args:
        folder: The run's folder.
        layers: Whose fields: addresses, layer objects or indices.
        fill: The value that all inputs hold, in their own units.
        samples: Average the gradient over so many inputs of noise in place of the constant.
        seed: Of the noise, which is the same each time.
        units: Numbers of the units, or how many of each layer's first ones at most.
        input: Name or index of the input; None: the first with positions.
        size: Positions along each axis of the input that the model leaves open, one number or one
            each.
        batch_size: Gradients computed at once; memory grows with it.
        **options: `every`, `strict`, `overwrite`, `keep`, `tensorboard` of `Watcher`.

    Raises:
        InputError: Settings that make no sense.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.ReceptiveFieldWatcher("runs/retina", layers=["encoder/conv"])
    model.fit(images, labels, epochs=1, callbacks=[watcher], verbose=0)
    run = kv.dynamics.Run("runs/retina")
    print(run.stack("receptive-fields", "encoder/conv/maps").shape)
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        layers: Sequence[Any],
        *,
        fill: float = 0.5,
        samples: int | None = None,
        seed: int = 0,
        units: int | Sequence[int] = MOST_UNITS,
        input: str | int | None = None,  # noqa: A002
        size: int | Sequence[int] | None = None,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        asked = asked_of(fill, samples, seed)
        made = made_of(input, size, batch_size)
        observers = [
            ReceptiveFieldObserver(layer, _units(units), asked, made) for layer in _layers(layers)
        ]
        super().__init__(folder, observers, KIND, **options)


def _layers(layers: Any) -> list[Any]:
    found = [] if isinstance(layers, str) or not hasattr(layers, "__iter__") else list(layers)
    if not found or not all(isinstance(one, (str, int, keras.Layer)) for one in found):
        raise InputError(
            "`layers` must be a list of addresses, layer objects or indices. "
            f'Received: {layers!r}. Pass such as `layers=["conv"]`; see `kv.layers(model)`.'
        )
    return found


def _units(units: Any) -> int | list[int]:
    numbers = np.asarray(units)
    is_count = numbers.ndim == 0 and not isinstance(units, bool)
    if numbers.size and numbers.dtype.kind in "iu" and (is_count or numbers.ndim == 1):
        if is_count and units > 0:
            return int(units)
        if not is_count and numbers.min() >= 0:
            return [int(unit) for unit in numbers]
    raise InputError(
        "`units` must be a list of numbers of units, or how many at most, from 1 on. "
        f"Received: {units!r}. Leave it out for the first {MOST_UNITS}."
    )
