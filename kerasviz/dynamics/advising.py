"""What a practitioner would notice in a run, in words: one rule each, with its threshold."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.dynamics.folder import Run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DEAD = 0.5
SATURATED = 0.5
LEAST_RATIO, MOST_RATIO = 1e-4, 1e-2
LEAST_FLOW = 1e-3
RISE, RISING_EPOCHS = 1.05, 3
SHIFTS_AND_SCALES = ("bias", "beta", "gamma")
RULES = (
    "not finite",
    "dead units",
    "saturated",
    "no gradient",
    "gradient flow",
    "small updates",
    "large updates",
    "rising loss",
    "rising validation loss",
)
SHARES = (
    ("dead_units", "dead units", DEAD, "dead units"),
    ("saturation", "saturated", SATURATED, "of the values saturated"),
)
BLOCK = re.compile(r"(.*block_?\d+[a-z]?)(?![a-z0-9])")


@dataclasses.dataclass(frozen=True)
class Advice:
    """One thing to look at.

    Args:
        rule: "not finite", "dead units", "saturated", "no gradient", "gradient flow", "small
            updates", "large updates", "rising loss" or "rising validation loss".
        text: What it is, in a sentence.
        scalar: The column of `run.scalars` that it comes from.
        value: What was found last; of the gradient flow, the ratio of the blocks.
        threshold: What the value is compared with.
        since: From which epoch on, without a break; from which step, where `unit` says so.
        unit: "epoch" or "step": where the numbers were kept.
        curve: What is compared with the threshold, by epoch or step.
    """

    rule: str
    text: str
    scalar: str
    value: float
    threshold: float
    since: int
    unit: str = "epoch"
    curve: Any = dataclasses.field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.text


def advice(run: Run) -> list[Advice]:
    """What a practitioner would notice, the most serious first.

    A rule speaks of what holds in the last epoch, and says since when. Each looks at one column
    of `run.scalars`, or of `run.step_scalars` where a watcher looked every few batches and the
    column is in no epoch: then it speaks of steps. All thresholds are rules of thumb:

    - not finite: "loss" is NaN or infinite, or a "…/not_finite" is above 0;
    - dead units: "activations/…/dead_units" is 0.5 or more (of the units, on the probe);
    - saturated: "activations/…/saturation" is 0.5 or more (of the values);
    - no gradient: "gradients/…/norm" is 0;
    - gradient flow: the norm of the gradient of all kernels and embeddings of the first block,
      from "gradients/…/norm", is below 1e-3 of the last block's, or above 1e3 of it. Blocks are
      the parts of a nested model, the "block_3" of names that begin with such, else layers;
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
    found: list[Advice] = []
    for unit, scalars in _kept(run):
        for rule in (_not_finite, _dead_or_saturated, _no_gradient, _flow, _updates, _rising):
            found += [
                dataclasses.replace(one, unit=unit, text=one.text.format(unit=unit))
                for one in rule(scalars)
            ]
    return sorted(found, key=lambda one: RULES.index(one.rule))


def advice_figure(found: Sequence[Advice]) -> Figure | None:
    """The curves that advice comes from, each with its threshold; None without advice."""
    from kerasviz.plots.advice_curves import advice_curves

    panels = [(one.rule, one.scalar, one.curve, one.threshold, one.unit) for one in found]
    return advice_curves(panels) if panels else None


def _kept(run: Run) -> Iterator[tuple[str, pd.DataFrame]]:
    """The columns of epochs, and those that only steps have, one of them beyond the first."""
    epochs, steps = run.scalars, run.step_scalars
    yield "epoch", epochs
    if len(steps) > 1:
        only = steps[[name for name in steps.columns if name not in epochs.columns]]
        yield "step", only.loc[:, only.iloc[1:].notna().any()]


def _not_finite(scalars: pd.DataFrame) -> Iterator[Advice]:
    if "loss" in scalars:
        curve = scalars["loss"]
        since = _since(curve, lambda x: ~np.isfinite(x), missing=True)
        if since is not None:
            text = f"The loss is NaN or infinite since {{unit}} {since}."
            last = _last(curve, True)
            yield Advice("not finite", text, "loss", last, 0.0, since, curve=curve)
    for name, group, address in _named(scalars, "not_finite"):
        since = _since(scalars[name], lambda x: x > 0)
        if since is not None:
            count = _last(scalars[name])
            what = f"{_plain(address)}: {count:.0f} {group} are NaN or infinite"
            text = f"{what} since {{unit}} {since}."
            yield Advice("not finite", text, name, count, 0.0, since, curve=scalars[name])


