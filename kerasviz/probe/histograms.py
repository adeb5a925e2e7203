"""Distributions of many tensors: a table, and a histogram each."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import AddressError
from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True, eq=False)
class Histograms(Kept):
    """A row and a histogram an address.

    Args:
        table: A row an address.
        edges: `(addresses, bins + 1)` edges of the histograms, in the unit of the values.
        counts: `(addresses, bins)` how many values lie between them.
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    edges: np.ndarray
    counts: np.ndarray
    provenance: dict[str, Any]

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
