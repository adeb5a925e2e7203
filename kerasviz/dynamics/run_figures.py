"""The figures of a run, from its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.dynamics.distribution_result import Distributions
from kerasviz.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from kerasviz.dynamics.folder import Run

HEADINGS = {
    ("gradients", "norm"): "gradient norm on the probe",
    ("updates", "ratio"): "update of a step / norm of the weight",
    ("activations", "std"): "std of activations on the probe",
    ("activations", "dead_units"): "share of dead units on the probe",
    ("weights", "drift"): "drift of weights from the start",
}
NO_KERNELS = ("bias", "beta", "gamma", "moving_mean", "moving_variance")
NAMED = ("mean", "std", "skewness", "kurtosis", "zeros", "dead_units", "saturation")
MOST_EPOCHS = 5


def curves_of(run: Run) -> Figure:
    """Losses, and a curve for each layer or kernel, over the epochs; over steps without epochs."""
    from kerasviz.plots.training_run import training_run

    scalars, horizontal = (run.scalars, "epoch") if run.epochs else (run.step_scalars, "step")
    losses = {
        name: _curve(scalars[name])
        for name in map(str, scalars.columns)
        if "/" not in name and name.endswith("loss") and scalars[name].notna().any()
    }
    layers = {heading: _curves(scalars, *key) for key, heading in HEADINGS.items()}
    model = run.manifest["model"]
    title = "How training went" + (f": {model}" if model else "")
    return training_run(losses, layers, title=title, horizontal=horizontal)


def ridges_of(run: Run, group: str) -> Figure:
    """Ridgelines of a group's histograms, of up to five epochs from the first to the last.

    Raises:
        InputError: The run has no histograms of the group.
    """
    from kerasviz.plots.distributions import distribution_ridges

    places = np.linspace(0, len(run.epochs) - 1, min(MOST_EPOCHS, len(run.epochs))).round()
    epochs = [run.epochs[int(place)] for place in np.unique(places)] if run.epochs else []
    readings = [_distributions(run, group, epoch) for epoch in epochs]
    if not readings or not readings[-1].addresses:
        raise InputError(
            f"`group` must have histograms in the run. Received: {group!r}. "
            "See `run.histograms(-1)`; a `DistributionWatcher` keeps them."
        )
    titles = [f"epoch {epoch}" for epoch in epochs]
    return distribution_ridges(readings, titles=titles, title=f"How {group} are distributed")


def _distributions(run: Run, group: str, epoch: int) -> Distributions:
    import pandas as pd

    start = f"{group}/"
    held = run.histograms(epoch)
    found = {name[len(start) :]: pair for name, pair in held.items() if name.startswith(start)}
    row, rows = run.scalars.loc[epoch], []
    for address in found:
        rows.append({n: row.get(f"{start}{address}/{n}", np.nan) for n in NAMED})
    table = pd.DataFrame(rows, index=pd.Index([*found], name="address"), columns=[*NAMED])
    table = table.dropna(axis=1, how="all")
    edges = np.array([pair[0] for pair in found.values()])
    return Distributions(table, edges, np.array([pair[1] for pair in found.values()]), {})


def _curves(scalars: pd.DataFrame, group: str, statistic: str) -> dict[str, tuple[Any, Any]]:
    start, end = f"{group}/", f"/{statistic}"
    found = {}
    for name in map(str, scalars.columns):
        if name.startswith(start) and name.endswith(end):
            address = name[len(start) : -len(end)]
            is_kernel = address.rpartition("/")[2] not in NO_KERNELS
            if (is_kernel or group == "activations") and scalars[name].notna().any():
                found[address] = _curve(scalars[name])
    return found


def _curve(values: pd.Series) -> tuple[Any, Any]:
    known = values.dropna()
    return known.index.to_numpy(), known.to_numpy()
