"""What a comparison of initializers measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.dynamics.distribution_result import Distributions


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """Distributions of many tensors in many runs.

    Args:
        table: A row a distribution: `initializer`, `seed`, `trained`, for features `inputs`,
            `layer`, and the columns of `kv.dynamics.distributions`.
        edges: `(rows, bins + 1)` edges of the histograms.
        counts: `(rows, bins)` how many values fell between them.
    """

    table: pd.DataFrame
    edges: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[tuple[dict[str, Any], Distributions]]) -> Measured:
        """Rows of what each part says, under its labels."""
        import pandas as pd

        rows = [
            {**labels, "layer": str(address), **row}
            for labels, found in parts
            for address, row in zip(found.addresses, found.table.to_dict("records"), strict=True)
        ]
        edges = np.concatenate([found.edges for _, found in parts])
        counts = np.concatenate([found.counts for _, found in parts])
        return cls(pd.DataFrame(rows), edges, counts)


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Weights and features of models before and after training from several initializers.

    Args:
        weights: Of each chosen weight.
        features: Of each chosen layer, on each kind of input.
        training: A row a run and epoch: `initializer`, `seed`, `epoch`, what `fit` measured, and
            in the last epoch of each run what `evaluate` measured on the validation data, as
            `val_loss` and so on.
        initializers: Names.
        seeds: Seeds.
        groups: Name of a group of layers → their addresses, in order of depth.
        provenance: Versions, settings, time.
    """

    weights: Measured
    features: Measured
    training: pd.DataFrame
    initializers: tuple[str, ...]
    seeds: tuple[int, ...]
    groups: dict[str, tuple[str, ...]]
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        epochs = self.provenance.get("epochs")
        return f"Comparison({[*self.initializers]}, {len(self.seeds)} seeds, {epochs} epochs)"

    def findings(self, confidence: float = 0.95) -> pd.DataFrame:
        """Three claims about training, with effects and intervals over the seeds.

        - "weight mean near 0": |mean| / std of each weight after training; holds below 0.1;
        - "weight variance grows": ln(variance after / before training) of each weight; holds
          above 0;
        - "feature variance grows with depth": slope of ln(variance) over the place of the layer
          in its group, after training, for each kind of input; holds above 0.

        Args:
            confidence: Of the intervals, in (0, 1).

        Returns:
            DataFrame: `finding`, `initializer`, `group` and `inputs` (of features), `layer` (of
            weights; "all layers" has the worst of them), `estimate` (mean over seeds), `low` and
            `high` (Student's t interval of that mean; NaN for one seed), `before` (the same effect
            before training, where there is such), `seeds` (how many), `holds`: "yes" where the
            interval lies on the claim's side, "no" where it lies on the other, "unclear" where it
            holds the border or there is none, "undefined" where a variance is 0 or
            values are not finite.

        Raises:
            InputError: A confidence outside of (0, 1).
        """
        from kerasviz.dynamics.comparison_findings import findings

        return findings(self, confidence)

    def words(self, confidence: float = 0.95) -> list[str]:
        """A sentence a claim: for which initializers it holds here, and for which it does not."""
        from kerasviz.dynamics.comparison_findings import words

        return words(self.findings(confidence))

    def plot(self, kind: str = "features", seed: int | None = None, **kwargs: Any) -> Figure:
        """Histograms: a row an initializer, a column a kind of input, before and after training.

        Args:
            kind: "features" or "weights".
            seed: Which run; None: the first.
            **kwargs: `title` of `kv.plots.initializer_histograms`.

        Raises:
            InputError: No such kind or seed.
        """
        from kerasviz.plots.initializers import initializer_histograms

        if kind not in ("features", "weights"):
            raise InputError(
                f'`kind` must be "features" or "weights". Received: {kind!r}. Choose one of them.'
            )
        seed = self.seeds[0] if seed is None else seed
        if seed not in self.seeds:
            raise InputError(
                f"`seed` must be one of {[*self.seeds]}. Received: {seed!r}. Choose one of them."
            )
        measured = self.features if kind == "features" else self.weights
        rows = np.flatnonzero(measured.table["seed"] == seed)
        table = measured.table.iloc[rows].reset_index(drop=True)
        named = {"title": f"{kind.capitalize()} before and after training, seed {seed}"} | kwargs
        return initializer_histograms(table, measured.edges[rows], measured.counts[rows], **named)
