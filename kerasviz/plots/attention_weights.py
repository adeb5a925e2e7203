"""Figures of attention weights: how they are spread, and which model leans where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, POSITIVE
from kerasviz.plots.reading import number, shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str]

BINS = 50
STEPS = 32
MARGIN = 0.2
PANEL = (3.9, 1.75)
GAP = 0.45
ACROSS = 3
BAR = "#a9bfd6"
CURVE = "#1f4e79"
INITIAL: dict[str, Any] = {"color": "#4d4d4d", "linewidth": 1.0, "linestyle": (0, (4, 2))}
ZERO: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (1, 2))}
MOST_FOR_CURVE = 5_000
CURVE_POINTS = 256
SEED = 20
# Okabe and Ito's colours without the palest, each with a marker of its own.
APART = 2.0
MARKERS = "osD^vPX<>"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")


def weight_histograms(values: Mapping[Key, np.ndarray], table: pd.DataFrame) -> Figure:
    """Draw how the weights of each group and role are spread, a panel each.

    A histogram of 50 bins, a density curve (Gaussian kernels, Scott's width, of at most 5000
    weights drawn with a fixed seed), the mean with its interval, zero, and as an outline what the
    initializers alone would give.

    Args:
        values: What `kv.attention.weights` returns.
        table: What `kv.attention.summarize` returns for the same model and groups.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A table of another kind, or one whose rows are not those of `values`.
    """
    keys = _rows(values, table)
    places = _places(keys)
    columns = 1 + max(column for _, column in places)
    rows = 1 + max(row for row, _ in places)
    width, height = PANEL
    words = 4 * LINE_HEIGHT
    top = MARGIN + 3.3 * LINE_HEIGHT
    sheet = Sheet(
        2 * MARGIN + columns * (width + GAP) - GAP,
        top + rows * (words + height + GAP) - GAP + 0.3 + MARGIN,
    )
    _heading(sheet, table)
    initial = table.attrs.get("initial", {})
    for key, (row, column) in zip(keys, places, strict=True):
        x = MARGIN + column * (width + GAP)
        y = top + row * (words + height + GAP)
        _numbers(sheet, x, y, key, table.loc[key])
        axes = sheet.axes(x + 0.3, y + words, width - 0.3, height)
        weight_histogram(axes, values[key], table.loc[key], np.array(initial.get(key, ())))
    return sheet.figure


def weight_comparison(table: pd.DataFrame) -> Figure:
    """Draw the mean weights of several models with their intervals, side by side.

    Args:
        table: What `kv.attention.compare` returns.

    Returns:
        A matplotlib `Figure`, not shown: a block for each group and role, a line and a marker for
        each model.

    Raises:
        InputError: A table of another kind.
    """
    _check(table, ("model", "group", "role"), ("mean", "mean_low", "mean_high", "off_center"))
    models = list(dict.fromkeys(table.index.get_level_values("model")))
    keys = list(dict.fromkeys((group, role) for _, group, role in table.index))
    line, gap, left, plot, right = 0.19, 0.12, 1.9, 3.6, 2.75
    block = len(models) * line + gap
    top = MARGIN + LINE_HEIGHT * (2.2 + len(models))
    sheet = Sheet(2 * MARGIN + left + plot + right, top + len(keys) * block + 0.45 + MARGIN)
    sheet.text(MARGIN, MARGIN, "Mean attention weight, by model", fontsize=10, fontweight="bold")
    _legend(sheet, models)
    axes = sheet.axes(MARGIN + left, top, plot, len(keys) * block)
    x = MARGIN + left + plot + 0.15
    share = f"{table.attrs.get('confidence', 0.95):.0%}"
    for offset, heading in ((0.0, f"mean [{share} interval]"), (APART, "|mean| / std")):
        sheet.text(x + offset, top - 1.2 * LINE_HEIGHT, heading, fontsize=7, color=LINE)
    for index, key in enumerate(keys):
        y = top + index * block
        label = f"{shortened(key[0], 18)} · {shortened(key[1], 10)}"
        sheet.text(MARGIN, y + gap / 2 + 0.02, label, fontweight="bold")
        if index % 2 == 0:
            axes.axhspan(y - top, y - top + block, color="#f1f3f5", linewidth=0, zorder=0)
        for place, model in enumerate(models):
            if (model, *key) in table.index:
                height = y - top + gap / 2 + (place + 0.5) * line
                place_in: Any = (model, *key)
                row = table.loc[place_in]
                _dot(axes, row, height, place)
                for offset, text in ((0.0, _interval(row, "mean")), (APART, _share(row))):
                    sheet.text(x + offset, top + height - LINE_HEIGHT / 2, text, fontsize=7.5)
    _finish_comparison(axes, len(keys) * block)
    return sheet.figure


def _rows(values: Mapping[Key, np.ndarray], table: pd.DataFrame) -> list[Key]:
    _check(table, ("group", "role"), ("mean", "mean_low", "median", "std", "sign_test", "shift"))
    keys = [(str(group), str(role)) for group, role in table.index]
    if set(keys) != set(values):
        odd = sorted(set(keys) ^ set(values))[0]
        raise InputError(
            "`values` must have the rows of `table`. "
            f"Received: {odd}, which only one of them has. "
            "Make both of one model, with the same `groups`."
        )
    return keys


def _check(table: Any, levels: tuple[str, ...], columns: tuple[str, ...]) -> None:
    names = tuple(getattr(getattr(table, "index", None), "names", ()))
    if names != levels or not len(table) or not set(columns) <= set(table.columns):
        source = "compare" if "model" in levels else "summarize"
        raise InputError(
            f"`table` must be what `kv.attention.{source}` returns. "
            f"Received: {type(table).__name__} indexed by {names}. Pass it as it came."
        )


def _places(keys: Sequence[Key]) -> list[tuple[int, int]]:
    """(row, column) of each panel: a row a group, or one after the other for single roles."""
    roles = [sum(group == key[0] for group, _ in keys) for key in keys]
    if max(roles) == 1:
        columns = min(ACROSS, len(keys), 2 if len(keys) == 4 else ACROSS)
        return [(index // columns, index % columns) for index in range(len(keys))]
    columns, row, column, places = min(ACROSS, max(roles)), -1, 0, []
    for index, key in enumerate(keys):
        column += 1
        if index == 0 or key[0] != keys[index - 1][0] or column == columns:
            row, column = row + 1, 0
        places.append((row, column))
    return places


def _heading(sheet: Sheet, table: pd.DataFrame) -> None:
    name = table.attrs.get("model", "")
    title = f"Attention weights of {shortened(name, 40)}" if name else "Attention weights"
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    y = MARGIN + 1.5 * LINE_HEIGHT
    signs: tuple[tuple[str, float, dict[str, Any]], ...] = (
        ("weights", 0.75, {"color": BAR, "linewidth": 6}),
        ("density", 0.72, {"color": CURVE, "linewidth": 1.2}),
        ("mean, interval", 1.08, {"color": POSITIVE, "linewidth": 1.2}),
        ("initializer alone", 1.2, INITIAL),
        ("zero", 0.5, ZERO),
    )
    weight_key(sheet, y, [(text, breadth + 0.1, style) for text, breadth, style in signs])


def weight_key(sheet: Sheet, y: float, signs: Sequence[tuple[str, float, dict[str, Any]]]) -> None:
    """A line of signs and what they mean: text, inches up to the next, style of the sign."""
    x = MARGIN
    for text, breadth, style in signs:
        axes = sheet.axes(x, y, 0.2, LINE_HEIGHT)
        axes.set_axis_off()
        axes.plot([0, 1], [0, 0], solid_capstyle="butt", **style)
        axes.margins(x=0)
        sheet.text(x + 0.25, y + 0.01, text, fontsize=7.5)
        x += breadth


def _numbers(sheet: Sheet, x: float, y: float, key: Key, row: Any) -> None:
    sheet.text(x, y, f"{shortened(key[0], 30)} · {shortened(key[1], 20)}", fontweight="bold")
    tensors = f"{row['tensors']:.0f} tensor{'' if row['tensors'] == 1 else 's'}"
    count = f"{row['count']:,.0f} weights, {tensors}"
    if row["not_finite"]:
        count += f", {row['not_finite']:,.0f} not finite"
    sheet.text(x + PANEL[0], y, count, fontsize=7, color=LINE, ha="right")
    first = (
        f"mean {_interval(row, 'mean')}   median {signed(row['median'])}   std {number(row['std'])}"
    )
    second = f"{row['share_positive']:.1%} positive, sign test p {p_text(row['sign_test'])}"
    if np.isfinite(row["shift_test"]):
        second += f"   shift {signed(row['shift'])} s.e., p {p_text(row['shift_test'])}"
    for index, text in enumerate((first, second)):
        sheet.text(x, y + (1.1 + index) * LINE_HEIGHT, text, fontsize=7)


def _interval(row: Any, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    inside = "" if np.isnan(low) else f" [{signed(low)}, {signed(high)}]"
    return signed(row[name]) + inside


def signed(value: float) -> str:
    """A number for people, with a minus sign as long as a plus."""
    return number(value).replace("-", "−").replace("nan", "–")


def p_text(p: float) -> str:
    """A p value for people: two digits, tiny ones as a bound."""
    if np.isnan(p):
        return "–"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def weight_histogram(axes: Axes, values: np.ndarray, row: Any, initial: np.ndarray) -> None:
    """Draw a histogram with its density, mean and what the initializers give into axes.

    Args:
        axes: To draw into.
        values: All weights, NaN included.
        row: `mean`, and `mean_low` to `mean_high` where its interval is drawn.
        initial: Evenly spaced quantiles of what the initializers give; empty where not known.
    """
    finite = values[np.isfinite(values)]
    axes.tick_params(labelsize=6.5, length=2, pad=1.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="y", nbins=4)
    if not finite.size:
        axes.text(0.5, 0.5, "no finite weight", transform=axes.transAxes, ha="center", fontsize=8)
        return
    low, high = float(finite.min()), float(finite.max())
    if low == high:
        reach = max(abs(low), 1.0) * 0.5
        counts, edges = np.histogram(finite, BINS, range=(low - reach, high + reach))
    else:
        counts, edges = np.histogram(finite, BINS, range=(low, high))
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=BAR, linewidth=0)
    scale = finite.size * (edges[1] - edges[0])
    if low < high:
        points = np.linspace(low, high, CURVE_POINTS)
        axes.plot(points, scale * density(finite, points), color=CURVE, linewidth=1.2)
    _draw_initial(axes, initial, scale)
    axes.axvline(0.0, **ZERO)
    if np.isfinite(row.get("mean_low", np.nan)):
        axes.axvspan(row["mean_low"], row["mean_high"], color=POSITIVE, alpha=0.2, zorder=0)
    axes.axvline(row["mean"], color=POSITIVE, linewidth=1.2)
    _limit(axes, edges, counts, initial)
    if low == high:
        text = f"all are {number(low)}"
        axes.text(0.98, 0.95, text, transform=axes.transAxes, ha="right", va="top", fontsize=8)


def density(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A smooth density of finite values at some points, from at most 5000 of them."""
    if values.size > MOST_FOR_CURVE:
        values = np.random.default_rng(SEED).choice(values, MOST_FOR_CURVE, replace=False)
    return np.asarray(stats.gaussian_kde(values)(points)) if np.ptp(values) else 0.0 * points


