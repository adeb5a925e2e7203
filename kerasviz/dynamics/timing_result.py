"""Where the time of a training step goes: the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasviz.probe.saving import Kept

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

METHOD = "TensorFlow's profiler, every operation of the compiled step"
TOLERANCE = 0.1
WORTH_SAYING = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Profile(Kept):
    """What each layer takes of a training step.

    All times are medians over runs, in seconds. The times of `table`, `loss`, `optimizer` and
    `other` are of the runs under the profiler; shares are of their sum, so they add up to 1.

    Args:
        table: A row a call of a layer, in the order in which they return: `address`, `layer` (its
            class), `forward`, `backward`, `total` (seconds), `forward_share`, `backward_share`,
            `share` (of the step) and `spread` (the quartiles' distance of `total`). What a model or
            a layer computes itself, outside of its layers, is a row of its own where it takes any
            time; the model's address is "".
        seconds: A whole step, without the profiler.
        spread: The quartiles' distance of `seconds`.
        recorded_seconds: A whole step under the profiler.
        loss: The loss, forward and backward.
        optimizer: The update of the weights; 0 without an optimizer.
        other: The rest: reading weights, calling operations, waiting.
        coverage: Whether the parts add up to the whole: all but `other` in a recorded run, over the
            run without the profiler just before it, the median of these ratios. 1 where they do;
            below, where calling operations takes long beside running them.
        runs: How many runs were recorded.
        trains: Whether the step trains, or runs forward only.
        batch_size: Samples in the step.
        input_shapes: Shape of each input without the batch.
        in_loops: Addresses of calls inside loops; their time counts for the layer around.
        jitted: Whether `fit` would compile the model by XLA, which is not done here.
        own_step: Whether `fit` would run a `train_step` of the model's own; here it is Keras's.
        eager: Whether `fit` would run the model eagerly, which is not done here.
        method: How it was measured.
        provenance: Versions, model, time.
        at: Size → what was found at this input size.
        freezing: A row a number of frozen layers, or None: `frozen`, `up_to` (the last of them),
            `seconds`, `whole_seconds` (nothing frozen, measured in turns), `saving` (one minus the
            median ratio of neighbouring runs) and `spread` (the quartiles' distance of the ratio).
    """

    table: pd.DataFrame
    seconds: float
    spread: float
    recorded_seconds: float
    loss: float
    optimizer: float
    other: float
    coverage: float
    runs: int
    trains: bool
    batch_size: int
    input_shapes: tuple[tuple[int, ...], ...]
    in_loops: tuple[str, ...]
    jitted: bool
    method: str
    provenance: dict[str, Any]
    at: Mapping[tuple[int, ...], Profile] = dataclasses.field(default_factory=dict)
    freezing: pd.DataFrame | None = None
    own_step: bool = False
    eager: bool = False

    def __repr__(self) -> str:
        from kerasviz.plots.reading import duration

        kind = "training step" if self.trains else "forward pass"
        return (
            f"Profile({kind} of {duration(self.seconds)}, {self.batch_size} samples, "
            f"{len(self.table)} calls of layers, coverage {self.coverage:.0%})"
        )

    @property
    def parts(self) -> pd.Series:
        """Seconds of "forward", "backward", "loss", "optimizer" and "other"; they add up."""
        import pandas as pd

        forward, backward = self.table["forward"].sum(), self.table["backward"].sum()
        names = {"forward": forward, "backward": backward, "loss": self.loss}
        return pd.Series({**names, "optimizer": self.optimizer, "other": self.other})

    @property
    def sizes(self) -> pd.DataFrame:
        """A row an input size: `size`, `seconds`, `spread`, `coverage`, the five `parts`, and
        `first_share`, the share of the first layer that takes any time."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "size": size_name(size),
                    "seconds": found.seconds,
                    "spread": found.spread,
                    "coverage": found.coverage,
                    **found.parts.to_dict(),
                    "first_share": _first_share(found.table),
                }
                for size, found in self.at.items()
            ]
        )

    def advice(self) -> list[str]:
        """What to look at, in sentences with the figures that were measured."""
        return [
            *_on_expensive(self),
            *_on_freezing(self.freezing),
            *_on_sizes(self.at),
            *_on_method(self),
        ]

    def plot(self, num: int = 20) -> Figure:
        """Bars of forward and backward time for each layer, and of the rest of the step.

        Args:
            num: How many layers to draw, those that take longest; the others are one bar.
        """
        from kerasviz.plots.step_times import step_bars

        return step_bars(self.table, self.parts, self.seconds, num=num, note=self._note)

    def plot_sizes(self) -> Figure:
        """Bars of the time of a step at each input size.

        Raises:
            InputError: No input sizes were asked for.
        """
        from kerasviz.plots.step_times import step_sizes

        return step_sizes(self.sizes, note=f"{self.batch_size} samples a step, medians")

    def plot_freezing(self) -> Figure:
        """The time of a step against the number of frozen layers.

        Raises:
            InputError: Freezing was not measured.
        """
        from kerasviz.plots.step_times import freezing_curve

        return freezing_curve(self.freezing, note=self._note)

    @property
    def _note(self) -> str:
        from kerasviz.plots.reading import duration

        shapes = ", ".join(size_name(shape) for shape in self.input_shapes)
        name = self.provenance.get("model", "model")
        return (
            f"{name} · {self.batch_size} × {shapes} · {duration(self.seconds)} a step · "
            f"coverage {self.coverage:.0%}"
        )


