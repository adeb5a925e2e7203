"""Figures of what units see: a picture per unit, and how strongly a layer looks where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE
from kerasviz.plots.drawing import MAX_LINES
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

MARGIN = 0.15
GAP = 0.09
SIDE = 0.78
BAR = 0.05
WIDEST = 12
HEADING = 0.52
ORDERS = ("number", "strength")
REACH_COLOR = "#56b4e9"
SIZE_COLOR = "#ffffff"


def unit_fields(
    display: np.ndarray,
    strength: np.ndarray,
    units: Sequence[int] | np.ndarray,
    *,
    num: int = 64,
    order: str = "number",
    columns: int | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw the field of each unit, with a bar below it for its strength.

    Grey is zero; a unit's largest magnitude is black or white, or a full colour. Three colours are
    drawn as such, one in grey, others as their mean. A volume is cut in its middle; of signals
    there is a curve per colour, of vectors a bar per feature. An empty map says so.

    Args:
        display: (units, *positions, colours) in [0, 1], where 0.5 is zero.
        strength: (units,) in [0, 1]: the share of the strongest unit's magnitude.
        units: (units,) their numbers.
        num: How many to draw; the figure says when there are more.
        order: "number", or "strength" for the strongest first.
        columns: How many stand side by side.
        title: Stands above all.
        note: Stands below the title.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Fields of another shape, or an unknown order.
    """
    display, strength = np.asarray(display), np.asarray(strength)
    if order not in ORDERS:
        raise InputError(f"`order` must be one of {list(ORDERS)}. Received: {order!r}.")
    if not 2 <= display.ndim <= 5 or len(display) != len(strength) or not len(display):
        raise InputError(
            "`display` must have the shape (units, *positions, colours), with one `strength` a "
            f"unit. Received: shapes {display.shape} and {strength.shape}. Use `fields.plot()`."
        )
    places = np.arange(len(display))
    if order == "strength":
        places = np.argsort(-strength, kind="stable")
    shown = places[: max(1, num)]
    across = min(len(shown), columns or _columns(len(shown)))
    rows = math.ceil(len(shown) / across)
    cell = SIDE + BAR + LINE_HEIGHT + GAP + 0.03
    width = max(2 * MARGIN + across * (SIDE + GAP) - GAP, 4.6)
    sheet = Sheet(width, 2 * MARGIN + HEADING + rows * cell)
    _head(sheet, title, _notes(display, len(shown), note))
    for index, place in enumerate(shown):
        row, column = divmod(index, across)
        x, y = MARGIN + column * (SIDE + GAP), MARGIN + HEADING + row * cell
        share = float(strength[place])
        place_unit(sheet, display[place], share, x, y)
        words = f"{int(units[place])}: {share:.2g}"
        sheet.text(x, y + SIDE + BAR + 0.05, words, fontsize=7)
    return sheet.figure


def effective_field(field: Any, *, title: str | None = None) -> Figure:
    """Draw how strongly a layer looks where, within what it can see.

    Beside the map, in shares of its largest value, its profile through the peak along each axis. A
    white square is as large as the field, the blue frame is all that the layer can see.

    Args:
        field: An `EffectiveField`.
        title: Stands above; None: the layer.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A map of more than three axes.
    """
    effect = np.asarray(field.map, "float64")
    if not 1 <= effect.ndim <= 3:
        raise InputError(
            f"The map must have one to three axes to be drawn. Received: shape {effect.shape}. "
            "Use `field.map`."
        )
    peak = effect.max()
    shares = effect / peak if peak > 0 else effect
    centre = np.unravel_index(int(shares.argmax()), shares.shape)
    flat = shares if effect.ndim < 3 else shares[centre[0]]
    has_map = flat.ndim == 2
    flat, shift = _near_reach(flat, field) if has_map else (flat, (0, 0))
    high = 2.6
    wide = high * flat.shape[1] / flat.shape[0] if has_map else 0.0
    wide = min(max(wide, 1.2), 5.0) if has_map else 0.0
    left = MARGIN + (wide + 1.45 if has_map else 0.45)
    sheet = Sheet(left + 3.4 + MARGIN, MARGIN + 0.75 + high + 0.6)
    top = MARGIN + 0.75
    _effect_words(sheet, field, title)
    if has_map:
        _effect_map(sheet, flat, field, shift, (MARGIN + 0.25, top, wide, high))
    _profiles(sheet, shares, field, centre, (left, top, 3.4, high))
    return sheet.figure


