"""One map of one sample for one input, with the words that belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.plots.reading import blank_reason, color_limit


@dataclass(frozen=True, eq=False)
class Panel:
    """What is drawn in one cell, and written under it.

    Args:
        method: Name of the method; `""` for a bare map.
        input_name: Name of the model's input; `""` when it has one.
        image: The input or its display image, one sample.
        map: `(*spatial,)` in [0, 1], or [-1, 1] when signed.
        signed: Whether 0 is the middle of the colour scale.
        peak: Raw value of 1.0.
        target: Name of what was explained.
        score: The explained score.
        score_kind: What the score is.
        layer: Address of the explained layer, or `""`.
        resolution: Spatial size of that layer, or None.
        layer_reason: Why that layer.
        coverage: What was rewritten.
        diagnosis: Cause of an unusable map and what to try, or `""`.
    """

    method: str
    input_name: str
    image: np.ndarray
    map: np.ndarray
    signed: bool
    peak: float | None = None
    target: str = ""
    score: float | None = None
    score_kind: str = ""
    layer: str = ""
    resolution: tuple[int | None, ...] | None = None
    layer_reason: str = ""
    coverage: str = ""
    diagnosis: str = ""

    @property
    def blank(self) -> bool:
        """Whether the map would make a misleading picture and is not drawn."""
        return bool(blank_reason(self.map))

    @property
    def warning(self) -> str:
        """The diagnosis, or, for a blank map without one, what can be seen from its values."""
        return self.diagnosis or blank_reason(self.map)

    @property
    def limit(self) -> float:
        """The share of the peak at which colours saturate."""
        return color_limit(self.map)


@dataclass(frozen=True, eq=False)
class Row:
    """One input of one sample, and the panels of all methods for it (None where one has none).

    Args:
        name: Name of the sample.
        input_name: Name of the model's input; `""` when it has one.
        image: The input or its display image.
        spatial: Shape of the maps, without batch.
        top: `(name, output)` of the strongest outputs; empty for all but a sample's first row.
        probabilities: Whether all the model's outputs lie in [0, 1].
        panels: One an explanation.
    """

    name: str
    input_name: str
    image: np.ndarray
    spatial: tuple[int, ...]
    top: list[tuple[str, float]]
    probabilities: bool
    panels: list[Panel | None]


def samples_of(
    explanations: Sequence[Any],
    images: Any = None,
    names: Sequence[str] | None = None,
    max_images: int | None = None,
) -> list[list[Row]]:
    """Arrange explanations of the same inputs by sample, and within a sample by input.

    Args:
        explanations: `Explanation`s of the same samples.
        images: Display images, one a sample (a dict of those for several inputs), or None.
        names: One name a sample, or None for "sample 1" and so on.
        max_images: How many samples, from the first; None for all.

    Returns:
        For each sample its rows.

    Raises:
        InputError: When the explanations, images or names don't belong together.
    """
    count = _check_same_samples(explanations, images is not None)
    _check_count("names", names, count)
    _check_images(explanations[0], images, count)
    tops = explanations[0].top()
    titles = names or [f"sample {index + 1}" for index in range(count)]
    return [
        _rows(explanations, images, index, str(titles[index]), tops[index])
        for index in range(count if max_images is None else min(count, max_images))
    ]


def scale_of(heatmap: np.ndarray) -> float:
    """The largest magnitude of a map, so that maps that were not scaled to 1 are drawn in full."""
    largest = float(np.abs(heatmap).max(initial=0.0))
    return largest if np.isfinite(largest) and largest > 0.0 else 1.0


def of_input(value: Any, name: str) -> Any:
    """The part of a field that belongs to one input: fields may be dicts by input name."""
    return value.get(name) if isinstance(value, Mapping) else value


def _rows(
    explanations: Sequence[Any], images: Any, index: int, title: str, top: list[tuple[str, float]]
) -> list[Row]:
    rows: list[Row] = []
    for name in _input_names(explanations):
        image = _image_of(explanations, images, name, index)
        panels = [_panel(explanation, name, image, index) for explanation in explanations]
        spatial = next(panel.map.shape for panel in panels if panel is not None)
        shown = [] if rows else top
        rows.append(Row(title, name, image, spatial, shown, _probable(explanations[0]), panels))
    return rows


def _probable(explanation: Any) -> bool:
    outputs = explanation.predictions
    return outputs is not None and bool(((outputs >= 0.0) & (outputs <= 1.0)).all())


def _input_names(explanations: Sequence[Any]) -> list[str]:
    names: dict[str, None] = {}
    for explanation in explanations:
        names |= dict.fromkeys(explanation.maps if isinstance(explanation.maps, Mapping) else [""])
    return list(names)


def _image_of(explanations: Sequence[Any], images: Any, name: str, index: int) -> np.ndarray:
    given = of_input(images, name)
    if given is None:
        holders = [item for item in explanations if of_input(item.maps, name) is not None]
        given = of_input(holders[0].inputs, name)
    return np.asarray(given[index])


def _panel(explanation: Any, name: str, image: np.ndarray, index: int) -> Panel | None:
    maps = of_input(explanation.maps, name)
    if maps is None or isinstance(explanation.maps, Mapping) != bool(name):
        return None
    scale = scale_of(maps[index])
    return Panel(
        method=explanation.method,
        input_name=name,
        image=image,
        map=np.asarray(maps[index]) / scale,
        signed=bool(explanation.parameters.get("signed", False) or (maps < 0).any()),
        peak=float(of_input(explanation.peaks, name)[index]) * scale,
        target=explanation.target_names[index],
        score=float(explanation.scores[index]),
        score_kind=explanation.score_kind,
        layer=of_input(explanation.layer, name) or "",
        resolution=of_input(explanation.resolution, name),
        layer_reason=explanation.layer_reason,
        coverage=explanation.coverage,
        diagnosis=explanation.diagnosis[index],
    )


def _check_images(explanation: Any, images: Any, count: int) -> None:
    several = isinstance(explanation.maps, Mapping)
    if images is not None and isinstance(images, Mapping) != several:
        raise InputError(
            f"`images` must be {'a dict by input name' if several else 'one sequence of images'}, "
            f"as the model's inputs are. Received: {type(images).__name__}. "
            "Pass the images in the structure of the inputs."
        )
    for given in images.values() if isinstance(images, Mapping) else [images]:
        _check_count("images", given, count)


def _check_count(name: str, given: Sequence[Any] | None, count: int) -> None:
    if given is not None and len(given) != count:
        raise InputError(
            f"`{name}` must have one entry a sample: {count}. Received: {len(given)}. "
            "Give them in the order of the explained inputs."
        )


def _check_same_samples(explanations: Sequence[Any], has_images: bool) -> int:
    if not explanations or not len(explanations[0]):
        raise InputError(
            "`explanations` must hold at least one explained sample. Received: none. "
            "Pass what `explain` returned."
        )
    first = explanations[0]
    for other in explanations[1:]:
        _check_same_count(first, other)
        if not has_images and not _same(first.inputs, other.inputs):
            raise InputError(
                "`explanations` must explain the same inputs to stand side by side. "
                f"Received: {first.method} and {other.method} of different inputs. "
                "Pass `images` to show if only their preprocessing differs, or show them apart."
            )
    return len(first)


def _check_same_count(first: Any, other: Any) -> None:
    if len(first) != len(other):
        raise InputError(
            "`explanations` must explain the same samples to stand side by side. Received: "
            f"{len(first)} of {first.method} and {len(other)} of {other.method}. "
            "Slice the longer one, or show them apart."
        )


def _same(first: Any, other: Any) -> bool:
    if isinstance(first, Mapping) != isinstance(other, Mapping):
        return False
    if isinstance(first, Mapping):
        return first.keys() == other.keys() and all(_same(first[k], other[k]) for k in first)
    numeric = np.asarray(first).dtype.kind in "fc"
    return bool(np.array_equal(first, other, equal_nan=numeric))
