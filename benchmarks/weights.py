"""The summary of a large model's weights against one NumPy pass over the same statistics.

    python benchmarks/weights.py [--millions 100] [--spectral] [--rounds 3]

The model is a chain of dense layers of 2048 units, with random weights. By hand means: for each
tensor the statistics of `kv.weights.summarize` as one writes them in NumPy on the whole array
(mean, median, variance, std, skewness, kurtosis, share positive, share near zero, norm), in
float64, from arrays that are at hand; `kerasviz` reads the variables itself. Spectral norms are
apart: with --spectral both sides also compute those, by hand as `numpy.linalg.norm(matrix, 2)`.
The two take turns; the ratio is that of the medians. The peak of additional memory is measured in a
round of its own, of arrays that NumPy makes (`tracemalloc`).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

UNITS = 2048


def by_hand(arrays: list[Any], spectral: bool) -> list[dict[str, float]]:
    """Each statistic of each array, in plain NumPy."""
    import numpy as np

    rows = []
    for array in arrays:
        x = array.astype("float64").reshape(-1)
        mean = x.mean()
        d = x - mean
        square = d * d
        variance = square.mean()
        std = np.sqrt(variance)
        row = {
            "mean": mean,
            "median": np.median(x),
            "variance": variance,
            "std": std,
            "skewness": (square * d).mean() / std**3 if std else np.nan,
            "kurtosis": (square * square).mean() / variance**2 - 3 if std else np.nan,
            "share_positive": np.count_nonzero(x > 0) / x.size,
            "share_near_zero": np.count_nonzero(np.abs(x) <= 0.01 * std) / x.size,
            "norm": np.sqrt(np.square(x).sum()),
        }
        if spectral and array.ndim > 1:
            row["spectral_norm"] = np.linalg.norm(array, 2)
        rows.append(row)
    return rows


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak(function: Callable[[], Any]) -> float:
    """Megabytes that were held at most by what the call allocated."""
    tracemalloc.start()
    function()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


def main() -> None:
    """Time both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--millions", type=float, default=100)
    parser.add_argument("--spectral", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    import keras
    import numpy as np

    import kerasviz as kv

    depth = max(1, round(arguments.millions * 1e6 / UNITS**2))
    chain = [keras.layers.Dense(UNITS) for _ in range(depth)]
    model = keras.Sequential([keras.Input((UNITS,)), *chain])
    arrays = [np.array(array) for array in model.get_weights()]
    sides: dict[str, Callable[[], Any]] = {
        "kerasviz": lambda: kv.weights.summarize(model, spectral=arguments.spectral),
        "by hand": lambda: by_hand(arrays, arguments.spectral),
    }
    table, rows = sides["kerasviz"](), sides["by hand"]()
    for name in rows[0]:
        pairs = [(a, b.get(name, np.nan)) for a, b in zip(table[name], rows, strict=True)]
        worst = np.nanmax([abs(a - b) for a, b in pairs])
        print(f"largest difference of {name}: {worst:.1e}")
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            times[name].append(timed(side))
    count = sum(array.size for array in arrays)
    print(f"{count / 1e6:.1f} million weights in {len(arrays)} tensors")
    for name, side in sides.items():
        print(f"{name}: {statistics.median(times[name]):.2f} s, {peak(side):.1f} MB at most")
    ratio = statistics.median(times["kerasviz"]) / statistics.median(times["by hand"])
    print(f"ratio: {ratio:.2f}")


if __name__ == "__main__":
    main()
