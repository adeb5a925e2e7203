"""Receptive fields in numbers: their type, orientation, size, colour, and how round they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.receptive_fields.bars import match_bars
from kerasviz.receptive_fields.center_surround import (
    PARAMETERS as CENTER_SURROUND_PARAMETERS,
)
from kerasviz.receptive_fields.center_surround import (
    CenterSurroundSurface,
    center_surround_parameters,
    fit_center_surround,
)
from kerasviz.receptive_fields.gabor import PARAMETERS as GABOR_PARAMETERS
from kerasviz.receptive_fields.gabor import GaborSurface, fit_gabor, gabor_parameters
from kerasviz.receptive_fields.principal_colors import principal_colors

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SMALLEST = 5
NEGLIGIBLE = 0.1
EXACT = 1e-3
GABOR, DOG, OTHER, DEAD = "gabor", "dog", "other", "dead"


def describe(maps: Any, poor: float = 0.6) -> pd.DataFrame:
    """What kind of receptive field each map shows, by two fits and a comparison with bars.

    A Gabor function (eight parameters) and a difference of two round Gaussians with one centre
    (six) are fitted to each map by least squares, from several starts that the map itself decides.
    The type is that of the fit with the lower Bayesian information criterion, n·ln(share of
    variance left) + parameters·ln(n) for n pixels, where less than a thousandth counts as that.
    Angles are directions of stripes and bars, in degrees from 0 up to 180: 0 lies, 90 stands, 45
    rises to the right. Lengths are in pixels, from the middle of the top left one.

    Args:
        maps: (units, height, width) or (units, height, width, colours), or an object with such an
            array as `maps`; at least 5 pixels a side. Maps of several colours are described along
            the direction in colour space in which they vary most.
        poor: From this share of unexplained variance on, in (0, 1], a fit is too poor to give its
            name.

    Returns:
        DataFrame, a row a unit, by its number in the layer where `maps` has `units`:

        - `type`: "gabor"; "dog" (centre and surround); "other" where both fits are poor, or a map
          is constant; "dead" where it is 0 everywhere. Of the last two the numbers that do not
          exist are NaN.
        - `blob`: whether it is a "dog" whose surround has less than a tenth of the centre's volume.
        - `row`, `column`: the centre of the better fit.
        - `gabor_error`, `dog_error`: unexplained variance in [0, 1].
        - of the Gabor fit `orientation`, `wavelength` (from 1.41: a chequered map; of stripes one
          pixel wide along rows or columns, a direction and its mirror image look alike), `phase`
          (degrees: 0 for a bright stripe in the middle, 90 and -90 for an edge, the normal
          pointing right, or down), `bandwidth` (octaves at half the response; inf where the
          stripes are no more than one), `sigma_across` and `sigma_along` of the stripes,
          `gabor_amplitude`, `gabor_row`, `gabor_column`.
        - of the difference of Gaussians `sigma_center`, `sigma_surround`, `weight_center` and
          `weight_surround` (peaks, the second subtracted), `surround_share` (volume of the
          surround over that of the centre: 1 ignores even light), `dog_row`, `dog_column`.
        - of the comparison with bars (50 angles, 30 widths, 30 phases) `orientation_ratio` (score
          at the preferred angle over that across, from 1), `orientation_std` (of the scores over
          the angles, relative to the highest; 0 is isotropic), `bar_orientation`, `bar_width`.
        - for several colours `color_share` (of the squared values that the direction explains),
          `opponency` (0 where all colours have one sign, 1 where they cancel) and the direction
          `color_0`, `color_1` …, of length 1.

    Raises:
        InputError: Another shape, maps that are too small, or values that are not finite.

    Reference:
        Lindsey, Ocko, Ganguli, Deny, "A Unified Theory of Early Visual Representations from
        Retina to Cortex through Anatomically Constrained Deep CNNs", ICLR 2019, arXiv:1901.00945.
        Jones and Palmer, "An evaluation of the two-dimensional Gabor filter model of simple
        receptive fields in cat striate cortex", J. Neurophysiol. 1987.

    Example:

    ```python
    y, x = np.mgrid[-8:9, -8:9]
    stripes = np.exp(-(x**2 + y**2) / 18) * np.cos(x)
    found = kv.receptive_fields.describe(stripes[None])
    print(found.loc[0, ["type", "orientation", "wavelength"]])
    ```
    """
    import pandas as pd

    array = _array(maps)
    if isinstance(poor, bool) or not isinstance(poor, (int, float)) or not 0 < poor <= 1:
        raise InputError(f"`poor` must be a number in (0, 1]. Received: {poor!r}. Try 0.6.")
    flat, colors = principal_colors(array) if array.ndim == 4 else (array, {})
    shape = flat.shape[1:]
    surfaces = GaborSurface(shape), CenterSurroundSurface(shape)
    rows = [_fitted(one, surfaces, float(poor)) for one in flat]
    bars = match_bars(flat)
    table = pd.DataFrame(rows)
    table["orientation_ratio"] = bars.ratio
    table["orientation_std"] = bars.std
    lively = np.isfinite(bars.std)
    table["bar_orientation"] = np.where(lively, bars.orientation, np.nan)
    table["bar_width"] = np.where(lively, bars.width, np.nan)
    table = table.assign(**colors)
    table.index = pd.Index(_numbers(maps, len(array)), name="unit")
    return table


def draw_fits(table: pd.DataFrame, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """The fits of a table as maps.

    Args:
        table: What `describe` returns, or some of its rows.
        shape: Height and width of the maps.

    Returns:
        dict "gabor" and "dog" → (rows, height, width); zeros for what was not fitted.

    Example:

    ```python
    maps = np.random.default_rng(0).normal(size=(1, 9, 9))
    fits = kv.receptive_fields.draw_fits(kv.receptive_fields.describe(maps), (9, 9))
    left = maps - fits["gabor"]
    ```
    """
    gabors, others = GaborSurface(shape), CenterSurroundSurface(shape)
    found: dict[str, list[np.ndarray]] = {GABOR: [], DOG: []}
    for row in table.to_dict("records"):
        numbers: Any = row
        is_fitted = np.isfinite(numbers["gabor_error"])
        nothing = np.zeros(shape)
        found[GABOR].append(gabors.draw(gabor_parameters(numbers)) if is_fitted else nothing)
        found[DOG].append(
            others.draw(center_surround_parameters(numbers)) if is_fitted else nothing
        )
    return {name: np.array(parts).reshape(-1, *shape) for name, parts in found.items()}


def plot_fits(
    maps: Any, table: pd.DataFrame | None = None, units: Sequence[int] | None = None, **kwargs: Any
) -> Figure:
    """Units with their fits beside them.

    Args:
        maps: As for `describe`.
        table: What `describe` says of them; None: described here.
        units: Numbers of those to draw, as in the table's index; None: the first twelve.
        **kwargs: `title` of `kv.plots.field_fits`.

    Returns:
        A matplotlib `Figure`, not shown.

    Raises:
        InputError: A table of other maps, or units that there are not.
    """
    from kerasviz.plots.fitted_fields import field_fits

    array = _array(maps)
    table = describe(array) if table is None else table
    numbers = _numbers(maps, len(array))
    asked = numbers[:12] if units is None else list(units)
    if len(table) != len(array) or not set(asked) <= set(numbers):
        raise InputError(
            f"`table` and `units` must be of the {len(array)} maps. Received: {len(table)} rows "
            f"and units {asked}. Pass what `describe` returns of these maps."
        )
    chosen = [numbers.index(unit) for unit in asked]
    flat = principal_colors(array)[0] if array.ndim == 4 else array
    rows = table.iloc[chosen]
    fits = draw_fits(rows, flat.shape[1:])
    return field_fits(flat[chosen], fits[GABOR], fits[DOG], rows, **kwargs)


def _numbers(maps: Any, count: int) -> list[int]:
    """Numbers of units: those that the maps bring along, or of their places."""
    found = np.asarray(getattr(maps, "units", ()))
    return found.tolist() if found.shape == (count,) else list(range(count))


def _array(maps: Any) -> np.ndarray:
    """(units, height, width), or with a last axis of several colours."""
    found = np.asarray(getattr(maps, "maps", maps))
    positions = getattr(maps, "size", None) if hasattr(maps, "maps") else None
    if isinstance(positions, tuple) and len(positions) != 2:
        raise InputError(
            "`maps` must be of an input with height and width. Received: fields with "
            f"{len(positions)} axes of positions. Plot them instead."
        )
    if found.ndim == 4 and found.shape[-1] == 1:
        found = found[..., 0]
    if found.ndim not in (3, 4) or found.dtype.kind not in "fiub" or 0 in found.shape:
        raise InputError(
            "`maps` must be an array (units, height, width) or (units, height, width, colours). "
            f"Received: shape {found.shape} of {found.dtype}. Pass a single map as `maps[None]`."
        )
    if min(found.shape[1:3]) < SMALLEST:
        raise InputError(
            f"`maps` must have at least {SMALLEST} pixels a side to tell types apart. Received: "
            f"{found.shape[1]} × {found.shape[2]}. Look at such small ones as they are."
        )
    found = found.astype("float64")
    bad = ~np.isfinite(found).reshape(len(found), -1).all(axis=1)
    if bad.any():
        raise InputError(
            f"`maps` must be finite. Received: NaN or infinity in {int(bad.sum())} of "
            f"{len(found)} units, first in unit {int(bad.argmax())}. Look for them in the weights."
        )
    return found


def _fitted(
    one: np.ndarray, surfaces: tuple[GaborSurface, CenterSurroundSurface], poor: float
) -> dict[str, Any]:
    """A row without what bars say."""
    scale = float(np.abs(one).max())
    scaled = one / (scale or 1.0)
    variance = float(((scaled - scaled.mean()) ** 2).sum())
    if variance <= 1e-12 * scaled.size:
        return {"type": OTHER if scale else DEAD, "blob": False, **_nothing()}
    gabor, dog = fit_gabor(surfaces[0], scaled), fit_center_surround(surfaces[1], scaled)
    errors = [min(1.0, fit.squares / variance) for fit in (gabor, dog)]
    is_gabor = _criterion(errors[0], scaled.size, GABOR_PARAMETERS) < _criterion(
        errors[1], scaled.size, CENTER_SURROUND_PARAMETERS
    )
    stripes, round_ = gabor.columns(), dog.columns()
    stripes["gabor_amplitude"] *= scale
    for name in ("weight_center", "weight_surround"):
        round_[name] *= scale
    kind = OTHER if min(errors) >= poor else GABOR if is_gabor else DOG
    place = "gabor" if is_gabor else "dog"
    both = {**stripes, **round_}
    return {
        "type": kind,
        "blob": kind == DOG and both["surround_share"] < NEGLIGIBLE,
        "row": both[f"{place}_row"],
        "column": both[f"{place}_column"],
        "gabor_error": errors[0],
        "dog_error": errors[1],
        **both,
    }


def _criterion(error: float, size: int, parameters: int) -> float:
    return size * float(np.log(max(error, EXACT))) + parameters * float(np.log(size))


def _nothing() -> dict[str, float]:
    return {"row": np.nan, "gabor_error": np.nan, "dog_error": np.nan}