def _columns(count: int) -> int:
    return count if count <= 8 else min(WIDEST, max(8, math.ceil(math.sqrt(1.6 * count))))


def _notes(display: np.ndarray, shown: int, note: str) -> str:
    parts = ["grey is zero, the bar is the strength relative to the strongest unit"]
    if display.ndim == 5:
        parts.append("middle slice")
    if display.ndim > 3 and display.shape[-1] not in (1, 3):
        parts.append(f"mean of {display.shape[-1]} channels")
    if shown < len(display):
        parts.append(f"{shown} of {len(display)} units")
    return " · ".join([*parts, *([note] if note else [])])


def _head(sheet: Sheet, title: str, notes: str) -> None:
    room = int(sheet.width * 11)
    sheet.text(MARGIN, MARGIN, shortened(title, room), fontsize=10, fontweight="bold")
    lines: list[str] = []
    line = ""
    for word in notes.split(" "):
        if len(line) + len(word) > sheet.width * 16:
            lines, line = [*lines, line], ""
        line = f"{line} {word}".strip()
    sheet.text(MARGIN, MARGIN + 0.2, "\n".join([*lines, line]), fontsize=7)


def place_unit(sheet: Sheet, picture: np.ndarray, strength: float, x: float, y: float) -> None:
    """Draw a field in [0, 1] with the bar of its strength at (x, y); an empty one says so."""
    axes = sheet.axes(x, y, SIDE, SIDE)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LINE)
        spine.set_linewidth(0.4)
    if strength > 0:
        _draw(axes, picture)
    else:
        axes.set_facecolor("#e5e5e5")
        axes.text(0.5, 0.5, "all zero", ha="center", va="center", fontsize=7)
        axes.set(xlim=(0, 1), ylim=(0, 1))
    bar = sheet.axes(x, y + SIDE + 0.03, SIDE, BAR)
    bar.barh([0], [strength], color="black", height=1.0)
    bar.set(xlim=(0, 1), ylim=(-0.5, 0.5), xticks=[], yticks=[])
    for spine in bar.spines.values():
        spine.set_linewidth(0.4)


