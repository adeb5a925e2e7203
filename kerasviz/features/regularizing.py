"""What a user may give as a regularizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.errors import InputError
from kerasviz.features.objectives.base import Objective, Scene

ops: Any = keras.ops


def to_regularizers(given: Any) -> list[Objective]:
    """The objectives to subtract: those given, and tf-keras-vis's regularizers as they are.

    A regularizer of tf-keras-vis is a function of the inputs in the model's own range, as there.

    Raises:
        InputError: Something else.
    """
    several = given if isinstance(given, Sequence) else [given]
    return [_to_regularizer(one) for one in several]


def _to_regularizer(given: Any) -> Objective:
    if isinstance(given, Objective):
        return given
    if not callable(given) or isinstance(given, type):
        raise InputError(
            "`regularizers` must be values of kv.objectives, or regularizers of tf-keras-vis. "
            f"Received: {given!r}. Call it with its settings, as "
            "`0.1 * kv.objectives.total_variation()`."
        )

    def values(scene: Scene) -> Any:
        return sum(ops.convert_to_tensor(given(inputs)) for inputs in scene.inputs.values())

    return Objective(str(getattr(given, "name", type(given).__name__)), values)
