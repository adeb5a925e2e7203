"""Absorption and emission of channels, as a part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasviz.plots.reading import number
from kerasviz.report.section import Section

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.dynamics.absorption import ChannelGradients

UNEQUAL = 10.0
MOST_SAID = 5
READ = {
    "paper": (
        "Emission counts, for each output channel of a convolution, the gradient that it hands to "
        "each input channel; absorption counts, for each input channel, what it gets from each "
        "output channel. Both sum the same parts, so within a layer their totals are equal."
    ),
    "code": (
        "Absorption is the norm of the gradient that comes to an output channel of a convolution, "
        "emission the norm of what it hands to all input channels together."
    ),
}
COMPARE = (
    "Compare the channels of one layer. Between layers the numbers differ with the number of "
    "positions and the scale of the activations, and say little."
)


def channel_gradients_section(
    found: ChannelGradients, title: str = "What channels absorb and emit"
) -> Section:
    """Box plots, what is remarkable in words, a row a layer, and the provenance.

    Args:
        found: What `kv.dynamics.ChannelGradients.measure` returns.
        title: Heading of the section.
    """
    return Section(
        title,
        text="\n\n".join([READ[found.definition], COMPARE, *channel_gradients_in_words(found)]),
        figures={"Absorption and emission": found.plot()},
        tables={"Layers": by_layer(found)},
        provenance=found.provenance,
    )


def by_layer(found: ChannelGradients) -> pd.DataFrame:
    """A row a layer: how many channels emit, the sum and median of their mean emission, and how
    many times the median the strongest emits and absorbs; NaN where the median is 0."""
    groups = found.table.groupby("layer", sort=False)
    emission, absorption = groups["emission"], groups["absorption"]
    table = emission.agg(["count", "sum", "median"])
    table.columns = ["channels", "emission", "median_emission"]
    table["strongest_emission"] = _times_the_median(emission)
    table["strongest_absorption"] = _times_the_median(absorption)
    return table


def _times_the_median(groups: Any) -> pd.Series:
    median = groups.median()
    return groups.max() / median.where(median > 0)


def channel_gradients_in_words(found: ChannelGradients) -> list[str]:
    """The layers in which one channel stands out most, and those whose channels are idle."""
    table = by_layer(found)
    wide = table[table["strongest_emission"] >= UNEQUAL]
    wide = wide.sort_values("strongest_emission", ascending=False)[:MOST_SAID]
    said = []
    for layer, row in wide.iterrows():
        rows = found.table[found.table["layer"] == layer]
        strongest: Any = rows.set_index("channel")["emission"].idxmax()
        channel = int(strongest)
        times = number(row["strongest_emission"])
        said.append(f"{layer}: channel {channel} emits {times} times the median of its layer.")
    silent = found.table[found.table["emission_max"] == 0].groupby("layer", sort=False).size()
    return said + [f"{layer}: {_idle(count)} on any input." for layer, count in silent.items()]


def _idle(count: int) -> str:
    return "1 channel emits nothing" if count == 1 else f"{count} channels emit nothing"
