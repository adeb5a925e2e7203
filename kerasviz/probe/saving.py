"""Results in one file: arrays, tables, words and results within results, without pickle."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kerasviz.errors import InputError
from kerasviz.files import write_atomically

if TYPE_CHECKING:
    from typing_extensions import Self

VERSION = 1
ARRAY = "name of an array"
TABLE, INDEX = "columns of a table", "its index"
WITHIN = "fields of a result within"
PAIRS = "keys and values"
WORDS = "words"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
Result = TypeVar("Result")


class Kept:
    """A frozen dataclass that can be kept in a file."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything into one `.npz` file, without pickle.

        Raises:
            OutputError: The file can't be written.
        """
        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing, damaged, or something else.
        """
        return load(cls, path)


def save(result: Any, path: str | os.PathLike[str]) -> Path:
    """Write the fields of a frozen dataclass: arrays as arrays, all else as JSON.

    Tables keep their columns, and an index that has a name; other rows are numbered anew. Lists
    and mappings may hold arrays, tables, and results of the same kind; keys may be tuples.

    Raises:
        OutputError: The file can't be written.
    """
    arrays: dict[str, Any] = {}
    fields = _words(result, arrays)[WITHIN]
    header = {"format": _format(type(result)), "version": VERSION, "fields": fields}
    arrays[WORDS] = np.asarray(json.dumps(header, default=_plain))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return write_atomically(path, lambda file: file.write(buffer.getvalue()))


def load(kind: type[Result], path: str | os.PathLike[str]) -> Result:
    """Read what `save` wrote; lists come back as tuples, in mappings as lists.

    Raises:
        InputError: The file is missing, damaged, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file[WORDS]))
            if header["format"] != _format(kind) or header["version"] > VERSION:
                raise ValueError(f"it holds {header['format']!r}, version {header['version']}")
            return kind(**{k: _read(v, kind, file) for k, v in header["fields"].items()})
    except _UNREADABLE as error:
        raise InputError(
            f"`path` must be a file that `{kind.__name__}.save` wrote. Received: {str(path)!r} "
            f"({error}). Save the result again."
        ) from error


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} can't be kept")


def _format(kind: type) -> str:
    return f"kerasviz {kind.__name__}"


def _words(value: Any, arrays: dict[str, Any]) -> Any:
    """What JSON has words for, with marks for the rest; arrays are put in `arrays`."""
    if isinstance(value, np.ndarray):
        name = f"array {len(arrays)}"
        arrays[name] = value
        return {ARRAY: name}
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        index = value.index
        named = {} if index.name is None else {INDEX: [index.name, index.tolist()]}
        return {TABLE: value.to_dict("list"), **named}
    if dataclasses.is_dataclass(value):
        names = [item.name for item in dataclasses.fields(value)]
        return {WITHIN: {name: _words(getattr(value, name), arrays) for name in names}}
    if isinstance(value, Mapping):
        pairs = [(key, _words(one, arrays)) for key, one in value.items()]
        return dict(pairs) if all(isinstance(key, str) for key in value) else {PAIRS: pairs}
    if isinstance(value, (list, tuple)):
        return [_words(one, arrays) for one in value]
    return value


def _read(value: Any, kind: type, arrays: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return tuple(_read(one, kind, arrays) for one in value)
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        return arrays[value[ARRAY]]
    if TABLE in value:
        return _table(value)
    if PAIRS in value:
        return {_read(k, kind, arrays): _read(v, kind, arrays) for k, v in value[PAIRS]}
    is_result = WITHIN in value
    fields = {k: _read(v, kind, arrays) for k, v in value.get(WITHIN, value).items()}
    if is_result:
        return kind(**fields)
    return {k: [*v] if isinstance(v, tuple) else v for k, v in fields.items()}


def _table(value: dict[str, Any]) -> Any:
    import pandas as pd

    table = pd.DataFrame(value[TABLE])
    if INDEX in value:
        name, entries = value[INDEX]
        table.index = pd.Index(entries, name=name)
    return table
