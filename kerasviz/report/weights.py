"""What a model's weights say, as parts of a page: what looks unusual first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasviz.report.section import Section

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.weights.depth import WeightsByDepth
    from kerasviz.weights.factors import WeightFactors
    from kerasviz.weights.spread import WeightDistribution

MOST = 10
MOST_FINDINGS = 4
FACTORS_READ = (
    "A colour is a direction of the layer's inputs, the same in all neurons; where a neuron's "
    "window has that colour, it reads that direction. The error is the share of the squares of the "
    "weights that the factors leave unexplained: above a half, most of the kernel is not shown."
)
BANDING_READ = (
    "The index is 1 where the factors of a kernel differ between rows alone (horizontal bands), -1 "
    "where they differ between columns alone, near 0 for noise. The p-value is that of a layer "
    "that prefers neither: rows and columns of each neuron exchanged or not by the toss of a coin."
)
UNUSUAL_READ = (
    "Findings are rules with the thresholds that they name. The ranking says how far a weight lies "
    "from the others of its kind, not that something is wrong with it: some layers are unlike "
    "others for good reasons. The first layer, which reads the input, often is."
)
DEPTH_READ = (
    "A row a layer, from the input on; the number is how many layers with weights lie on the "
    "longest path to it. Each row has a scale of its own."
)
SPREAD_READ = (
    "Normally distributed weights lie on the line of the Q-Q plot. Ends that leave it upwards on "
    "the right and downwards on the left are heavy tails: a few weights far larger than the rest."
)
COMPARED_READ = (
    "A cosine of 1 with a large change is a change of scale alone. A distance near 0 with a large "
    "change means that weights moved but are distributed as before."
)


def unusual_section(
    findings: pd.DataFrame,
    ranking: pd.DataFrame,
    title: str = "Which layers look unusual",
    provenance: Mapping[str, Any] | None = None,
) -> Section:
    """What is wrong, then what stands out, as sentences and tables.

    Args:
        findings: What `kv.weights.diagnose` returns.
        ranking: What `kv.weights.unusual` returns.
        title: Heading of the section.
        provenance: Versions, model and time, for the foot of the page.
    """
    words = [*findings_in_words(findings), *unusual_in_words(ranking)]
    tables = {}
    if len(findings):
        tables["Findings"] = findings.drop(columns="units").set_index("address")
    if len(ranking):
        tables[f"The {min(MOST, len(ranking))} most unusual weights"] = ranking.head(MOST).drop(
            columns="sentence"
        )
    text = "\n\n".join([UNUSUAL_READ, *words])
    return Section(title, text=text, tables=tables, provenance=provenance or {})


def findings_in_words(findings: pd.DataFrame) -> list[str]:
    """How many findings there are of each kind, and the first few of each in full."""
    if not len(findings):
        return [
            "Nothing found: no dead or duplicate filter, no weight that is not finite, none that "
            "looks as its initializer left it, no closed channel of a batch normalization."
        ]
    said = []
    for kind, rows in findings.groupby("finding", sort=False):
        sentences = [*rows["sentence"][:MOST_FINDINGS]]
        more = len(rows) - len(sentences)
        said.append(f"{str(kind)[:1].upper()}{str(kind)[1:]} ({len(rows)}).")
        said += sentences + ([f"… and {more} more of this kind."] if more else [])
    return said


def unusual_in_words(ranking: pd.DataFrame) -> list[str]:
    """The sentences of the most unusual weights; of none, that there is none."""
    chosen = ranking[ranking["unusual"].astype(bool)]
    if not len(chosen):
        return [
            f"None of {len(ranking)} ranked weights stands out among its peers (score above 5)."
        ]
    count = f"{len(chosen)} of {len(ranking)} ranked weights stand out among their peers"
    return [f"{count} (score above 5).", *chosen["sentence"][:MOST]]


def depth_section(found: WeightsByDepth, title: str = "How weights are spread by depth") -> Section:
    """Ridgelines.

    Args:
        found: What `kv.weights.by_depth` returns.
        title: Heading of the section.
    """
    return Section(title, DEPTH_READ, figures={"Weights by depth": found.plot()})


def distribution_section(found: WeightDistribution, title: str) -> Section:
    """Histograms and Q-Q plots of one layer.

    Args:
        found: What `kv.weights.distribution` returns.
        title: Heading of the section, such as the layer's address.
    """
    figures = {f"Weights of {title}": found.plot(title=f"Weights of {title}")}
    return Section(
        title, SPREAD_READ, figures=figures, tables={f"Statistics of {title}": found.table}
    )


def factors_section(found: WeightFactors, title: str) -> Section:
    """The factorized kernel of one layer.

    Args:
        found: What `kv.weights.factorize` returns.
        title: Heading of the section.
    """
    return Section(title, FACTORS_READ, figures={title: found.plot()})


def banding_section(table: pd.DataFrame, title: str = "Bands in the kernels") -> Section:
    """How banded each convolution is, as a figure and a table.

    Args:
        table: What `kv.weights.banding` returns, with a row or more.
        title: Heading of the section.
    """
    from kerasviz.plots.kernel_bands import weight_banding

    return Section(
        title, BANDING_READ, figures={title: weight_banding(table)}, tables={f"{title}, all": table}
    )


def summary_section(table: pd.DataFrame, title: str = "Every weight") -> Section:
    """The whole table.

    Args:
        table: What `kv.weights.summarize` returns.
        title: Heading of the section.
    """
    return Section(title, tables={"Statistics of the weights": table})


def comparison_section(table: pd.DataFrame, title: str = "What changed most") -> Section:
    """The most changed weights as a figure, and all of them as a table.

    Args:
        table: What `kv.weights.compare` returns.
        title: Heading of the section.
    """
    from kerasviz.plots.weights import weight_changes

    figures = {title: weight_changes(table)}
    return Section(title, COMPARED_READ, figures=figures, tables={f"{title}, all weights": table})
