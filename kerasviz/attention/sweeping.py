"""The expectation over a range of settings: where attention explodes or starves a network."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.attention import random_networks
from kerasviz.attention.expectation import expected
from kerasviz.attention.settings import (
    LARGEST_NUMBER,
    Settings,
    check_memory,
    checked,
    checked_seeds,
)
from kerasviz.errors import InputError
from kerasviz.probe.provenance import provenance

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LIMITS = (0.1, 10.0)
PAIRS = ("multiplier", "bias", "kernel", "layer_bias")
PARTS = ("mean", "std")
WHOLE = {"dense": ("depth", "size"), "cnn": ("depth", "size", "filters")}


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """Expected mean activations over one or two settings.

    Args:
        kind: "dense" or "cnn".
        over: Name to values, in the order of the axes of the arrays.
        expected: (values[, values]) expected mean of the last layer with attention.
        expected_std: The same shape: its standard deviation from seed to seed.
        baseline: The same shape: expected mean without attention.
        limits: Ratios of `expected` to `baseline` up to which a network starves, and from which
            on it explodes.
        parameters: The other settings.
        checked: A row for each simulated cell: measured mean, its standard error, expectation; or
            None.
        provenance: Versions, time.
    """

    kind: str
    over: dict[str, np.ndarray]
    expected: np.ndarray
    expected_std: np.ndarray
    baseline: np.ndarray
    limits: tuple[float, float]
    parameters: dict[str, Any]
    checked: pd.DataFrame | None
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        axes = ", ".join(f"{name} × {len(values)}" for name, values in self.over.items())
        return f"Sweep({self.kind!r}, {axes})"

    @property
    def ratios(self) -> np.ndarray:
        """Expected mean with attention over that without; NaN where neither is finite."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.expected / self.baseline)

    @property
    def verdicts(self) -> np.ndarray:
        """For each cell "explodes", "starves", or "" between the limits."""
        starves, explodes = self.ratios <= self.limits[0], self.ratios >= self.limits[1]
        return np.where(starves, "starves", np.where(explodes, "explodes", ""))

    def table(self) -> pd.DataFrame:
        """A row a cell: the settings, the expectation with and without, ratio and verdict."""
        import pandas as pd

        grid = np.meshgrid(*self.over.values(), indexing="ij")
        columns = {name: axis.ravel() for name, axis in zip(self.over, grid, strict=True)}
        found = {
            "expected": self.expected,
            "expected std": self.expected_std,
            "without attention": self.baseline,
            "ratio": self.ratios,
            "verdict": self.verdicts,
        }
        return pd.DataFrame(columns | {name: values.ravel() for name, values in found.items()})

    def plot(self, quantity: str = "mean", **kwargs: Any) -> Figure:
        """A heat map, or a curve over one setting, with the limits drawn in.

        Args:
            quantity: "mean" with attention, or "ratio" to that without.
            **kwargs: What `kerasviz.plots.attention_sweep.sweep` takes.
        """
        from kerasviz.plots.attention_sweep import sweep as figure_of

        if quantity not in ("mean", "ratio"):
            raise InputError(f"`quantity` must be 'mean' or 'ratio'. Received: {quantity!r}.")
        return figure_of(self, quantity, **kwargs)


def sweep(
    kind: str = "dense",
    over: Mapping[str, Any] | None = None,
    *,
    simulate: bool = False,
    seeds: Any = 8,
    limits: tuple[float, float] = LIMITS,
    verbose: Any = "auto",
    **settings: Any,
) -> Sweep:
    """Compute in closed form what attention does to a network, over one or two settings.

    No weights are drawn, so that it costs no more at large sizes: of a CNN only the rim that feels
    the border, as wide as it is deep, is computed position by position. Attention is said to
    explode a network where the expected mean is at least 10 times that of the same network without
    attention, and to starve it where it is at most a tenth.

    Args:
        kind: "dense" or "cnn".
        over: One or two of `depth`, `size`, `multiplier_mean`, `multiplier_std`, `bias_mean`,
            `bias_std`, `kernel_mean`, `kernel_std`, `layer_bias_mean`, `layer_bias_std` (and of
            the CNN `filters`), each with its values. None: `bias_mean` and `multiplier_mean`.
        simulate: Draw networks for the corners and the centre, to check the closed form.
        seeds: For these; as for `simulate_dense`.
        limits: The two ratios.
        verbose: For these: "auto" or 1 for a progress bar, 0 for none.
        **settings: All other settings of `simulate_dense` or `simulate_cnn`.

    Returns:
        A `Sweep`.

    Raises:
        InputError: Unknown or impossible settings.

    Example:

    ```python
    found = kv.attention.sweep(over={"multiplier_mean": [0.8, 1.0, 1.2], "depth": range(1, 23)})
    print(found.table().query("verdict == 'explodes'"))
    ```
    """
    axes = _axes(kind, over)
    if "attention" in settings:
        raise InputError(
            "Expected no `attention`, since a sweep compares networks with and without. "
            f"Received: {settings['attention']!r}. Leave it out."
        )
    base = checked(kind, **settings)
    is_free = settings.get("divisor") is None
    low, high = _limits(limits)
    deepest = int(axes["depth"].max()) if "depth" in axes else base.depth
    shape = tuple(len(values) for values in axes.values())
    found = np.empty((3, *shape))
    known: dict[Settings, Any] = {}
    cells: dict[tuple[int, ...], Settings] = {}
    for place in np.ndindex(shape):
        cell = cells[place] = _cell(base, axes, place, is_free)
        for row, attention in ((0, True), (2, False)):
            one = dataclasses.replace(cell, attention=attention, depth=deepest)
            if not attention:
                one = dataclasses.replace(one, multiplier=(1.0, 0.0), bias=(0.0, 0.0))
            if one not in known:
                known[one] = expected(one)
            found[row][place] = known[one].means[cell.depth - 1]
            if attention:
                found[1][place] = known[one].stds[cell.depth - 1]
    return Sweep(
        kind=kind,
        over=axes,
        expected=found[0],
        expected_std=found[1],
        baseline=found[2],
        limits=(low, high),
        parameters={k: v for k, v in base.parameters.items() if k not in axes and k != "attention"},
        checked=_checked_cells(cells, axes, found[0], seeds, verbose) if simulate else None,
        provenance=provenance(),
    )


