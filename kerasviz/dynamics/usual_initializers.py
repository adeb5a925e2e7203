"""The seven initializers that are usually compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def standard_initializers() -> dict[str, Any]:
    """Kaiming and Xavier in both forms with the gain √2 of a ReLU, orthogonal, ones and zeros.

    Keras's own `HeNormal` and `GlorotNormal` truncate the normal distribution, and Glorot's have no
    gain; these neither.

    Returns:
        Name → initializer; the seeds are placeholders, which `compare_initializers` replaces.
    """
    found: dict[str, Any] = {}
    for name, mode in (("Kaiming", "fan_in"), ("Xavier", "fan_avg")):
        for kind, shape in (("normal", "untruncated_normal"), ("uniform", "uniform")):
            found[f"{name} {kind}"] = _scaled(mode, shape)
    found["orthogonal"] = keras.initializers.Orthogonal(2**0.5, seed=0)
    found["ones"] = keras.initializers.Ones()
    found["zeros"] = keras.initializers.Zeros()
    return found


def _scaled(mode: str, shape: str) -> Callable[..., Any]:
    return keras.initializers.VarianceScaling(2.0, mode, shape, seed=0)
