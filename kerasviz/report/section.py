"""A part of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.attribution.explanation import Explanation
    from kerasviz.features.visualization import Visualization


@dataclass(frozen=True, eq=False)
class Section:
    """A titled part of a page: text, figures, tables, explained samples, drawn pictures.

    Args:
        title: Heading of the section.
        text: Plain text; an empty line starts a paragraph.
        figures: Caption to figure: a matplotlib `Figure`, or the bytes of a PNG file.
        tables: Caption to pandas table.
        explanations: Explanations of the same inputs, shown side by side.
        images: Pictures to show instead of the preprocessed inputs, one a sample (a dict of
            those by input name for a model with several inputs).
        names: One name a sample, such as its file name.
        visualizations: What activation maximization drew.
        provenance: Versions, model and time of what the figures and tables show.
        links: Words to the name of a page that stands beside this one.
    """

    title: str
    text: str = ""
    figures: Mapping[str, Figure | bytes] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    explanations: Sequence[Explanation] = ()
    images: Any = None
    names: Sequence[str] | None = None
    visualizations: Sequence[Visualization] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
