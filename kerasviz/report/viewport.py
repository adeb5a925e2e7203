"""Detection by distance and decoding by layer, as a part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.report.section import Section

if TYPE_CHECKING:
    from kerasviz.studies.viewport_result import Viewport

READ = (
    "Each picture was put into frames at several distances and positions. Above: how often its "
    "class is still named. Below: how well its position and distance are read from each layer by "
    "a linear map that was learned from other pictures; R² of 1 is exact, 0 no better than the "
    "mean. Global means have no positions left: what they still tell comes from the border."
)
BEWARE = (
    "Shrinking takes fine detail away along with size, so that a class that hangs on texture is "
    "lost sooner than an object's outline. The edge of a pasted square is a cue that no real "
    "object has. The intervals know of the pictures shown, and of no others."
)


def viewport_section(found: Viewport, title: str = "How far, and where") -> Section:
    """Curves, what they say in words, and both tables.

    Args:
        found: What `kv.studies.viewport` returns.
        title: Heading of the section.
    """
    return Section(
        title,
        text="\n\n".join([READ, *found.words(), BEWARE]),
        figures={"Viewport": found.plot()},
        tables={"Detection": found.detection, "Decoding": found.decoding},
        provenance=found.provenance,
    )
