"""What a rule is given of an operation: what its inputs see, and values that never change."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasviz.probe.backend import constants
from kerasviz.probe.backend.extents import Extents, hull

Given = list[Extents | None]


class NotFollowedError(Exception):
    """An operation whose effect is not known; the message says which and why."""


def value_of(tensor: Any) -> np.ndarray:
    """What a tensor holds whatever the model's inputs are."""
    found = constants.computed(tensor)
    if found is None:
        raise NotFollowedError(
            f"what the operation {tensor.op.type} gives is known only when it runs"
        )
    return found


def data_of(op: Any, given: Given, place: int = 0) -> Extents:
    """The data input of an operation whose other inputs must not depend on the model's."""
    if given[place] is None or any(e is not None for i, e in enumerate(given) if i != place):
        raise NotFollowedError(f"the settings of the operation {op.type} depend on the input")
    return given[place]  # type: ignore[return-value]


def broadcast(extents: Extents, shape: tuple[int, ...]) -> Extents:
    """As of a tensor of a larger shape into which this one is stretched."""
    return hull(extents, Extents.blind(shape)) if extents.shape != shape else extents
