"""What `MODEL` on the command line may be, and how each kind is loaded."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from kerasviz.cli.custom_objects import import_custom_objects
from kerasviz.cli.model_files import has_model_config, load_model_file
from kerasviz.cli.saved_models import is_saved_model, load_saved_model
from kerasviz.errors import ModelFileError

APPLICATIONS = "keras.applications:"
SAMPLES = "samples:"
_KINDS = (
    "a .keras or .h5 file, a SavedModel folder, keras.applications:ResNet50, "
    "or samples:efficientnet_lite0"
)


def load_model(spec: str, imports: Sequence[str] = (), any_size: bool = False) -> keras.Model:
    """Load the model that a command line names, without running code from its file.

    Args:
        spec: A `.keras` or legacy `.h5` file, a SavedModel folder (wrapped as one opaque layer),
            `keras.applications:ResNet50` (its ImageNet weights), `keras.applications:ResNet50:none`
            (random weights), or `samples:efficientnet_lite0`.
        imports: Modules that define the model's custom classes, such as `"my_package.layers"`.
        any_size: Whether a sample shall take pictures of any size.

    Returns:
        The model, not compiled.

    Raises:
        ModelFileError: The file is missing, damaged, not a model, needs unknown classes, or would
            run code; or there is no such application or sample; or its weights are not at hand.
        MissingExtraError: The package with the sample's weights is not installed.

    Example:
        >>> from kerasviz.cli.models import load_model
        >>> load_model("keras.applications:MobileNetV2:none").output_shape
        (None, 1000)
    """
    custom_objects = import_custom_objects(imports)
    if spec.startswith(APPLICATIONS):
        return _load_application(spec)
    if spec.startswith(SAMPLES):
        return _load_sample(spec, any_size)
    path = Path(spec)
    if not path.exists():
        raise ModelFileError(f"Expected {_KINDS}. Received: {spec!r}, which does not exist.")
    if is_saved_model(path):
        return load_saved_model(path)
    if path.is_dir() and not has_model_config(path):
        raise ModelFileError(
            f"Expected {_KINDS}. Received: {spec!r}, a folder without saved_model.pb. "
            "Name the model file in it."
        )
    if not (path.is_file() or path.is_dir()):
        raise ModelFileError(f"Expected {_KINDS}. Received: {spec!r}, a device or a pipe.")
    return load_model_file(path, custom_objects)


def application_module(spec: str) -> ModuleType:
    """Return the module of `keras.applications` that defines the model a spec names.

    Args:
        spec: Such as `"keras.applications:ResNet50"`.

    Returns:
        A module with `preprocess_input`, such as `keras.applications.resnet50`.

    Raises:
        ModelFileError: There is no such application.
    """
    name, known = _application_name(spec), _applications()
    if name in known:
        return known[name]
    closest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f" Closest: {APPLICATIONS}{closest[0]}." if closest else ""
    raise ModelFileError(
        f"Expected the name of a model in keras.applications after {APPLICATIONS!r}. "
        f"Received: {name!r}.{hint}"
    )


def _application_name(spec: str) -> str:
    return spec.removeprefix(APPLICATIONS).partition(":")[0]


def _applications() -> dict[str, ModuleType]:
    modules = dict(inspect.getmembers(keras.applications, inspect.ismodule))
    found = {
        name: module
        for module in modules.values()
        for name in vars(module)
        if hasattr(module, "preprocess_input") and name[:1].isupper()
    }
    for name, build in inspect.getmembers(keras.applications, inspect.isfunction):
        home = modules.get(build.__module__.rpartition(".")[2])
        if home is not None and hasattr(home, "preprocess_input"):
            found.setdefault(name, home)
    return found


def _load_application(spec: str) -> keras.Model:
    module, name = application_module(spec), _application_name(spec)
    weights = spec.removeprefix(APPLICATIONS).partition(":")[2] or "imagenet"
    if weights not in ("imagenet", "none"):
        raise ModelFileError(
            f"Expected {APPLICATIONS}{name}, or {APPLICATIONS}{name}:none for random weights. "
            f"Received: {spec!r}."
        )
    builder: Callable[..., keras.Model] = getattr(module, name, None) or getattr(
        keras.applications, name
    )
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return builder(weights=None if weights == "none" else weights)
    except Exception as error:
        # `keras.utils.get_file` raises a plain Exception when a download fails.
        raise ModelFileError(_no_weights(name, error)) from error


def _no_weights(name: str, error: Exception) -> str:
    if "URL fetch failure" not in str(error):
        return f"Expected to build {name}. Received: {type(error).__name__}: {error}."
    address = next((word for word in str(error).split() if word.startswith("http")), "").rstrip(":")
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
    return (
        f"Expected the ImageNet weights of {name} in {folder}. Received: none there, and no "
        f"network to fetch them. Save {address} into that folder, or use "
        f"{APPLICATIONS}{name}:none for random weights."
    )


def _load_sample(spec: str, any_size: bool) -> keras.Model:
    from kerasviz import samples

    if spec != f"{SAMPLES}efficientnet_lite0":
        raise ModelFileError(
            f"Expected {SAMPLES}efficientnet_lite0, the only sample. Received: {spec!r}."
        )
    size = None if any_size else 224
    model: Any = samples.efficientnet_lite0(input_shape=(size, size, 3))
    return model
