"""The distribution of a group of attention weights, as the simulator takes it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.attention.settings import Normal
from kerasviz.errors import InputError
from kerasviz.probe import containment

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Multiplier and bias of a simulation: a mean and a standard deviation each.

    Args:
        multiplier: (1 + mean, std) of the kernels; (1, 0) where there are none.
        bias: (mean, std) of the biases; (0, 0) where there are none.
        counts: Number of weights of each role.
    """

    multiplier: Normal
    bias: Normal
    counts: dict[str, int]


def group_distribution(model: keras.Model, group: str, groups: Any = None) -> Distribution:
    """The kernels and biases of a group, or of a layer, as multiplier and bias.

    Args:
        model: Any built Keras 3 model.
        group: A group, or the address of a layer, whose own and inner weights are taken.
        groups: What `kv.attention.weights` takes.

    Raises:
        InputError: No such group, or one without kernels and biases, or weights that are NaN.
    """
    from kerasviz.attention.summary import weights

    addresses = {address for address, _ in containment.walk(model)} if groups is None else set()
    if group in addresses:
        found = weights(model, {group: f"^{re.escape(group)}/.*"})
    else:
        found = weights(model, groups)
    _check_group(found, group)
    kernels, biases = (_values(found, group, role) for role in ("kernel", "bias"))
    multiplier, bias = (1.0, 0.0), (0.0, 0.0)
    if kernels.size:
        multiplier = (1.0 + float(kernels.mean()), float(kernels.std()))
    if biases.size:
        bias = (float(biases.mean()), float(biases.std()))
    return Distribution(multiplier, bias, {"kernel": kernels.size, "bias": biases.size})


def _check_group(found: Mapping[tuple[str, str], np.ndarray], group: str) -> None:
    if not any((group, role) in found for role in ("kernel", "bias")):
        known = sorted({name for name, role in found if role in ("kernel", "bias")})
        raise InputError(
            f"`group` must be one of {known}, or the address of a layer with a kernel or bias. "
            f"Received: {group!r}. `kv.attention.summarize` lists groups, `kv.layers` addresses."
        )


def _values(found: Mapping[tuple[str, str], np.ndarray], group: str, role: str) -> np.ndarray:
    values = np.asarray(found.get((group, role), ()), np.float64).reshape(-1)
    broken = int(values.size - np.isfinite(values).sum())
    if broken:
        raise InputError(
            f"The weights of a group must be finite numbers. Received: {broken} of {values.size} "
            f"in the {role} of {group!r} that are not. Load weights from before training failed."
        )
    return values
