"""What a watcher looks at: one observer for each thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasviz.dynamics.folder import Run


@dataclasses.dataclass(frozen=True)
class Seen:
    """What an observer has to keep.

    Args:
        scalars: Numbers by name, as `RunWriter.write_epoch` takes them.
        arrays: Arrays by kind and name, as `RunWriter.write_epoch` takes them.
    """

    scalars: Mapping[str, float] = dataclasses.field(default_factory=dict)
    arrays: Mapping[str, Mapping[str, np.ndarray]] = dataclasses.field(default_factory=dict)


def together(seen: list[Seen]) -> Seen:
    """What several observers have to keep, as one."""
    scalars: dict[str, float] = {}
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for one in seen:
        scalars |= one.scalars
        for kind, named in one.arrays.items():
            if named:
                arrays[kind] = arrays.get(kind, {}) | dict(named)
    return Seen(scalars, arrays)


class Observer:
    """Looks at one thing in a model that is trained; a watcher tells it when.

    A subclass implements `look`, and `begin` where it needs the model before training. It must
    leave the model as it is.
    """

    name = "observer"
    model: Any = None

    def settings(self) -> dict[str, Any]:
        """What to say about it in the manifest of the run."""
        return {}

    def begin(self, model: keras.Model) -> None:
        """A training begins, with this model, which is built."""
        self.model = model

    def start(self) -> Seen:
        """What there is to keep of the model before its first step."""
        return Seen()

    def resume(self, run: Run) -> None:
        """A training goes on that has written this run before."""

    def before_step(self) -> None:
        """Training steps come that are read."""

    def after_step(self) -> None:
        """The training steps that are read have been done."""

    def skip_step(self) -> None:
        """Training steps come that are not read."""

    def look(self, logs: Mapping[str, Any]) -> Seen:
        """What there is to keep now.

        Args:
            logs: What Keras tells its callbacks.
        """
        raise NotImplementedError
