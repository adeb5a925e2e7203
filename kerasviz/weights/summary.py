"""What each weight of a model says: a row a tensor."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import KerasvizWarning
from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.weights.moments import NAMES, described
from kerasviz.weights.spectra import spectral_norm
from kerasviz.weights.unfolding import unfolded

if TYPE_CHECKING:
    import pandas as pd

FACTS = ("layer", "role", "shape", "dtype", "trainable", "places")
SPECTRAL = ("spectral_norm", "stable_rank")
COLUMNS = (*FACTS, "count", "not_finite", *NAMES, *SPECTRAL)


def summarize(model: keras.Model, *, spectral: bool = True) -> pd.DataFrame:
    """Statistics of every weight of a model: kernels, biases, normalization, embeddings, all.

    Weights are read where they are, a chunk of 65536 values at a time, in float64. Copied, one at
    a time, are only weights in bfloat16 and those that LoRA adds to; and, for the spectral norm,
    depthwise, grouped and transposed kernels.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed with it.
        spectral: Whether to compute `spectral_norm` and `stable_rank`, which for layers of
            thousands of units take longer than all the rest.

    Returns:
        DataFrame indexed by `address` ("layer/address/variable_name"), in the order in which the
        model holds its layers; a weight that is held in several places has one row:

        - `layer` (its class), `role` (the variable's name), `shape`, `dtype`, `trainable`, and
          `places`, how many addresses it has;
        - `count` of finite values, `not_finite` of others, which are left out of all else;
        - `mean`, `median`, `variance` and `std` (population, ddof 0), `skewness` m₃/m₂^1.5 and
          `kurtosis` m₄/m₂² - 3 (0 for a normal distribution; NaN for constants);
        - `share_positive`, and `share_near_zero`: |w| at most 1 % of the std, 0 to 1;
        - `norm`, the root of the sum of squares;
        - `spectral_norm`, the largest singular value of the weight as a matrix of inputs ×
          outputs: (k·k·c_in, c_out) for convolutions, block-diagonal for grouped and depthwise
          ones, the axes that are summed over × the others for the projections of attention, all
          axes × the last for others; and `stable_rank`, norm² / spectral norm²: from 1 for a
          matrix of rank 1 to its rank. NaN for biases and scales, and where values are not finite.

        `table.attrs` holds versions and the model's name.

    Raises:
        InputError: Not a built Keras model.
        MethodError: A layer is quantized, so that its numbers are codes, not weights.

    Reference:
        Rudelson and Vershynin 2007, "Sampling from large matrices: An approach through geometric
        functional analysis", for the stable rank.

    Example:

    ```python
    table = kv.weights.summarize(model)
    print(table[["shape", "mean", "std", "kurtosis", "stable_rank"]])
    ```
    """
    import pandas as pd

    check_model(model)
    weights = held_weights(model)
    rows = [_row(held, spectral) for held in weights]
    index = pd.Index([held.addresses[0] for held in weights], name="address", dtype="object")
    table = pd.DataFrame(rows, index=index, columns=[*COLUMNS])
    if not spectral:
        table = table.drop(columns=[*SPECTRAL])
    table.attrs.update(provenance(model))
    _warn(table, model.name)
    return table


def _row(held: HeldWeight, spectral: bool) -> dict[str, Any]:
    array = held.view()
    facts = (
        type(held.layer).__name__,
        held.role,
        tuple(array.shape),
        keras.backend.standardize_dtype(held.variable.dtype),
        bool(held.variable.trainable),
        len(held.addresses),
    )
    row: dict[str, Any] = dict(zip(FACTS, facts, strict=True)) | described(array)
    return row | (_spectral(held, array, row) if spectral else {})


def _spectral(held: HeldWeight, array: np.ndarray, row: dict[str, Any]) -> dict[str, float]:
    matrices = None if row["not_finite"] else unfolded(held, array)
    if matrices is None:
        return dict.fromkeys(SPECTRAL, math.nan)
    largest = spectral_norm(matrices, row["norm"])
    rank = (row["norm"] / largest) ** 2 if largest > 0 else math.nan
    return {"spectral_norm": largest, "stable_rank": rank}


def _warn(table: pd.DataFrame, name: str) -> None:
    broken = table.index[table["not_finite"] > 0]
    if len(broken):
        warnings.warn(
            f"{int(table['not_finite'].sum())} weights of '{name}' are NaN or infinite, in "
            f"{', '.join(map(repr, broken[:3]))}{' and others' if len(broken) > 3 else ''}. The "
            "statistics are those of the others; the column `not_finite` counts them.",
            KerasvizWarning,
            stacklevel=3,
        )
