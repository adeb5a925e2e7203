"""What watchers drew in the epochs of a run: explanation maps and feature pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kerasviz.report.section import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from kerasviz.dynamics.folder import Run
    from kerasviz.dynamics.stacking import Stack

MAPS, PICTURES = "explanations", "pictures"
MOST_EPOCHS, MOST_IMAGES = 6, 4
MAPS_READ = (
    "The maps of the same images as the model learned. Below each epoch stands the rank "
    "correlation (Spearman, mean over all images) with the maps kept before it and with the last "
    "ones: 1 is the same order of places, 0 no relation. Maps that no longer change say that the "
    "explanation has settled, not that it is right."
)
PICTURES_READ = (
    "Each is drawn anew from the same start with the same seed, so that what changes comes from "
    "the model. Few gradient steps show less than many."
)


def growth_sections(run: Run) -> list[Section]:
    """A section of maps, one of pictures, where the run holds such.

    Args:
        run: A run that is open; nothing is written to it.
    """
    kinds = (
        (MAPS, "How explanations changed", MAPS_READ, _map_figure),
        (PICTURES, "How features changed", PICTURES_READ, _picture_figure),
    )
    sections = []
    for kind, title, text, draw in kinds:
        figures = {}
        for name, unit, stack in _stacks(run, kind):
            figure = draw(name, unit, stack)
            if figure is not None:
                figures[f"{name}: {len(stack)} {unit}s are kept"] = figure
        if figures:
            sections.append(Section(title, text=text, figures=figures))
    return sections


def _stacks(run: Run, kind: str) -> list[tuple[str, str, Stack]]:
    """Each name of a kind: over epochs, or over steps where no epoch has it."""
    found: dict[str, tuple[str, Stack]] = {}
    for at in ("epoch", "step"):
        for record in run.records(at):
            for name in record.arrays[kind].shapes if kind in record.arrays else ():
                if name not in found:
                    found[name] = at, run.stack(kind, name, steps=at == "step")
    return [(name, *found[name]) for name in sorted(found)]


def _places(stack: Stack) -> list[int]:
    places = np.linspace(0, len(stack) - 1, min(MOST_EPOCHS, len(stack))).round()
    return [int(place) for place in np.unique(places)]


def _map_figure(name: str, unit: str, stack: Stack) -> Figure | None:
    from kerasviz.dynamics.map_stability import rank_correlation
    from kerasviz.plots.over_epochs import over_epochs

    if any(len(shape) != 3 for shape in stack.shapes) or len(set(stack.shapes)) > 1:
        return None
    last, before, shown, titles, notes = stack[-1], None, [], [], []
    chosen = set(_places(stack))
    for place, maps in enumerate(stack):
        if place in chosen:
            scores = [("with previous", before), ("with last", last)]
            known = [
                f"{score:.2f} {words}"
                for words, other in scores
                if other is not None and not math.isnan(score := rank_correlation(other, maps))
            ]
            notes.append("\n".join(known) or "no score: constant")
            titles.append(f"{unit} {stack.numbers[place]}")
            shown.append(maps[:MOST_IMAGES])
        before = maps
    return over_epochs(shown, titles, title=f"{name} of the same images", notes=notes, is_map=True)


def _picture_figure(name: str, unit: str, stack: Stack) -> Figure | None:
    from kerasviz.plots.over_epochs import over_epochs

    if any(len(shape) != 4 for shape in stack.shapes) or len(set(stack.shapes)) > 1:
        return None
    places = _places(stack)
    titles = [f"{unit} {stack.numbers[place]}" for place in places]
    shown = [np.clip(stack[place][:MOST_IMAGES], 0.0, 1.0) for place in places]
    return over_epochs(shown, titles, title=f"What was looked for: {name}", row="picture")
