"""Distributions as tables: of what layers return on a data set, and of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from kerasviz.dynamics.distribution_reader import DistributionReader, WeightReader
from kerasviz.dynamics.statistics import QUANTILES

if TYPE_CHECKING:
    import pandas as pd


def distributions(
    model: keras.Model,
    dataset: Any,
    layers: Sequence[Any] | None = None,
    quantiles: Sequence[float] = QUANTILES,
    batch_size: int = 32,
    verbose: Any = "auto",
) -> pd.DataFrame:
    """How the outputs of layers are distributed over a data set of any size.

    Goes through the data once, by Keras's `evaluate`; memory depends on the number of layers and
    on one batch only. Made under a strategy's scope it runs on all replicas.

    Args:
        model: Any built Keras 3 model; not altered. It runs in inference mode.
        dataset: Arrays in the model's structure, or anything that `evaluate` takes. Targets and
            sample weights in it are ignored.
        layers: Addresses, layer objects or indices. None: every call site whose output is a
            single tensor of numbers.
        quantiles: Numbers in [0, 1].
        batch_size: Samples run at once when `dataset` holds arrays.
        verbose: Keras's progress bar: "auto", 0, 1 or 2.

    Returns:
        DataFrame indexed by address, in the order in which layers return. All values that a call
        site returned, over samples, positions and channels, count alike:

        - `count` finite values, `mean`, `variance` and `std` (population), `skewness`, `kurtosis`
          (0 for a normal distribution), `min`, `max`: as in `kv.dynamics.Moments`;
        - quantiles, `q25` for 0.25, each within 0.8 % of itself or within 1/32 of the range of
          the values, whichever is less;
        - `zeros`, share of values that are exactly 0;
        - `not_finite`, how many values were NaN or infinite; they are left out of all else;
        - `dead_units`, share of channels whose value is the same for all samples and positions: a
          ReLU that never opens is one. NaN where there is no axis of channels;
        - `saturation`, share of values beyond 99 % of the reach (half the distance between the
          bounds) of a bounded function, to either side: for tanh beyond ±0.99, for sigmoid
          outside [0.005, 0.995]. NaN where nothing bounds the output on both sides.

        For histograms, and to read more than once, use `kv.dynamics.DistributionReader`.

    Raises:
        AddressError: A layer that the model does not have, or does not call.
        InputError: Data that is empty or does not fit the model, or quantiles out of range.

    Example:

    ```python
    table = kv.dynamics.distributions(model, images, verbose=0)
    print(table[["mean", "std", "zeros", "dead_units"]])
    ```
    """
    reader = DistributionReader(model, layers, quantiles)
    return reader.read(dataset, batch_size, verbose).table


def weight_distributions(
    model: keras.Model, quantiles: Sequence[float] = QUANTILES
) -> pd.DataFrame:
    """How the values of each weight of a model are distributed.

    Args:
        model: Any built Keras 3 model; not altered.
        quantiles: Numbers in [0, 1].

    Returns:
        DataFrame indexed by "layer/address/variable_name", one row a weight, with the columns of
        `distributions` from `count` to `not_finite`.

    Raises:
        InputError: Not a built Keras model, or quantiles out of range.
        MethodError: A model without weights, or a quantized one.

    Example:

    ```python
    print(kv.dynamics.weight_distributions(model)[["mean", "std", "kurtosis"]])
    ```
    """
    return WeightReader(model, quantiles).read().table
