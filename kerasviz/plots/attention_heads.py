"""Figures of attention heads: maps over a photo, measures by depth, how alike heads are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasviz.errors import InputError
from kerasviz.plots.blending import blend, color_bar
from kerasviz.plots.colors import LINE
from kerasviz.plots.figures import new_figure
from kerasviz.plots.reading import number, shortened

if TYPE_CHECKING:
    import pandas as pd

CELL = 1.25
LEFT = 1.35
# Okabe and Ito's colours, each with a marker of its own for grey print.
STYLES = (("#999999", "x"), ("#0072b2", "o"), ("#d55e00", "^"), ("#009e73", "s"), ("#cc79a7", "D"))
LABELS = {
    "entropy": "entropy (nats)",
    "normalized_entropy": "entropy, share of the largest possible",
    "perplexity": "perplexity (keys)",
    "distance": "mean attended distance (tokens)",
    "distance_share": "mean attended distance, share of the longest",
    "on_class_token": "attention on the class token",
    "on_self": "attention on itself",
    "on_first": "attention on the first token",
    "largest": "largest attention on one key",
    "focused": "queries with one key above a half",
    "similarity": "mean cosine with the other heads",
    "closest": "cosine with the closest head",
}


def attention_maps(
    scores: Mapping[str, np.ndarray],
    photo: np.ndarray,
    grid: Sequence[int],
    *,
    query: int = 0,
    class_token: int = 1,
    limit: float | None = None,
) -> Figure:
    """Draw what one token of one photo attends to: a row a layer, a column a head.

    All cells share one scale, from nothing to the largest value of any, which the title of the
    colour bar states beside what uniform attention would be.

    Args:
        scores: Address → `(heads, queries, keys)` of one sample, as `kv.attention.scores` gives.
        photo: `(height, width)` or with channels.
        grid: Rows and columns of tokens.
        query: The token that looks; 0 is the class token where there is one.
        class_token: How many tokens stand in front of the grid; they are not drawn.
        limit: Where colours saturate; None: the largest value.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Scores that do not have the grid's tokens.
    """
    rows, columns = _sizes(grid)
    maps = {
        address: _map(address, array, (rows, columns), query, class_token)
        for address, array in scores.items()
    }
    if not maps:
        raise InputError("`scores` must hold at least one layer. Received: none. Pass a dict.")
    highest = max(float(one.max()) for one in maps.values())
    top = limit or highest or 1.0
    heads = max(len(one) for one in maps.values())
    figure = new_figure(LEFT + CELL * max(heads, 3), 0.85 + (CELL + 0.05) * len(maps))
    figure.set_layout_engine("constrained")
    axes: Any = figure.subplots(len(maps), heads, squeeze=False)
    uniform = 1.0 / next(iter(scores.values())).shape[-1]
    for row, (address, one) in zip(axes, maps.items(), strict=True):
        for head, cell in enumerate(row):
            if head >= len(one):
                cell.set_axis_off()
                continue
            cell.imshow(_painted(photo, one[head] / top))
            cell.set(xticks=[], yticks=[])
            cell.set_xlabel(f"max {number(float(one[head].max()))}", fontsize=7, labelpad=2)
        row[0].set_ylabel(shortened(address, 24), fontsize=7)
    for head, cell in enumerate(axes[0]):
        cell.set_title(f"head {head}", fontsize=8)
    what = "the class token's attention" if query < class_token else f"attention of token {query}"
    figure.suptitle(f"{what[0].upper()}{what[1:]} over the patches", fontsize=10)
    _bar(figure, axes, top, uniform)
    return figure


def _bar(figure: Figure, axes: Any, top: float, uniform: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colors = ListedColormap(color_bar()[0])
    bar = figure.colorbar(ScalarMappable(Normalize(0.0, top), colors), ax=axes, shrink=0.8)
    bar.set_label(f"attention (uniform: {number(uniform)})", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.ax.axhline(uniform, color="white", linewidth=1.2)


def _sizes(grid: Sequence[int]) -> tuple[int, int]:
    if len(grid) != 2:
        raise InputError(
            f"`grid` must be the rows and columns of tokens. Received: {tuple(grid)}. "
            "Scores of sequences are matrices: draw them as such."
        )
    return int(grid[0]), int(grid[1])


def _map(
    address: str, array: np.ndarray, grid: tuple[int, int], query: int, leading: int
) -> np.ndarray:
    wanted = leading + grid[0] * grid[1]
    if array.ndim != 3 or array.shape[-1] != wanted or not 0 <= query < array.shape[1]:
        raise InputError(
            f"`scores` must be (heads, queries, {wanted}) for a grid of {grid} after {leading} "
            f"class tokens and query {query}. Received: {array.shape} at {address!r}. "
            "Pass the scores of one sample, and its `grid` and `class_token`."
        )
    return array[:, query, leading:].reshape(-1, *grid)


def _painted(photo: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Each token as a patch of one colour."""
    times = [-(-size // cells) for size, cells in zip(photo.shape[:2], heat.shape, strict=True)]
    patches = np.kron(np.clip(heat, 0.0, 1.0), np.ones(times))
    return blend(photo, patches[: photo.shape[0], : photo.shape[1]])


def heads_by_depth(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame], measure: str = "distance"
) -> Figure:
    """Draw a measure of every head against the depth of its layer, as the ViT paper does.

    Args:
        tables: What `kv.attention.head_statistics` gives, or a dict name → table to compare.
        measure: A column.

    Returns:
        A matplotlib `Figure`, not shown. A mark is a head's mean over the data, with its standard
        deviation over samples; a line joins the layers' means.

    Raises:
        InputError: No such column, or more tables than there are markers.
    """
    named = tables if isinstance(tables, Mapping) else {"": tables}
    _check_tables(named, measure)
    first = next(iter(named.values()))
    addresses = list(dict.fromkeys(first.index.get_level_values("address")))
    figure = new_figure(max(4.2, 1.6 + 0.6 * len(addresses)), 3.4)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    styles = STYLES if len(named) > 1 else STYLES[1:]
    for place, ((name, table), (color, marker)) in enumerate(
        zip(named.items(), styles, strict=False)
    ):
        shift = (place - (len(named) - 1) / 2) * 0.24
        _draw_heads(axes, table, measure, shift, color, marker, name)
    axes.set_xticks(range(len(addresses)), _short(addresses), fontsize=7)
    axes.set_xlim(-0.5, len(addresses) - 0.5)
    axes.set_xlabel("layer, from the input on", fontsize=8)
    axes.set_ylabel(LABELS.get(measure, measure), fontsize=8)
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=LINE, alpha=0.2)
    axes.set_title("Each mark a head: mean ± sd over the samples", fontsize=9)
    if len(named) > 1:
        figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _draw_heads(
    axes: Any, table: pd.DataFrame, measure: str, shift: float, color: str, marker: str, name: str
) -> None:
    groups = [group for _, group in table.groupby(level="address", sort=False)]
    for depth, group in enumerate(groups):
        spread = np.linspace(-0.08, 0.08, len(group)) if len(group) > 1 else np.zeros(1)
        axes.errorbar(
            depth + shift + spread,
            group[measure],
            yerr=group.get(f"{measure}_std"),
            fmt=marker,
            color=color,
            markersize=5,
            markerfacecolor="white",
            elinewidth=0.8,
            linestyle="none",
            label=name if depth == 0 else None,
        )
    means = [float(group[measure].mean()) for group in groups]
    axes.plot(np.arange(len(groups)) + shift, means, color=color, linewidth=1.0, alpha=0.7)


