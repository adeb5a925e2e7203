"""Where the time of a training step goes: the measuring."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasviz.dynamics.timing_accounts import Account, accounts
from kerasviz.dynamics.timing_result import METHOD, Profile
from kerasviz.dynamics.timing_settings import StepInputs, chosen_counts, resized, sizes_of
from kerasviz.errors import InputError
from kerasviz.probe.backend.op_owners import BACKWARD, FORWARD, LOSS, OPTIMIZER, Owner
from kerasviz.probe.provenance import provenance
from kerasviz.probe.settings import whole
from kerasviz.probe.training_step import Step, TrainingStep, WeightHolder

LEAST_RUNS = 3
WARM_UP = 2
ROUNDS = 3


def profile(
    model: keras.Model,
    inputs: Any,
    targets: Any = None,
    sample_weight: Any = None,
    *,
    loss: Callable[..., Any] | None = None,
    input_sizes: Sequence[tuple[int, ...]] = (),
    build: Callable[[tuple[int, ...]], keras.Model] | None = None,
    freezing: int | Sequence[int] = 4,
    repeats: int = 15,
    seconds: float = 60.0,
    verbose: Any = "auto",
) -> Profile:
    """Measure where the time of a training step goes.

    The step is compiled as `fit` compiles it, without XLA: forward in training mode, loss with
    regularization, gradients, the optimizer's update; metrics are left out. TensorFlow's profiler
    tells when each operation ran, and each operation belongs to the call of the innermost layer
    that made it, or whose gradient it computes. At any moment the time belongs to the operations
    that run then, in equal shares. Operations that TensorFlow fuses across layers (convolution and
    ReLU) count for the convolution.

    Nothing is applied: weights, batch statistics, optimizer, seed generators and metrics stay as
    they are. The update goes to a copy of the optimizer with copies of the weights. What freezing
    saves is measured by steps that leave the weights of the first layers out of the gradients,
    with `trainable` as it is.

    Args:
        model: Any built Keras 3 model, on the processor; not altered.
        inputs: One batch, arrays in the model's structure.
        targets: As `fit` takes them. None: only the forward pass is measured, unless `loss` is
            given or the model was compiled without one (its layers add their own).
        sample_weight: As `fit` takes it.
        loss: `(y, y_pred) -> values`, averaged, in place of the model's own.
        input_sizes: Spatial sizes to compare, such as `[(143, 107), (160, 120)]`: the inputs are
            resized (nearest neighbour) and measured at each, for a model whose input size is free.
        build: Makes the model of a size, for models whose size is fixed; compiled like `model`.
        freezing: At how many numbers of frozen layers to measure what that saves, spread over the
            depth and always 1 among them; or these numbers themselves; 0 for none.
        repeats: Runs of each step at most.
        seconds: Bound of the whole, in seconds; at least three runs of each size are made, and
            compiling is not interrupted. Numbers of frozen layers that no time is left for are
            left out.
        verbose: "auto" or 1 for a progress bar, 0 for none.

    Returns:
        `Profile`.

    Raises:
        InputError: Arrays that do not fit the model or each other, NaN; settings out of range; a
            size that the model does not take.
        MethodError: Targets without a loss, nothing to train, an optimizer that cannot be copied,
            a GPU, several replicas, or a profile that is being taken already.

    Example:

    ```python
    model.compile("adam", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    found = kv.profile(model, images, labels, freezing=1, seconds=5)
    print(found.table[["address", "forward", "backward", "share"]], found.coverage)
    ```
    """
    sizes = sizes_of(input_sizes)
    repeats = whole(repeats, "repeats", LEAST_RUNS)
    clock = _Clock(seconds, verbose, 1 + len(sizes) + len(chosen_counts(freezing, None)))
    batch = StepInputs(model, inputs, targets, sample_weight, loss)
    step = TrainingStep(model, batch.arrays, batch.trains, loss)
    compiled = step.compile()
    found = _measured(batch, compiled, repeats, clock.share(0.4 if clock.stages > 1 else 0.9))
    clock.done()
    at = {}
    for place, size in enumerate(sizes):
        other = _built(build, size) if build else model
        part = resized(batch, other, size)
        own = TrainingStep(other, part.arrays, part.trains, loss).compile()
        left = clock.share(1.0 / (len(sizes) - place + 1))
        at[size] = _measured(part, own, repeats, left)
        clock.done()
    table = None
    holders = step.holders(compiled.calls) if batch.trains else []
    if batch.trains and freezing:
        table = _freezing(step, compiled, holders, freezing, repeats, clock)
    clock.finish()
    return dataclasses.replace(found, at=at, freezing=table)


class _Clock:
    """The time that is left, and a progress bar over the stages."""

    def __init__(self, seconds: float, verbose: Any, stages: int) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise InputError(f"`seconds` must be a number above 0. Received: {seconds!r}.")
        self._end = time.perf_counter() + seconds
        self.stages, self._done = stages, 0
        shown = 0 if verbose in (0, "0", False) else 1
        self._bar = keras.utils.Progbar(stages, verbose=shown, unit_name="part")

    def share(self, part: float) -> float:
        """So much of what is left, in seconds."""
        return max(0.0, part * (self._end - time.perf_counter()))

    def done(self) -> None:
        self._done += 1
        if self._done <= self.stages:
            self._bar.update(self._done)

    def finish(self) -> None:
        """Complete the bar, where parts were left out."""
        if self._done < self.stages:
            self._bar.update(self.stages)


def _built(build: Callable[[tuple[int, ...]], keras.Model], size: tuple[int, ...]) -> keras.Model:
    model = build(size)
    if not isinstance(model, keras.Model):
        raise InputError(
            "`build` must return a Keras model for an input size. Received: "
            f"{type(model).__name__} for {size}. Return the compiled model."
        )
    return model


def _measured(batch: StepInputs, step: Step, repeats: int, seconds: float) -> Profile:
    """Runs without and with the profiler, in turns."""
    for _ in range(WARM_UP):
        once = step.timed()
    runs = int(np.clip(seconds / (2 * once + 1e-9), LEAST_RUNS, repeats))
    plain: list[float] = []
    recorded: list[Account] = []
    for size in _rounds(runs):
        plain += [step.timed() for _ in range(size)]
        recorded += accounts(step.timed.recorded(size), step.owners.find)
    return _result(batch, step, plain, recorded)


def _rounds(runs: int) -> list[int]:
    ends = [runs * place // ROUNDS for place in range(ROUNDS + 1)]
    return [end - start for start, end in zip(ends, ends[1:], strict=False) if end > start]


def _result(
    batch: StepInputs, step: Step, plain: Sequence[float], recorded: Sequence[Account]
) -> Profile:
    model = batch.model
    rests = [one.whole - sum(one.parts.values()) for one in recorded]
    other = float(np.median(rests))
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
        spread=_spread(plain),
        recorded_seconds=float(np.median([one.whole for one in recorded])),
        loss=of_loss,
        optimizer=of_update,
        other=other,
        coverage=found / seconds,
        runs=len(recorded),
        trains=batch.trains,
        batch_size=batch.size,
        input_shapes=batch.shapes,
        in_loops=step.in_loops,
        jitted=batch.trains and bool(getattr(model, "jit_compile", False)),
        method=METHOD,
        provenance=provenance(model),
    )


def _rows(step: Step, recorded: Sequence[Account]) -> list[Mapping[str, Any]]:
    every = {owner.address for one in recorded for owner in one.parts if owner.phase in _PHASES}
    kinds = {call.address: type(call.layer).__name__ for call in step.calls}
    leaves = {call.address for call in step.calls if call.is_leaf}
    shown = [address for address in kinds if address in leaves | every]
    rows: list[Mapping[str, Any]] = []
    for address in [*shown, *([""] if "" in every else [])]:
        forward, backward = (
            [one.parts.get(Owner(phase, address), 0.0) for one in recorded] for phase in _PHASES
        )
        totals = np.add(forward, backward)
        taken = {"forward": float(np.median(forward)), "backward": float(np.median(backward))}
        row = {"address": address, "layer": kinds.get(address, "(model)"), **taken}
        rows.append({**row, "total": sum(taken.values()), "spread": _spread(totals)})
    return rows


_PHASES = (FORWARD, BACKWARD)


def _median(recorded: Sequence[Account], belongs: Callable[[Owner], bool]) -> float:
    sums = [sum(t for owner, t in one.parts.items() if belongs(owner)) for one in recorded]
    return float(np.median(sums))


def _spread(values: Any) -> float:
    low, high = np.percentile(np.asarray(values, dtype=float), [25, 75])
    return float(high - low)


def _freezing(
    step: TrainingStep,
    compiled: Step,
    holders: Sequence[WeightHolder],
    freezing: int | Sequence[int],
    repeats: int,
    clock: _Clock,
) -> pd.DataFrame:
    """The step with the first layers frozen and as it is, in turns, one number after the other."""
    rows = []
    counts = chosen_counts(freezing, len(holders))
    for place, count in enumerate(counts):
        if place and not clock.share(1.0):
            break
        other = step.compile(holders[:count]).timed
        for _ in range(WARM_UP):
            once = compiled.timed() + other()
        left = clock.share(1.0 / (len(counts) - place))
        pairs = [
            (compiled.timed(), other())
            for _ in range(int(np.clip(left / once, LEAST_RUNS, repeats)))
        ]
        ratios = [frozen / as_it_is for as_it_is, frozen in pairs]
        rows.append(
            {
                "frozen": count,
                "up_to": holders[count - 1].address,
                "seconds": float(np.median([frozen for _, frozen in pairs])),
                "whole_seconds": float(np.median([as_it_is for as_it_is, _ in pairs])),
                "saving": 1.0 - float(np.median(ratios)),
                "spread": _spread(ratios),
            }
        )
        clock.done()
    columns = ["frozen", "up_to", "seconds", "whole_seconds", "saving", "spread"]
    return pd.DataFrame(rows, columns=columns)
