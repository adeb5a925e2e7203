"""Results in one file: arrays, tables and words, without pickle."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kerasviz.errors import InputError
from kerasviz.files import write_atomically

VERSION = 1
TABLE = "columns of a table"
WITHIN = "fields of a result within"
PAIRS = "keys and values"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
Result = TypeVar("Result")


def save(result: Any, path: str | os.PathLike[str]) -> Path:
    """Write the fields of a frozen dataclass: arrays as arrays, all else as JSON.

    Tables keep their columns; their rows are numbered anew. A mapping may hold results of the same
    kind that have no arrays.

    Raises:
        OutputError: The file can't be written.
    """
    fields = {item.name: getattr(result, item.name) for item in dataclasses.fields(result)}
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    words = {name: _words(value) for name, value in fields.items() if name not in arrays}
    header = {"format": _format(type(result)), "version": VERSION, "fields": words}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, words=np.asarray(json.dumps(header)), **arrays)  # type: ignore[arg-type]
    return write_atomically(path, lambda file: file.write(buffer.getvalue()))


def load(kind: type[Result], path: str | os.PathLike[str]) -> Result:
    """Read what `save` wrote; lists come back as tuples.

    Raises:
        InputError: The file is missing, damaged, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["words"]))
            arrays = {name: file[name] for name in file.files if name != "words"}
        if header["format"] != _format(kind) or header["version"] > VERSION:
            raise ValueError(f"it holds {header['format']!r}, version {header['version']}")
        words = {name: _read(value, kind) for name, value in header["fields"].items()}
        return kind(**arrays, **words)
    except _UNREADABLE as error:
        raise InputError(
            f"`path` must be a file that `{kind.__name__}.save` wrote. Received: {str(path)!r} "
            f"({error}). Save the result again."
        ) from error


def _format(kind: type) -> str:
    return f"kerasviz {kind.__name__}"


def _words(value: Any) -> Any:
    """What JSON has no words for, as what it has: a table as its columns."""
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return {TABLE: value.to_dict("list")}
    if dataclasses.is_dataclass(value):
        names = [item.name for item in dataclasses.fields(value)]
        return {WITHIN: {name: _words(getattr(value, name)) for name in names}}
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        return {PAIRS: [(key, _words(one)) for key, one in value.items()]}
    return value


def _read(value: Any, kind: type) -> Any:
    is_marked = isinstance(value, dict) and len(value) == 1
    mark, inner = next(iter(value.items())) if is_marked else ("", value)
    if mark == TABLE:
        import pandas as pd

        return pd.DataFrame(inner)
    if mark == WITHIN:
        return kind(**{name: _read(one, kind) for name, one in inner.items()})
    if mark == PAIRS:
        return {_tuples(key): _read(one, kind) for key, one in inner}
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