def _check_tables(named: Mapping[str, Any], measure: str) -> None:
    if not 0 < len(named) <= len(STYLES):
        raise InputError(
            f"`tables` must be one to {len(STYLES)} tables. Received: {len(named)}. "
            "Draw them in several figures."
        )
    for table in named.values():
        if measure not in table:
            raise InputError(
                f"`measure` must be a column of the table. Received: {measure!r}. "
                f"There are: {', '.join(c for c in table if not str(c).endswith('_std'))}."
            )


def _short(addresses: Sequence[str]) -> list[str]:
    """Addresses without the parts that all of them share, broken where they are long."""
    parts = [address.split("/") for address in addresses]
    while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[-1] for p in parts}) == 1:
        parts = [p[:-1] for p in parts]
    while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    return [shortened("/".join(p), 14) for p in parts]


def head_similarity(matrices: Mapping[str, Any]) -> Figure:
    """Draw how alike the heads of each layer are.

    Args:
        matrices: Address → `(heads, heads)` mean cosines: `table.attrs["similarity"]`.

    Returns:
        A matplotlib `Figure`, not shown; one scale from 0 to 1 for all layers.

    Raises:
        InputError: No matrices.
    """
    if not matrices:
        raise InputError(
            "`matrices` must hold at least one layer. Received: none. "
            "Pass `table.attrs['similarity']` of `kv.attention.head_statistics`."
        )
    arrays = [np.asarray(matrix, "float64") for matrix in matrices.values()]
    across = min(len(arrays), 4)
    down = -(-len(arrays) // across)
    figure = new_figure(1.0 + 2.0 * across, 0.4 + 2.1 * down)
    figure.set_layout_engine("constrained")
    axes: Any = figure.subplots(down, across, squeeze=False)
    for place, cell in enumerate(axes.flat):
        if place >= len(arrays):
            cell.set_axis_off()
            continue
        cell.imshow(arrays[place], vmin=0.0, vmax=1.0, cmap="viridis")
        _write(cell, arrays[place])
        cell.set_title(shortened(list(matrices)[place], 26), fontsize=8)
        ticks = range(0, len(arrays[place]), max(1, len(arrays[place]) // 8))
        cell.set_xticks(ticks)
        cell.set_yticks(ticks)
        cell.tick_params(labelsize=7)
    bar = figure.colorbar(axes[0, 0].images[0], ax=axes, shrink=0.8)
    bar.set_label("mean cosine of two heads' attention", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _write(cell: Any, matrix: np.ndarray) -> None:
    """The numbers, where there is room."""
    if len(matrix) > 8:
        return
    for row, values in enumerate(matrix):
        for column, value in enumerate(values):
            color = "black" if value > 0.6 else "white"
            cell.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=color
            )
