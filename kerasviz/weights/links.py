"""How two layers talk: the links between their channels that are worth a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe.provenance import provenance
from kerasviz.probe.saving import Kept
from kerasviz.probe.settings import whole
from kerasviz.weights.drawn_channels import NOTHING, checked_pictures, draw_channels
from kerasviz.weights.expansion import expand

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.weights.expanded import ExpandedWeights

FIGURES = ("norm", "sum", "share_positive", "cancellation")


@dataclasses.dataclass(frozen=True, eq=False)
class WeightConnections(Kept):
    """The strongest links between the channels of two layers.

    Args:
        table: A row a link, the strongest first: `source` and `target`, channel numbers; `norm`,
            the L2 norm of the link's map, by which links are ranked; `sum` of the map: what a
            channel that is the same everywhere contributes; `share_positive`, the positive part of
            Σ |map| in [0, 1]; `cancellation`, as `ExpandedWeights.cancellation` has it.
        maps: (links, *window) float32, the weights of each link.
        grid: (targets, sources, *window) the same of every pair of the channels below.
        sources: Channels of the source that a link starts from, the strongest link's first.
        targets: Channels of the target that a link ends in, the strongest link's first.
        source: Address of the layer that is read.
        target: Address of the layer that reads.
        share: Of the squares of all weights that were ranked, the share in these links.
        source_pictures: (sources, *positions, channels) in [0, 1], what excites each; or empty.
        target_pictures: (targets, *positions, channels) the same.
        method: How the weights were expanded.
        diagnosis: What to know before one believes them, or "".
        provenance: Versions, model, time.
    """

    table: pd.DataFrame
    maps: np.ndarray
    grid: np.ndarray
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    source: str
    target: str
    share: float
    source_pictures: np.ndarray
    target_pictures: np.ndarray
    method: str
    diagnosis: str
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return (
            f"WeightConnections({self.source!r} → {self.target!r}, {len(self)} links with "
            f"{self.share:.0%} of the squares)"
        )

    def visualize(
        self,
        model: keras.Model,
        steps: int = 96,
        size: int | None = None,
        seed: int = 0,
        verbose: Any = "auto",
        **settings: Any,
    ) -> WeightConnections:
        """The same links, with a picture of what excites each of their channels.

        All pictures are drawn side by side in one run of `kv.ActivationMaximization`, 64 at most
        at once.

        Args:
            model: The model that the links are of; not altered.
            steps: Gradient steps.
            size: Height and width of a picture; None: what the model declares, 80 where it is open.
            seed: The same seed gives the same pictures.
            verbose: "auto", 0, 1 or 2: Keras's progress bar.
            **settings: Further settings of `kv.ActivationMaximization`.
        """
        names = [f"{self.source}:{channel}" for channel in self.sources]
        names += [f"{self.target}:{channel}" for channel in self.targets]
        found = draw_channels(model, names, steps, size, seed, verbose, settings)
        return self.with_pictures(found[: len(self.sources)], found[len(self.sources) :])

    def with_pictures(self, source_pictures: Any, target_pictures: Any) -> WeightConnections:
        """The same links, with pictures of your own.

        Args:
            source_pictures: (sources, *positions, channels) in [0, 1], in the order of `sources`.
            target_pictures: (targets, *positions, channels), in the order of `targets`.

        Raises:
            InputError: Not one picture a channel, or values outside of [0, 1].
        """
        return dataclasses.replace(
            self,
            source_pictures=checked_pictures(source_pictures, len(self.sources), "sources"),
            target_pictures=checked_pictures(target_pictures, len(self.targets), "targets"),
        )

    def plot(self, **kwargs: Any) -> Figure:
        """The maps with the pictures of both ends; see `kv.plots.weight_connections`."""
        from kerasviz.plots.weight_connections import weight_connections

        return weight_connections(self, **kwargs)


def connections(
    model: keras.Model,
    source: Any,
    target: Any,
    strongest: int = 8,
    examples: Any = None,
    *,
    sources: Sequence[int] | None = None,
    targets: Sequence[int] | None = None,
) -> WeightConnections:
    """The strongest links between the channels of two layers: who excites whom, who inhibits whom.

    A link is the map of one target channel's weights over the positions of one source channel, as
    `kv.weights.expand` gives it across whatever lies between the layers. Links are ranked by the
    L2 norm of their map.

    Args:
        model: Any built Keras 3 model; not altered.
        source: Address, layer object or index of the layer that is read.
        target: The same of the layer that reads, somewhere after it.
        strongest: How many links: where `targets` are named, into each of them; else of all links
            between the two layers. Fewer where there are fewer with weights other than zero.
        examples: None for the linear path; or inputs, over which to average gradients. See
            `kv.weights.expand`.
        sources: Channel numbers of the source to choose from; None: all.
        targets: Channel numbers of the target to choose from; None: all.

    Returns:
        A `WeightConnections`. Nothing is drawn until `visualize` is called.

    Raises:
        AddressError: No such layer.
        InputError: Settings that do not fit.
        MethodError: The target does not depend on the source, or all weights are zero.

    Reference:
        Voss et al., "Visualizing Weights", Distill 2021, "Contextualizing".

    Example:

    ```python
    found = kv.weights.connections(model, "encoder/conv", "block_3/expand", strongest=4)
    print(found.table)
    figure = found.plot()
    ```
    """
    strongest = whole(strongest, "strongest")
    expanded = expand(model, source, target, examples, sources=sources, targets=targets)
    return of_expanded(expanded, strongest, each=targets is not None, known=provenance(model))


def of_expanded(
    expanded: ExpandedWeights, strongest: int, each: bool, known: dict[str, Any]
) -> WeightConnections:
    """The strongest links of expanded weights.

    Args:
        expanded: What `kv.weights.expand` returns.
        strongest: How many.
        each: So many into each target channel, not in all.
        known: The provenance.

    Raises:
        MethodError: All weights are zero.
    """
    norms = np.asarray(expanded.norms, "float64")
    pairs = strongest_pairs(norms, strongest, each)
    if not pairs:
        raise MethodError(
            "Expected links with weights other than zero. Received: none from "
            f"{expanded.source!r} to {expanded.target!r}. See `kv.weights.diagnose`."
        )
    rows = [*dict.fromkeys(row for row, _ in pairs)]
    columns = [*dict.fromkeys(column for _, column in pairs)]
    maps = np.stack([expanded.maps[pair] for pair in pairs])
    squares = np.square(norms)
    return WeightConnections(
        table=link_table(expanded, pairs),
        maps=maps,
        grid=expanded.maps[np.ix_(rows, columns)],
        sources=tuple(int(expanded.sources[column]) for column in columns),
        targets=tuple(int(expanded.targets[row]) for row in rows),
        source=expanded.source,
        target=expanded.target,
        share=float(sum(squares[pair] for pair in pairs) / squares.sum()),
        source_pictures=NOTHING,
        target_pictures=NOTHING,
        method=expanded.method,
        diagnosis=expanded.diagnosis,
        provenance=known,
    )


def strongest_pairs(norms: np.ndarray, strongest: int, each: bool) -> list[tuple[int, int]]:
    """(row, column) of the largest norms above zero, the largest first; the first of equal ones.

    Args:
        norms: (targets, sources).
        strongest: How many.
        each: So many in each row.
    """
    order = np.argsort(-norms, axis=None, kind="stable")
    every = np.stack(np.unravel_index(order, norms.shape), axis=-1).tolist()
    left = dict.fromkeys(range(len(norms)) if each else [-1], strongest)
    found = []
    for row, column in every:
        key = row if each else -1
        if norms[row, column] > 0 and left[key]:
            left[key] -= 1
            found.append((row, column))
    return found


def link_table(expanded: ExpandedWeights, pairs: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """A row a link, as in `WeightConnections.table`."""
    import pandas as pd

    cancellation = np.asarray(expanded.cancellation)
    rows = []
    for row, column in pairs:
        weights = expanded.maps[row, column].astype("float64")
        rows.append(
            (
                int(expanded.sources[column]),
                int(expanded.targets[row]),
                float(np.sqrt(np.square(weights).sum())),
                float(weights.sum()),
                float(np.maximum(weights, 0.0).sum() / np.abs(weights).sum()),
                float(cancellation[row, column]),
            )
        )
    return pd.DataFrame(
        rows,
        columns=["source", "target", *FIGURES],
        index=pd.RangeIndex(1, len(rows) + 1, name="rank"),
    )
