"""Detection by distance, decoding by depth, and a strip of the frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, NEGATIVE, POSITIVE
from kerasviz.plots.displaying import displayable
from kerasviz.plots.sheet import Sheet, wrapped

WIDTH, MARGIN = 8.4, 0.15
LEFT, GAP = 0.6, 0.5
STRIP, MOST_FRAMES = 0.12, 6
CURVE, PANEL, NAMES = 2.0, 1.9, 1.1
FLOOR = -0.25
TARGETS = (("x", "x"), ("y", "y"), ("distance", "log distance"))
POOLINGS = (
    ("grid", "means over a grid of 3 × 4", "-", "o", NEGATIVE),
    ("global", "global means", "--", "s", POSITIVE),
)
LONGEST = 16


def viewport(found: Any, title: str | None = None) -> Figure:
    """Draw a `Viewport`: frames, detection by distance, and what each layer tells.

    Args:
        found: What `kv.studies.viewport` returns.
        title: Heading; None says what is drawn.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw.
    """
    if not len(found.detection):
        raise InputError(
            "`found` must hold at least one distance. Received: none. Pass what "
            "`kv.studies.viewport` returns."
        )
    places = _spread(len(found.examples), MOST_FRAMES)
    wide = (WIDTH - 2 * MARGIN - (MOST_FRAMES - 1) * STRIP) / MOST_FRAMES
    high = wide * found.examples.shape[1] / found.examples.shape[2]
    top = MARGIN + 0.5 + 0.2
    curves = top + high + 0.3
    panels = curves + CURVE + 1.1
    sheet = Sheet(WIDTH, panels + PANEL + NAMES)
    sheet.text(MARGIN, MARGIN, title or _title(found), fontsize=11, weight="bold")
    sheet.text(MARGIN, MARGIN + 0.24, _subtitle(found), color=LINE)
    for column, place in enumerate(places):
        x = MARGIN + column * (wide + STRIP)
        row = found.detection.iloc[place]
        sheet.text(x, top - 0.17, f"distance {row['distance']:.3g}: {row['size']} px")
        axes = sheet.axes(x, top, wide, high)
        axes.imshow(displayable(found.examples[place]), interpolation="nearest", aspect="auto")
        axes.set(xticks=[], yticks=[])
    _detection(sheet, curves, found)
    _decoding(sheet, panels, found)
    return sheet.figure


def _spread(count: int, most: int) -> list[int]:
    return [int(place) for place in np.linspace(0, count - 1, min(most, count)).round()]


def _title(found: Any) -> str:
    name = found.provenance.get("model", "the model")
    return f"How far {name} still sees, and whether it knows where"


def _subtitle(found: Any) -> str:
    settings = found.parameters
    height, width = settings["frame"]
    return (
        f"frames of {height} × {width}, background {settings['background']} · {settings['images']} "
        f"pictures, {len(found.placements)} frames · labels: {settings['labels']} · "
        "bars and bands: 95 %"
    )


def _detection(sheet: Sheet, top: float, found: Any) -> None:
    axes = sheet.axes(LEFT, top, WIDTH - LEFT - MARGIN - 2.35, CURVE)
    table, x = found.detection, found.detection["distance"].to_numpy()
    for name, style, marker, color, told in (
        ("accuracy", "-", "o", "0.1", "accuracy"),
        ("confidence", "--", "s", POSITIVE, "probability of the true class"),
    ):
        low, high = table[f"{name}_low"], table[f"{name}_high"]
        axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
        axes.plot(x, table[name], style, marker=marker, color=color, markersize=4, label=told)
    axes.plot(x, table["chance"], ":", color=LINE, linewidth=1.3, label="accuracy by chance")
    level = found.parameters["share"] * float(table["accuracy"].iloc[0])
    share = f"{found.parameters['share']:.0%} of the nearest accuracy"
    axes.axhline(level, color=LINE, linewidth=0.8, label=share)
    if np.isfinite(found.reliable_distance):
        axes.axvline(found.reliable_distance, color="0.1", linewidth=0.8, linestyle="-.")
    axes.set_xscale("log")
    _distance_ticks(axes, table)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share, probability", fontsize=8)
    axes.set_xlabel("distance (below it the longer side in pixels)", fontsize=8)
    _plain(axes)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), fontsize=7.5, frameon=False)
    x_words = WIDTH - MARGIN - 2.2
    words = f"Somewhat reliable {found.reliable_words()}"
    low, high = (f"{end:.3g}" if end == end else "none" for end in found.reliable_interval)
    for place, line in enumerate(wrapped(f"{words}; 95 %: {low} to {high}", 2.2, 4)):
        sheet.text(x_words, top + 1.1 + place * 0.16, line)


def _distance_ticks(axes: Axes, table: Any) -> None:
    ticks = table.iloc[_spread(len(table), 8)]
    axes.xaxis.set_major_locator(FixedLocator(list(ticks["distance"])))
    axes.xaxis.set_minor_locator(NullLocator())
    pairs = zip(ticks["distance"], ticks["size"], strict=True)
    axes.set_xticklabels([f"{distance:.3g}\n{size} px" for distance, size in pairs])


def _decoding(sheet: Sheet, top: float, found: Any) -> None:
    wide = (WIDTH - LEFT - MARGIN - 2 * GAP) / len(TARGETS)
    for place, (target, told) in enumerate(TARGETS):
        axes = sheet.axes(LEFT + place * (wide + GAP), top, wide, PANEL)
        rows = found.decoding[found.decoding["target"] == target]
        _layers(axes, rows)
        axes.set_title(f"{told} decoded from", fontsize=8.5, loc="left", pad=4)
        if place == 0:
            axes.set_ylabel("R² on held-out pictures", fontsize=8)
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(-0.05, 1.12),
                ncols=3,
                fontsize=7.5,
                frameon=False,
                borderaxespad=0.0,
            )


def _layers(axes: Axes, rows: Any) -> None:
    names = list(dict.fromkeys(rows["layer"]))
    for pooling, told, style, marker, color in POOLINGS:
        part = rows[rows["pooling"] == pooling]
        middle = np.clip(part["r2"].to_numpy("float64"), FLOOR, None)
        low, high = (np.clip(part[f"r2_{end}"], FLOOR, None) for end in ("low", "high"))
        reach = np.clip([middle - low, high - middle], 0.0, None)
        axes.errorbar(
            part["depth"],
            middle,
            reach,
            fmt=style,
            marker=marker,
            color=color,
            markersize=3.5,
            linewidth=1.1,
            elinewidth=0.8,
            capsize=1.5,
            label=told,
        )
    base = rows.groupby("depth")["chance_high"].max()
    axes.plot(
        base.index,
        np.clip(base, FLOOR, None),
        ":",
        color=LINE,
        label="targets shuffled (95 % of R² below)",
    )
    axes.axhline(0.0, color=LINE, linewidth=0.6)
    axes.set_ylim(FLOOR - 0.02, 1.03)
    shown = _spread(len(names), 14)
    axes.set_xticks(shown, [_short(names[place]) for place in shown], rotation=90)
    _plain(axes)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else "…" + name[1 - LONGEST :]


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7, length=2)
