"""Nested inputs and outputs: a name for every tensor, in the order in which Keras flattens them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

Path = tuple[Any, ...]


def paths(structure: Any) -> list[Path]:
    """The keys, fields and positions that lead to each leaf, in Keras's order of flattening.

    Plain dicts are flattened by sorted key, ordered dicts and named tuples as they stand.
    """
    if not keras.tree.is_nested(structure):
        return [()]
    return [(key, *path) for key, part in _parts(structure) for path in paths(part)]


def _parts(structure: Any) -> list[tuple[Any, Any]]:
    """Each part of a container with its key, field or position, in Keras's order."""
    if is_namedtuple(structure):
        return list(structure._asdict().items())
    if isinstance(structure, (list, tuple)):
        return list(enumerate(structure))
    if not isinstance(structure, Mapping):
        return list(enumerate(keras.tree.flatten(structure)))
    is_ordered = isinstance(structure, collections.OrderedDict)
    kind: Any = collections.OrderedDict if is_ordered else dict
    held = keras.tree.flatten(kind((key, _Part(key, part)) for key, part in structure.items()))
    return [(one.key, one.part) for one in held]


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """A leaf that stands for one entry of a dict."""

    key: Any
    part: Any


def path_name(path: Path) -> str:
    """`("boxes", 0)` → "boxes/0"."""
    return "/".join(map(str, path))


def is_namedtuple(value: Any) -> bool:
    """Whether a value is a tuple whose positions have names."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


def as_mapping(value: Any) -> Any:
    """A named tuple as a dict of its fields, anything else as it is."""
    return value._asdict() if is_namedtuple(value) else value
