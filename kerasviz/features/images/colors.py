"""How the colours of natural photos go together.

Reference:
    Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017,
    https://distill.pub/2017/feature-visualization: the square root of the colours' covariance over
    ImageNet, as published with its code.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

ops: Any = keras.ops

_COVARIANCE_ROOT = np.array(
    [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], "float32"
)
MIXING = (_COVARIANCE_ROOT / np.linalg.norm(_COVARIANCE_ROOT, axis=0).max()).T


def mixed(signal: Any) -> Any:
    """(…, 3 or more) uncorrelated components as RGB; further channels pass as they are."""
    return ops.matmul(signal, _matrix(signal.shape[-1]))


def unmixed(signal: np.ndarray) -> np.ndarray:
    """The components of which `mixed` makes these colours."""
    return np.asarray(signal @ np.linalg.inv(_matrix(signal.shape[-1])), "float32")


def _matrix(channels: int) -> np.ndarray:
    matrix = np.eye(channels, dtype="float32")
    matrix[:3, :3] = MIXING
    return matrix
