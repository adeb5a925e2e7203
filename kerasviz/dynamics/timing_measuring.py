"""Steps run in turns, without and with the profiler, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasviz.dynamics.timing_accounts import Account, accounts
from kerasviz.dynamics.timing_result import METHOD, Profile
from kerasviz.dynamics.timing_settings import StepInputs
from kerasviz.probe.backend.op_owners import BACKWARD, FORWARD, LOSS, OPTIMIZER, Owner
from kerasviz.probe.provenance import provenance
from kerasviz.probe.training_step import Step

LEAST_RUNS = 3
WARM_UP = 2
PHASES = (FORWARD, BACKWARD)


def measured(
    steps: Sequence[tuple[StepInputs, Step]],
    repeats: int,
    seconds: float,
    progress: Callable[[], object] = lambda: None,
) -> list[Profile]:
    """One `Profile` a step, from runs in turns: what disturbs the machine disturbs all alike.

    Args:
        steps: Batches and compiled steps.
        repeats: Runs of each at most.
        seconds: Bound of all together; at least three runs are made of each.
        progress: Called after each round.
    """
    once = 0.0
    for _ in range(WARM_UP):
        once = sum(step.timed() for _, step in steps)
    runs = int(np.clip(seconds / (2 * once + 1e-9), LEAST_RUNS, repeats))
    plain: list[list[float]] = [[] for _ in steps]
    recorded: list[list[Account]] = [[] for _ in steps]
    for _ in range(runs):
        for place, (_, step) in enumerate(steps):
            plain[place].append(step.timed())
            recorded[place] += accounts(step.timed.recorded(1), step.owners.find)
        progress()
    pairs = zip(plain, recorded, strict=True)
    return [_result(*step, *pair) for step, pair in zip(steps, pairs, strict=True)]


def _result(
    batch: StepInputs, step: Step, plain: Sequence[float], recorded: Sequence[Account]
) -> Profile:
    model = batch.model
    insides = [sum(one.parts.values()) for one in recorded]
    other = float(np.median(np.subtract([one.whole for one in recorded], insides)))
    of_loss = _median(recorded, lambda owner: owner.phase == LOSS)
    of_update = _median(recorded, lambda owner: owner.phase == OPTIMIZER)
    table = pd.DataFrame(_rows(step, recorded))
    found = float(table["total"].sum()) + of_loss + of_update
    for name, column in (("forward_share", "forward"), ("backward_share", "backward")):
        table[name] = table[column] / (found + other)
    table["share"] = table["total"] / (found + other)
    table.insert(len(table.columns) - 1, "spread", table.pop("spread"))
    seconds = float(np.median(plain))
    return Profile(
        table=table,
        seconds=seconds,
        spread=quartile_distance(plain),
        recorded_seconds=float(np.median([one.whole for one in recorded])),
        loss=of_loss,
        optimizer=of_update,
        other=other,
        coverage=float(np.median(np.divide(insides, plain))),
        runs=len(recorded),
        trains=batch.trains,
        batch_size=batch.size,
        input_shapes=batch.shapes,
        in_loops=step.in_loops,
        jitted=batch.trains and bool(getattr(model, "jit_compile", False)),
        own_step=batch.trains and _has_own_step(model),
        eager=batch.trains and bool(getattr(model, "run_eagerly", False)),
        method=METHOD,
        provenance=provenance(model),
    )


def _has_own_step(model: Any) -> bool:
    """Whether its `train_step` is another than Keras's."""
    return getattr(model.train_step, "__func__", None) is not keras.Model.train_step


def _rows(step: Step, recorded: Sequence[Account]) -> list[Mapping[str, Any]]:
    every = {owner.address for one in recorded for owner in one.parts if owner.phase in PHASES}
    kinds = {call.address: type(call.layer).__name__ for call in step.calls}
    leaves = {call.address for call in step.calls if call.is_leaf}
    shown = [address for address in kinds if address in leaves | every]
    rows: list[Mapping[str, Any]] = []
    for address in [*shown, *([""] if "" in every else [])]:
        forward, backward = (
            [one.parts.get(Owner(phase, address), 0.0) for one in recorded] for phase in PHASES
        )
        totals = np.add(forward, backward)
        taken = {"forward": float(np.median(forward)), "backward": float(np.median(backward))}
        row = {"address": address, "layer": kinds.get(address, "(model)"), **taken}
        rows.append({**row, "total": sum(taken.values()), "spread": quartile_distance(totals)})
    return rows


def _median(recorded: Sequence[Account], belongs: Callable[[Owner], bool]) -> float:
    sums = [sum(t for owner, t in one.parts.items() if belongs(owner)) for one in recorded]
    return float(np.median(sums))


def quartile_distance(values: Any) -> float:
    """The third quartile minus the first."""
    low, high = np.percentile(np.asarray(values, dtype=float), [25, 75])
    return float(high - low)
