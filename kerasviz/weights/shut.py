"""Channels that a batch normalization has closed, or whose statistics are out of bounds."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from kerasviz.probe.normalizations import Normalization
from kerasviz.weights.finding import Finding, counted

FAINT = 0.01
SMALL_VARIANCE = 0.01
LARGE_VARIANCE = 1e5
SHUT = 4.0


def saturated(norm: Normalization) -> Iterator[Finding]:
    """What is remarkable of one batch normalization; nothing where a value is not finite."""
    layer = norm.layer
    mean, variance = (_read(one) for one in (layer.moving_mean, layer.moving_variance))
    gamma = np.ones_like(mean) if layer.gamma is None else _read(layer.gamma)
    beta = np.zeros_like(mean) if layer.beta is None else _read(layer.beta)
    if not all(np.isfinite(part).all() for part in (mean, variance, gamma, beta)):
        return
    where = norm.address
    size, typical = np.abs(gamma), float(np.median(np.abs(gamma)))
    closed = np.flatnonzero((size == 0) | (size < FAINT * typical))
    if closed.size:
        yield Finding(
            where,
            "gamma near zero",
            closed,
            f"no effect of the input in {counted(closed, gamma, 'channel')}: |gamma| is zero, or "
            f"below 1 % of the layer's median, {typical:.3g}.",
        )
    still = np.flatnonzero(variance < SMALL_VARIANCE * layer.epsilon)
    if still.size:
        yield Finding(
            where,
            "moving variance near zero",
            still,
            f"input that hardly varied in {counted(still, gamma, 'channel')}: the moving variance "
            f"is below 1 % of epsilon, {layer.epsilon:.3g}, so that less than a tenth of the "
            "spread that gamma asks for is left.",
        )
    middle = float(np.median(variance))
    wide = np.flatnonzero(variance > LARGE_VARIANCE * middle) if middle > 0 else still[:0]
    if wide.size:
        yield Finding(
            where,
            "moving variance huge",
            wide,
            f"giant input in {counted(wide, gamma, 'channel')}: the moving variance is above "
            f"100,000 times the layer's median, {middle:.3g}; the largest is {variance.max():.3g}.",
        )
    yield from _behind_relu(norm, gamma, beta, variance, closed)


def _behind_relu(
    norm: Normalization,
    gamma: np.ndarray,
    beta: np.ndarray,
    variance: np.ndarray,
    closed: np.ndarray,
) -> Iterator[Finding]:
    """Where nearly all that normal input can give lies below 0, and a ReLU follows.

    Of input of any other distribution at most 1 / (1 + 4²) lies beyond four standard deviations to
    one side (Cantelli's inequality).
    """
    if norm.rectified is False:
        return
    spread = np.abs(gamma) * np.sqrt(variance / (variance + norm.layer.epsilon))
    below = (beta < 0) & (beta < -SHUT * spread)
    shut = np.setdiff1d(np.flatnonzero(below), closed)
    if shut.size:
        behind = "the ReLU" if norm.rectified else "a ReLU, should one follow,"
        yield Finding(
            norm.address,
            "ReLU stays shut",
            shut,
            f"hardly anything behind {behind} in {counted(shut, gamma, 'channel')}: beta is more "
            "than 4 standard deviations of the normalized input, times |gamma|, below zero. Of "
            "normal input one value in 30,000 passes, of any input 6 % at most.",
        )


def _read(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable)).astype("float64")
