"""From what a user writes to an objective."""

from __future__ import annotations

from typing import Any

import keras

from kerasviz.errors import TargetError
from kerasviz.features.objectives.activity import channel, class_score, layer
from kerasviz.features.objectives.base import Objective, Scene
from kerasviz.probe import addresses
from kerasviz.probe.targets import PREDICTED

ops: Any = keras.ops


def to_objective(model: keras.Model, given: Any) -> Objective:
    """The objective that a shorthand stands for.

    Args:
        model: The model it is about.
        given: An `Objective`; "layer:channel"; the address of a layer (DeepDream); a list of
            "layer:channel", one per picture; a class index, label, target or score as explainers
            take it.

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
    if isinstance(given, str):
        return _of_text(model, given)
    if _are_texts(given):
        return _of_texts(model, list(given))
    return class_score(given)


def _are_texts(given: Any) -> bool:
    return (
        isinstance(given, (list, tuple))
        and len(given) > 0
        and all(isinstance(one, (str, Objective)) for one in given)
        and any(isinstance(one, Objective) or ":" in one for one in given)
    )


def _of_text(model: keras.Model, text: str) -> Objective:
    address, _, number = text.rpartition(":")
    if address and number.strip().isdigit():
        _check(model, address)
        return channel(address, int(number))
    if addresses.is_held(model, text):
        return layer(text)
    return class_score(text)


def _check(model: keras.Model, address: str) -> None:
    """Refuse an address of no layer here already, where nothing has to run to know it."""
    if addresses.is_held(model, address):
        return
    from kerasviz.probe.activations import layers

    known = list(layers(model).index)
    if address not in known:
        raise addresses.not_found(address, known)


def _of_texts(model: keras.Model, given: list[Any]) -> Objective:
    """One picture per entry; entries of one layer share its channels in a single objective."""
    parts = [to_objective(model, one) for one in given]
    pairs = [one.rpartition(":") for one in given if isinstance(one, str)]
    if len(pairs) == len(given) and len({address for address, _, _ in pairs}) == 1:
        return channel(pairs[0][0], [int(number) for _, _, number in pairs])

    def values(scene: Scene) -> Any:
        return ops.stack([part.values(scene)[i] for i, part in enumerate(parts)])

    photos = tuple(photo for part in parts for photo in part.photos)
    names = tuple(map(repr, parts))
    return Objective(" | ".join(names), values, len(parts), photos, names)
