"""Distributions of many tensors, as a table and as histograms."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.probe.histograms import Histograms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasviz.dynamics.statistics import Found


@dataclasses.dataclass(frozen=True, eq=False)
class Distributions(Histograms):
    """How the values of each layer, or of each weight, are distributed.

    Args:
        table: A row an address, as `kv.dynamics.distributions` describes it.
        edges: `(addresses, bins + 1)` edges of the histograms, in the unit of the values.
        counts: `(addresses, bins)` how many values fell between them.
        provenance: Versions, model, time.
    """

    def __repr__(self) -> str:
        return f"Distributions({self.provenance.get('model')!r}, {len(self.table)} addresses)"

    def plot(self, **kwargs: Any) -> Figure:
        """Ridgelines of the histograms; see `kv.plots.distribution_ridges`."""
        from kerasviz.plots.distributions import distribution_ridges

        return distribution_ridges([self], **kwargs)


def gathered(found: dict[str, Found], provenance: dict[str, Any]) -> Distributions:
    """What the statistics of many tensors say."""
    import pandas as pd

    index = pd.Index([*found], name="address")
    table = pd.DataFrame([one.row for one in found.values()], index=index)
    edges = np.stack([one.edges for one in found.values()])
    counts = np.stack([one.counts for one in found.values()])
    return Distributions(table, edges, counts, provenance)
