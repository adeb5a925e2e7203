"""Drawing one input, alone or with its map, on one pair of axes: pictures, volumes, lines, bars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from kerasviz.errors import InputError
from kerasviz.plots.blending import blend, faded
from kerasviz.plots.colors import ALPHA, LINE, NEGATIVE, POSITIVE
from kerasviz.plots.displaying import channel_axis, displayable
from kerasviz.plots.panel import Panel
from kerasviz.plots.reading import number
from kerasviz.plots.resizing import resize
from kerasviz.plots.slicing import hottest, middle, side_by_side, three_slices

MAX_BARS = 32
MAX_LINES = 8


def is_chart(image: np.ndarray, spatial: tuple[int, ...]) -> bool:
    """Whether an input is drawn with axes (bars, lines) rather than as a picture."""
    return kind_of(image, spatial) in ("bars", "line")


def kind_of(image: np.ndarray, spatial: tuple[int, ...]) -> str:
    """How an input is drawn, from the axes of its map: "bars", "line", "image" or "volume"."""
    if len(spatial) > 3:
        raise InputError(
            f"`map` must have at most 3 spatial axes to be drawn. Received: shape {spatial}. "
            "Take a slice or a maximum over some axes first."
        )
    if len(spatial) > 1:
        return "image" if len(spatial) == 2 else "volume"
    short = not spatial or spatial[0] <= MAX_BARS
    return "bars" if image.ndim == len(spatial) and short else "line"


def flat_photo(image: np.ndarray, spatial: tuple[int, ...]) -> np.ndarray:
    """An image, or the three central slices of a volume, as `(height, width, 3)` in [0, 1]."""
    photo = displayable(image, spatial)
    if len(spatial) == 2:
        return photo
    return side_by_side(three_slices(photo, middle(photo.shape[:3])))


def painted(
    panel: Panel, colormap: str | Colormap | None = None, alpha: float = ALPHA
) -> np.ndarray:
    """The map over the image as `(height, width, 3)`; a blank map leaves the faded image alone."""
    if panel.blank:
        return faded(flat_photo(panel.image, panel.map.shape), 1.0, lighter=panel.signed)
    photo, heat = displayable(panel.image, panel.map.shape), panel.map / panel.limit

    def paint(picture: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return blend(picture, cells, alpha, colormap, signed=panel.signed)

    return paint(photo, heat) if heat.ndim == 2 else _paint_slices(photo, heat, paint)


def slice_position(panel: Panel) -> tuple[int, ...]:
    """Where a volume is cut: at its hottest voxel, or in the middle when the map is blank."""
    shape = displayable(panel.image, panel.map.shape).shape[:3]
    return middle(shape) if panel.blank else hottest(resize(panel.map, shape))


def _paint_slices(
    photo: np.ndarray, heat: np.ndarray, paint: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    heat = resize(heat, photo.shape[:3])
    position = hottest(heat)
    pairs = zip(three_slices(photo, position), three_slices(heat, position), strict=True)
    return side_by_side([paint(picture, cells) for picture, cells in pairs])


def draw_input(axes: Axes, image: np.ndarray, spatial: tuple[int, ...]) -> None:
    """Draw what the model was given."""
    kind = kind_of(image, spatial)
    if kind == "bars":
        _bars(axes, image, image)
        axes.margins(x=0.05)
    elif kind == "line":
        _signal(axes, image, spatial)
    else:
        _picture(axes, flat_photo(image, spatial))


def draw_panel(
    axes: Axes, panel: Panel, colormap: str | Colormap | None = None, alpha: float = ALPHA
) -> None:
    """Draw a map with its input behind it."""
    kind = kind_of(panel.image, panel.map.shape)
    if kind == "bars":
        _bars(axes, panel.image, None if panel.blank else panel.map)
        axes.set_xlim(-1.05 if panel.signed else 0.0, 1.05)
    elif kind == "line":
        _signal(axes, panel.image, panel.map.shape)
        _evidence(axes, panel)
    else:
        _picture(axes, painted(panel, colormap, alpha))


def _picture(axes: Axes, colors: np.ndarray) -> None:
    axes.imshow(colors, interpolation="nearest" if max(colors.shape) < 128 else "antialiased")
    axes.set_axis_off()


def _signal(axes: Axes, image: np.ndarray, spatial: tuple[int, ...]) -> None:
    """The signal's channels as thin lines; of many channels the strongest varying ones."""
    axis = channel_axis(image.shape, spatial)
    lines = image[:, None] if axis is None else np.moveaxis(image, axis, -1)
    numbers = _finite(lines)
    spread = numbers.std(axis=0)
    for channel in np.sort(np.argsort(-spread, kind="stable")[:MAX_LINES]):
        axes.plot(numbers[:, channel], color=LINE, linewidth=0.8)
    axes.set_xlim(0, max(1, len(lines) - 1))
    _quiet_axes(axes)


def _evidence(axes: Axes, panel: Panel) -> None:
    """The map as a filled line on its own scale, behind the signal."""
    behind = axes.twinx()
    behind.set_ylim(-1.05 if panel.signed else 0.0, 1.05)
    behind.set_axis_off()
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)
    _quiet_axes(axes)
    if panel.blank:
        return
    steps = np.linspace(*axes.get_xlim(), len(panel.map))
    for sign, color in ((1.0, POSITIVE), (-1.0, NEGATIVE)):
        part = sign * np.clip(sign * panel.map, 0.0, 1.0)
        behind.fill_between(steps, 0.0, part, color=color, alpha=0.45, linewidth=0.0)


def _quiet_axes(axes: Axes) -> None:
    axes.tick_params(labelsize=7, length=2, labelleft=False, left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _bars(axes: Axes, values: np.ndarray, lengths: np.ndarray | None) -> None:
    """One bar a feature, labelled with the feature's index and value."""
    labels = np.atleast_1d(values)
    bars = np.zeros(len(labels)) if lengths is None else _finite(np.atleast_1d(lengths))
    rows = np.arange(len(labels))
    axes.barh(rows, bars, color=np.where(bars < 0, NEGATIVE, POSITIVE), alpha=0.6, height=0.8)
    size = min(8.0, 160.0 / len(labels))
    for row, value in enumerate(labels):
        _bar_label(axes, row, f"{row}: {_value_text(value)}", size)
    axes.axvline(0.0, color=LINE, linewidth=0.8)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    _quiet_axes(axes)


def _bar_label(axes: Axes, row: int, text: str, size: float) -> None:
    transform = axes.get_yaxis_transform()
    axes.text(0.01, row, text, transform=transform, va="center", fontsize=size, parse_math=False)


def _finite(values: np.ndarray) -> np.ndarray:
    """float64 without NaN and infinity; texts count as 0."""
    if values.dtype.kind in "US":
        return np.zeros(values.shape)
    return np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _value_text(value: object) -> str:
    return number(float(value)) if isinstance(value, np.number | np.bool_) else str(value)
