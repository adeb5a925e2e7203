"""Figures of what each modality contributes: bars with every sample, and maps on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasviz.errors import InputError
from kerasviz.plots.blending import blend, color_bar
from kerasviz.plots.colors import LINE
from kerasviz.plots.displaying import displayable
from kerasviz.plots.feature_maps import flat, group_colors
from kerasviz.plots.reading import number, shortened, with_spread
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.15
GAP = 0.12
PICTURE = 1.5
CHART = (2.6, 1.9)
TICKS = 0.42
SHADE = 0.35
LOWEST = 0.2


def modalities(
    names: Sequence[str],
    shares: Mapping[str, np.ndarray],
    losses: Mapping[str, np.ndarray],
    *,
    inputs: Mapping[str, np.ndarray] | None = None,
    maps: Mapping[str, np.ndarray] | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Draw a chart per measure, a bar per modality and a dot per sample, above maps of samples.

    Args:
        names: The modalities.
        shares: For each chart's title `(n, modalities)` in [0, 1].
        losses: The same in units of the score.
        inputs: Modality → `(n, *positions, channels)` of the samples to draw.
        maps: Modality → `(n, *positions)`, not below 0, in units of the score. All maps of a sample
            are drawn on one scale, whose end is written below.
        titles: A text per sample to draw.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Values for another number of modalities.
    """
    charts = [(title, values, True) for title, values in shares.items()]
    charts += [(title, values, False) for title, values in losses.items()]
    for title, values, _ in charts:
        if np.ndim(values) != 2 or np.shape(values)[1] != len(names):
            raise InputError(
                f"Each chart must have values (n, {len(names)}), a column per modality. Received: "
                f"{title!r} of shape {np.shape(values)}. Give one for each of {list(names)}."
            )
    maps = maps or {}
    drawn = [name for name in names if name in maps and np.ndim(maps[name]) == 3]
    count = len(maps[drawn[0]]) if drawn else 0
    width = max(
        len(charts) * (CHART[0] + TICKS + GAP) - GAP,
        0.0 if not drawn else count * (PICTURE + GAP) + 0.9,
    )
    words = LINE_HEIGHT if titles is not None else 0.0
    rows = len(drawn) * (PICTURE + GAP) + words + LINE_HEIGHT + 0.3 if drawn else 0.0
    top = MARGIN + LINE_HEIGHT + 0.06
    height = top + CHART[1] + 2 * LINE_HEIGHT + 0.2 + rows
    sheet = Sheet(width + 2 * MARGIN, height)
    for index, (title, values, is_share) in enumerate(charts):
        x = MARGIN + index * (CHART[0] + TICKS + GAP)
        sheet.text(x, MARGIN, shortened(title, 48), fontweight="bold")
        _chart(sheet.axes(x + TICKS, top, *CHART), names, np.asarray(values), is_share)
    if drawn:
        y = top + CHART[1] + 2 * LINE_HEIGHT + 0.2
        _maps(sheet, y, drawn, maps, inputs or {}, titles)
    return sheet.figure


def _chart(axes: Axes, names: Sequence[str], values: np.ndarray, is_share: bool) -> None:
    known = values[np.isfinite(values).all(axis=1)]
    places = np.arange(len(names))
    if len(known):
        means, spread = known.mean(axis=0), known.std(axis=0)
        error = {"ecolor": "black", "capsize": 4, "elinewidth": 1.2}
        colors = group_colors(len(names))
        axes.bar(places, means, 0.62, yerr=spread, color=colors, error_kw=error, zorder=1)
        shift = np.linspace(-0.22, 0.22, len(known)) if len(known) > 1 else np.zeros(1)
        for place in places:
            axes.plot(place + shift, known[:, place], ".", color="black", alpha=SHADE, markersize=3)
        labels = [
            f"{name}\n{mean:.0%} ± {std:.0%}" if is_share else f"{name}\n{with_spread(mean, std)}"
            for name, mean, std in zip(names, means, spread, strict=True)
        ]
    else:
        labels = [f"{name}\nnone" for name in names]
    axes.set_xticks(places, labels, fontsize=8)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.tick_params(axis="y", labelsize=7)
    axes.axhline(0.0, color=LINE, linewidth=0.8)
    if is_share:
        axes.set_ylim(0.0, 1.02)
    axes.spines[["top", "right"]].set_visible(False)


def _maps(
    sheet: Sheet,
    top: float,
    names: Sequence[str],
    maps: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    titles: Sequence[str] | None,
) -> None:
    """A row per modality, a column per sample; the scale of each column below it."""
    words = LINE_HEIGHT if titles is not None else 0.0
    left = MARGIN + 0.9
    for row, name in enumerate(names):
        y = top + words + row * (PICTURE + GAP)
        sheet.text(MARGIN, y + PICTURE / 2 - 0.1, shortened(name, 13), fontweight="bold")
        sheet.text(MARGIN, y + PICTURE / 2 + 0.05, "Grad-CAM", fontsize=7)
    for column in range(len(maps[names[0]])):
        x = left + column * (PICTURE + GAP)
        if titles is not None:
            sheet.text(x, top, shortened(titles[column], 24), fontsize=7)
        peak = max(float(maps[name][column].max()) for name in names)
        for row, name in enumerate(names):
            heat = maps[name][column] / peak if peak > 0 else maps[name][column]
            given = inputs.get(name)
            under = np.full((*heat.shape, 3), 0.5) if given is None else flat(_shown(given[column]))
            axes = sheet.axes(x, top + words + row * (PICTURE + GAP), PICTURE, PICTURE)
            axes.imshow(blend(under, heat, signed=False))
            axes.set(xticks=[], yticks=[])
        y = top + words + len(names) * (PICTURE + GAP) - 0.03
        bar = sheet.axes(x, y, PICTURE, 0.08)
        bar.imshow(color_bar(), aspect="auto")
        bar.set(xticks=[], yticks=[])
        sheet.text(x, y + 0.1, "0" if peak > 0 else "all maps are 0", fontsize=7)
        if peak > 0:
            sheet.text(x + PICTURE, y + 0.1, number(peak), fontsize=7, ha="right")


def _shown(values: np.ndarray) -> np.ndarray:
    """An input in [0, 1]; of a single channel zeros stay black, and do not stretch the scale."""
    array = np.asarray(values, "float64")
    if array.ndim == 3 and array.shape[-1] == 1 and array.min() >= 0 and array.max() > 1:
        low, high = np.percentile(array[array > 0], (1, 99))
        shares = np.clip((array - low) / max(high - low, 1e-12), 0, 1)
        return np.where(array > 0, LOWEST + (1 - LOWEST) * shares, 0.0)
    return displayable(array)
