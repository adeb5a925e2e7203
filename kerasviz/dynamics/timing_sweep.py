"""What one convolution takes, by channels and kernel size."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasviz.dynamics.timing_measuring import LEAST_RUNS, measured
from kerasviz.dynamics.timing_result import Profile, size_name
from kerasviz.dynamics.timing_settings import StepInputs, sizes_of, within
from kerasviz.errors import InputError
from kerasviz.probe.provenance import provenance
from kerasviz.probe.saving import Kept
from kerasviz.probe.settings import whole
from kerasviz.probe.training_step import Step, TrainingStep

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

POOLS = {
    "": None,
    "average": keras.layers.AveragePooling2D,
    "max": keras.layers.MaxPooling2D,
}


@dataclasses.dataclass(frozen=True, eq=False)
class LayerSweep(Kept):
    """What a convolution takes, alone and before a pooling layer.

    Args:
        table: A row a setting: `pool` ("" for none), `channels`, `kernel_size`, `forward`,
            `backward` (of convolution and pooling, seconds, medians), `conv_forward`,
            `conv_backward` (of the convolution alone), `seconds` (the whole step) and `coverage`.
        input_size: Height and width.
        input_channels: Channels that the convolution takes.
        batch_size: Samples.
        provenance: Versions and time.
    """

    table: pd.DataFrame
    input_size: tuple[int, int]
    input_channels: int
    batch_size: int
    provenance: dict[str, Any]

    def __repr__(self) -> str:
        return f"LayerSweep({len(self.table)} settings at {size_name(self.input_size)})"

    def plot(self) -> Figure:
        """Forward and backward time against channels, a line a kernel size."""
        from kerasviz.plots.step_times import layer_sweep

        shape = size_name((*self.input_size, self.input_channels))
        return layer_sweep(self.table, note=f"{self.batch_size} × {shape}, padding same, medians")


def sweep_layer(
    channels: Sequence[int] = (8, 16, 32, 64),
    kernel_sizes: Sequence[int] = (3, 5, 7, 9),
    *,
    pools: Sequence[str] = ("",),
    input_size: tuple[int, int] = (160, 120),
    input_channels: int = 3,
    batch_size: int = 8,
    repeats: int = 9,
    seconds: float = 60.0,
    seed: int = 0,
    verbose: Any = "auto",
) -> LayerSweep:
    """Measure one convolution for each number of channels and each kernel size.

    The convolution (stride 1, padding "same", no activation) is the first layer, so that its
    backward pass is the gradient by its weights; that by its input is not asked for. Measured as
    by `kv.profile`, with the mean of the squared outputs as loss and without an update.

    Args:
        channels: Numbers of output channels.
        kernel_sizes: Lengths of the kernel's sides.
        pools: What follows: "" for nothing, "average" or "max" for 2×2 pooling.
        input_size: Height and width.
        input_channels: Channels of the input.
        batch_size: Samples.
        repeats: Runs of each setting at most, all settings in turns.
        seconds: Bound of the whole; at least three runs of each setting are made.
        seed: Of the random input, uniform in [0, 1].
        verbose: "auto" or 1 for a progress bar, 0 for none.

    Returns:
        `LayerSweep`.

    Raises:
        InputError: Settings out of range.
        MethodError: As for `kv.profile`.

    Example:

    ```python
    found = kv.dynamics.sweep_layer((2, 4), (1, 3), input_size=(16, 12), seconds=2)
    print(found.table)
    ```
    """
    import pandas as pd

    given = (channels, kernel_sizes, pools)
    is_full = all(isinstance(values, Sized) and len(values) for values in given)
    if not is_full or any(pool not in POOLS for pool in pools):
        raise InputError(
            "`channels`, `kernel_sizes` and `pools` must hold a value at least, and `pools` be "
            f"among {list(POOLS)}. Received: {channels!r}, {kernel_sizes!r}, {pools!r}. See "
            "`kv.dynamics.sweep_layer`."
        )
    sides = sizes_of([input_size])[0] if isinstance(input_size, (tuple, list)) else ()
    if len(sides) != 2 or (any(pools) and min(sides) < 2):
        raise InputError(
            "`input_size` must be (height, width), at least 2 × 2 where pooling follows. Received: "
            f"{input_size!r}. Pass such as (160, 120)."
        )
    size = (sides[0], sides[1])
    shape = (*size, whole(input_channels, "input_channels"))
    count = whole(batch_size, "batch_size")
    inputs = np.random.default_rng(whole(seed, "seed", 0)).random((count, *shape), dtype="float32")
    settings = list(itertools.product(pools, channels, kernel_sizes))
    shown = 0 if verbose in (0, "0", False) else 1
    bar = keras.utils.Progbar(whole(repeats, "repeats", LEAST_RUNS), verbose=shown)
    steps = [_step(*setting, inputs) for setting in settings]
    profiles = measured(steps, repeats, within(seconds), lambda: bar.add(1))
    if len(steps) and profiles[0].runs < repeats:
        bar.update(repeats)
    rows = [_row(*pair) for pair in zip(settings, profiles, strict=True)]
    return LayerSweep(pd.DataFrame(rows), size, shape[2], count, provenance())


def _step(pool: str, channels: int, kernel: int, inputs: Any) -> tuple[StepInputs, Step]:
    model = _model(pool, whole(channels, "channels"), whole(kernel, "kernel_sizes"), inputs)
    batch = StepInputs(model, inputs, None, None, _square)
    return batch, TrainingStep(model, batch.arrays, batch.trains, _square).compile()


def _row(setting: tuple[str, int, int], found: Profile) -> dict[str, Any]:
    conv = found.table.set_index("address").loc["conv"]
    return {
        **dict(zip(("pool", "channels", "kernel_size"), setting, strict=True)),
        "forward": found.parts["forward"],
        "backward": found.parts["backward"],
        "conv_forward": conv["forward"],
        "conv_backward": conv["backward"],
        "seconds": found.seconds,
        "coverage": found.coverage,
    }


def _model(pool: str, channels: int, kernel: int, inputs: Any) -> keras.Model:
    layers = [keras.layers.Conv2D(channels, kernel, padding="same", name="conv")]
    pooling = POOLS[pool]
    layers += [] if pooling is None else [pooling(2, name="pool")]
    return keras.Sequential([keras.Input(inputs.shape[1:]), *layers], name="one_layer")


def _square(_: Any, outputs: Any) -> Any:
    return keras.ops.square(outputs)
