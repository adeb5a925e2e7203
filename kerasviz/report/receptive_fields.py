"""What the layers of a model can see, as a part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kerasviz.report.section import Section

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.receptive_fields import EffectiveField, ReceptiveFields, UnitFields

READ = (
    "The receptive field of a unit is the part of the input that can change it. Sizes count what "
    "hangs over the border, as published sizes do; the pictures show what is inside. A field is "
    "an upper bound: within it most of the influence comes from near the centre."
)


READ_UNITS = (
    "Each small picture is the gradient of one unit by the input: bright where more of that colour "
    "raises the unit, dark where it lowers it, grey where it does not matter."
)


def receptive_fields_section(
    found: ReceptiveFields,
    image: np.ndarray | None = None,
    layers: list[str] | None = None,
    title: str = "What the layers can see",
    effective: Sequence[EffectiveField] = (),
    units: Sequence[UnitFields] = (),
) -> Section:
    """Fields drawn on a picture, what they mean in words, and the table.

    Args:
        found: What `kv.receptive_fields.ReceptiveFields.measure` returns.
        image: A picture to draw on; None for an empty one.
        layers: Addresses to draw and to list; None draws a few and lists all.
        title: Heading of the section.
        effective: Effective fields of layers, drawn and listed.
        units: Fields of the units of layers, drawn.
    """
    figures: dict[str, Figure | bytes] = {}
    if len(found.axes) == 2 and (layers or found.telling()):
        figures["Receptive fields"] = found.plot(image, layers)
    for field in effective:
        figures[f"What {field.layer} uses"] = field.plot()
    for fields in units:
        figures[f"What the first {len(fields)} units of {fields.layer} answer to"] = fields.plot()
    tables = {"Receptive fields by layer": listed(found, layers)}
    if effective:
        tables["Effective receptive fields"] = effective_table(effective)
    said = [READ, *receptive_fields_in_words(found), *effective_in_words(effective)]
    return Section(
        title,
        text="\n\n".join([*said, READ_UNITS] if units else said),
        figures=figures,
        tables=tables,
        provenance=found.provenance,
    )


def listed(found: ReceptiveFields, layers: list[str] | None = None) -> pd.DataFrame:
    """The rows of these layers, or of those that change what is seen; all columns but `padding`."""
    table = found.table
    dropped = [name for name in table.columns if name.startswith("padding")]
    if layers:
        return table.loc[layers].drop(columns=dropped)
    kept = [column for name in ("size", "stride", "units") for column in found.columns(name)]
    keys = table[[*kept, "reason"]].astype(str)
    return table[(keys != keys.shift()).any(axis=1)].drop(columns=dropped)


def effective_table(effective: Sequence[EffectiveField]) -> pd.DataFrame:
    """A row a layer: what it can see, and the size and share of what it uses."""
    import pandas as pd

    rows = [
        {
            "address": field.layer,
            "can_see": " × ".join(map(str, field.reach)),
            "uses": field.size,
            "share": field.ratio,
            "std": " × ".join(f"{std:.1f}" for std in field.std),
            "cut": "by the border" if field.is_cut else "",
        }
        for field in effective
    ]
    columns = ["address", "can_see", "uses", "share", "std", "cut"]
    return pd.DataFrame(rows, columns=columns).set_index("address")


def effective_in_words(effective: Sequence[EffectiveField]) -> list[str]:
    """How much of what it can see each layer uses."""
    return [
        f"{field.layer}: {field.diagnosis}"
        if field.diagnosis
        else f"{field.layer} uses about {field.size:.3g} positions an axis of the "
        f"{' × '.join(map(str, field.reach))} that it can see of the input ({field.ratio:.0%}), "
        f"measured on {field.source}."
        for field in effective
    ]


def receptive_fields_in_words(found: ReceptiveFields) -> list[str]:
    """Where the whole input comes into sight, how small an object may get lost, what is unknown."""
    said, table = [], found.table
    size = " × ".join(map(str, found.input_size))
    whole = found.seeing(*found.input_size)
    if whole:
        said.append(f"{whole[0]} is the first layer with fields as large as the input ({size}).")
    else:
        said.append(f"No layer has fields as large as the input ({size}).")
    coarse = _coarsest(found)
    if coarse is not None:
        name, strides = coarse
        said.append(
            f"{name} has the coarsest grid: one unit every {' × '.join(f'{s:g}' for s in strides)} "
            "positions. Objects smaller than that share a unit with what is around them."
        )
    unknown = table.index[table["reason"] != ""]
    if len(unknown):
        first: Any = unknown[0]
        said.append(
            f"Not known for {len(unknown)} of {len(table)} layers; {first}: "
            f"{table.loc[first, 'reason']}."
        )
    return said


def _coarsest(found: ReceptiveFields) -> tuple[str, list[float]] | None:
    strides = found.table[found.columns("stride")].dropna()
    if not len(strides):
        return None
    name: Any = strides.prod(axis=1).idxmax()
    return str(name), [float(stride) for stride in strides.loc[name]]
