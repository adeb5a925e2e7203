"""What gates did on a data set."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.probe import addresses
from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class GateStatistics(Kept):
    """What each gate did on a data set.

    Arrays have the gate's own axes without the batch, channels last; an axis along which a gate
    does not differ has size 1. A gate of one value a channel has shape (1, 1, channels).

    Args:
        table: A row a gate, by address: `source`, `kind`, `channels` and `positions` (how many
            different values along each), `low` and `high` (bounds of what it can be), `mean` and
            `std` over everything, `between_inputs` (how far a value moves from input to input: the
            root of the mean variance over samples), `between_channels` and `between_positions`
            (std of the means of each; NaN where there is one only), `closed` and `open` (share of
            values in the lowest and in the highest tenth of the bounds).
        means: Address → mean over samples.
        spreads: Address → standard deviation over samples (population).
        closed: Address → share of samples in which the value is closed.
        count: Number of samples.
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    means: dict[str, np.ndarray]
    spreads: dict[str, np.ndarray]
    closed: dict[str, np.ndarray]
    count: int
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"GateStatistics({len(self.table)} gates, {self.count} samples)"

    def per_channel(self, address: str) -> pd.DataFrame:
        """A row a channel: `mean`, `spread` and `closed`, each averaged over positions.

        Raises:
            AddressError: No such gate.
        """
        import pandas as pd

        arrays = [part[self._known(address)] for part in (self.means, self.spreads, self.closed)]
        columns = [array.mean(axis=tuple(range(array.ndim - 1))) for array in arrays]
        table = pd.DataFrame(dict(zip(("mean", "spread", "closed"), columns, strict=True)))
        return table.rename_axis("channel")

    def per_position(self, address: str) -> np.ndarray:
        """(*positions,) mean over channels and samples; axes of size 1 for a gate of channels.

        Raises:
            AddressError: No such gate.
        """
        found: np.ndarray = self.means[self._known(address)].mean(axis=-1)
        return found

    def _known(self, address: str) -> str:
        if address not in self.means:
            raise addresses.not_found(address, list(self.means))
        return address

    def plot(self, **kwargs: Any) -> Figure:
        """The channels of each gate in order, its numbers, and maps of gates that differ by
        position; see `kv.plots.gate_statistics`."""
        from kerasviz.plots.gates import gate_statistics

        return gate_statistics(self.table, self.means, **kwargs)
