"""Keras model files: looked at before they are loaded, and never allowed to run code."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from kerasviz.cli.printing import printable
from kerasviz.errors import ModelFileError

_CONFIG_NAME = "config.json"
_WEIGHTS_NAMES = {"model.weights.h5", "model.weights.npz"}
_LARGEST_EXPANSION = 20
_SMALL_BYTES = 2**20
_KERAS_MODULES = ("keras", "builtins")
_MATHEMATICS = [
    ["activations"],
    ["constraints"],
    ["initializers"],
    ["losses"],
    ["metrics"],
    ["ops"],
    ["random"],
    ["regularizers"],
]
_LOADS_OTHER_FILES = {"TFSMLayer", "TorchModuleWrapper"}
_UNKNOWN_OBJECT = re.compile(
    r"(?:Could not locate (?P<kind>class|function)|Unknown [\w ]+:) '(?P<name>[^']+)'"
)
_OWN_PACKAGE = "kerasviz>"
_OWN_LAYERS = "kerasviz.attention.layers"
_LONGEST_REASON = 300
_MODULE = re.compile(r"\w+(\.\w+)*")
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def load_model_file(path: Path, custom_objects: Mapping[str, Any]) -> keras.Model:
    """Load a `.keras` file, an unzipped `.keras` folder, or a legacy `.h5` file.

    Args:
        path: The file or folder.
        custom_objects: Classes and functions the file may name beyond those of Keras.

    Returns:
        The model, not compiled.

    Raises:
        ModelFileError: It is truncated, damaged or not a model; it names classes that are not
            known; or it holds Python code.
    """
    config = _read_config(path)
    _register_own_layers(config)
    _check_config(path, config, custom_objects)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            model = keras.saving.load_model(
                path, custom_objects=dict(custom_objects), compile=False, safe_mode=True
            )
    except Exception as error:
        # A damaged file can make Keras, h5py and zipfile raise nearly anything.
        raise ModelFileError(_explain_failure(path, error)) from error
    return _expect_model(path, model)


def has_model_config(folder: Path) -> bool:
    """Tell whether a folder is an unzipped `.keras` file, as `save(zipped=False)` writes it."""
    return (folder / _CONFIG_NAME).is_file()


def _read_config(path: Path) -> Any:
    if path.is_dir():
        return _parse(path, _read_bytes(path / _CONFIG_NAME))
    content = _first_bytes(path)
    hdf5 = content.startswith(b"\x89HDF\r\n\x1a\n")
    _check_name(path, hdf5, content)
    return _read_hdf5_config(path) if hdf5 else _read_zip_config(path)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise ModelFileError(
            f"Expected a model file. Cannot read {path}: {_why(error)}."
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"Expected a model file. Cannot read {path}: {_why(error)}."
        ) from error


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def _check_name(path: Path, hdf5: bool, content: bytes) -> None:
    zipped = content.startswith(b"PK")
    if not (hdf5 or zipped):
        received = "an empty file" if not content else "neither a zip archive nor HDF5"
        raise ModelFileError(
            f"Expected a .keras file (a zip archive) or an .h5 file (HDF5). Received: {path}, "
            f"{received}. Save the model again with model.save('name.keras')."
        )
    endings = (".h5", ".hdf5") if hdf5 else (".keras",)
    if not path.name.endswith(endings):
        kind = "an HDF5 file" if hdf5 else "a zip archive"
        raise ModelFileError(
            f"Expected a name that ends in {endings[0]} for {kind}. Received: {path}. Rename it."
        )


def _read_zip_config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            _check_members(path, names)
            _check_sizes(path, archive)
            if (damaged := archive.testzip()) is not None:
                raise ModelFileError(_damaged(path, f"{damaged} in it is damaged"))
            content = archive.read(_CONFIG_NAME)
    except _BROKEN_ZIP as error:
        raise ModelFileError(
            _damaged(path, f"its zip archive is cut short or broken ({error})")
        ) from error
    return _parse(path, content)


def _check_members(path: Path, names: set[str]) -> None:
    if _CONFIG_NAME not in names:
        raise ModelFileError(
            f"Expected a Keras model: a zip archive with {_CONFIG_NAME}. Received: {path}, a zip "
            f"archive of {len(names)} other files. Save a model with model.save('name.keras')."
        )
    if not names & _WEIGHTS_NAMES:
        raise ModelFileError(_damaged(path, "the weights are missing in it"))


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """Refuse archives that unpack to far more than the models that Keras writes, uncompressed."""
    declared = sum(member.file_size for member in archive.infolist())
    if declared > _LARGEST_EXPANSION * path.stat().st_size + _SMALL_BYTES:
        raise ModelFileError(_damaged(path, f"it would unpack to {declared:,} bytes"))


def _read_hdf5_config(path: Path) -> Any:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            content = file.attrs.get("model_config")
    except Exception as error:
        # h5py reports damage as OSError, KeyError or RuntimeError.
        raise ModelFileError(_damaged(path, f"its HDF5 structure is broken ({error})")) from error
    if content is None:
        raise ModelFileError(
            f"Expected a whole model. Received: {path}, which holds weights without a model. "
            "Save the model itself, with model.save('name.keras')."
        )
    return _parse(path, content)


def _parse(path: Path, content: bytes | str) -> Any:
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(_damaged(path, f"its description is not JSON ({error})")) from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= config.keys():
        raise ModelFileError(_damaged(path, "its description is not that of a Keras model"))
    return config


def _damaged(path: Path, reason: str) -> str:
    return (
        f"Expected a Keras model. Received: {path}, but {reason}. "
        "Copy the file again, or save the model again."
    )


def _register_own_layers(config: Any) -> None:
    """Make the layers of kerasviz known to Keras if a description names any of them.

    The module is a fixed one: no module that a file names is imported.
    """
    names = (entry.get("registered_name") or entry["class_name"] for entry in _objects(config))
    if any(str(name).startswith(_OWN_PACKAGE) for name in names):
        importlib.import_module(_OWN_LAYERS)


def _check_config(path: Path, config: Any, custom_objects: Mapping[str, Any]) -> None:
    unknown = {}
    for entry in _objects(config):
        name = str(entry["class_name"])
        if name == "__lambda__" or (name == "Lambda" and _holds_code(entry)):
            raise ModelFileError(_code(path))
        if name == "function" and _is_keras(entry) and not _only_computes(entry):
            raise ModelFileError(_calls(path, entry))
        if name in _LOADS_OTHER_FILES and _is_keras(entry):
            raise ModelFileError(_other_files(path, name))
        if not _is_keras(entry) and not _is_known(entry, custom_objects):
            unknown[_own_name(entry)] = str(entry["module"] or "")
    if unknown:
        raise ModelFileError(_unknown(path, unknown))


def _objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """Walk over everything in a description that Keras would turn into an object."""
    waiting = [config]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            if isinstance(entry.get("class_name"), str):
                yield entry
            waiting.extend(entry.values())
        elif isinstance(entry, list):
            waiting.extend(entry)


def _holds_code(entry: Mapping[str, Any]) -> bool:
    """Tell whether a Lambda carries marshalled code, in the form Keras 2 wrote into `.h5` files."""
    config = entry.get("config")
    if not isinstance(config, dict):
        return False
    kinds = (config.get("function_type"), config.get("output_shape_type"))
    return "lambda" in kinds or isinstance(config.get("function"), list)


def _is_keras(entry: Mapping[str, Any]) -> bool:
    """Tell whether Keras itself defines the object; files of Keras 2 do not say."""
    if entry["class_name"].startswith("__") or "module" not in entry:
        return True
    return isinstance(entry["module"], str) and entry["module"].split(".")[0] in _KERAS_MODULES


def _only_computes(entry: Mapping[str, Any]) -> bool:
    """Tell whether a function of Keras is from a module of mathematics, not of tools."""
    module = str(entry.get("module", "builtins")).replace("keras.src.", "keras.")
    return module == "builtins" or module.split(".")[1:2] in _MATHEMATICS


def _is_known(entry: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> bool:
    names = [entry.get("registered_name"), _own_name(entry)]
    return any(
        isinstance(name, str)
        and keras.saving.get_registered_object(name, custom_objects) is not None
        for name in names
    )


def _own_name(entry: Mapping[str, Any]) -> str:
    """The name of a class, or of the function where the "class" is a function."""
    return str(entry["config" if entry["class_name"] == "function" else "class_name"])


def _code(path: Path) -> str:
    return (
        f"Expected a model without Python code in its file. Received: {path}, which holds a Lambda "
        "with code; nothing was run. Replace the Lambda with a custom layer class, save the model "
        "again, and bring the class in with --import my_package.layers."
    )


def _calls(path: Path, entry: Mapping[str, Any]) -> str:
    function = printable(f"{entry['module']}.{entry['config']}")
    return (
        f"Expected a model that only computes. Received: {path}, which would call {function} while "
        "it is loaded; nothing was run. Get the model from a source you trust."
    )


def _other_files(path: Path, name: str) -> str:
    return (
        f"Expected a model that is whole in its file. Received: {path}, whose {name} would load "
        "code from another place; nothing was run. Explain the model it was made from instead."
    )


def _unknown(path: Path, unknown: Mapping[str, str]) -> str:
    names = ", ".join(map(repr, sorted(unknown)))
    modules = (module for _, module in sorted(unknown.items()) if _MODULE.fullmatch(module))
    module = next(modules, "my_package.layers")
    return (
        f"Expected a model of known classes. Received: {path}, which uses the custom {names}. "
        f"Name the module that defines it: --import {module}."
    )


def _explain_failure(path: Path, error: Exception) -> str:
    text = str(error)
    unknown = _UNKNOWN_OBJECT.search(text)
    if unknown and unknown["name"] in {"TFOpLambda", "SlicingOpLambda"}:
        return (
            f"Expected a model of Keras layers. Received: {path}, which holds raw TensorFlow calls "
            "between its layers, as tf.keras 2 saved them. Export it as a SavedModel instead."
        )
    if unknown:
        return _unknown(path, {unknown["name"]: ""})
    return _damaged(path, f"it could not be loaded ({_reason(error)})")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).rpartition("Exception encountered: ")[-1].split()).rstrip(".")
    text = text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _expect_model(path: Path, model: Any) -> keras.Model:
    if not isinstance(model, keras.Model):
        raise ModelFileError(
            f"Expected a Keras model. Received: {path}, which holds a {type(model).__name__}."
        )
    return model
