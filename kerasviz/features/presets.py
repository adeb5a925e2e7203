"""Named settings: everything that a picture depends on besides the model and the objective."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerasviz.errors import InputError
from kerasviz.features import transforms
from kerasviz.features.images import Fourier, Image, Pixels
from kerasviz.features.objectives import Objective, Scene
from kerasviz.features.objectives.regularizers import variation

ops: Any = keras.ops
TINY = 1e-8


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings that go together.

    Args:
        image: How the picture is spelled.
        transforms: What is done to it before each step; None: the standard ones.
        regularizers: Objectives to subtract.
        optimizer: Makes the optimizer, from the image's learning rate.
        steps: How many steps a call makes.
        redirected_steps: For how many steps dead ReLUs let gradient through.
        unit_gradient: Whether the gradient of each picture is scaled to length one.
    """

    image: Image
    transforms: Sequence[Any] | None
    regularizers: Sequence[Objective]
    optimizer: Callable[[float], Any]
    steps: int
    redirected_steps: int
    unit_gradient: bool = False


def preset(name: str) -> Preset:
    """The settings of that name: "lucid" or "keras-vis".

    Reference:
        Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017 ("lucid");
        Kotikalapudi and contributors, keras-vis, 2017 ("keras-vis": pixels, L6 norm and total
        variation of weight 10 each, RMSprop on a gradient of unit length, 200 steps).
    """
    if name == "lucid":
        return Preset(Fourier(), None, (), _adam, 512, 16)
    if name == "keras-vis":
        pixels = Pixels(bounded=False, decorrelate=False, standard_deviation=0.05)
        regularizers = (10.0 * _norm(6), 10.0 * _variation())
        jitter = (transforms.jitter(16),)
        return Preset(pixels, jitter, regularizers, _rmsprop, 200, 0, unit_gradient=True)
    raise InputError(f"`preset` must be 'lucid' or 'keras-vis'. Received: {name!r}.")


def _adam(learning_rate: float) -> Any:
    return keras.optimizers.Adam(learning_rate)


def _rmsprop(learning_rate: float) -> Any:
    return keras.optimizers.RMSprop(1 / 255, rho=0.95)


def _norm(p: int) -> Objective:
    """keras-vis's LPNorm: (Σ|x|^p)^(1/p), in the model's range, over the number of values."""

    def values(scene: Scene) -> Any:
        def one(inputs: Any) -> Any:
            flat = ops.reshape(inputs, (inputs.shape[0], -1))
            total = ops.sum(ops.power(ops.abs(flat) + TINY, p), axis=-1)
            return ops.power(total, 1.0 / p) / flat.shape[1]

        return sum(one(inputs) for inputs in scene.inputs.values())

    return Objective(f"keras-vis l{p}", values)


def _variation() -> Objective:
    """keras-vis's TotalVariation with β = 2: Σ squared differences over the number of values."""

    def values(scene: Scene) -> Any:
        return sum(variation(inputs, 2.0) for inputs in scene.inputs.values())

    return Objective("keras-vis total variation", values)
