"""A training run as parts of a page: what to look at, the curves, the distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasviz.errors import InputError
from kerasviz.report.developing import development_sections
from kerasviz.report.growth import growth_sections
from kerasviz.report.section import Section

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.dynamics.folder import Run

GROUPS = ("weights", "activations", "gradients")
TABLES = ("weights", "activations", "gradients", "updates")
CALM = "No rule of `kv.dynamics.advice` has anything to say about the last epoch."
READS = (
    "Thresholds are rules of thumb. Look at the curve that a sentence comes from before you act on "
    "it: what matters is whether it still moves."
)


def run_sections(run: Run, pages: Mapping[str, str] | None = None) -> list[Section]:
    """What a run says: advice in words with its curves, distributions by epoch, the last numbers.

    Args:
        run: A run that is open; nothing is written to it.
        pages: Address of a layer to the name of the page of its receptive fields, beside this one.

    Returns:
        Sections for `kv.report.write`.

    Raises:
        InputError: Nothing was finished in the run.
    """
    from kerasviz.dynamics.advising import advice, advice_figure

    found = advice(run)
    curves = advice_figure(found)
    manifest = {key: str(value) for key, value in run.manifest.items() if isinstance(value, str)}
    first = Section(
        "What to look at",
        text="\n\n".join([*(one.text for one in found), READS if found else CALM]),
        figures={
            **({"The curves that these sentences come from": curves} if curves else {}),
            **_curves(run),
        },
        tables=_advice_table(found),
        provenance=manifest,
    )
    ridges = {f"Distributions of {group}": run.plot(group) for group in GROUPS if _has(run, group)}
    sections = [first]
    if ridges:
        sections.append(Section("How distributions changed", figures=ridges))
    sections += growth_sections(run)
    sections += development_sections(run, pages)
    tables = {
        f"{name.capitalize()}, last {'epoch' if run.epochs else 'step'}": _table(run, name)
        for name in TABLES
    }
    tables = {caption: table for caption, table in tables.items() if len(table)}
    if len(run.damaged):
        tables["Files that cannot be read"] = run.damaged
    if tables:
        sections.append(Section("The last numbers", tables=tables))
    return sections


def _curves(run: Run) -> dict[str, Figure]:
    """The curves of a run; none of one that holds arrays only.

    Raises:
        InputError: Nothing was finished in the run.
    """
    try:
        return {"How training went": run.plot()}
    except InputError:
        if not run.kinds:
            raise
        return {}


def _advice_table(found: list[Any]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    rows = [
        {
            "rule": one.rule,
            "scalar": one.scalar,
            "value": one.value,
            "threshold": one.threshold,
            "since": f"{one.unit} {one.since}",
        }
        for one in found
    ]
    return {"Where that comes from": pd.DataFrame(rows)} if rows else {}


def _has(run: Run, group: str) -> bool:
    if not run.epochs or "histograms" not in run.kinds:
        return False
    return any(name.startswith(f"{group}/") for name in run.histograms(-1))


def _table(run: Run, name: str) -> pd.DataFrame:
    import pandas as pd

    from kerasviz.dynamics.reading import table_of

    if any(str(column).startswith(f"{name}/") for column in run.scalars.columns):
        return run.table(name, -1)
    last = run.step_scalars.tail(1).dropna(axis=1)
    if not any(str(column).startswith(f"{name}/") for column in last.columns):
        return pd.DataFrame()
    return table_of(last, name).droplevel(0)
