"""From what a user writes to an objective."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.errors import TargetError
from kerasviz.features.objectives.activity import channel, class_score, layer
from kerasviz.features.objectives.base import Objective, Scene, common_count
from kerasviz.probe import addresses
from kerasviz.probe.activations import check_called
from kerasviz.probe.targets import PREDICTED

ops: Any = keras.ops


def to_objective(model: keras.Model, given: Any) -> Objective:
    """The objective that a shorthand stands for.

    Args:
        model: The model it is about.
        given: An `Objective`; "layer:channel"; the address of a layer (DeepDream); a class index,
            label, target or score as explainers take it; a list of these, one per picture.

    Raises:
        AddressError: No such layer.
        TargetError: Something that is none of these.
    """
    if isinstance(given, Objective):
        return given
    if given is None or (isinstance(given, int) and given == PREDICTED):
        raise TargetError(
            "`target` must say what to look for: a class, 'layer:channel' or a kv.objectives "
            f"value. Received: {given!r}."
        )
    if isinstance(given, (list, tuple)) and any(_names_a_layer(model, one) for one in given):
        return _of_several(model, list(given))
    named = _of_layer(model, given) if isinstance(given, str) else None
    return class_score(given) if named is None else named


def _names_a_layer(model: keras.Model, one: Any) -> bool:
    if isinstance(one, str):
        return _of_layer(model, one) is not None
    return isinstance(one, Objective)


def _of_layer(model: keras.Model, text: str) -> Objective | None:
    """What "layer:channel" or the address of a layer stands for; None for other texts."""
    found = layer_and_channel(text)
    if found is not None:
        if not addresses.is_held(model, found[0]):
            check_called(model, found[0])
        return channel(*found)
    return layer(text) if addresses.is_held(model, text) else None


def layer_and_channel(text: str) -> tuple[str, int] | None:
    """`"block/conv:3"` as its address and channel; None for a text of another form."""
    address, _, number = text.rpartition(":")
    return (address, int(number)) if address and number.strip().isdecimal() else None


def _of_several(model: keras.Model, given: list[Any]) -> Objective:
    """One picture per entry; channels of one layer share a single objective."""
    pairs = [layer_and_channel(one) if isinstance(one, str) else None for one in given]
    channels = [pair for pair in pairs if pair is not None]
    if len(channels) == len(given) and len({address for address, _ in channels}) == 1:
        return channel(channels[0][0], [number for _, number in channels])
    parts = [to_objective(model, one) for one in given]

    def values(scene: Scene) -> Any:
        return ops.stack([part.values(scene)[i] for i, part in enumerate(parts)])

    count = common_count([len(parts), *(part.num_images for part in parts)])
    photos = tuple(photo for part in parts for photo in part.photos)
    names = tuple(part.names[i] if part.names else str(part) for i, part in enumerate(parts))
    return Objective(" | ".join(names), values, count, photos, names)
