"""Figures of RGB-D scenes: colour, depth with its holes, where to grip and in which direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy import ndimage

from kerasviz.errors import InputError
from kerasviz.plots.blending import blend, color_bar
from kerasviz.plots.displaying import displayable
from kerasviz.plots.reading import shortened
from kerasviz.plots.sheet import LINE_HEIGHT, Sheet

CELL = 1.6
GAP = 0.1
MARGIN = 0.15
BAR = 0.1
FOOT = 0.42
HOLE = "black"
# Near is bright; cividis without its dark end keeps its order in grey and apart from the holes.
DEPTHS = ListedColormap(colormaps["cividis_r"](np.linspace(0.0, 0.75, 256)), "depth").with_extremes(
    bad=HOLE
)
GRIP = "#ffffff"
GRIPPER = "#ffd400"
RIM = "#000000"
SMALLEST = 3
DIRECTED = 0.4
REACH = 0.09


def rgbd_scenes(
    rgb: np.ndarray,
    depth: np.ndarray,
    grasps: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    *,
    maps: Mapping[str, np.ndarray] | None = None,
    titles: Sequence[str] | None = None,
    max_scenes: int = 4,
) -> Figure:
    """Draw a row per scene: colour, depth, grasps, maps.

    Places where the depth was not measured are black. Grasps are outlined; in the middle of each
    connected place a line shows how the fingers of the gripper close, a circle that no direction is
    given, or that the directions given there contradict each other.

    Args:
        rgb: `(n, height, width, 3)`, in any range.
        depth: `(n, height, width)` in millimetres; 0, NaN or infinity where nothing was measured.
        grasps: For each column's title `"grip"`, `(n, rows, columns)`: places to grip, or
            `(n, rows, columns, 2)` probabilities; `"horizontal"` and `"vertical"`,
            `(n, rows, columns)` or with a last axis of 1: cosine and sine of twice the angle.
        maps: For each column's title `(n, rows, columns)` in [0, 1], painted over the colours.
        titles: A text per scene, above its row.
        max_scenes: How many scenes to draw.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: Arrays that are not pictures of the same scenes.
    """
    grasps, maps = dict(grasps or {}), dict(maps or {})
    _check(rgb, depth, grasps, maps)
    count = min(max_scenes, len(rgb))
    names = ["colour", "depth", *grasps, *maps]
    high = CELL * rgb.shape[1] / rgb.shape[2]
    head = LINE_HEIGHT if titles is not None else 0.0
    row = head + high + GAP
    top = MARGIN + LINE_HEIGHT + 0.03
    sheet = Sheet(
        2 * MARGIN + len(names) * (CELL + GAP) - GAP, top + count * row + FOOT + MARGIN / 2
    )
    limits = _limits(depth[:count])
    for column, name in enumerate(names):
        sheet.text(_left(column), MARGIN, shortened(name, 30), fontweight="bold")
    for scene in range(count):
        y = top + scene * row
        if titles is not None:
            sheet.text(_left(0), y - 0.01, shortened(titles[scene], 26 * len(names)), fontsize=7)
        pictures = [displayable(rgb[scene]), DEPTHS(_shares(depth[scene], limits))[..., :3]]
        pictures += [pictures[0]] * len(grasps)
        pictures += [blend(pictures[0], values[scene], signed=False) for values in maps.values()]
        for column, picture in enumerate(pictures):
            axes = sheet.axes(_left(column), y + head, CELL, high)
            axes.imshow(np.clip(picture, 0, 1), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if 2 <= column < 2 + len(grasps):
                _draw_grasps(axes, rgb.shape[1:3], grasps[names[column]], scene)
    _foot(sheet, top + count * row, limits, len(grasps), len(maps))
    return sheet.figure


def _left(column: int) -> float:
    return MARGIN + column * (CELL + GAP)


def _limits(depth: np.ndarray) -> tuple[float, float]:
    """Nearest and farthest depth, but for one value in a hundred."""
    known = depth[_is_known(depth)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, (0.5, 99.5)).tolist()
    return low, max(high, low + 1.0)


def _is_known(depth: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(depth) & (depth > 0))


def _shares(depth: np.ndarray, limits: tuple[float, float]) -> Any:
    known = _is_known(depth)
    shares = (np.where(known, depth, limits[0]) - limits[0]) / (limits[1] - limits[0])
    return np.ma.masked_array(np.clip(shares, 0.0, 1.0), ~known)


def _draw_grasps(
    axes: Axes, size: Sequence[int], grasps: Mapping[str, np.ndarray], scene: int
) -> None:
    grip = to_grip(grasps["grip"][scene])
    horizontal, vertical = (_flat(grasps[name][scene]) for name in ("horizontal", "vertical"))
    high, wide = size[0] / grip.shape[0], size[1] / grip.shape[1]
    columns = (np.arange(grip.shape[1] + 2) - 0.5) * wide - 0.5
    rows = (np.arange(grip.shape[0] + 2) - 0.5) * high - 0.5
    edge = np.pad(grip, 1).astype(float)
    if grip.any():
        for color, width in ((RIM, 2.2), (GRIP, 1.1)):
            axes.contour(columns, rows, edge, [0.5], colors=color, linewidths=width)
    reach = REACH * max(size)
    for row, column, angle in grasp_directions(grip, horizontal, vertical):
        y, x = (row + 0.5) * high - 0.5, (column + 0.5) * wide - 0.5
        for color, width in ((RIM, 3.2), (GRIPPER, 1.7)):
            _draw_gripper(axes, x, y, angle, reach, color, width)
    axes.set_xlim(-0.5, size[1] - 0.5)
    axes.set_ylim(size[0] - 0.5, -0.5)


def _draw_gripper(
    axes: Axes, x: float, y: float, angle: float | None, reach: float, color: str, width: float
) -> None:
    """A line with a finger at each end; a circle without an angle."""
    style: dict[str, Any] = {"color": color, "linewidth": width, "solid_capstyle": "round"}
    if angle is None:
        turn = np.linspace(0, 2 * np.pi, 25)
        axes.plot(x + reach * np.cos(turn), y + reach * np.sin(turn), **style)
        return
    along = reach * np.array([np.cos(angle), -np.sin(angle)])
    finger = 0.4 * np.array([-along[1], along[0]])
    ends = [np.array([x, y]) - along, np.array([x, y]) + along]
    axes.plot(*zip(*ends, strict=True), **style)
    for end in ends:
        axes.plot(*zip(end - finger, end + finger, strict=True), **style)


def to_grip(values: np.ndarray) -> np.ndarray:
    """(rows, columns) bool of labels, or of two probabilities."""
    values = np.asarray(values)
    return values.argmax(axis=-1) > 0 if values.ndim == 3 else values > 0.5


def grasp_directions(
    grip: np.ndarray, horizontal: np.ndarray, vertical: np.ndarray
) -> list[tuple[float, float, float | None]]:
    """Row and column of the middle of each connected place to grip, and the angle in radians.

    The angle is half that of the place's mean (horizontal, vertical); None where that mean is
    shorter than 0.4. Places of fewer than 3 pixels are left out.
    """
    labelled, count = ndimage.label(grip, np.ones((3, 3)))
    found: list[tuple[float, float, float | None]] = []
    for number in range(1, count + 1):
        inside = labelled == number
        if inside.sum() < SMALLEST:
            continue
        rows, columns = np.nonzero(inside)
        x, y = float(horizontal[inside].mean()), float(vertical[inside].mean())
        angle = float(np.arctan2(y, x) / 2) if np.hypot(x, y) >= DIRECTED else None
        found.append((float(rows.mean()), float(columns.mean()), angle))
    return found


def _flat(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values[..., 0] if values.ndim == 3 else values


def _foot(
    sheet: Sheet, y: float, limits: tuple[float, float], num_grasps: int, num_maps: int
) -> None:
    """Colour bars, and how to read the signs."""
    _bar(sheet, _left(1), y, DEPTHS(np.linspace(0, 1, 256))[None, :, :3])
    low, high = limits
    sheet.text(_left(1), y + BAR + 0.03, f"{low:.0f} mm", fontsize=7)
    sheet.text(_left(1) + CELL, y + BAR + 0.03, f"{high:.0f} mm", fontsize=7, ha="right")
    sheet.text(_left(1), y + BAR + 0.16, "black: nothing measured", fontsize=7)
    if num_grasps:
        lines = "outlined: grip here\nline: fingers close along it\ncircle: no one direction"
        sheet.text(_left(2), y - 0.03, lines, fontsize=7, linespacing=1.15)
    for number in range(num_maps):
        x = _left(2 + num_grasps + number)
        _bar(sheet, x, y, color_bar())
        sheet.text(x, y + BAR + 0.03, "0", fontsize=7)
        sheet.text(x + CELL, y + BAR + 0.03, "1", fontsize=7, ha="right")


def _bar(sheet: Sheet, x: float, y: float, colors: np.ndarray) -> None:
    axes = sheet.axes(x, y, CELL, BAR)
    axes.imshow(colors, aspect="auto")
    axes.set(xticks=[], yticks=[])


def _check(
    rgb: np.ndarray, depth: np.ndarray, grasps: Mapping[str, Any], maps: Mapping[str, Any]
) -> None:
    shape = np.shape(rgb)
    if len(shape) != 4 or shape[-1] != 3 or 0 in shape or np.shape(depth) != shape[:3]:
        raise InputError(
            "`rgb` must be (n, height, width, 3) and `depth` (n, height, width). Received: shapes "
            f"{shape} and {np.shape(depth)}. Give the arrays of the same scenes."
        )
    for title, parts in grasps.items():
        missing = {"grip", "horizontal", "vertical"} - set(parts)
        if missing:
            raise InputError(
                "`grasps` must hold grip, horizontal and vertical for each column. Received: "
                f"{title!r} without {sorted(missing)}. Add them."
            )
    arrays = {
        f"{title} {name}": part for title, parts in grasps.items() for name, part in parts.items()
    }
    for name, array in {**arrays, **maps}.items():
        if np.ndim(array) not in (3, 4) or len(array) != len(rgb):
            raise InputError(
                f"Each column must have {len(rgb)} maps (n, rows, columns), one a scene. Received: "
                f"{name!r} of shape {np.shape(array)}. Give the arrays of the same scenes."
            )
