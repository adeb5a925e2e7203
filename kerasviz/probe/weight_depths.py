"""How deep in a model each layer with weights lies."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.probe.held_weights import HeldWeight
from kerasviz.probe.run import run
from kerasviz.probe.serial_depth import Paths
from kerasviz.probe.wrapper import Wrapper

LOOPS = (keras.layers.RNN, keras.layers.TimeDistributed)


def weight_depths(model: keras.Model, weights: Sequence[HeldWeight]) -> list[int | None]:
    """For each weight, how many layers with weights lie on the longest path to its layer.

    The layer itself counts, so that the first is at 1. A layer called several times is where it is
    first called; weights of a recurrent cell are where their recurrent layer is.

    Args:
        model: Any built Keras 3 model; nothing is computed.
        weights: Of the model.

    Returns:
        A depth each; None where it cannot be known, such as for a model that does not say what it
        takes.
    """
    paths = _traced(model)
    if paths is None:
        return [None] * len(weights)
    around = [[*held.holders[1:], held.layer] for held in weights]
    unique = {id(layer): layer for layers in around for layer in layers}
    called = paths.positions(list(unique.values()))
    places = [_place([one for one in layers if id(one) in called]) for layers in around]
    depths = paths.positions([place for place in places if place is not None])
    return [depths.get(id(place)) for place in places]


def _place(called: Sequence[Any]) -> Any:
    """The innermost of the called layers around a weight, but a loop rather than what it loops."""
    loops = [layer for layer in called if isinstance(layer, LOOPS)]
    return next(reversed(loops or called), None)


def _traced(model: keras.Model) -> Paths | None:
    with contextlib.suppress(Exception):  # whatever the model's own code raises
        found: Paths | None = _Tracer(model).info("depths")
        return found
    return None


class _Tracer(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        return {}, Paths(run(self.model, inputs))
