"""Figures of the expectation over settings: a heat map with its limits, or a curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from kerasviz.errors import InputError
from kerasviz.plots.attention_impact import COLORS
from kerasviz.plots.colors import LINE, SIGNED, colormap_for
from kerasviz.plots.reading import number
from kerasviz.plots.sheet import Sheet

WIDTH, HEIGHT = 4.6, 3.4
LEFT, TOP, BOTTOM = 0.75, 0.65, 0.85
BAR, RIGHT = 0.16, 0.8
MANY = 20.0
MOST_PLAIN = 6.0
LEAST, MOST = 1e-6, 1e38


def sweep(found: Any, quantity: str = "mean", *, marks: Any = ()) -> Figure:
    """Draw a `Sweep`.

    Args:
        found: Over one or two settings.
        quantity: "mean" with attention, or "ratio" to the same network without.
        marks: (x, y) places to mark, such as where a model is; for heat maps.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    sheet = Sheet(LEFT + WIDTH + 0.15 + BAR + RIGHT, TOP + HEIGHT + BOTTOM)
    sheet.text(0.15, 0.15, _title(found, quantity), fontsize=11, fontweight="bold")
    sheet.text(0.15, 0.37, _subtitle(found), color=LINE)
    axes = sheet.axes(LEFT, TOP, WIDTH, HEIGHT)
    values = found.expected if quantity == "mean" else found.ratios
    if values.ndim == 1:
        _curve(axes, found, quantity)
    else:
        _heat_map(sheet, axes, found, quantity, values)
        for x, y in _places(marks):
            axes.plot(x, y, "*", color="white", markeredgecolor="black", markersize=13)
    axes.tick_params(labelsize=8, length=2, which="both")
    _whole_ticks(axes, found)
    return sheet.figure


def _heat_map(sheet: Sheet, axes: Axes, found: Any, quantity: str, values: np.ndarray) -> None:
    """The second setting runs along the horizontal axis."""
    (vertical, y), (horizontal, x) = found.over.items()
    norm, colors = _scale(found, quantity, values)
    shown = np.where(np.isfinite(values), values, MOST)
    mesh = axes.pcolormesh(_edges(x), _edges(y), shown, norm=norm, cmap=colors)
    _contours(axes, x, y, found)
    axes.set_xlabel(_name(horizontal), fontsize=9)
    axes.set_ylabel(_name(vertical), fontsize=9)
    bar = sheet.figure.colorbar(mesh, cax=sheet.axes(LEFT + WIDTH + 0.15, TOP, BAR, HEIGHT))
    if isinstance(norm, LogNorm):
        low, high = bar.ax.get_ylim()
        _plain_ticks(bar.ax.yaxis, low, high)
    bar.ax.tick_params(labelsize=8, length=2, which="both")
    bar.outline.set_linewidth(0.5)


def _places(marks: Any) -> np.ndarray:
    """(n, 2) places."""
    try:
        found = np.asarray(list(marks), float)
    except (TypeError, ValueError):
        found = np.full(1, np.nan)
    if found.size and not (found.ndim == 2 and found.shape[1] == 2 and np.isfinite(found).all()):
        raise InputError(
            "`marks` must be a list of (x, y) places in the heat map. "
            f"Received: {marks!r}. Pass such as [(1.071, 11)]."
        )
    return found


def _scale(found: Any, quantity: str, values: np.ndarray) -> tuple[Normalize, Any]:
    """Ratios: 1 is white in the middle. Means: logarithmic where they span much."""
    finite = values[np.isfinite(values) & (values > 0.0)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.5, 2.0)
    low, high = np.clip(low, LEAST, MOST), np.clip(high, LEAST, MOST)
    if quantity == "ratio":
        most = max(high, 1.0 / low, 1.1)
        return LogNorm(1.0 / most, most, clip=True), colormaps[SIGNED]
    colors = colormap_for(signed=False)
    if high / low > MANY:
        return LogNorm(low, high, clip=True), colors
    return Normalize(0.0 if found.kind == "dense" else low, max(high, low * 1.001)), colors


