"""What a practitioner would notice in a run, in words: one rule each, with its threshold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.dynamics.folder import Run

if TYPE_CHECKING:
    import pandas as pd

DEAD = 0.5
SATURATED = 0.5
LEAST_RATIO, MOST_RATIO = 1e-4, 1e-2
LEAST_FLOW = 1e-3
RISE, RISING_EPOCHS = 1.05, 3
SHIFTS_AND_SCALES = ("bias", "beta", "gamma")


@dataclasses.dataclass(frozen=True)
class Advice:
    """One thing to look at.

    Args:
        rule: "not finite", "dead units", "saturated", "no gradient", "gradient flow", "small
            updates", "large updates", "rising loss" or "rising validation loss".
        text: What it is, in a sentence.
        scalar: The column of `run.scalars` that it comes from.
        value: The column's value in the last epoch.
        threshold: What the value is compared with.
        since: From which epoch on, without a break.
    """

    rule: str
    text: str
    scalar: str
    value: float
    threshold: float
    since: int

    def __str__(self) -> str:
        return self.text


def advice(run: Run) -> list[Advice]:
    """What a practitioner would notice, the most serious first.

    A rule speaks of what holds in the last epoch, and says since when. Each looks at one column
    of `run.scalars`; all thresholds are rules of thumb:

    - not finite: "loss" is NaN or infinite, or a "…/not_finite" is above 0;
    - dead units: "activations/…/dead_units" is 0.5 or more (of the units, on the probe);
    - saturated: "activations/…/saturation" is 0.5 or more (of the values);
    - no gradient: "gradients/…/norm" is 0;
    - gradient flow: of kernels and embeddings, "gradients/…/norm" of the first is below 1e-3 of
      the last one's, or above 1e3 of it;
    - updates: of kernels and embeddings, "updates/…/ratio" is above 0 and below 1e-4, or above
      1e-2;
    - rising: "loss", or "val_loss", was above 1.05 times its lowest value in each of the last 3
      epochs.

    Args:
        run: A run that watchers have written.

    Returns:
        A list of `Advice`; empty where no rule speaks.

    Example:

    ```python
    with kv.dynamics.RunWriter("runs/dead") as writer:
        for epoch, share in enumerate([0.1, 0.6, 0.61]):
            writer.write_epoch(epoch, {"activations/layer4/conv/dead_units": share})
    print(*kv.dynamics.advice(kv.dynamics.Run("runs/dead")))
    ```
    """
    scalars = run.scalars
    found: list[Advice] = []
    for rule in (_not_finite, _dead, _saturated, _no_gradient, _flow, _updates, _rising):
        found += rule(scalars)
    return found


def _not_finite(scalars: pd.DataFrame) -> Iterator[Advice]:
    if "loss" in scalars:
        since = _since(scalars["loss"], lambda x: ~np.isfinite(x), missing=True)
        if since is not None:
            text = f"The loss is NaN or infinite since epoch {since}."
            yield Advice("not finite", text, "loss", _last(scalars["loss"], True), 0.0, since)
    for name, group, address in _named(scalars, "not_finite"):
        since = _since(scalars[name], lambda x: x > 0)
        if since is not None:
            count = _last(scalars[name])
            text = f"{address}: {count:.0f} {group} are NaN or infinite since epoch {since}."
            yield Advice("not finite", text, name, count, 0.0, since)


def _dead(scalars: pd.DataFrame) -> Iterator[Advice]:
    for name, _, address in _named(scalars, "dead_units"):
        since = _since(scalars[name], lambda x: x >= DEAD)
        if since is not None:
            share = _last(scalars[name])
            text = f"{address}: {share:.0%} dead units since epoch {since}."
            yield Advice("dead units", text, name, share, DEAD, since)


def _saturated(scalars: pd.DataFrame) -> Iterator[Advice]:
    for name, _, address in _named(scalars, "saturation"):
        since = _since(scalars[name], lambda x: x >= SATURATED)
        if since is not None:
            share = _last(scalars[name])
            text = f"{address}: {share:.0%} of the values saturated since epoch {since}."
            yield Advice("saturated", text, name, share, SATURATED, since)


def _no_gradient(scalars: pd.DataFrame) -> Iterator[Advice]:
    for name, group, address in _named(scalars, "norm"):
        since = _since(scalars[name], lambda x: x == 0) if group == "gradients" else None
        if since is not None:
            text = f"{address}: its gradient on the probe is 0 since epoch {since}."
            yield Advice("no gradient", text, name, 0.0, 0.0, since)


def _flow(scalars: pd.DataFrame) -> Iterator[Advice]:
    names = [
        (name, address)
        for name, group, address in _named(scalars, "norm")
        if group == "gradients" and _is_kernel(address)
    ]
    if len(names) < 2:
        return
    (first, first_address), (last, last_address) = names[0], names[-1]
    ratios = scalars[first] / scalars[last].where(scalars[last] > 0)
    since = _since(ratios, lambda x: ((x < LEAST_FLOW) & (x > 0)) | (x > 1 / LEAST_FLOW))
    if since is not None:
        ratio = _last(ratios)
        text = (
            f"Gradients of the first weight ({first_address}) are {ratio:.0e} of those of the last "
            f"({last_address}) since epoch {since}."
        )
        threshold = LEAST_FLOW if ratio < 1 else 1 / LEAST_FLOW
        yield Advice("gradient flow", text, first, _last(scalars[first]), threshold, since)


def _updates(scalars: pd.DataFrame) -> Iterator[Advice]:
    bounds: list[tuple[str, float, Callable[[np.ndarray], np.ndarray]]] = [
        ("small", LEAST_RATIO, lambda x: (x > 0) & (x < LEAST_RATIO)),
        ("large", MOST_RATIO, lambda x: x > MOST_RATIO),
    ]
    for name, _, address in _named(scalars, "ratio"):
        for word, threshold, holds in bounds if _is_kernel(address) else []:
            since = _since(scalars[name], holds)
            if since is not None:
                ratio = _last(scalars[name])
                text = (
                    f"{address}: a step changes it by {ratio:.0e} of its norm since epoch {since}, "
                    f"which is {word} ({LEAST_RATIO:.0e} to {MOST_RATIO:.0e} is usual)."
                )
                yield Advice(f"{word} updates", text, name, ratio, threshold, since)


def _rising(scalars: pd.DataFrame) -> Iterator[Advice]:
    for name, words in (("loss", "loss"), ("val_loss", "validation loss")):
        if name not in scalars:
            continue
        values = scalars[name].dropna()
        if len(values) <= RISING_EPOCHS or not float(values.min()) > 0:
            continue
        threshold = RISE * float(values.min())
        since = _since(values / threshold, lambda x: x > 1.0)
        place: Any = values.idxmin()
        lowest = int(place)
        if since is None or (values.loc[since:].size < RISING_EPOCHS) or lowest >= since:
            continue
        text = f"The {words} is above its lowest value, of epoch {lowest}, since epoch {since}."
        yield Advice(f"rising {words}", text, name, float(values.iloc[-1]), threshold, since)


def _named(scalars: pd.DataFrame, statistic: str) -> Iterator[tuple[str, str, str]]:
    """The columns "group/address/statistic": name, group, address."""
    for name in scalars:
        group, _, rest = str(name).partition("/")
        address, _, last = rest.rpartition("/")
        if last == statistic and address:
            yield str(name), group, address


def _is_kernel(address: str) -> bool:
    return address.rpartition("/")[2] not in SHIFTS_AND_SCALES


def _last(values: pd.Series, missing: bool = False) -> float:
    return float((values if missing else values.dropna()).iloc[-1])


def _since(
    values: pd.Series, holds: Callable[[np.ndarray], np.ndarray], missing: bool = False
) -> int | None:
    """The first epoch of those at the end in all of which a condition holds; None: not in the last.

    Epochs without the number are passed over, unless `missing` says that they count.
    """
    known = values if missing else values.dropna()
    held = np.asarray(holds(known.to_numpy("float64")), bool)
    if not held.size or not held[-1]:
        return None
    breaks = np.flatnonzero(~held)
    return int(known.index[breaks[-1] + 1 if breaks.size else 0])
