"""Distributions of many tensors, as a table and as histograms."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import AddressError
from kerasviz.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.dynamics.statistics import Found


@dataclasses.dataclass(frozen=True, eq=False)
class Distributions:
    """How the values of each layer, or of each weight, are distributed.

    Args:
        table: A row an address, as `kv.dynamics.distributions` describes it.
        edges: `(addresses, bins + 1)` edges of the histograms, in the unit of the values.
        counts: `(addresses, bins)` how many values fell between them.
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    edges: np.ndarray
    counts: np.ndarray
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"Distributions({self.provenance.get('model')!r}, {len(self.table)} addresses)"

    @property
    def addresses(self) -> list[str]:
        """What was measured, in order."""
        return [*map(str, self.table.index)]

    def histogram(self, address: str) -> tuple[np.ndarray, np.ndarray]:
        """Edges `(bins + 1,)` and counts `(bins,)` of one address.

        Raises:
            AddressError: It was not measured.
        """
        if address not in self.table.index:
            raise AddressError(
                f"`address` must be one of {self.addresses}. Received: {address!r}. "
                "See `table.index`."
            )
        place = self.addresses.index(address)
        return self.edges[place], self.counts[place]

    def plot(self, **kwargs: Any) -> Figure:
        """Ridgelines of the histograms; see `kv.plots.distribution_ridges`."""
        from kerasviz.plots.distributions import distribution_ridges

        return distribution_ridges([self], **kwargs)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as plain arrays that `numpy.savez` keeps without pickle."""
        return {
            "addresses": np.array(self.addresses, dtype=str),
            "columns": np.array([*map(str, self.table.columns)], dtype=str),
            "values": self.table.to_numpy("float64"),
            "edges": self.edges,
            "counts": self.counts,
            "provenance": np.array(json.dumps(self.provenance)),
        }

    @classmethod
    def from_arrays(cls, arrays: Any) -> Distributions:
        """The result whose `arrays` these are."""
        import pandas as pd

        index = pd.Index(arrays["addresses"].tolist(), name="address")
        table = pd.DataFrame(arrays["values"], index=index, columns=arrays["columns"].tolist())
        provenance = json.loads(str(arrays["provenance"]))
        return cls(table, arrays["edges"], arrays["counts"], provenance)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an `.npz` file, whole or not at all.

        Raises:
            OutputError: The file can't be written.
        """
        arrays: dict[str, Any] = self.arrays()
        return write_atomically(path, lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Distributions:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls.from_arrays(dict(arrays))


def gathered(found: dict[str, Found], provenance: dict[str, Any]) -> Distributions:
    """What the statistics of many tensors say."""
    import pandas as pd

    index = pd.Index([*found], name="address")
    table = pd.DataFrame([one.row for one in found.values()], index=index)
    edges = np.stack([one.edges for one in found.values()])
    counts = np.stack([one.counts for one in found.values()])
    return Distributions(table, edges, counts, provenance)
