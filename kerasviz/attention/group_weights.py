"""The distribution of a group of attention weights, as the simulator takes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.attention.description import gathered
from kerasviz.attention.groups import chosen_groups
from kerasviz.attention.settings import Normal
from kerasviz.errors import InputError
from kerasviz.probe import containment

if TYPE_CHECKING:
    import keras

    from kerasviz.probe.held_weights import HeldWeight


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Multiplier and bias of a simulation: a mean and a standard deviation each.

    Args:
        multiplier: (1 + mean, std) of the kernels; (1, 0) where there are none.
        bias: (mean, std) of the biases; (0, 0) where there are none.
        counts: Number of weights of each role.
        depth: How many gates of the group follow each other in the model; None of a layer, or
            where that is not known.
    """

    multiplier: Normal
    bias: Normal
    counts: dict[str, int]
    depth: int | None


def group_distribution(model: keras.Model, group: str, groups: Any = None) -> Distribution:
    """The kernels and biases of a group, or of a layer, as multiplier and bias.

    Args:
        model: Any built Keras 3 model.
        group: A group, or the address of a layer, whose own and inner weights are taken.
        groups: What `kv.attention.weights` takes.

    Raises:
        AddressError: A choice of `groups` that matches no weight.
        InputError: No such group, or one without kernels and biases, or weights that are NaN.
        MethodError: No attention was found, and the group is no address.
    """
    layers = dict(containment.walk(model)) if groups is None else {}
    chosen = chosen_groups(model, {group: layers[group]} if group in layers else groups)
    known = {one.name: one.by_role() for one in chosen}
    held = known.get(group, {})
    if not {"kernel", "bias"} & set(held):
        raise InputError(
            f"`group` must be one of {list(known)}, or the address of a layer, with a kernel or "
            f"bias. Received: {group!r}. `kv.attention.summarize` lists groups, `kv.layers` "
            "addresses."
        )
    kernels, biases = (_values(held.get(role, ()), group, role) for role in ("kernel", "bias"))
    multiplier, bias = (1.0, 0.0), (0.0, 0.0)
    if kernels.size:
        multiplier = (1.0 + float(kernels.mean()), float(kernels.std()))
    if biases.size:
        bias = (float(biases.mean()), float(biases.std()))
    own = next(one for one in chosen if one.name == group)
    depth = None if group in layers else own.depth
    return Distribution(multiplier, bias, {"kernel": kernels.size, "bias": biases.size}, depth)


def _values(held: Sequence[HeldWeight], group: str, role: str) -> np.ndarray:
    values = gathered(held, "float64") if held else np.zeros(0)
    broken = int(values.size - np.isfinite(values).sum())
    if broken:
        raise InputError(
            f"The weights of a group must be finite numbers. Received: {broken} of {values.size} "
            f"in the {role} of {group!r} that are not. Load weights from before training failed."
        )
    return values
