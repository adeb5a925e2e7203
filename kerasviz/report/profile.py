"""Where the time of a training step goes, as a part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.report.section import Section

if TYPE_CHECKING:
    import pandas as pd

    from kerasviz.dynamics.timing_result import Profile

READ = (
    "Measured on this machine, with this batch size, from when each operation of the compiled step "
    "ran. Each operation counts for the innermost layer that made it; those fused across layers "
    "count for the convolution or dense layer among them. The backward time of a layer is what its "
    "gradients take, by its weights and by its input."
)
FORWARD_ONLY = "Only the forward pass was measured."


def profile_section(found: Profile, title: str = "Where the time of a step goes") -> Section:
    """Bars a layer, by input size and by number of frozen layers, advice, tables, provenance.

    Args:
        found: What `kv.profile` returns.
        title: Heading of the section.
    """
    figures = {"Time by layer": found.plot()}
    tables = {"Layers": milliseconds(found.table)}
    if found.at:
        figures["Time by input size"] = found.plot_sizes()
        tables["Input sizes"] = milliseconds(found.sizes)
    if found.freezing is not None and len(found.freezing):
        figures["What freezing saves"] = found.plot_freezing()
        tables["Frozen layers"] = milliseconds(found.freezing)
    text = [READ, *([] if found.trains else [FORWARD_ONLY]), *found.advice()]
    return Section(
        title,
        text="\n\n".join(text),
        figures=figures,
        tables=tables,
        provenance={**found.provenance, "method": found.method, "batch size": found.batch_size},
    )


def milliseconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its first column of names or numbers as index and times in milliseconds."""
    times = ("forward", "backward", "total", "loss", "optimizer", "other")
    is_time = [str(name) for name in table if name in times or str(name).endswith("seconds")]
    if "share" in table or "size" in table:
        is_time += ["spread"]
    shown = table.copy()
    for name in is_time:
        shown[name] = 1000 * shown[name]
    names = {name: _renamed(name) for name in is_time}
    return shown.rename(columns=names).set_index(str(table.columns[0]))


def _renamed(name: str) -> str:
    return f"{name.removesuffix('seconds').rstrip('_') or 'step'} (ms)"
