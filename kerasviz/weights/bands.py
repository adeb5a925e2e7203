"""Whether kernels are made of horizontal or vertical bands."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import KerasvizWarning
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.probe.spatial_kernels import SpatialKernel, convolution_kernels
from kerasviz.weights.one_sided import most_factors, one_sided, unit_scaled

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "kind",
    "height",
    "width",
    "neurons",
    "index",
    "p_value",
    "between_rows",
    "between_columns",
)
BLOCK = 1 << 22


def banding(
    model: keras.Model, num_factors: int = 3, num_permutations: int = 9999, seed: int = 0
) -> pd.DataFrame:
    """How far the factors of each convolution differ between rows more than between columns.

    Each neuron's maps a(y, x) of `kv.weights.factorize` (input side, all neurons fitted together;
    of a depthwise layer the positive and the negative part of each channel's kernel) have two mean
    squares, as in an analysis of variance without repetition,

        R = width Σ_y (ā_y - ā)² / (height - 1),   C = height Σ_x (ā_x - ā)² / (width - 1),

    which have the same expectation for noise. Summed over neurons and factors they give the index
    (R - C) / (R + C). The test asks whether the layer prefers rows: it exchanges rows and columns
    of each neuron's kernel or not, by the toss of a coin, which changes the sign of its R - C. A
    neuron that is itself a band, or a layer with as many horizontal as vertical ones, is no reason
    to reject.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed with it.
        num_factors: Number of factors; fewer where a layer can't have so many.
        num_permutations: Number of times that all coins are tossed.
        seed: For the coins and the factors.

    Returns:
        DataFrame with a row a 2-D convolution whose kernel has at least two rows and two columns,
        indexed by `address`, in the order in which the model holds them: `kind`, `height`, `width`,
        `neurons` (of a depthwise layer channels) that have weights, `index` in [-1, 1]: 1 for
        horizontal bands alone, -1 for vertical ones; `p_value`, two-sided, (1 + tosses at least as
        far from 0) / (1 + tosses), NaN for a kernel that is not square, whose rows and columns
        can't be exchanged; `between_rows`, `between_columns`: R and C. `table.attrs` holds
        versions, the model's name and the settings.

    Raises:
        InputError: Not a built Keras model, or settings that do not fit.
        MethodError: A layer is quantized, or a weight is NaN or infinite.

    Reference:
        Petrov, Voss et al., "Weight Banding", Distill 2021, which shows the bands; the index and
        the test are ours.

    Example:

    ```python
    table = kv.weights.banding(model)
    figure = kv.plots.weight_banding(table)
    ```
    """
    import pandas as pd

    check_model(model)
    whole(num_factors, "num_factors")
    whole(num_permutations, "num_permutations")
    whole(seed, "seed", 0)
    rows, names = [], []
    for kernel in convolution_kernels(model):
        if len(kernel.window) == 2 and min(kernel.window) > 1:
            names.append(kernel.address)
            rows.append(kernel_row(kernel, num_factors, num_permutations, seed))
    table = pd.DataFrame(rows, columns=[*COLUMNS], index=pd.Index(names, name="address"))
    settings = {"num_factors": num_factors, "num_permutations": num_permutations, "seed": seed}
    table.attrs.update(provenance(model) | settings)
    return table


def kernel_row(
    kernel: SpatialKernel, num_factors: int, num_permutations: int, seed: int
) -> dict[str, Any]:
    """What the table says of one kernel with a window of two dimensions."""
    values, exponent = unit_scaled(kernel.values)
    height, width = kernel.window
    maps = _maps(kernel.kind, values, num_factors, seed)
    between_rows, between_columns = mean_squares(maps)
    used = maps.any(axis=(1, 2, 3))
    total = float((between_rows + between_columns).sum())
    differences = between_rows - between_columns
    return {
        "kind": kernel.kind,
        "height": height,
        "width": width,
        "neurons": int(used.sum()),
        "index": float(differences.sum()) / total if total > 0 else np.nan,
        "p_value": (
            coin_test(differences[used], num_permutations, seed)
            if height == width and total > 0
            else np.nan
        ),
        "between_rows": float(np.ldexp(between_rows.sum(), 2 * exponent)),
        "between_columns": float(np.ldexp(between_columns.sum(), 2 * exponent)),
    }


def _maps(kind: str, values: np.ndarray, num_factors: int, seed: int) -> np.ndarray:
    """(neurons, height, width, factors) ≥ 0."""
    if kind == "depthwise":
        rows = np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0)
        return np.maximum(np.stack([rows, -rows], axis=-1), 0.0)
    if not values.any():
        return np.zeros((values.shape[-1], *values.shape[:2], 1), "float32")
    count = min(num_factors, most_factors(values, "input"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KerasvizWarning)  # the test holds after any round
        return one_sided(values, count, "input", seed)[0]


def mean_squares(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares of maps between rows and between columns, summed over factors.

    Args:
        maps: (neurons, height, width, factors).

    Returns:
        Two arrays (neurons,): R and C, each the variance of one value where maps are noise.
    """
    maps = maps.astype("float64")
    _, height, width, _ = maps.shape
    rows = maps.mean(axis=2).var(axis=1, ddof=1) * width
    columns = maps.mean(axis=1).var(axis=1, ddof=1) * height
    return rows.sum(axis=-1), columns.sum(axis=-1)


def coin_test(differences: np.ndarray, num_permutations: int, seed: int) -> float:
    """Two-sided p-value of a sum, under the hypothesis that each term's sign is a fair coin."""
    generator = np.random.default_rng(seed)
    wanted = abs(differences.sum()) * (1 - 1e-9)
    beyond, left = 0, num_permutations
    while left:
        count = min(left, max(1, BLOCK // differences.size))
        signs = generator.integers(0, 2, (count, differences.size), dtype="int8") * 2.0 - 1.0
        beyond += int((np.abs(signs @ differences) >= wanted).sum())
        left -= count
    return (1 + beyond) / (1 + num_permutations)
