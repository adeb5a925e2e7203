"""Moments of rectified normal numbers, and the quadratures that average over them."""

from __future__ import annotations

import functools

import numpy as np
from scipy.special import ndtr

WIDEST = 9.0
PANEL_NODES = 48
TINY = 1e-300


def rectified_moments(mean: np.ndarray, variance: np.ndarray, orders: int = 4) -> np.ndarray:
    """E[ReLU(z)^k] of a normal z, for k = 1 … orders.

    With t = mean / std: R_0 = Φ(t), R_1 = mean·Φ(t) + std·φ(t), R_k = mean·R_(k-1) +
    (k-1)·variance·R_(k-2).

    Args:
        mean: Any shape.
        variance: The same shape, not negative.
        orders: How many, at least 2.

    Returns:
        (orders, *shape), not negative.
    """
    mean, variance = np.broadcast_arrays(np.asarray(mean, float), np.asarray(variance, float))
    std = np.sqrt(variance)
    ratio = mean / np.maximum(std, TINY)
    found = [ndtr(ratio)]
    found.append(mean * found[0] + std * _density(ratio))
    for order in range(2, orders + 1):
        found.append(mean * found[-1] + (order - 1) * variance * found[-2])
    certain = np.stack([np.maximum(mean, 0.0) ** order for order in range(1, orders + 1)])
    return np.where(std > 0.0, np.maximum(np.stack(found[1:]), 0.0), certain)


def attended_moments(
    mean: np.ndarray,
    variance: np.ndarray,
    multiplier: tuple[float, float],
    bias: tuple[float, float],
) -> np.ndarray:
    """E[y^k] of y = ReLU(h·M + B), h = ReLU(z), for independent normal z, M and B; k = 1 … 4.

    h is 0 with probability Φ(-mean / std); above 0 the integral over z is done by Gauss-Legendre
    quadrature, in two panels that meet where h·E[M] + E[B] changes sign.

    Args:
        mean: (n,) of z.
        variance: (n,) of z.
        multiplier: Mean and standard deviation of M.
        bias: Mean and standard deviation of B.

    Returns:
        (4, n).
    """
    std = np.sqrt(variance)
    zero = -mean / np.maximum(std, TINY)
    low = np.clip(zero, -WIDEST, WIDEST)
    high = np.maximum(low, 0.0) + WIDEST
    turn = -bias[0] / multiplier[0] if multiplier[0] else 0.0
    middle = np.clip((turn - mean) / np.maximum(std, TINY), low, high)
    total = ndtr(low) * affine_moments(np.zeros_like(mean), multiplier, bias)
    for start, end in ((low, middle), (middle, high)):
        nodes, weights = _panel(start, end)
        values = np.maximum(mean[:, None] + std[:, None] * nodes, 0.0)
        inner = affine_moments(values, multiplier, bias)
        total += np.sum(inner * (weights * _density(nodes)), axis=-1)
    return total


def affine_moments(
    values: np.ndarray,
    multiplier: tuple[float, float],
    bias: tuple[float, float],
    orders: int = 4,
) -> np.ndarray:
    """E[ReLU(h·M + B)^k] for given h, k = 1 … orders: h·M + B is normal."""
    mean = values * multiplier[0] + bias[0]
    variance = (values * multiplier[1]) ** 2 + bias[1] ** 2
    return rectified_moments(mean, variance, orders)


@functools.cache
def normal_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Hermite nodes and weights, (count,) each: sums of f(node)·weight are E[f(z)]."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


@functools.cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(PANEL_NODES)


def _panel(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = _legendre()
    half = (end - start)[:, None] / 2.0
    return start[:, None] + half * (nodes + 1.0), half * weights


def _density(z: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.minimum(np.abs(z), 1e3) ** 2) / np.sqrt(2.0 * np.pi)
