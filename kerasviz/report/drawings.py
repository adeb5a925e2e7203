"""Drawn pictures as the template needs them: one card a picture, curve, settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.plots.histories import history_figure
from kerasviz.plots.pictures import picture_png
from kerasviz.plots.reading import number, size_text
from kerasviz.plots.resizing import shrink
from kerasviz.report.pictures import Image, figure_image, image_of
from kerasviz.report.samples import Card

if TYPE_CHECKING:
    from kerasviz.features.visualization import Visualization

LONGEST = 512


@dataclass(frozen=True)
class Drawing:
    """The pictures of one `Visualization`.

    Args:
        title: The objective.
        cards: One a picture.
        curve: The objective while the pictures were drawn; None when no step was made.
        settings: Pairs of a name and a text.
    """

    title: str
    cards: list[Card]
    curve: Image | None
    settings: list[tuple[str, str]]

    @property
    def columns(self) -> int:
        """How many cards stand side by side on a wide page."""
        return min(4, len(self.cards))


def drawings_from(visualizations: Sequence[Visualization]) -> list[Drawing]:
    """Each visualization with its pictures."""
    return [_drawing(one) for one in visualizations]


def _drawing(found: Visualization) -> Drawing:
    return Drawing(
        title=_title(found),
        cards=[_card(found, index) for index in range(len(found))],
        curve=_curve(found),
        settings=[(_spelled(key), _said(value)) for key, value in found.parameters.items()],
    )


def _title(found: Visualization) -> str:
    return found.names[0] if len(found) == 1 else str(found.parameters.get("objective", "Pictures"))


def _card(found: Visualization, index: int) -> Card:
    name, picture = found.names[index], found.display[index]
    spatial = picture.ndim - 1
    if spatial in (2, 3) and max(picture.shape[:-1]) > LONGEST:
        picture = shrink(picture, LONGEST, spatial)
    facts = [
        ("Value", number(found.values[index])),
        ("While drawn", _rise(found.history[:, index])),
        ("Size", size_text(found.display.shape[1:-1])),
        ("Shown", "three slices through the middle" if spatial == 3 else ""),
    ]
    png = picture_png(picture, opacity=found.opacity)
    return Card(
        title=name,
        image=image_of(png, f"Picture of {name}, value {facts[0][1]}"),
        scale=None,
        facts=[(key, text) for key, text in facts if text],
        warning=found.diagnosis[index],
        blank=False,
    )


def _rise(values: np.ndarray) -> str:
    return f"{number(values[0])} → {number(values[-1])}" if len(values) else ""


def _curve(found: Visualization) -> Image | None:
    if not len(found.history):
        return None
    ends = found.history[[0, -1]].mean(axis=1)
    words = f"The objective at each of {len(found.history)} steps: on average " + _rise(ends)
    return figure_image(history_figure(found.history, found.names), words)


def _spelled(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return number(value) if isinstance(value, float) else str(value)
