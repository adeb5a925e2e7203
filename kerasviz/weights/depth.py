"""How weights are spread, layer by layer on the way through a model."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe.held_weights import held_weights
from kerasviz.probe.histograms import Histograms
from kerasviz.probe.inputs import check_model
from kerasviz.probe.provenance import provenance
from kerasviz.probe.weight_depths import weight_depths
from kerasviz.weights.chunks import extent, histogram
from kerasviz.weights.moments import described

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 256
SHOWN = ("mean", "std", "skewness", "kurtosis")
ROLE = "kernel"


@dataclasses.dataclass(frozen=True, eq=False)
class WeightsByDepth(Histograms):
    """How the weights of each layer are distributed, in the order of depth.

    Args:
        table: A row a weight, indexed by `address`: `depth`, `count`, `mean`, `std`, `skewness`,
            `kurtosis` as in `kv.weights.summarize`.
        edges: `(weights, 257)` edges of the histograms, from the least to the largest weight.
        counts: `(weights, 256)` how many weights lie between them.
        provenance: Versions, model, time.
    """

    def __repr__(self) -> str:
        return f"WeightsByDepth({self.provenance['model']!r}, {len(self.table)} weights)"

    def plot(self, **kwargs: Any) -> Figure:
        """Ridgelines, a row a weight; see `kv.plots.distribution_ridges`."""
        from kerasviz.plots.distributions import distribution_ridges

        depths = self.table["depth"]
        labels = {
            name: f"{depth:.0f}  {name}" for name, depth in depths.items() if not np.isnan(depth)
        }
        title = f"Weights of {self.provenance['model']}, by depth"
        return distribution_ridges([self], **{"title": title, "labels": labels} | kwargs)


def by_depth(model: keras.Model, role: str = ROLE) -> WeightsByDepth:
    """Read how the weights of one role are distributed in each layer, from first to last.

    Args:
        model: Any built Keras 3 model; not altered. Where it says what it takes it is traced once,
            to count depths; nothing is computed with it.
        role: The variable's name: "kernel", "bias", "gamma"; "kernel" stands for "depthwise_kernel"
            and all that end in it, too.

    Returns:
        A `WeightsByDepth`. The depth of a layer is how many layers with weights lie on the longest
        path to it, itself included; NaN where it can't be known. Those come last, in the order in
        which the model holds them.

    Raises:
        InputError: Not a built Keras model.
        MethodError: No weight has that role, or a layer is quantized.

    Example:

    ```python
    found = kv.weights.by_depth(model)
    figure = found.plot()
    ```
    """
    import pandas as pd

    check_model(model)
    every = held_weights(model)
    chosen = [
        held
        for held in every
        if held.role == role or (role == ROLE and held.role.endswith(f"_{ROLE}"))
    ]
    if not chosen:
        roles = ", ".join(map(repr, dict.fromkeys(held.role for held in every)))
        raise MethodError(
            f"`role` must be the name of weights of '{model.name}'. Received: {role!r}. "
            f"It has {roles or 'no weights'}."
        )
    depths = [math.nan if one is None else float(one) for one in weight_depths(model, chosen)]
    order = np.argsort(depths, kind="stable")
    rows, edges, counts = [], [], []
    for place in order:
        array = chosen[place].view()
        found = described(array)
        rows.append({"depth": depths[place], "count": found["count"]})
        rows[-1] |= {name: found[name] for name in SHOWN}
        edges.append(_edges(array))
        counts.append(histogram(array, edges[-1]))
    index = pd.Index([chosen[place].addresses[0] for place in order], name="address")
    table = pd.DataFrame(rows, index=index)
    return WeightsByDepth(table, np.array(edges), np.array(counts), provenance(model))


def _edges(array: np.ndarray) -> np.ndarray:
    low, high = extent(array)
    if not np.isfinite(low):
        low, high = 0.0, 1.0
    if low == high:
        reach = 0.5 * max(abs(low), 1e-6)
        low, high = low - reach, high + reach
    return np.linspace(low, high, BINS + 1)