def size_name(size: tuple[int, ...]) -> str:
    """(143, 107) as "143x107"."""
    return "x".join(map(str, size))


def _first_share(table: pd.DataFrame) -> float:
    heavy = table[table["share"] > 0]
    return float(heavy["share"].iloc[0]) if len(heavy) else 0.0


def _on_expensive(found: Profile, num: int = 3) -> list[str]:
    from kerasviz.plots.reading import duration

    rows = [
        (float(row[f"{phase}_share"]), float(row[phase]), f"{phase} of `{row['address']}`")
        for _, row in found.table.iterrows()
        for phase in ("forward", "backward")
    ]
    rows = [row for row in sorted(rows, reverse=True)[:num] if row[0] >= WORTH_SAYING]
    told = [f"{name} ({share:.0%}, {duration(taken)})" for share, taken, name in rows]
    return [f"Most expensive: {', '.join(told)}."] if told else []


def _on_freezing(table: pd.DataFrame | None) -> list[str]:
    from kerasviz.plots.reading import duration

    said = []
    for _, row in (table if table is not None else _nothing()).iterrows():
        count = "the first layer" if row["frozen"] == 1 else f"the first {row['frozen']} layers"
        place = f"`{row['up_to']}`" if row["frozen"] == 1 else f"up to `{row['up_to']}`"
        saved = f"{row['saving']:.0%} of the step" if row["saving"] > 0 else "nothing"
        said.append(
            f"Freezing {count} ({place}) saves {saved}: "
            f"{duration(row['seconds'])} instead of {duration(row['whole_seconds'])}."
        )
    return said


def _on_sizes(at: Mapping[tuple[int, ...], Profile]) -> list[str]:
    if len(at) < 2:
        return []
    largest = max(at, key=lambda size: at[size].seconds)
    told = [
        f"{found.seconds / at[largest].seconds:.0%} at {size_name(size)}"
        for size, found in at.items()
        if size != largest
    ]
    return [f"A step takes, of its time at {size_name(largest)}: {', '.join(told)}."]


def _on_method(found: Profile) -> list[str]:
    said = []
    idle = found.other / float(found.parts.sum())
    if idle > TOLERANCE:
        said.append(
            f"{idle:.0%} of the step is outside of operations: it goes into calling them. A larger "
            "batch would use the machine better."
        )
    elif abs(found.coverage - 1) > TOLERANCE:
        said.append(
            f"The parts add up to {found.coverage:.0%} of a step without the profiler: something "
            "else used the machine meanwhile. Measure again."
        )
    if found.jitted:
        said.append(
            "The model is compiled with `jit_compile=True`: `fit` lets XLA fuse operations across "
            "layers, which was not done here, so its times are others."
        )
    if found.own_step:
        said.append(
            "The model has a `train_step` of its own, which `fit` runs. Measured was the step of "
            "Keras on the model's loss: what its own does besides is missing here."
        )
    if found.eager:
        said.append(
            "The model is compiled with `run_eagerly=True`: `fit` takes longer than the compiled "
            "step that was measured."
        )
    return said


def _nothing() -> Any:
    import pandas as pd

    return pd.DataFrame()