def _checked_cells(
    known: Mapping[tuple[int, ...], Settings],
    axes: Mapping[str, np.ndarray],
    means: np.ndarray,
    seeds: Any,
    verbose: Any,
) -> pd.DataFrame:
    """Measured means at the corners and the centre."""
    import pandas as pd

    numbers = checked_seeds(seeds)
    corners = itertools.product(*({0, len(values) - 1} for values in axes.values()))
    places = sorted({*corners, tuple(len(values) // 2 for values in axes.values())})
    cells = [known[place] for place in places]
    for cell in cells:
        check_memory(cell, 1, len(numbers))
    total = len(numbers) * sum(cell.depth for cell in cells)
    progress = random_networks.progress_bar(total, verbose)
    rows = []
    for place, cell in zip(places, cells, strict=True):
        measured = random_networks.run(cell, [True], numbers, progress).means[0, :, -1]
        at = {
            name: values[index] for (name, values), index in zip(axes.items(), place, strict=True)
        }
        several = len(numbers) > 1 and bool(np.isfinite(measured).all())
        error = np.std(measured, ddof=1) / len(numbers) ** 0.5 if several else np.nan
        found = {"measured": measured.mean(), "standard error": error, "expected": means[place]}
        rows.append(at | found)
    return pd.DataFrame(rows)


def _axes(kind: str, over: Mapping[str, Any] | None) -> dict[str, np.ndarray]:
    """The settings to vary, each with its values in ascending order."""
    if over is None:
        over = {
            "bias_mean": np.linspace(-0.2, 0.2, 17),
            "multiplier_mean": np.linspace(0.7, 1.3, 13),
        }
    known = [*WHOLE.get(kind, ()), *(f"{pair}_{part}" for pair in PAIRS for part in PARTS)]
    if not isinstance(over, Mapping):
        raise InputError(
            f"`over` must be a dict from one or two of {known} to their values. "
            f"Received: {over!r}. Pass such as {{'depth': range(1, 23)}}."
        )
    unknown = sorted(set(map(str, over)) - set(known))
    if unknown or not 1 <= len(over) <= 2:
        raise InputError(
            f"`over` must name one or two of {known}. Received: {list(over)}. Pass the others as "
            "settings."
        )
    axes = {}
    for name, values in over.items():
        numbers = _numbers(values, name)
        is_whole = name in WHOLE.get(kind, ()) and bool((numbers % 1 == 0).all())
        axes[name] = numbers.astype(int) if is_whole else numbers
    return axes


def _numbers(values: Any, name: str) -> np.ndarray:
    """Different finite numbers in ascending order."""
    values = values if np.ndim(values) else [values]
    try:
        found = np.unique(np.asarray(list(values), float))
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if not found.size or found.ndim != 1 or not (np.abs(found) <= LARGEST_NUMBER).all():
        raise InputError(
            f"The values of {name!r} must be at least one number, of at most "
            f"{LARGEST_NUMBER:.0e} in size. Received: {values!r}."
        )
    return found


def _cell(
    base: Settings, axes: Mapping[str, np.ndarray], place: Sequence[int], is_free: bool
) -> Settings:
    """The settings of one cell, checked; a free divisor is the number of filters."""
    changed = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    if base.kind == "dense":
        for name in ("filters", "divisor", "input"):
            del changed[name]
    for (name, values), index in zip(axes.items(), place, strict=True):
        pair, _, part = name.rpartition("_")
        if pair in PAIRS:
            mean, std = changed[pair]
            value = float(values[index])
            changed[pair] = (value, std) if part == "mean" else (mean, value)
        else:
            changed[name] = values[index]
            if name == "filters" and is_free:
                del changed["divisor"]
    return checked(**changed)


def _limits(limits: Any) -> tuple[float, float]:
    try:
        low, high = (float(number) for number in limits)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not 0.0 < low < 1.0 < high < np.inf:
        raise InputError(
            "`limits` must be two ratios, the first between 0 and 1, the second above 1. "
            f"Received: {limits!r}."
        )
    return low, high
