"""What `kv.weights.circuit` returns."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.probe.saving import Kept
from kerasviz.weights.drawn_channels import checked_pictures, draw_channels

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, eq=False)
class Circuit(Kept):
    """A channel, the channels that it reads most, and those that they read most.

    Args:
        nodes: A row a channel: `column`, 0 for the earliest layers; `layer`, `channel`. The last
            row is the channel that was asked for.
        links: A row a link, into the asked channel first and the strongest first: `source` and
            `target`, rows of `nodes`; `norm`, `sum`, `share_positive`, `cancellation` as in
            `WeightConnections.table`.
        maps: An array (*window) a link: its weights.
        left_out: Layers that also feed one of the circuit's layers, but were not looked at.
        pictures: (nodes, *positions, channels) in [0, 1], what excites each; or empty.
        method: How the weights were expanded.
        diagnosis: What to know before one believes them, or "".
        provenance: Versions, model, time.
    """

    nodes: pd.DataFrame
    links: pd.DataFrame
    maps: tuple[np.ndarray, ...]
    left_out: tuple[str, ...]
    pictures: np.ndarray
    method: str
    diagnosis: str
    provenance: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """ "layer:channel" of each node."""
        pairs = zip(self.nodes["layer"], self.nodes["channel"], strict=True)
        return tuple(f"{layer}:{channel}" for layer, channel in pairs)

    def __repr__(self) -> str:
        return f"Circuit({self.names[-1]!r}, {len(self.nodes)} channels, {len(self.links)} links)"

    def visualize(
        self,
        model: keras.Model,
        steps: int = 96,
        size: int | None = None,
        seed: int = 0,
        verbose: Any = "auto",
        **settings: Any,
    ) -> Circuit:
        """The same circuit, with a picture of what excites each channel, all drawn side by side.

        Args:
            model: The model that the circuit is of; not altered.
            steps: Gradient steps.
            size: Height and width of a picture; None: what the model declares, 80 where it is open.
            seed: The same seed gives the same pictures.
            verbose: "auto", 0, 1 or 2: Keras's progress bar.
            **settings: Further settings of `kv.ActivationMaximization`.
        """
        return self.with_pictures(
            draw_channels(model, self.names, steps, size, seed, verbose, settings)
        )

    def with_pictures(self, pictures: Any) -> Circuit:
        """The same circuit, with pictures of your own.

        Args:
            pictures: (nodes, *positions, channels) in [0, 1], in the order of `nodes`.

        Raises:
            InputError: Not one picture a node, or values outside of [0, 1].
        """
        checked = checked_pictures(pictures, len(self.nodes), "nodes")
        return dataclasses.replace(self, pictures=checked)

    def plot(self, **kwargs: Any) -> Figure:
        """Columns of pictures with links between them; see `kv.plots.weight_circuit`."""
        from kerasviz.plots.weight_circuit import weight_circuit

        return weight_circuit(self, **kwargs)
