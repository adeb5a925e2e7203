"""Which layer holds which: the one place that reads Keras's private child list.

`keras.Model.layers` is public, but a custom `keras.Layer` that holds layers has no public list of
them; `_layers` is read here and nowhere else (`tests/probe/test_containment.py` fails if it moves).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras


def children(layer: Any) -> list[Any]:
    """The layers (and, in a functional model, the operations) that `layer` holds directly."""
    if isinstance(layer, keras.Model) and hasattr(layer, "operations"):
        found = layer.operations
    elif isinstance(layer, keras.Model):
        found = layer.layers
    else:
        found = getattr(layer, "_layers", [])
    return [child for child in found if not isinstance(child, keras.layers.InputLayer)]


def child_names(layer: Any) -> dict[int, str]:
    """Name of each child by `id`; siblings that share a name become `name`, `name~2`, `name~3`."""
    seen: dict[str, int] = {}
    names: dict[int, str] = {}
    for child in children(layer):
        if id(child) in names:
            continue
        seen[child.name] = seen.get(child.name, 0) + 1
        names[id(child)] = sibling_name(child.name, seen[child.name])
    return names


def sibling_name(name: str, number: int) -> str:
    """`name` for the first sibling of that name, `name~2` for the second."""
    return name if number == 1 else f"{name}~{number}"


def walk(
    model: Any, prefix: str = "", above: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Any]]:
    """Every layer below `model` with the path by which it is held, parents before children.

    A layer that holds one of those above it (`self.parent = parent`) is not followed back up.
    """
    names, above = child_names(model), above | {id(model)}
    for child in children(model):
        if id(child) not in above:
            address = prefix + names[id(child)]
            yield address, child
            yield from walk(child, address + "/", above)


def all_layers(model: Any) -> list[Any]:
    """`model` and every layer below it, each once."""
    found = {id(model): model}
    for _, layer in walk(model):
        if isinstance(layer, keras.Layer):
            found.setdefault(id(layer), layer)
    return list(found.values())
