"""Links between channels, found by loops over kernels of plain convolutions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def link(kernel: np.ndarray, source: int, target: int) -> dict[str, Any]:
    """One link of a kernel (*window, inputs, outputs): its map and its figures."""
    values = kernel[..., source, target].astype("float64")
    flat = [float(value) for value in values.reshape(-1)]
    positive = math.fsum(value for value in flat if value > 0)
    return {
        "source": source,
        "target": target,
        "map": values,
        "norm": math.sqrt(math.fsum(value * value for value in flat)),
        "sum": math.fsum(flat),
        "share_positive": positive / math.fsum(abs(value) for value in flat),
    }


def ranked(
    kernel: np.ndarray, strongest: int, targets: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """The strongest links of all; or, where targets are named, into each of them."""
    inputs, outputs = kernel.shape[-2:]
    pairs = itertools.product(range(inputs), range(outputs) if targets is None else targets)
    every = [link(kernel, *pair) for pair in pairs if kernel[..., pair[0], pair[1]].any()]
    every.sort(key=lambda one: -one["norm"])
    if targets is None:
        return every[:strongest]
    counts = dict.fromkeys(targets, 0)
    found = []
    for one in every:
        counts[one["target"]] += 1
        if counts[one["target"]] <= strongest:
            found.append(one)
    return found


def depthwise_then_mixed(depthwise: np.ndarray, pointwise: np.ndarray) -> np.ndarray:
    """The kernel of a depthwise convolution (*window, channels, 1) and of one of a
    single position after it (…, channels, outputs), as one."""
    channels, outputs = pointwise.shape[-2:]
    mixing = pointwise.reshape(channels, outputs)
    found = np.zeros((*depthwise.shape[:-2], channels, outputs))
    for place in np.ndindex(*depthwise.shape[:-2]):
        for channel in range(channels):
            for output in range(outputs):
                found[(*place, channel, output)] = (
                    depthwise[(*place, channel, 0)] * mixing[channel, output]
                )
    return found
