"""Expanded weights in NumPy: a single one in the source, sent forward tap by tap.

Every tensor is a pair: the sum of all products of weights along paths that are positive, and that
of those that are negative. A weight w sends the first on by its positive part and swaps the two by
its negative part, so no magnitude is ever taken of a sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Signed(NamedTuple):
    """(batch, *positions, channels) sums of positive and of negative products."""

    positive: np.ndarray
    negative: np.ndarray


def ones(sizes: Sequence[int], channels: int) -> Signed:
    """One sample for each (position, channel), with a one there."""
    count = int(np.prod(sizes)) * channels
    positive = np.eye(count).reshape(count, *sizes, channels)
    return Signed(positive, np.zeros_like(positive))


def maps(result: Signed, sizes: Sequence[int], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(targets, sources, *positions) positive and negative, of what the middle received."""
    rank = result.positive.ndim - 2
    middle = tuple(size // 2 for size in result.positive.shape[1:-1])
    found = []
    for part in result:
        at_middle = part[(slice(None), *middle)]
        spread = at_middle.reshape(*sizes, channels, -1)
        found.append(np.transpose(spread, (rank + 1, rank, *range(rank))))
    return found[0], found[1]


def _through(x: Signed, weights: np.ndarray, move: Callable[..., np.ndarray]) -> Signed:
    up, down = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
    return Signed(
        move(x.positive, up) + move(x.negative, down), move(x.negative, up) + move(x.positive, down)
    )


def convolved(
    x: Signed,
    kernel: np.ndarray,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "valid",
    groups: int = 1,
) -> Signed:
    """A convolution with a kernel (*window, channels of a group, filters)."""

    def move(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return _slide(values, weights, stride, dilation, padding, groups)

    return _through(x, np.asarray(kernel, "float64"), move)


def depthwise(x: Signed, kernel: np.ndarray, **settings: int | str) -> Signed:
    """A depthwise convolution with a kernel (*window, channels, 1): as many groups as channels."""
    turned = np.moveaxis(np.asarray(kernel), -1, -2)
    return convolved(x, turned, groups=turned.shape[-1], **settings)  # type: ignore[arg-type]


def scaled(x: Signed, factors: np.ndarray) -> Signed:
    """Each channel times a number."""
    return _through(x, np.asarray(factors, "float64"), np.multiply)


def averaged(x: Signed, size: int) -> Signed:
    """Means of windows side by side."""
    rank, channels = x.positive.ndim - 2, x.positive.shape[-1]
    kernel = np.zeros((*[size] * rank, channels, channels))
    kernel[...] = np.eye(channels) / size**rank
    return convolved(x, kernel, stride=size)


def added(*parts: Signed) -> Signed:
    """A sum of branches."""
    return Signed(sum(p.positive for p in parts), sum(p.negative for p in parts))  # type: ignore[arg-type]


def _slide(
    values: np.ndarray, kernel: np.ndarray, stride: int, dilation: int, padding: str, groups: int
) -> np.ndarray:
    window, sizes = kernel.shape[:-2], values.shape[1:-1]
    reach = [(taps - 1) * dilation + 1 for taps in window]
    if padding == "same":
        counts = [-(-size // stride) for size in sizes]
        needed = [
            max((n - 1) * stride + r - s, 0) for n, r, s in zip(counts, reach, sizes, strict=True)
        ]
        before = [n // 2 for n in needed]
    else:
        counts = [(size - r) // stride + 1 for size, r in zip(sizes, reach, strict=True)]
        before = [0] * len(sizes)
    result = np.zeros((len(values), *counts, kernel.shape[-1]))
    own = np.array_split(np.arange(values.shape[-1]), groups)
    filters = np.array_split(np.arange(kernel.shape[-1]), groups)
    for place in np.ndindex(*counts):
        for tap in np.ndindex(*window):
            source = tuple(
                p * stride + t * dilation - b for p, t, b in zip(place, tap, before, strict=True)
            )
            if all(0 <= s < size for s, size in zip(source, sizes, strict=True)):
                given = values[(slice(None), *source)]
                for inputs, outputs in zip(own, filters, strict=True):
                    weights = kernel[tap][:, outputs]
                    result[(slice(None), *place)][:, outputs] += given[:, inputs] @ weights
    return result


def enumerated(kernels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A chain of one-dimensional kernels (taps, inputs, filters), every path by itself.

    Returns:
        (filters of the last, inputs of the first, positions) sums of the positive and of the
        negative products.
    """
    size = sum(len(kernel) - 1 for kernel in kernels) + 1
    shape = (kernels[-1].shape[-1], kernels[0].shape[1], size)
    positive, negative = np.zeros(shape), np.zeros(shape)
    channels = [kernels[0].shape[1], *(kernel.shape[2] for kernel in kernels)]
    for taps in itertools.product(*(range(len(kernel)) for kernel in kernels)):
        for path in itertools.product(*map(range, channels)):
            product = 1.0
            for number, (kernel, tap) in enumerate(zip(kernels, taps, strict=True)):
                product *= float(kernel[tap, path[number], path[number + 1]])
            total = positive if product > 0 else negative
            total[path[-1], path[0], sum(taps)] += product
    return positive, negative
