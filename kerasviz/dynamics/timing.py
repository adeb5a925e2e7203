"""Where the time of a training step goes: the measuring."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasviz.dynamics.timing_measuring import LEAST_RUNS, WARM_UP, measured, quartile_distance
from kerasviz.dynamics.timing_result import Profile
from kerasviz.dynamics.timing_settings import StepInputs, chosen_counts, resized, sizes_of, within
from kerasviz.errors import InputError
from kerasviz.probe.settings import whole
from kerasviz.probe.training_step import Step, TrainingStep, WeightHolder


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
    found = kv.profile(model, images, labels, freezing=0, seconds=2)
    print(found.table[["address", "forward", "backward", "share"]], found.coverage)
    ```
    """
    sizes = sizes_of(input_sizes)
    repeats = whole(repeats, "repeats", LEAST_RUNS)
    clock = _Clock(seconds, verbose, 2 + len(sizes) + len(chosen_counts(freezing, None)))
    batch = StepInputs(model, inputs, targets, sample_weight, loss)
    step = TrainingStep(model, batch.arrays, batch.trains, loss)
    compiled = step.compile()
    holders = step.holders(compiled.calls) if batch.trains else []
    counts = chosen_counts(freezing, len(holders)) if holders else []
    clock.done()
    steps = [(batch, compiled)]
    for size in sizes:
        other = _built(build, size) if build else model
        part = resized(batch, other, size)
        steps.append((part, TrainingStep(other, part.arrays, part.trains, loss).compile()))
        clock.done()
    share = len(steps) / (len(steps) + len(counts))
    found, *others = measured(steps, repeats, clock.share(0.9 * share))
    clock.done()
    table = _freezing(step, compiled, holders, counts, repeats, clock) if counts else None
    clock.finish()
    return dataclasses.replace(found, at=dict(zip(sizes, others, strict=True)), freezing=table)


class _Clock:
    """The time that is left, and a progress bar over the stages."""

    def __init__(self, seconds: float, verbose: Any, stages: int) -> None:
        self._end = time.perf_counter() + within(seconds)
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
    model = build(size) if callable(build) else None
    if not isinstance(model, keras.Model):
        raise InputError(
            "`build` must be a function that returns a Keras model for an input size. Received: "
            f"{type(model if callable(build) else build).__name__} for {size}. Return the compiled "
            "model."
        )
    return model


def _freezing(
    step: TrainingStep,
    compiled: Step,
    holders: Sequence[WeightHolder],
    counts: Sequence[int],
    repeats: int,
    clock: _Clock,
) -> pd.DataFrame:
    """The step with the first layers frozen and as it is, in turns, one number after the other."""
    rows = []
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
                "spread": quartile_distance(ratios),
            }
        )
        clock.done()
    columns = ["frozen", "up_to", "seconds", "whole_seconds", "saving", "spread"]
    return pd.DataFrame(rows, columns=columns)
