"""Results in one file: arrays, tables and words, without pickle."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kerasviz.errors import InputError
from kerasviz.files import write_atomically

VERSION = 1
TABLE = "columns of a table"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
Result = TypeVar("Result")


def save(result: Any, path: str | os.PathLike[str]) -> Path:
    """Write the fields of a frozen dataclass: arrays as arrays, all else as JSON.

    Tables keep their columns; their rows are numbered anew.

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
        words = {name: _read(value) for name, value in header["fields"].items()}
        return kind(**arrays, **words)
    except _UNREADABLE as error:
        raise InputError(
            f"`path` must be a file that `{kind.__name__}.save` wrote. Received: {str(path)!r} "
            f"({error}). Save the result again."
        ) from error


def _format(kind: type) -> str:
    return f"kerasviz {kind.__name__}"


def _words(value: Any) -> Any:
    """A table as its columns, all else as it is."""
    is_table = hasattr(value, "columns") and hasattr(value, "to_dict")
    return {TABLE: value.to_dict("list")} if is_table else value


def _read(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {TABLE}:
        import pandas as pd

        return pd.DataFrame(value[TABLE])
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
