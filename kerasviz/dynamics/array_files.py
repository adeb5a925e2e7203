"""Files of named arrays: `.npz` without pickle, read one array at a time."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from kerasviz.errors import InputError

MEMBER = ".npy"
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def checked_arrays(kind: str, arrays: Any) -> dict[str, np.ndarray]:
    """Arrays as a file holds them.

    Raises:
        InputError: No arrays by name, or of a type that needs pickle.
    """
    if not isinstance(arrays, Mapping) or not arrays:
        raise InputError(
            f"`arrays` must hold, for each kind, at least one array by name. Received: {arrays!r} "
            f"as {kind!r}. Leave out a kind that has none."
        )
    return {_name(kind, name): _plain(name, value) for name, value in arrays.items()}


def write_arrays(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays into a file that `numpy.load` reads."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(name + MEMBER)
            with archive.open(member, "w", force_zip64=True) as content:
                npy.write_array(content, array, allow_pickle=False)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Arrays of a file by name; what can't be read raises one of `UNREADABLE`."""
    with zipfile.ZipFile(path) as archive:
        return {name: _read(archive, name) for name in names}


def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name + MEMBER) as content:
        return npy.read_array(content, allow_pickle=False)


def _name(kind: str, name: Any) -> str:
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"`arrays[{kind!r}]` must have texts as names. Received: {name!r}.")
    return name


def _plain(name: str, value: Any) -> np.ndarray:
    """The array; float32 of a type that `.npz` files don't know, such as bfloat16."""
    try:
        array = np.asarray(value)
        known = array.dtype.kind in "biufcUSmM"
        return array if known else array.astype(np.float32, casting="safe")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`arrays` must hold arrays of numbers or text. Received: {type(value).__name__} as "
            f"{name!r} ({error}). Convert it with `numpy.asarray(value, 'float32')`."
        ) from error
