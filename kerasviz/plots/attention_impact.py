"""Figures of the impact simulator: pictures on one colour scale, growth from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, colormap_for
from kerasviz.plots.reading import number, shortened, with_spread
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.2
SIDE = 2.6
GAP = 0.25
BAR = 0.14
TICKS = 0.75
CURVES = 3.4
HEADING = 0.5
WORDS = 3.6 * LINE_HEIGHT
ORIGINAL = {"depth": 11, "size": 50, "kernel": [0.0, 0.05], "layer_bias": [0.0, 0.05]}
ORIGINAL_CAP = 4000.0
CNN_LIMITS = (0.0, 2.0)
PERCENTILE = 98.0
LOWEST_BAND = 30.0
COLORS = ("#56606b", "#d55e00", "#0072b2", "#009e73", "#cc79a7")
MARKS = ("o", "s", "^", "D", "v")


def simulations(
    shown: Sequence[Any], *, limits: tuple[float, float] | None = None, seed: int | None = None
) -> Figure:
    """Draw what each network made of the image, and how the mean grew from layer to layer.

    Args:
        shown: `Simulation`s of one kind, from left to right.
        limits: Lowest and highest value of the colour scale that all pictures share. None: 0 to
            2 for the CNN; 0 to 4000 for the original dense network, else to the 98th percentile.
        seed: Whose pictures; None for the first.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Simulations of several kinds, or limits or a seed that fit none.
    """
    _check(shown)
    pictures = [_picture(one, seed) for one in shown]
    low, high = _limits(shown, pictures) if limits is None else _checked_limits(limits)
    left = MARGIN + len(shown) * (SIDE + GAP)
    across = left + BAR + TICKS + CURVES + MARGIN
    sheet = Sheet(across, HEADING + SIDE + WORDS + 2 * MARGIN)
    sheet.text(MARGIN, MARGIN, _title(shown), fontsize=11, fontweight="bold")
    sheet.text(MARGIN, MARGIN + 0.22, _subtitle(shown), color=LINE)
    top = MARGIN + HEADING
    norm, colors = Normalize(low, high), colormap_for(signed=False)
    names = _names(shown)
    for column, (one, picture) in enumerate(zip(shown, pictures, strict=True)):
        x = MARGIN + column * (SIDE + GAP)
        axes = sheet.axes(x, top, SIDE, SIDE)
        finite = np.clip(picture, None, 2.0 * max(high, 1.0))
        axes.imshow(finite, norm=norm, cmap=colors, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        words = [names[column], *_words(one, picture, high, seed)]
        for line, text in enumerate(words):
            style = {"fontweight": "bold"} if line == 0 else {}
            sheet.text(x, top + SIDE + 0.06 + line * LINE_HEIGHT, text, **style)
    _color_bar(sheet, left - GAP / 2, top, norm, pictures)
    _curves(
        sheet.axes(across - MARGIN - CURVES + 0.45, top + 0.1, CURVES - 0.45, SIDE - 0.4),
        shown,
        names,
    )
    return sheet.figure


def _title(shown: Sequence[Any]) -> str:
    kind = "dense layers" if shown[-1].kind == "dense" else "convolutions"
    last = shown[-1]
    if len(shown) != 2 or last.baseline is not shown[0]:
        return f"Activations after random {kind}"
    if last.diagnosis or last.baseline.diagnosis:
        return f"Activations after random {kind}"
    ratio = number(float(np.mean(last.ratios)))
    expected = number(last.expected_ratio)
    return f"Attention multiplies the mean after random {kind} by {ratio} (expected {expected})"


def _subtitle(shown: Sequence[Any]) -> str:
    found = shown[-1].parameters
    text = f"{found['depth']} layers, {found['size']} × {found['size']}"
    if "filters" in found:
        text += f", {found['filters']} filters"
    if sum(one.attention for one in shown) == 1:
        text += f", {_attention(next(one for one in shown if one.attention))}"
    return text


def _attention(one: Any) -> str:
    pairs = [(name, *one.parameters[name]) for name in ("multiplier", "bias")]
    return ", ".join(f"{name} {mean:.4g} (std {std:.3g})" for name, mean, std in pairs)


def _names(shown: Sequence[Any]) -> list[str]:
    """With and without attention; the group of a model; several by their distributions."""
    several = sum(one.attention for one in shown) > 1
    names = []
    for one in shown:
        name = "with attention" if one.attention else "without attention"
        if one.attention and "group" in one.provenance:
            name = f"attention of {shortened(one.provenance['group'], 28)}"
        elif one.attention and several:
            (factor, _), (offset, _) = one.parameters["multiplier"], one.parameters["bias"]
            name = f"with attention × {factor:.4g} {offset:+.3g}"
        names.append(name)
    return names


def _words(one: Any, picture: np.ndarray, high: float, seed: int | None) -> list[str]:
    seeds = f"{len(one.seeds)} seeds" if len(one.seeds) > 1 else "1 seed"
    above = float(np.mean(picture > high))
    number_of_seed = one.seeds[0] if seed is None else seed
    capped = f", {above:.1%} above the scale" if above else ""
    if one.diagnosis:
        capped = ": beyond float32" if np.isinf(picture).any() else ": all zero"
    return [
        f"mean {with_spread(one.mean, one.std)} ({seeds})",
        f"expected {with_spread(one.expected, one.expected_std)}",
        f"seed {number_of_seed}{capped}",
    ]


def _color_bar(
    sheet: Sheet, x: float, y: float, norm: Normalize, pictures: Sequence[np.ndarray]
) -> None:
    axes = sheet.axes(x, y, BAR, SIDE)
    above = any(bool((picture > norm.vmax).any()) for picture in pictures)
    below = any(bool((picture < norm.vmin).any()) for picture in pictures)
    extend = {(True, True): "both", (True, False): "max", (False, True): "min"}
    bar = sheet.figure.colorbar(
        ScalarMappable(norm, colormap_for(signed=False)),
        cax=axes,
        extend=extend.get((above, below), "neither"),
        extendfrac=0.03,
    )
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_linewidth(0.5)


def _curves(axes: Axes, shown: Sequence[Any], names: Sequence[str]) -> None:
    """Expected means with a band of one standard deviation, measured ones as points."""
    for one, name, color, mark in zip(shown, names, COLORS, MARKS, strict=False):
        layers = np.arange(1, len(one.expected_layers) + 1)
        middle, spread = one.expected_layers, one.expected_layer_stds
        finite = np.isfinite(middle) & np.isfinite(spread)
        layers, middle, spread = layers[finite], middle[finite], spread[finite]
        axes.plot(layers, middle, color=color, linewidth=1.0)
        low = np.maximum(middle - spread, middle / LOWEST_BAND)
        axes.fill_between(layers, low, middle + spread, color=color, alpha=0.25, linewidth=0)
        measured = one.layer_means.mean(axis=0)
        measured[~np.isfinite(measured)] = np.nan
        points = np.arange(1, len(measured) + 1)
        axes.plot(points, measured, mark, color=color, markersize=4, label=name)
    if shown[0].kind == "dense":
        axes.set_yscale("log")
    axes.set_xlabel("layer", fontsize=8, labelpad=1)
    axes.set_title("mean activation: measured (points), expected ± std", fontsize=8, loc="left")
    axes.tick_params(labelsize=8, length=2, which="both")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    below: dict[str, Any] = {
        "loc": "upper left",
        "bbox_to_anchor": (-0.12, -0.12),
        "borderaxespad": 0.0,
    }
    axes.legend(fontsize=8, frameon=False, **below)


def _picture(one: Any, seed: int | None) -> np.ndarray:
    if seed is not None and seed not in one.seeds:
        raise InputError(f"`seed` must be one of {list(one.seeds)}. Received: {seed!r}.")
    return np.asarray(one.images[0 if seed is None else one.seeds.index(seed)], np.float64)


def _limits(shown: Sequence[Any], pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    if shown[0].kind == "cnn":
        return CNN_LIMITS
    if all(ORIGINAL.items() <= one.parameters.items() for one in shown):
        return 0.0, ORIGINAL_CAP
    finite = [picture[np.isfinite(picture)] for picture in pictures]
    top = max((float(np.percentile(f, PERCENTILE)) for f in finite if f.size), default=0.0)
    return 0.0, rounded_up(top) if top > 0.0 else 1.0


def rounded_up(value: float) -> float:
    """The next number of one significant digit."""
    unit = 10.0 ** np.floor(np.log10(value))
    return float(np.ceil(value / unit) * unit)


def _check(shown: Sequence[Any]) -> None:
    kinds = {one.kind for one in shown}
    if len(kinds) != 1 or len(shown) > len(COLORS):
        raise InputError(
            f"Expected one to {len(COLORS)} simulations of one kind. Received: {len(shown)} of "
            f"{sorted(kinds)}. Draw the others apart."
        )


def _checked_limits(limits: Any) -> tuple[float, float]:
    low, high = (float(value) for value in limits)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"`limits` must be two finite numbers, ascending. Received: {limits!r}.")
    return low, high
