"""A study of receptive fields, as a part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.plots.rose import orientations
from kerasviz.report.section import Section

if TYPE_CHECKING:
    from kerasviz.studies.field_study_result import FieldStudy

READ = (
    "Variants of one small network, trained on the same pictures. A field is the gradient of the "
    "unit in the middle of a channel by {}. orientation_std is 0 for round fields; a "
    "finding holds where the interval over the seeds lies on its side of 0. A setting decides the "
    "share of the variance that lies between its variants, not between seeds."
)
FEW = "With one seed there are no intervals, so that no finding can hold."


def field_study_section(found: FieldStudy, title: str = "What shapes receptive fields") -> Section:
    """What holds in words, the fields of each layer from the first seed, types and accuracy.

    Args:
        found: What `kv.studies.receptive_fields` returns.
        title: Heading of the section.
    """
    few = [FEW] if len(found.seeds) < 2 else []
    samples = found.provenance.get("samples")
    picture = f"each of {samples} pictures of noise, on average" if samples else "a grey picture"
    fields = {layer.capitalize(): found.plot(layer) for layer in found.layers}
    tables = {"Findings": found.findings(), "What decides": found.factors()}
    return Section(
        title,
        text="\n\n".join([READ.format(picture), *few, *found.words()]),
        figures={
            "Variants": found.plot_variants(),
            **fields,
            "Orientations": orientations(found.table),
        },
        tables={"Variants": found.summary()} | {k: v for k, v in tables.items() if len(v)},
        provenance=found.provenance,
    )