def _draw(axes: Any, picture: np.ndarray) -> None:
    if picture.ndim == 4:
        picture = picture[picture.shape[0] // 2]
    if picture.ndim == 3:
        colors = picture if picture.shape[-1] == 3 else picture.mean(axis=-1, keepdims=True)
        colors = np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors
        axes.imshow(np.clip(colors, 0.0, 1.0), interpolation="nearest", aspect="equal")
        return
    axes.set_ylim(-0.03, 1.03)
    axes.axhline(0.5, color=LINE, linewidth=0.5)
    if picture.ndim == 1:
        axes.bar(np.arange(len(picture)), picture - 0.5, bottom=0.5, color="black", width=0.9)
        return
    styles = ("-", "--", ":", "-.")
    for channel in range(min(picture.shape[-1], MAX_LINES)):
        axes.plot(picture[:, channel], styles[channel % 4], color="black", linewidth=0.9)


def _effect_words(sheet: Sheet, field: Any, title: str | None) -> None:
    heading = f"Effective receptive field of {field.layer}" if title is None else title
    room = int(sheet.width * 11)
    sheet.text(MARGIN, MARGIN, shortened(heading, room), fontsize=10, fontweight="bold")
    std = " × ".join(map(number, field.std))
    reach = " × ".join(map(str, field.reach))
    cut = ", cut by the border" if field.is_cut else ""
    lines = (
        f"size {number(field.size)}, {_share(field.ratio)} of the {reach} it can see{cut}",
        field.diagnosis or f"standard deviation {std} · mean over {field.source}",
    )
    for index, line in enumerate(lines):
        sheet.text(MARGIN, MARGIN + 0.24 + index * LINE_HEIGHT, shortened(line, int(room * 1.5)))


def _share(ratio: float) -> str:
    return "none" if math.isnan(ratio) else f"{ratio:.0%}"


def _near_reach(shares: np.ndarray, field: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """What lies in and around the reach, and the row and column at which that begins."""
    box = []
    for first, size, whole in zip(field.start[-2:], field.reach[-2:], shares.shape, strict=True):
        margin = 2 + size // 8
        box.append((max(0, first - margin), min(whole, first + size + margin)))
    (top, bottom), (left, right) = box
    return shares[top:bottom, left:right], (top, left)


def _effect_map(
    sheet: Sheet,
    shares: np.ndarray,
    field: Any,
    shift: tuple[int, int],
    place: tuple[float, float, float, float],
) -> None:
    x, y, width, height = place
    axes = sheet.axes(x, y, width, height)
    top, left = shift
    extent = (left - 0.5, left + shares.shape[1] - 0.5, top + shares.shape[0] - 0.5, top - 0.5)
    image = axes.imshow(
        shares, cmap="inferno", vmin=0.0, vmax=1.0, interpolation="nearest", extent=extent
    )
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
    if shares.any():
        side = field.size
        row, column = (
            np.average(np.arange(n), weights=shares.sum(axis=axis)) + start
            for n, axis, start in zip(shares.shape, (1, 0), shift, strict=True)
        )
        axes.add_patch(_frame(column - side / 2, row - side / 2, side, side, SIZE_COLOR, "-"))
    (row, column), (high, wide) = field.start[-2:], field.reach[-2:]
    axes.add_patch(_frame(column - 0.5, row - 0.5, wide, high, REACH_COLOR, "--"))
    scale = sheet.axes(x + width + 0.08, y, 0.12, height)
    bar = sheet.figure.colorbar(image, cax=scale)
    bar.ax.tick_params(labelsize=7)
    words = "white: a square of its size · blue, dashed: what it can see"
    sheet.text(x, y + height + 0.26, words, fontsize=7)


def _frame(x: float, y: float, width: float, height: float, color: str, style: str) -> Rectangle:
    return Rectangle(
        (x, y), width, height, fill=False, edgecolor=color, linewidth=1.4, linestyle=style
    )


def _profiles(
    sheet: Sheet,
    shares: np.ndarray,
    field: Any,
    centre: Sequence[Any],
    place: tuple[float, float, float, float],
) -> None:
    axes = sheet.axes(*place)
    names = ("depth", "height", "width")[-shares.ndim :] if shares.ndim > 1 else ("length",)
    for axis, style in zip(range(shares.ndim), ("-", "--", ":"), strict=False):
        index: list[Any] = list(centre)
        index[axis] = slice(None)
        values = shares[tuple(index)]
        places = np.arange(len(values)) - int(centre[axis])
        axes.plot(places, values, style, color="black", linewidth=1.2, label=names[axis])
    reach = max(field.reach)
    axes.axhline(1.0 - 0.9545, color=LINE, linewidth=0.8, linestyle=":")
    axes.text(0.99, 0.06, "4.55 %", fontsize=7, color=LINE, ha="right", transform=axes.transAxes)
    axes.set(xlim=(-reach * 0.6 - 1, reach * 0.6 + 1), ylim=(0.0, 1.05))
    axes.set_xlabel("positions from the peak", fontsize=8)
    axes.set_ylabel("share of the peak", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, frameon=False, loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
