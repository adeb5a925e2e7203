"""Our own layer addresses: `"encoder/block_2/conv"`, a repeated call site `"conv@2"`.

An address is the chain of layer names on the call stack below the model. Keras's own `layer.path`
repeats for shared layers and can be None, and `layer.output` exists in functional graphs only, so
neither can name a call site of an arbitrary model.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import keras
import numpy as np

from kerasviz.errors import AddressError
from kerasviz.probe import containment

CALL_SITE = re.compile(r"@\d+(?=/|$)")


def to_address(model: keras.Model, layer: Any) -> str:
    """The address that `layer` (address, layer object or index into `model.layers`) stands for.

    Args:
        model: The model that holds the layer.
        layer: An address string, a layer of the model, or an index into `model.layers`.

    Returns:
        The address. Whether that call site exists is known for sure only once the model has run;
        a name that no layer of the model bears is refused here.

    Raises:
        AddressError: The layer is not one of the model's, or its call site is ambiguous.
    """
    if isinstance(layer, str):
        return layer
    layer = int(layer) if isinstance(layer, np.integer) else layer
    if isinstance(layer, bool) or not isinstance(layer, (int, keras.Operation)):
        raise AddressError(
            "`layer` must be an address, a layer of this model, or an index into `model.layers`. "
            f"Received: {layer!r} (of type {type(layer).__name__}). See `kv.layers(model)`."
        )
    if isinstance(layer, int):
        return _by_index(model, layer)
    return _by_object(model, layer)


def _by_index(model: keras.Model, index: int) -> str:
    try:
        return _by_object(model, model.layers[index])
    except IndexError:
        raise AddressError(
            f"`layer` must be an index into `model.layers`, which has {len(model.layers)} entries. "
            f"Received: {index}. See `kv.layers(model)`."
        ) from None


def _by_object(model: keras.Model, layer: Any) -> str:
    found = [address for address, held in containment.walk(model) if held is layer]
    if not found:
        raise not_found(layer.name, [address for address, _ in containment.walk(model)])
    if len(found) > 1:
        raise AddressError(
            f"`layer` must name one call site. Received: the layer '{layer.name}', which is held "
            f"in {len(found)} places. Pass one of its addresses: {', '.join(map(repr, found))}."
        )
    return found[0]


def plain(address: str) -> str:
    """The address without its call-site numbers."""
    return CALL_SITE.sub("", address)


def is_held(model: keras.Model, address: str) -> bool:
    """Whether a layer of that path is held by the model (call-site numbers ignored)."""
    return any(plain(address) == held for held, _ in containment.walk(model))


def not_found(address: str, known: list[str]) -> AddressError:
    """The error for an address that no call site bears, with the closest ones that exist."""
    close = closest(address, known)
    hint = f" Closest: {', '.join(map(repr, close))}." if close else ""
    return AddressError(
        f"`layer` must be a layer of this model. Received: {address!r}.{hint} "
        "See `kv.layers(model)`."
    )


def closest(address: str, known: list[str]) -> list[str]:
    """The known addresses that resemble one most: those of the same name first, at most 3."""
    last = address.rsplit("/", 1)[-1]
    last = plain(last)
    same_name = [other for other in known if plain(other).rsplit("/", 1)[-1] == last]
    near = difflib.get_close_matches(address, known, n=3, cutoff=0.4)
    return list(dict.fromkeys(same_name[:3] + near))[:3]
