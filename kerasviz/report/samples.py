"""Samples as the template needs them: input, strongest outputs, one card a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasviz.plots.cells import (
    layer_text,
    output_text,
    peak_text,
    scale_ends,
    score_text,
    slices_text,
)
from kerasviz.plots.drawing import is_chart
from kerasviz.plots.overlays import color_bar_picture, input_picture, picture, reduced
from kerasviz.plots.panel import Panel, Row, samples_of
from kerasviz.report.pictures import Image, image_of

LONGEST = 400


@dataclass(frozen=True)
class Output:
    """One of the strongest outputs: its name, value in words, bar length in percent."""

    name: str
    value: str
    share: float


@dataclass(frozen=True)
class Scale:
    """The colour bar and what its two ends mean."""

    bar: Image
    low: str
    high: str


@dataclass(frozen=True)
class Card:
    """One map with its words; `facts` are pairs of a name and a text, none empty."""

    title: str
    image: Image
    scale: Scale | None
    facts: list[tuple[str, str]]
    warning: str
    blank: bool


@dataclass(frozen=True)
class Sample:
    """One sample of the model's input(s)."""

    name: str
    inputs: list[tuple[str, Image]]
    outputs: list[Output] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)

    @property
    def columns(self) -> int:
        """How many cards stand side by side on a wide page: few places shall stay empty."""
        count = len(self.cards)
        return count if count <= 5 else min((5, 4, 3), key=lambda columns: -count % columns)


def samples_from(
    explanations: Sequence[Any], images: Any, names: Sequence[str] | None
) -> list[Sample]:
    """Explanations of the same inputs, by sample."""
    samples = samples_of(explanations, images, names)
    return [_sample([reduced(row, LONGEST) for row in rows]) for rows in samples]


def _sample(rows: list[Row]) -> Sample:
    first = rows[0]
    return Sample(
        name=first.name,
        inputs=[(row.input_name, _input_image(row)) for row in rows],
        outputs=_outputs(first),
        cards=[_card(panel, row) for row in rows for panel in row.panels if panel is not None],
    )


def _input_image(row: Row) -> Image:
    what = f"Input {row.input_name} of {row.name}" if row.input_name else f"Input {row.name}"
    return image_of(input_picture(row), what)


def _outputs(row: Row) -> list[Output]:
    values = np.nan_to_num(np.array([value for _, value in row.top]))
    full = 1.0 if row.probabilities else max(1e-9, float(values.max(initial=0.0)))
    shares = np.clip(100.0 * values / full, 0.0, 100.0)
    return [
        Output(name, output_text(value, row.probabilities), round(float(share), 1))
        for (name, value), share in zip(row.top, shares, strict=True)
    ]


def _card(panel: Panel, row: Row) -> Card:
    return Card(
        title=" · ".join(part for part in (panel.method, panel.input_name) if part),
        image=image_of(picture(panel), _alt(panel, row)),
        scale=_scale(panel),
        facts=[(name, text) for name, text in _facts(panel) if text],
        warning=panel.warning,
        blank=panel.blank,
    )


def _facts(panel: Panel) -> list[tuple[str, str]]:
    return [
        ("Target", panel.target),
        ("Score", score_text(panel).removeprefix("score ")),
        ("Peak", peak_text(panel).removeprefix("peak ")),
        ("Layer", layer_text(panel)),
        ("Reason", panel.layer_reason),
        ("Coverage", panel.coverage),
        ("Slices", slices_text(panel).removeprefix("slices ")),
    ]


def _scale(panel: Panel) -> Scale | None:
    if panel.blank or is_chart(panel.image, panel.map.shape):
        return None
    low, high = scale_ends(panel)
    bar = image_of(color_bar_picture(panel.signed), f"Colour bar from {low} to {high}")
    return Scale(bar, low, high)


def _alt(panel: Panel, row: Row) -> str:
    what = f"{panel.method} of {row.name}" + (f", input {row.input_name}" if row.input_name else "")
    target = f" for {panel.target}" if panel.target else ""
    return f"{what}{target}: {'no map' if panel.blank else _hottest(panel.map)}"


def _hottest(heatmap: np.ndarray) -> str:
    """Where the map is strongest, in words for people who can't see it."""
    place = np.unravel_index(np.abs(heatmap).argmax(), heatmap.shape)
    if heatmap.ndim == 1:
        return f"strongest at position {place[0]} of {heatmap.shape[0]}"
    down, right = ((place[axis] + 0.5) / heatmap.shape[axis] for axis in (-2, -1))
    return f"strongest at {right:.0%} of the width and {down:.0%} of the height"
