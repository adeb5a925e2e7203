"""Where the time of a training step goes, as bars and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasviz.errors import InputError
from kerasviz.plots.colors import LINE, NEGATIVE, POSITIVE
from kerasviz.plots.reading import duration, shortened
from kerasviz.plots.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.2
TOP = 0.72
NAMES = 2.3
BARS = 4.7
ROW = 0.24
LIGHT = "#9dbfe0"
GREY = "#c9cdd3"
STYLES: dict[str, dict[str, Any]] = {
    "forward": {"facecolor": LIGHT, "edgecolor": NEGATIVE},
    "backward": {"facecolor": NEGATIVE, "edgecolor": NEGATIVE},
    "loss": {"facecolor": GREY, "edgecolor": LINE},
    "optimizer": {"facecolor": GREY, "edgecolor": LINE, "hatch": "////"},
    "other": {"facecolor": "white", "edgecolor": LINE},
}
MARKERS = "osD^vP*X"
DASHES = ("-", "--", ":", "-.")


def step_bars(
    table: pd.DataFrame,
    parts: pd.Series,
    seconds: float,
    *,
    num: int = 20,
    title: str = "Where the time of a step goes",
    note: str = "",
) -> Figure:
    """Draw a bar a layer, in the order of the model: forward (light), then backward (dark).

    Below them are the loss, the optimizer, what else the step took, and the layers that have no
    bar of their own. The figures behind the bars are shares of the step.

    Args:
        table: `address`, `forward` and `backward` (seconds), as in `kv.dynamics.Profile.table`.
        parts: Seconds of "forward", "backward", "loss", "optimizer" and "other".
        seconds: A whole step.
        num: How many layers have a bar, those that take longest.
        title: Heading of the figure.
        note: A line below the heading.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Nothing to draw.
    """
    if not len(table) or num < 1:
        raise InputError(
            "`table` must hold a layer at least, and `num` be a whole number from 1 on. Received: "
            f"{len(table)} layers, {num}. See `kv.profile`."
        )
    whole = float(parts.sum()) or 1.0
    rows = _bars(table, parts, num)
    sheet = Sheet(2 * MARGIN + NAMES + BARS + 0.55, TOP + ROW * len(rows) + 0.75)
    _heading(sheet, title, note)
    axes = sheet.axes(MARGIN + NAMES, TOP, BARS, ROW * len(rows))
    longest = max(sum(bar.values()) for _, bar in rows)
    for place, (_, bar) in enumerate(rows):
        left = 0.0
        for part, taken in bar.items():
            axes.barh(place, 1000 * taken, 0.72, 1000 * left, linewidth=0.6, **STYLES[part])
            left += taken
        share = f" {left / whole:.1%}"
        axes.text(1000 * left + 8 * longest, place, share, fontsize=7, va="center")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1150 * longest)
    axes.set_yticks(range(len(rows)), [shortened(name, 34) for name, _ in rows], parse_math=False)
    axes.set_xlabel(f"milliseconds (a step: {duration(seconds)})", fontsize=8)
    _plain(axes)
    _legend(sheet, [part for part in STYLES if any(part in bar for _, bar in rows)])
    return sheet.figure


def _bars(table: pd.DataFrame, parts: pd.Series, num: int) -> list[tuple[str, dict[str, float]]]:
    totals = (table["forward"] + table["backward"]).to_numpy()
    drawn = sorted(np.argsort(-totals, kind="stable")[:num])
    rows = []
    for place in drawn:
        row = table.iloc[int(place)]
        phases = {phase: float(row[phase]) for phase in ("forward", "backward")}
        rows.append((str(row["address"]) or "(model)", phases))
    left = len(table) - len(drawn)
    if left:
        rest = table.drop(table.index[drawn])
        others = {phase: float(rest[phase].sum()) for phase in ("forward", "backward")}
        rows.append((f"{left} more layer{'s' if left > 1 else ''}", others))
    names = {"loss": "loss", "optimizer": "optimizer", "other": "other"}
    return rows + [(n, {p: float(parts[p])}) for p, n in names.items() if parts[p] > 0]


def step_sizes(
    table: pd.DataFrame, *, title: str = "The time of a step by input size", note: str = ""
) -> Figure:
    """Draw a bar an input size: forward, backward, loss, optimizer, other.

    Args:
        table: As `kv.dynamics.Profile.sizes`.
        title: Heading of the figure.
        note: A line below the heading.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: No input sizes.
    """
    if not len(table):
        raise InputError(
            "`table` must hold an input size at least. Received: none. Give `input_sizes=` to "
            "`kv.profile`."
        )
    sheet = Sheet(2 * MARGIN + 0.9 + 5.6, TOP + 0.36 * len(table) + 0.75)
    _heading(sheet, title, note)
    axes = sheet.axes(MARGIN + 0.9, TOP, 5.1, 0.36 * len(table))
    longest = max(float(row[[*STYLES]].sum()) for _, row in table.iterrows())
    for place, (_, row) in enumerate(table.iterrows()):
        left = 0.0
        for part, style in STYLES.items():
            taken = 1000 * float(row[part])
            axes.barh(place, taken, 0.72, left, linewidth=0.6, **style)
            left += taken
        axes.text(
            left + 8 * longest, place, f" {duration(row['seconds'])}", fontsize=7, va="center"
        )
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, 1150 * longest)
    axes.set_yticks(range(len(table)), list(table["size"]))
    axes.set_xlabel("milliseconds", fontsize=8)
    _plain(axes)
    _legend(sheet, list(STYLES))
    return sheet.figure


def freezing_curve(
    table: pd.DataFrame | None,
    *,
    title: str = "What freezing the first layers saves",
    note: str = "",
) -> Figure:
    """Draw the time of a step against the number of frozen layers, as a share of the whole step.

    Args:
        table: As `kv.dynamics.Profile.freezing`.
        title: Heading of the figure.
        note: A line below the heading.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Freezing was not measured.
    """
    if table is None or not len(table):
        raise InputError(
            "`table` must hold a number of frozen layers at least. Received: none. Give `targets` "
            "and `freezing=` to `kv.profile`."
        )
    sheet = Sheet(7.4, TOP + 3.3)
    _heading(sheet, title, note)
    axes = sheet.axes(MARGIN + 0.6, TOP, 6.2, 2.7)
    shares = 1.0 - table["saving"].to_numpy()
    frozen = table["frozen"].to_numpy()
    low_high = np.repeat(table["spread"].to_numpy()[None] / 2, 2, axis=0)
    axes.errorbar(
        [0, *frozen],
        [1.0, *shares],
        yerr=np.concatenate([[[0.0], [0.0]], low_high], axis=1),
        color=NEGATIVE,
        marker="o",
        capsize=3,
        linewidth=1.3,
    )
    for (_, row), share in zip(table.iterrows(), shares, strict=True):
        change = f"{-row['saving']:+.0%}".replace("-", "−")
        text = f"{shortened(str(row['up_to']), 24)}\n{change}"
        is_late = row["frozen"] > 0.5 * frozen.max()
        axes.annotate(
            text,
            (row["frozen"], share),
            xytext=(-6, -8) if is_late else (8, 4),
            textcoords="offset points",
            ha="right" if is_late else "left",
            va="top" if is_late else "bottom",
            fontsize=7,
            parse_math=False,
        )
    axes.set_ylim(0, max(1.12, shares.max() + 0.15))
    axes.set_xlim(-0.03 * frozen.max(), 1.16 * frozen.max())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("first layers with weights that are frozen", fontsize=8)
    axes.set_ylabel("time of a step", fontsize=8)
    axes.axhline(1.0, color=LINE, linewidth=0.7, linestyle="--", zorder=0)
    _plain(axes)
    return sheet.figure


def layer_sweep(
    table: pd.DataFrame, *, title: str = "One convolution alone", note: str = ""
) -> Figure:
    """Draw forward and backward time against the number of channels, a line a kernel size.

    Args:
        table: As `kv.dynamics.LayerSweep.table`; a row of panels for each kind of pooling.
        title: Heading of the figure.
        note: A line below the heading.

    Returns:
        A matplotlib `Figure`, not shown.
    """
    pools = list(dict.fromkeys(table["pool"]))
    sheet = Sheet(7.8, TOP + 2.55 * len(pools) + 0.1)
    _heading(sheet, title, note)
    for row, pool in enumerate(pools):
        part = table[table["pool"] == pool]
        top = 1050 * float(part[["forward", "backward"]].max().max())
        for column, phase in enumerate(("forward", "backward")):
            y = TOP + 2.55 * row + 0.2
            axes = sheet.axes(0.75 + 3.55 * column, y, 3.0, 1.75)
            for place, (kernel, line) in enumerate(part.groupby("kernel_size", sort=True)):
                axes.plot(
                    line["channels"],
                    1000 * line[phase],
                    marker=MARKERS[place % len(MARKERS)],
                    linestyle=DASHES[place % len(DASHES)],
                    color=NEGATIVE if place % 2 == 0 else POSITIVE,
                    markersize=4,
                    linewidth=1.2,
                    label=f"kernel {kernel}",
                )
            axes.set_ylim(0, top)
            axes.set_xticks(sorted(set(part["channels"])))
            axes.set_xlabel("channels", fontsize=8)
            axes.set_ylabel("milliseconds", fontsize=8)
            _plain(axes)
            what = f"convolution + {pool} pooling" if pool else "convolution"
            sheet.text(0.75 + 3.55 * column, y - 0.2, f"{what}: {phase}", fontweight="bold")
            if row == 0 and column == 0:
                axes.legend(fontsize=7, frameon=False)
    return sheet.figure


def _heading(sheet: Sheet, title: str, note: str) -> None:
    sheet.text(MARGIN, MARGIN, title, fontsize=11, fontweight="bold")
    sheet.text(MARGIN, MARGIN + 0.24, note, color=LINE)


def _plain(axes: Any) -> None:
    axes.tick_params(labelsize=7.5, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")


def _legend(sheet: Sheet, parts: list[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(label=part, linewidth=0.6, **STYLES[part]) for part in parts]
    place = (1.0 - MARGIN / sheet.width, 1.0 - MARGIN / sheet.height)
    sheet.figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=place,
        ncols=3 if len(parts) > 3 else len(parts),
        fontsize=7,
        frameon=False,
        borderaxespad=0,
    )
