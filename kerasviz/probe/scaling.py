"""Whether a model scales pixels by itself, and whose preprocessing it was trained with."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

_PASSED_BY = ("InputLayer", "Resizing", "CenterCrop", "ZeroPadding2D", "Resize", "Identity", "Cast")
_ARITHMETIC = ("TrueDivide", "Divide", "Multiply", "Subtract", "GetItem")
PREFIX = "keras.applications."


def own_scaling(model: keras.Model) -> str | None:
    """Name of the layer by which a model begins to scale pixels in 0..255; None without one."""
    layer = next(_first_layers(model), None)
    return layer.name if layer is not None and _scales_pixels(layer) else None


def _first_layers(model: keras.Model) -> Iterator[Any]:
    """Yield the layers and operations of a model in order, those of nested models in place."""
    for layer in getattr(model, "operations", model.layers):
        if isinstance(layer, keras.Model):
            yield from _first_layers(layer)
        elif not (type(layer).__name__ in _PASSED_BY or type(layer).__name__.startswith("Random")):
            yield layer


def _scales_pixels(layer: Any) -> bool:
    if isinstance(layer, keras.layers.Rescaling):
        return bool(np.all(np.abs(np.asarray(layer.scale)) < 1))
    if isinstance(layer, keras.layers.Normalization):
        mean = getattr(layer, "mean", None)
        return mean is None or bool(np.max(np.abs(keras.ops.convert_to_numpy(mean))) > 1)
    return type(layer).__name__ in _ARITHMETIC


def application_modules() -> list[str]:
    """The modules of `keras.applications` that have a `preprocess_input`."""
    names = (module.name for module in pkgutil.iter_modules(keras.applications.__path__))
    return [f"{PREFIX}{name}" for name in names if name != "imagenet_utils"]


def application_of(model: keras.Model) -> str | None:
    """The module of `keras.applications` whose models bear this model's name, such as
    `"keras.applications.resnet50"` for a model named "resnet50"; None for other names."""
    name = _plain(model.name)
    for module in sorted(application_modules(), key=len, reverse=True):
        if any(name == known or name.startswith(known) for known in _model_names(module)):
            return module
    return None


def _model_names(module: str) -> list[str]:
    members = vars(importlib.import_module(module))
    return [_plain(member) for member in members if member[0].isupper()]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
