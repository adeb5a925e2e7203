"""From pixels in 0..255 to the numbers that a model was trained on."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import NDArray

from kerasviz.cli.models import APPLICATIONS, SAMPLES, application_module
from kerasviz.errors import InputError
from kerasviz.probe import scaling

Pixels: TypeAlias = NDArray[np.float32]

_RANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "0..1": lambda pixels: pixels / 255.0,
    "-1..1": lambda pixels: pixels / 127.5 - 1.0,
    "0..255": lambda pixels: pixels,
}


@dataclass(frozen=True)
class Preprocessing:
    """How pixels are scaled for a model, and why so.

    Args:
        name: As `--preprocess` takes it, or `"samples"`.
        reason: Why this one, as half a sentence.
        assumed: Whether nothing in the model or on the command line says so.
        function: Takes and returns float32 `(n, height, width, channels)`.
    """

    name: str
    reason: str
    assumed: bool
    function: Callable[[Pixels], Any]

    def __call__(self, images: NDArray[np.uint8]) -> Pixels:
        """Scale uint8 `(n, height, width, channels)`; the result is float32 of that shape."""
        return np.asarray(self.function(images.astype(np.float32)), np.float32)

    def __str__(self) -> str:
        hint = ": pass --preprocess to choose another" if self.assumed else ""
        return f"{self.name} ({self.reason}{hint})"


def parse_preprocessing(name: str) -> Preprocessing:
    """Turn the value of `--preprocess` into the function it names.

    Args:
        name: `"0..1"`, `"-1..1"`, `"0..255"`, or a module such as `"keras.applications.resnet50"`.

    Raises:
        InputError: It is none of these.
    """
    if name in _RANGES:
        return Preprocessing(name, "as asked for", False, _RANGES[name])
    known = scaling.application_modules()
    if name in known:
        module = importlib.import_module(name)
        return Preprocessing(name, "as asked for", False, _of_application(module.preprocess_input))
    closest = difflib.get_close_matches(name, [*_RANGES, *known], n=1, cutoff=0.5)
    hint = f" Closest: {closest[0]}." if closest else ""
    raise InputError(
        "`--preprocess` must be 0..1, -1..1, 0..255, or a module such as "
        f"{scaling.PREFIX}resnet50. Received: {name!r}.{hint}"
    )


def _of_application(function: Callable[..., Any]) -> Callable[[Pixels], Any]:
    def scale(pixels: Pixels) -> Any:
        if pixels.shape[-1] != 3:
            raise InputError(
                "The scaling of keras.applications needs RGB images. "
                f"Received: {pixels.shape[-1]} channels. Use --preprocess 0..1, -1..1 or 0..255."
            )
        return function(pixels.copy(), data_format="channels_last")

    return scale


def choose_preprocessing(spec: str, model: keras.Model) -> Preprocessing:
    """Choose the scaling for a model when the command line names none.

    Args:
        spec: How the command line named the model.
        model: The model.

    Returns:
        That of the application or the sample; 0..255 for a model that begins with its own scaling;
        otherwise 0..1, marked as assumed.
    """
    if spec.startswith(APPLICATIONS):
        module = application_module(spec)
        name = f"{scaling.PREFIX}{module.__name__.rpartition('.')[2]}"
        function = _of_application(module.preprocess_input)
        return Preprocessing(name, "the model's own", False, function)
    if spec.startswith(SAMPLES):
        return Preprocessing("samples", "the model's own", False, _of_sample)
    return _of_first_layer(model)


def _of_sample(pixels: Pixels) -> Any:
    from kerasviz import samples

    return samples.preprocess(pixels, size=pixels.shape[1])


def _of_first_layer(model: keras.Model) -> Preprocessing:
    layer = scaling.own_scaling(model)
    if layer is not None:
        reason = f"the model begins with its own scaling, {layer!r}"
        return Preprocessing("0..255", reason, False, _RANGES["0..255"])
    return Preprocessing("0..1", "assumed, as nothing in the model says", True, _RANGES["0..1"])