def _contours(axes: Axes, x: np.ndarray, y: np.ndarray, found: Any) -> None:
    """Lines where attention changes nothing, and where it begins to starve or explode."""
    handles = []
    low, high = found.limits
    lines: tuple[tuple[float, Any, str], ...] = (
        (1.0, "-", "as without attention"),
        (high, "--", f"explodes: × {number(high)} or more"),
        (low, ":", f"starves: × {number(low)} or less"),
    )
    logs = np.log10(np.clip(np.nan_to_num(found.ratios, nan=1.0), 1e-30, 1e30))
    for level, style, label in lines:
        if min(logs.shape) > 1 and logs.min() < np.log10(level) < logs.max():
            for color, width in (("black", 2.6), ("white", 1.2)):
                axes.contour(
                    x, y, logs, [np.log10(level)], colors=color, linewidths=width, linestyles=style
                )
            handles.append(
                Line2D([], [], color="black", linestyle=style, linewidth=1.2, label=label)
            )
    if handles:
        axes.legend(
            handles=handles,
            fontsize=8,
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
            ncols=len(handles),
            columnspacing=1.2,
        )


def _curve(axes: Axes, found: Any, quantity: str) -> None:
    ((name, values),) = found.over.items()
    if quantity == "ratio":
        axes.plot(values, found.ratios, "o-", color=COLORS[1], markersize=3)
        for level in found.limits:
            axes.axhline(level, color=LINE, linestyle="--", linewidth=0.8)
        axes.axhline(1.0, color=LINE, linewidth=0.8)
    else:
        axes.plot(values, found.baseline, "o-", color=COLORS[0], markersize=3, label="without")
        axes.plot(values, found.expected, "s-", color=COLORS[1], markersize=3, label="with")
        finite = np.isfinite(found.expected) & np.isfinite(found.expected_std)
        middle, spread = (
            np.where(finite, one, np.nan) for one in (found.expected, found.expected_std)
        )
        low, high = middle - spread, middle + spread
        axes.fill_between(values, np.maximum(low, 0.0), high, color=COLORS[1], alpha=0.25, lw=0)
        axes.legend(title="attention", title_fontsize=8, fontsize=8, frameon=False)
    positive = np.concatenate([found.expected, found.baseline])
    if quantity == "ratio" or positive.max() > MANY * max(positive.min(), 1e-300):
        axes.set_yscale("log")
    axes.set_xlabel(_name(name), fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _plain_ticks(axis: Any, low: float, high: float) -> None:
    """0.5 and 20 instead of powers of ten, where there are few; evenly where there are none."""
    decades = float(np.log10(high / low))
    if decades < MOST_PLAIN:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    if decades < 1.0:
        ticks = np.asarray(MaxNLocator(6).tick_values(low, high))
        axis.set_ticks(ticks[(ticks >= low) & (ticks <= high)])
        axis.set_ticks([], minor=True)


def _whole_ticks(axes: Axes, found: Any) -> None:
    """No half layers."""
    names = list(found.over)
    for name, axis in zip(reversed(names), (axes.xaxis, axes.yaxis), strict=False):
        if np.issubdtype(found.over[name].dtype, np.integer):
            axis.set_major_locator(MaxNLocator(integer=True))


def _edges(values: np.ndarray) -> np.ndarray:
    """Borders of cells, halfway between neighbours."""
    values = np.asarray(values, float)
    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2.0
    return np.concatenate(
        [[values[0] - (middle[0] - values[0])], middle, [values[-1] + values[-1] - middle[-1]]]
    )


def _title(found: Any, quantity: str) -> str:
    kind = "dense layers" if found.kind == "dense" else "convolutions"
    if quantity == "ratio":
        return f"Mean with attention over mean without, random {kind}"
    return f"Expected mean activation with attention, random {kind}"


def _subtitle(found: Any) -> str:
    parts = []
    for name in ("depth", "size", "filters"):
        if name in found.parameters and name not in found.over:
            parts.append(f"{name} {found.parameters[name]}")
    for name in ("multiplier", "bias"):
        for index, part in enumerate(("mean", "std")):
            if f"{name}_{part}" not in found.over:
                parts.append(f"{name} {part} {found.parameters[name][index]:.4g}")
    return "closed form; " + ", ".join(parts)


def _name(setting: str) -> str:
    return setting.replace("_", " ")