def _draw_initial(axes: Axes, initial: np.ndarray, scale: float) -> None:
    """The density between quantiles of the initializers, as a dashed outline."""
    if not initial.size:
        return
    if initial[0] == initial[-1]:
        axes.axvline(initial[0], **INITIAL)
        return
    edges = np.quantile(initial, np.linspace(0, 1, STEPS + 1))
    if np.all(np.diff(edges) > 0):
        heights = 1 / STEPS / np.diff(edges)
    else:
        edges = np.linspace(initial[0], initial[-1], STEPS + 1)
        heights = np.histogram(initial, edges)[0] / initial.size / np.diff(edges)
    axes.stairs(scale * heights, edges, **INITIAL)


def _limit(axes: Axes, edges: np.ndarray, counts: np.ndarray, initial: np.ndarray) -> None:
    """Room for the weights first: the initializers' outline may take as much again."""
    low, high = edges[0], edges[-1]
    if initial.size:
        width = high - low
        low = max(min(low, initial[0]), low - width)
        high = min(max(high, initial[-1]), high + width)
    pad = 0.03 * (high - low)
    axes.set_xlim(low - pad, high + pad)
    axes.set_ylim(0, min(axes.get_ylim()[1], 1.8 * counts.max()))


def _legend(sheet: Sheet, models: Sequence[str]) -> None:
    for place, model in enumerate(models):
        y = MARGIN + LINE_HEIGHT * (1.5 + place)
        mark = sheet.axes(MARGIN, y, 0.2, LINE_HEIGHT)
        mark.set_axis_off()
        mark.plot([0], [0], **_mark(place))
        sheet.text(MARGIN + 0.25, y + 0.01, shortened(model, 70))


def _mark(place: int) -> dict[str, Any]:
    color = COLORS[place % len(COLORS)]
    filled = place % 2 == 0
    return {
        "marker": MARKERS[place % len(MARKERS)],
        "color": color,
        "markerfacecolor": color if filled else "white",
        "markersize": 5,
        "linestyle": "none",
    }


def _dot(axes: Axes, row: Any, height: float, place: int) -> None:
    style = _mark(place)
    axes.plot([row["mean_low"], row["mean_high"]], [height] * 2, color=style["color"], zorder=2)
    axes.plot([row["mean"]], [height], zorder=3, **style)


def _share(row: Any) -> str:
    return signed(row["off_center"])


def _finish_comparison(axes: Axes, height: float) -> None:
    axes.set_ylim(height, 0)
    axes.axvline(0.0, color="black", linewidth=0.8, zorder=1)
    axes.set_yticks([])
    axes.set_xlabel("mean weight", fontsize=8)
    axes.tick_params(labelsize=7, length=2)
    axes.margins(x=0.08)
    axes.spines[["top", "right", "left"]].set_visible(False)
