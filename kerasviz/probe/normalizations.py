"""The batch normalizations of a model, and whether a ReLU follows."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.probe import containment
from kerasviz.probe.backend import graph
from kerasviz.probe.backend.rectified import only_rectified
from kerasviz.probe.run import run
from kerasviz.probe.wrapper import Wrapper


@dataclasses.dataclass(frozen=True, eq=False)
class Normalization:
    """A batch normalization.

    Attributes:
        address: Where it is held.
        layer: The layer.
        rectified: Whether all that is used of it is what a ReLU leaves; None where that cannot be
            known, such as for a model that does not say what it takes.
    """

    address: str
    layer: keras.layers.BatchNormalization
    rectified: bool | None


def normalizations(model: keras.Model) -> list[Normalization]:
    """Each built batch normalization below `model`, once; nothing is computed."""
    found: dict[int, tuple[str, Any]] = {}
    for address, layer in containment.walk(model):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built:
            found.setdefault(id(layer), (address, layer))
    traced = _traced(model) if found else None
    return [
        Normalization(address, layer, None if traced is None else traced.get(key))
        for key, (address, layer) in found.items()
    ]


def _traced(model: keras.Model) -> dict[int, bool] | None:
    with contextlib.suppress(Exception):  # whatever the model's own code raises
        found: dict[int, bool] | None = _Tracer(model).info("normalizations")
        return found
    return None


class _Tracer(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        calls = [
            call
            for call in record.calls
            if isinstance(call.layer, keras.layers.BatchNormalization)
            and graph.is_here(call.output)
        ]
        heads = [head.output for head in record.heads]
        inputs_ = [*record.input_tensors.values()]
        rectified = only_rectified([call.output for call in calls], heads, inputs_)
        found: dict[int, bool] = {}
        for call in calls:
            known = found.get(id(call.layer), True)
            found[id(call.layer)] = known and id(call.output) in rectified
        return {}, found
