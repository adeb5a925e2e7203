"""The user's own classes, brought in by name with `--import`."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from kerasviz.errors import ModelFileError


def import_custom_objects(imports: Sequence[str]) -> dict[str, Any]:
    """Import modules and collect what a model file may refer to by name.

    Classes that are registered with `keras.saving.register_keras_serializable` are known to Keras
    as soon as their module is imported; the others are returned here.

    Args:
        imports: Module names such as `"my_package.layers"`, looked up in the current folder first,
            as `python -m` does.

    Returns:
        Classes with `from_config`, and functions, of these modules by their names.

    Raises:
        ModelFileError: A module cannot be found, or fails while it is imported.
    """
    if imports and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: dict[str, Any] = {}
    for name in imports:
        found.update(_custom_objects(_import(name)))
    return found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModelFileError(_not_found(name, error)) from error
    except Exception as error:
        raise ModelFileError(
            f"Expected a module that can be imported. Received: --import {name}, which stopped "
            f"with {type(error).__name__}: {error}."
        ) from error


def _not_found(name: str, error: ModuleNotFoundError) -> str:
    expected = "Expected the name of a Python module, such as my_package.layers."
    if name.endswith(".py") or "/" in name or os.sep in name:
        module = os.path.splitext(name)[0].strip("./").replace(os.sep, ".").replace("/", ".")
        return f"{expected} Received: a path, {name!r}. Use --import {module}."
    if error.name and not f"{name}.".startswith(f"{error.name}."):
        return f"{expected} Received: {name!r}, which needs {error.name!r}: not installed."
    return (
        f"{expected} Received: {name!r}, which is neither in {os.getcwd()} nor installed. "
        "Run from the folder that holds it, or install it."
    )


def _custom_objects(module: ModuleType) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and _is_custom(value, module)
    }


def _is_custom(value: Any, module: ModuleType) -> bool:
    """Tell whether a model may use it: a class wherever it is from, or a function of one's own."""
    home = _package(str(getattr(value, "__module__", "keras")))
    if inspect.isfunction(value):
        return home == _package(module.__name__)
    return home != "keras" and inspect.isclass(value) and hasattr(value, "from_config")


def _package(module: str) -> str:
    return module.partition(".")[0]
