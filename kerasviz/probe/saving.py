"""Results in one file: arrays, tables, words and results within them, without pickle."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kerasviz.errors import InputError
from kerasviz.files import write_atomically

if TYPE_CHECKING:
    from typing_extensions import Self

VERSION = 1
TABLE, INDEX = "columns of a table", "its index"
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

    Tables keep their columns, and an index that has a name; other rows are numbered anew. A field
    may hold a result of the same kind.

    Raises:
        OutputError: The file can't be written.
    """
    content = _bytes(result)
    return write_atomically(path, lambda file: file.write(content))


def _bytes(result: Any) -> bytes:
    fields = {item.name: getattr(result, item.name) for item in dataclasses.fields(result)}
    inner = {name: value for name, value in fields.items() if isinstance(value, type(result))}
    fields |= {name: np.frombuffer(_bytes(value), "uint8") for name, value in inner.items()}
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    words = {name: _words(value) for name, value in fields.items() if name not in arrays}
    header = {
        "format": _format(type(result)),
        "version": VERSION,
        "fields": words,
        "inner": [*inner],
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, words=np.asarray(json.dumps(header)), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def load(kind: type[Result], path: str | os.PathLike[str]) -> Result:
    """Read what `save` wrote; lists come back as tuples.

    Raises:
        InputError: The file is missing, damaged, or something else.
    """
    try:
        return _result(kind, path)
    except _UNREADABLE as error:
        raise InputError(
            f"`path` must be a file that `{kind.__name__}.save` wrote. Received: {str(path)!r} "
            f"({error}). Save the result again."
        ) from error


def _result(kind: type[Result], file: Any) -> Result:
    with np.load(file, allow_pickle=False) as content:
        header = json.loads(str(content["words"]))
        arrays = {name: content[name] for name in content.files if name != "words"}
    if header["format"] != _format(kind) or header["version"] > VERSION:
        raise ValueError(f"it holds {header['format']!r}, version {header['version']}")
    words = {name: _read(value) for name, value in header["fields"].items()}
    for name in header.get("inner", ()):
        arrays[name] = _result(kind, io.BytesIO(arrays[name].tobytes()))
    return kind(**arrays, **words)


def _format(kind: type) -> str:
    return f"kerasviz {kind.__name__}"


def _words(value: Any) -> Any:
    """A table as its columns, all else as it is."""
    if not (hasattr(value, "columns") and hasattr(value, "to_dict")):
        return value
    index = {} if value.index.name is None else {INDEX: [value.index.name, value.index.tolist()]}
    return {TABLE: value.to_dict("list"), **index}


def _read(value: Any) -> Any:
    if not isinstance(value, dict) or TABLE not in value:
        return _tuples(value)
    import pandas as pd

    table = pd.DataFrame(value[TABLE])
    if INDEX in value:
        name, entries = value[INDEX]
        table.index = pd.Index(entries, name=name)
    return table


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
