"""A comparison of initializers, as a part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.report.section import Section

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.dynamics.comparison_result import Comparison

READ = (
    "The same model, trained from several initializers. A claim holds where the interval over the "
    "seeds lies on its side: |mean| / std of a weight below 0.1, ln of the ratio of its variances "
    "after and before training above 0, the slope of ln(variance of features) over depth above 0."
)
FEW = "With one seed there are no intervals, so that no claim can hold."


def initializers_section(
    found: Comparison, title: str = "What initializers leave behind"
) -> Section:
    """What holds in words, the histograms of the first seed, the findings, how training went.

    Args:
        found: What `kv.dynamics.compare_initializers` returns.
        title: Heading of the section.
    """
    few = [FEW] if len(found.seeds) < 2 else []
    return Section(
        title,
        text="\n\n".join([READ, *few, *found.words()]),
        figures={"Weights": found.plot("weights"), "Features": found.plot("features")},
        tables={"Findings": found.findings(), "Last epoch, mean over seeds": last_epoch(found)},
        provenance=found.provenance,
    )


def last_epoch(found: Comparison) -> pd.DataFrame:
    """A row an initializer: what was measured in the last epoch, the mean over the seeds."""
    table = found.training
    table = table[table["epoch"] == table["epoch"].max()].drop(columns=["seed", "epoch"])
    return table.groupby("initializer", sort=False).mean()
