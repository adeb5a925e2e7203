"""The line that an activation stands for, however it is spelled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasviz.probe.backend import curves, pointwise

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
MEANING: dict[str, Any] = {
    **pointwise.MEANING,
    "BiasAdd": np.add,
    "Elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "Erf": np.vectorize(math.erf, otypes=["float64"]),
    "Erfc": np.vectorize(math.erfc, otypes=["float64"]),
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
    "Selu": lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(x)),
    "Sigmoid": lambda x: 0.5 + 0.5 * np.tanh(x / 2),
    "Softplus": lambda x: np.logaddexp(0, x),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Tanh": np.tanh,
}
SOME_WEIGHTS = (0.25, 0.5)


def slope(piece: pointwise.Piece) -> float | None:
    """The slope of the line that a piece stands for, whatever the weights in it."""
    drawn = SOME_WEIGHTS if piece.has_weights else (0.0,)
    found = [curves.line(piece.function(weight)) for weight in drawn]
    first = found[0]
    if first is None or any(one is None or abs(one - first) > 1e-6 for one in found):
        return None
    return first
