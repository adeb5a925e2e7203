"""How the values of one weight, or of a group, are distributed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import AddressError, InputError
from kerasviz.probe import addresses, containment
from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.initial_mixture import initial_mixture
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.weights.moments import described

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OUTLINE = 257


@dataclasses.dataclass(frozen=True, eq=False)
class WeightDistribution:
    """The values of some weights, pooled by role.

    Args:
        values: Role ("kernel", "bias") to all values of that role, flat, NaN included.
        table: A row a role: `tensors`, how many were pooled, and the statistics of
            `kv.weights.summarize` from `count` to `norm`.
        initial: Role to 257 evenly spaced quantiles of what the initializers alone would give;
            empty where that is not known.
        addresses: Role to the addresses of what was pooled.
        provenance: Versions, model, time.
    """

    values: dict[str, np.ndarray]
    table: pd.DataFrame
    initial: dict[str, np.ndarray]
    addresses: dict[str, tuple[str, ...]]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        counts = ", ".join(f"{role}: {len(x):,}" for role, x in self.values.items())
        return f"WeightDistribution({counts})"

    def plot(self, **kwargs: Any) -> Figure:
        """A histogram and a normal Q-Q plot a role; see `kv.plots.weight_distribution`."""
        from kerasviz.plots.weights import weight_distribution

        return weight_distribution(self, **kwargs)


def distribution(model: keras.Model, weights: Any = None) -> WeightDistribution:
    """Gather the values of a weight, of a layer, or of a group of them.

    A copy of the chosen values is made, and kept in the result.

    Args:
        model: Any built Keras 3 model; not altered, and nothing is computed with it.
        weights: Address of a weight ("encoder/conv/kernel"), address of a layer or block or the
            layer itself (all weights at or below it), or a list of those. None: all weights.

    Returns:
        A `WeightDistribution`: kernels, biases and so on apart.

    Raises:
        InputError: Not a built Keras model, or an empty choice.
        AddressError: A choice that holds no weight of the model.
        MethodError: A layer is quantized, so that its numbers are codes, not weights.

    Example:

    ```python
    found = kv.weights.distribution(model, "encoder/conv")
    figure = found.plot()
    ```
    """
    import pandas as pd

    check_model(model)
    groups: dict[str, list[HeldWeight]] = {}
    for held in _chosen(model, weights):
        groups.setdefault(held.role, []).append(held)
    values = {
        role: np.concatenate([held.values() for held in group]) for role, group in groups.items()
    }
    rows = [{"tensors": len(groups[role])} | described(values[role]) for role in groups]
    table = pd.DataFrame(rows, index=pd.Index([*groups], name="role"))
    known = provenance(model)
    table.attrs.update(known)
    return WeightDistribution(
        values,
        table,
        {role: _initial(group) for role, group in groups.items()},
        {role: tuple(held.addresses[0] for held in group) for role, group in groups.items()},
        known,
    )


def _chosen(model: keras.Model, weights: Any) -> list[HeldWeight]:
    every = held_weights(model)
    if weights is None:
        parts: Sequence[Any] = [""]
    else:
        parts = [*weights] if isinstance(weights, (list, tuple)) else [weights]
    if not parts or not every:
        raise InputError(
            f"`weights` must choose some of the {len(every)} weights of '{model.name}'. "
            f"Received: {weights!r}. Name a weight or a layer; see `kv.weights.summarize`."
        )
    wanted: set[int] = set()
    for part in parts:
        address = addresses.to_address(model, part)
        found = [held for held in every if any(_is_in(one, address) for one in held.addresses)]
        if not found:
            known = [one for held in every for one in held.addresses]
            layers = [one for one, _ in containment.walk(model)]
            raise _not_found(address, [*known, *layers])
        wanted |= {id(held) for held in found}
    return [held for held in every if id(held) in wanted]


def _is_in(address: str, chosen: str) -> bool:
    return not chosen or address == chosen or address.startswith(f"{chosen}/")


def _not_found(address: str, known: list[str]) -> AddressError:
    close = addresses.closest(address, known)
    hint = f" Closest: {', '.join(map(repr, close))}." if close else ""
    return AddressError(
        "`weights` must be addresses of weights, or of layers that hold some. "
        f"Received: {address!r}.{hint} See `kv.weights.summarize(model).index`."
    )


def _initial(group: Sequence[HeldWeight]) -> np.ndarray:
    mixture = initial_mixture(group)
    if mixture is None:
        return np.empty(0)
    return mixture.quantiles((np.arange(OUTLINE) + 0.5) / OUTLINE)