def _dead_or_saturated(scalars: pd.DataFrame) -> Iterator[Advice]:
    for statistic, rule, threshold, words in SHARES:
        for name, _, address in _named(scalars, statistic):
            since = _since(scalars[name], _at_least(threshold))
            if since is not None:
                share = _last(scalars[name])
                text = f"{_plain(address)}: {share:.0%} {words} since {{unit}} {since}."
                yield Advice(rule, text, name, share, threshold, since, curve=scalars[name])


def _no_gradient(scalars: pd.DataFrame) -> Iterator[Advice]:
    for name, group, address in _named(scalars, "norm"):
        since = _since(scalars[name], lambda x: x == 0) if group == "gradients" else None
        if since is not None:
            text = f"{_plain(address)}: its gradient on the probe is 0 since {{unit}} {since}."
            yield Advice("no gradient", text, name, 0.0, 0.0, since, curve=scalars[name])


def _flow(scalars: pd.DataFrame) -> Iterator[Advice]:
    blocks = _blocks(scalars)
    if len(blocks) < 2:
        return
    norms = {
        block: (scalars[columns] ** 2).sum(axis=1, skipna=False) ** 0.5
        for block, columns in blocks.items()
    }
    first, *_, last = blocks
    ratios = norms[first] / norms[last].where(norms[last] > 0)
    since = _since(ratios, lambda x: ((x < LEAST_FLOW) & (x > 0)) | (x > 1 / LEAST_FLOW))
    if since is not None:
        ratio = _last(ratios)
        text = (
            f"Gradients of the first block ({_plain(first)}) are {ratio:.0e} of those of the last "
            f"({_plain(last)}) since {{unit}} {since}{_steepest(norms, ratio)}."
        )
        threshold = LEAST_FLOW if ratio < 1 else 1 / LEAST_FLOW
        yield Advice("gradient flow", text, blocks[first][0], ratio, threshold, since, curve=ratios)


def _blocks(scalars: pd.DataFrame) -> dict[str, list[str]]:
    """The gradient norms of kernels and embeddings by block, in the order of depth."""
    found: dict[str, list[str]] = {}
    for name, group, address in _named(scalars, "norm"):
        if group == "gradients" and _is_kernel(address) and scalars[name].notna().any():
            layer = address.rpartition("/")[0] or address
            part = layer.partition("/")[0]
            named = BLOCK.match(part)
            found.setdefault(named[1] if named else part, []).append(name)
    return found


def _steepest(norms: dict[str, pd.Series], ratio: float) -> str:
    """Between which neighbours most of it happens, of more than two blocks."""
    sizes = {block: _last(norm) for block, norm in norms.items() if norm.notna().any()}
    known = [(block, size) for block, size in sizes.items() if size > 0]
    if len(known) < 3:
        return ""
    sign = -1.0 if ratio < 1 else 1.0
    steps = [sign * np.log(a / b) for (_, a), (_, b) in itertools.pairwise(known)]
    place = int(np.argmax(steps))
    return f", most of it between {_plain(known[place][0])} and {_plain(known[place + 1][0])}"


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
                    f"{_plain(address)}: a step changes it by {ratio:.0e} of its norm since "
                    f"{{unit}} {since}, "
                    f"which is {word} ({LEAST_RATIO:.0e} to {MOST_RATIO:.0e} is usual)."
                )
                rule, curve = f"{word} updates", scalars[name]
                yield Advice(rule, text, name, ratio, threshold, since, curve=curve)


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
        text = (
            f"The {words} is above its lowest value, of {{unit}} {lowest}, since {{unit}} {since}."
        )
        value = float(values.iloc[-1])
        yield Advice(f"rising {words}", text, name, value, threshold, since, curve=values)


def _named(scalars: pd.DataFrame, statistic: str) -> Iterator[tuple[str, str, str]]:
    """The columns "group/address/statistic": name, group, address."""
    for name in scalars:
        group, _, rest = str(name).partition("/")
        address, _, last = rest.rpartition("/")
        if last == statistic and address:
            yield str(name), group, address


def _at_least(threshold: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: x >= threshold


def _plain(name: str) -> str:
    """A name as it may stand in a text that is still to be formatted."""
    return name.replace("{", "{{").replace("}", "}}")


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
