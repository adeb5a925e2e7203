"""What attention weights say and what gates do, as parts of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasviz.plots.reading import number
from kerasviz.report.section import Section

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from kerasviz.attention.gate_statistics import GateStatistics

TELLING = 0.001
WEIGHTS_READ = (
    "Each panel holds the weights of one group. The interval of the mean and the sign test say how "
    "clear a tendency is for these weights; they do not say what another training would give. The "
    "outline is what the initializer alone would have given."
)
HEADS_READ = (
    "Each mark is a head. A head of low entropy looks at few tokens, one of high entropy at all "
    "alike; its distance says how far away from the query they are. Heads that look alike do the "
    "same twice. What a head looks at is not what the answer depends on."
)
GATES_READ = (
    "A gate multiplies features by a factor: near 0 it shuts them out, near 1 it lets them pass. "
    "A gate that does not move from input to input is a constant, whatever it is called."
)


def weights_section(
    values: Mapping[tuple[str, str], np.ndarray],
    table: pd.DataFrame,
    title: str = "What the attention weights say",
    provenance: Mapping[str, Any] | None = None,
) -> Section:
    """The histograms of all groups, what they say in words, and the whole table.

    Args:
        values: What `kv.attention.weights` returns.
        table: What `kv.attention.summarize` returns for the same model and groups.
        title: Heading of the section.
        provenance: Versions, model and time, for the foot of the page.
    """
    from kerasviz.plots.attention_weights import weight_histograms

    return Section(
        title,
        text="\n\n".join([WEIGHTS_READ, *weights_in_words(table)]),
        figures={"Attention weights by group": weight_histograms(values, table)},
        tables={"Statistics of the weights": table},
        provenance=provenance or {},
    )


def weights_in_words(table: pd.DataFrame) -> list[str]:
    """A sentence a row of `kv.attention.summarize`: which way it leans, and how sure that is."""
    return [_leaning(f"{key[0]} {key[1]}", row) for key, row in _rows(table)]


def comparison_section(
    table: pd.DataFrame, title: str = "How the models' attention weights differ"
) -> Section:
    """Who leans where.

    Args:
        table: What `kv.attention.compare` returns.
        title: Heading of the section.
    """
    from kerasviz.plots.attention_weights import weight_comparison

    figures = {"Means with their intervals": weight_comparison(table)}
    return Section(title, figures=figures, tables={"Comparison": table})


def gates_section(found: GateStatistics, title: str = "What the gates do") -> Section:
    """The gates' figure, what is remarkable in words, and the whole table.

    Args:
        found: What `kv.attention.statistics` returns.
        title: Heading of the section.
    """
    return Section(
        title,
        text="\n\n".join([GATES_READ, *gates_in_words(found)]),
        figures={f"Gates over {found.count} inputs": found.plot()},
        tables={"Statistics of the gates": found.table},
        provenance=found.provenance,
    )


def gates_in_words(found: GateStatistics) -> list[str]:
    """What a practitioner would notice about gates: shut, wide open, or deaf to the input."""
    said = []
    table = found.table
    reach = table["high"] - table["low"]
    still = table.index[table["between_inputs"] < 0.01 * reach]
    if len(still) and found.count > 1:
        said.append(
            f"{_listed(still)}: moves by less than 1 % of its reach from input to input. As far as "
            "these inputs tell, it could be a constant."
        )
    for name, what in (("closed", "shut out"), ("open", "passed as if there were no gate")):
        most = table.index[table[name] > 0.5]
        if len(most):
            said.append(f"{_listed(most)}: most values are {what} (more than half {name}).")
    return said


def heads_section(table: pd.DataFrame, title: str = "Where the heads look") -> Section:
    """The heads by depth, how alike they are, and the whole table.

    Args:
        table: What `kv.attention.head_statistics` returns.
        title: Heading of the section.
    """
    from kerasviz.plots.attention_heads import head_similarity, heads_by_depth

    figures = {
        f"{measure.capitalize()} of each head": heads_by_depth(table, measure)
        for measure in ("entropy", "distance")
        if table[measure].notna().any()
    }
    alike = {name: one for name, one in table.attrs["similarity"].items() if len(one) > 1}
    if alike:
        figures["Likeness of heads"] = head_similarity(alike)
    return Section(title, HEADS_READ, figures=figures, tables={"Statistics of heads": table})


def _listed(names: Any) -> str:
    shown = ", ".join(map(str, names[:4]))
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _rows(table: pd.DataFrame) -> list[tuple[Any, Any]]:
    return list(table.iterrows())


def _leaning(name: str, row: Any) -> str:
    if not row["std"] > 0:
        return f"{name}: all {int(row['count'])} weights are {number(row['mean'])}."
    interval = f"[{number(row['mean_low'])}, {number(row['mean_high'])}]"
    way = "leans up" if row["mean_low"] > 0 else "leans down" if row["mean_high"] < 0 else ""
    leaning = (
        f"{way}: mean {number(row['mean'])} {interval}"
        if way
        else (f"leans neither way: mean {number(row['mean'])} {interval}")
    )
    parts = [f"{row['share_positive']:.1%} positive (sign test p = {number(row['sign_test'])})"]
    if row["depth"] == row["depth"] and way:
        parts.append(
            f"(1 + mean)^{int(row['depth'])} = {number(row['compound'])} over the gates in sequence"
        )
    if row["shift_test"] < TELLING:
        parts.append("further from its initializer than chance takes it")
    return f"{name} {leaning}; {'; '.join(parts)}."
