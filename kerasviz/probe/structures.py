"""Nested inputs and outputs: a name for every tensor, in the order in which Keras flattens them."""

from __future__ import annotations

import collections
from typing import Any

import keras

Path = tuple[Any, ...]


def paths(structure: Any) -> list[Path]:
    """The keys, fields and positions that lead to each leaf, in Keras's order of flattening.

    Plain dicts are flattened by sorted key, ordered dicts and named tuples as they stand.
    """
    return [tuple(path) for path, _ in keras.tree.flatten_with_path(_by_field(structure))]


def path_name(path: Path) -> str:
    """`("boxes", 0)` → "boxes/0"."""
    return "/".join(map(str, path))


def is_namedtuple(value: Any) -> bool:
    """Whether a value is a tuple whose positions have names."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


def as_mapping(value: Any) -> Any:
    """A named tuple as a dict of its fields, anything else as it is."""
    return value._asdict() if is_namedtuple(value) else value


def _by_field(structure: Any) -> Any:
    def fields(part: Any) -> Any:
        if not is_namedtuple(part):
            return None
        return collections.OrderedDict((k, _by_field(v)) for k, v in part._asdict().items())

    return keras.tree.traverse(fields, structure)
