"""Reading a run's folder, also while a training is writing it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kerasviz.dynamics.array_files import UNREADABLE, read_arrays
from kerasviz.dynamics.manifest import read_manifest
from kerasviz.dynamics.reading import (
    HISTOGRAMS,
    fault_of,
    frame_of,
    paired,
    snapshots_of,
    some,
    table_of,
)
from kerasviz.dynamics.records import EPOCH, JOURNAL, STEP, ArrayFile, Record, Timeline, lines_of
from kerasviz.dynamics.stacking import Stack
from kerasviz.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DAMAGE = ("epoch", "step", "file", "reason")


class Run:
    """What a training left in a folder: tables, arrays, and what of it is damaged.

    Every finished epoch is there, however the training ended. A folder that is still being
    written can be read: each property sees what is finished at that moment.

    Args:
        folder: A folder that `RunWriter`, or a watcher of `kv.callbacks`, has written.

    Raises:
        InputError: The folder is none of a run, or a newer kerasviz wrote it.

    Example:

    ```python
    with kv.dynamics.RunWriter("runs/short") as writer:
        writer.write_epoch(0, {"loss": 1.0}, {"explanations": {"cam": np.zeros((2, 4, 4))}})
        writer.write_epoch(1, {"loss": 0.5}, {"explanations": {"cam": np.ones((2, 4, 4))}})
    run = kv.dynamics.Run("runs/short")
    print(run.scalars["loss"])
    print(run.stack("explanations", "cam").shape)
    ```
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._seen: tuple[int, ...] | None = None
        self._timeline, self._bad_lines = Timeline(), dict[int, str]()
        self._sound: set[tuple[str, int]] = set()
        read_manifest(self.folder)

    def __repr__(self) -> str:
        epochs, steps = self.epochs, self.steps
        parts = [f"{len(epochs)} epochs" + (f" ({epochs[0]} to {epochs[-1]})" if epochs else "")]
        parts += [f"{len(steps)} steps"] if steps else []
        parts += [f"arrays of {', '.join(self.kinds)}"] if self.kinds else []
        return f"Run({str(self.folder)!r}, {', '.join(parts)})"

    @property
    def manifest(self) -> dict[str, Any]:
        """Schema version, versions of the packages, model, settings of each part, sessions."""
        return read_manifest(self.folder)

    @property
    def epochs(self) -> list[int]:
        """The finished epochs, in order."""
        return self._now().numbers(EPOCH)

    @property
    def steps(self) -> list[int]:
        """The steps within epochs of which something was kept, in order."""
        return self._now().numbers(STEP)

    @property
    def kinds(self) -> list[str]:
        """The kinds of arrays."""
        return sorted({kind for record in self._all() for kind in record.arrays})

    @property
    def scalars(self) -> pd.DataFrame:
        """All numbers: index epoch, a column for each name; NaN where an epoch lacks one."""
        return frame_of(self._now(), EPOCH)

    @property
    def step_scalars(self) -> pd.DataFrame:
        """The numbers kept within epochs: index step."""
        return frame_of(self._now(), STEP)

    @property
    def snapshots(self) -> pd.DataFrame:
        """A row for each epoch and step that a part wrote: at, epoch, step, part, time, kinds."""
        return snapshots_of(self._all())

    @property
    def damaged(self) -> pd.DataFrame:
        """What can't be read, a row each: epoch, step, file, reason; empty for a sound run.

        Reads all files once; what is damaged leaves everything else readable.
        """
        held = [(record, file) for record in self._all() for file in record.arrays.values()]
        found = [(record, file, self._reason(file)) for record, file in held]
        counted = self._now().files()
        rows: list[tuple[Any, ...]] = [
            (record.epoch, record.step, file.file, reason)
            for record, file, reason in found
            if reason and file.file in counted
        ]
        for line, reason in self._bad_lines.items():
            rows.append((None, None, JOURNAL, f"line {line} {reason}"))
        table = pd.DataFrame(rows, columns=list(DAMAGE))
        return table.astype({"epoch": "Int64", "step": "Int64"})

    def table(self, group: str, epoch: int | None = None) -> pd.DataFrame:
        """The numbers of one group: those named "group/address/statistic".

        Args:
            group: Such as "weights".
            epoch: One epoch; None: all.

        Returns:
            Index address, or (epoch, address) of all epochs; a column for each statistic.

        Raises:
            InputError: No such group or epoch.
        """
        table = table_of(self.scalars, group)
        if epoch is None:
            return table
        found: Any = table.loc[self._number(EPOCH, epoch)]
        return found

    def arrays(
        self, kind: str, epoch: int | None = None, *, step: int | None = None
    ) -> dict[str, np.ndarray]:
        """All arrays of a kind of one epoch, or one step, by name.

        Args:
            kind: Such as "histograms".
            epoch: Number of the epoch; negative ones count from the last.
            step: Number of the step instead.

        Raises:
            InputError: No such kind, epoch or step, or its file is damaged.
        """
        at, number = self._place(epoch, step)
        return self._read(at, number, kind)

    def stack(self, kind: str, name: str, *, steps: bool = False) -> Stack:
        """One array over all epochs that have it, or over steps; read when it is asked for.

        Args:
            kind: Such as "explanations".
            name: Name of the array.
            steps: Over steps in place of epochs.

        Raises:
            InputError: No epoch has it.
        """
        at = STEP if steps else EPOCH
        found = {
            number: shapes[name]
            for number in self._now().numbers(at)
            if name in (shapes := self._shapes(at, number, kind))
        }
        if not found:
            known = sorted({n for r in self._all() for n in self._names(r, kind)})
            raise InputError(
                f"`name` must be one of the arrays of `kind` {kind!r}: {some(known)}. "
                f"Received: {name!r}. The kinds are {self.kinds}."
            )
        return Stack(
            list(found),
            list(found.values()),
            lambda number: self._read(at, number, kind, name)[name],
        )

    def histograms(
        self, epoch: int | None = None, *, step: int | None = None
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The histograms of one epoch or step: by name, edges (bins + 1,) and counts (bins,).

        Raises:
            InputError: None are there, or the file is damaged.
        """
        arrays = self.arrays(HISTOGRAMS, epoch, step=step)
        return paired(arrays)

    def plot(self, group: str | None = None) -> Figure:
        """A figure of what watchers wrote.

        Args:
            group: None: losses, gradients, updates, activations and drift over the epochs (the
                steps, where no epoch was written). "weights", "activations" or "gradients":
                ridgelines of its histograms, from the first epoch to the last.

        Raises:
            InputError: The run has nothing to draw.
        """
        from kerasviz.dynamics.run_figures import curves_of, ridges_of

        return curves_of(self) if group is None else ridges_of(self, group)

    def to_tensorboard(self, folder: str | os.PathLike[str]) -> Path:
        """Write the same scalars, histograms and pictures as event files for TensorBoard.

        Args:
            folder: A folder; event files of an earlier call are replaced.

        Returns:
            The folder.

        Raises:
            OutputError: It can't be written.
        """
        from kerasviz.dynamics.tensorboard import to_tensorboard

        return to_tensorboard(self, folder)

    def records(self, at: str = EPOCH) -> Iterator[Record]:
        """What each part wrote, one record after the other, as the journal holds it.

        Args:
            at: "epoch" or "step".
        """
        return self._now().records(at)

    def arrays_of(self, record: Record) -> dict[str, dict[str, np.ndarray]]:
        """The arrays of a record by kind and name, without the kinds that are damaged."""
        return {
            kind: read_arrays(self.folder / held.file, held.shapes)
            for kind, held in record.arrays.items()
            if not self._reason(held)
        }

    def _now(self) -> Timeline:
        """What the journal says now; it is read again only when it has changed."""
        path = self.folder / JOURNAL
        try:
            state = path.stat()
            seen = (state.st_ino, state.st_size, state.st_mtime_ns)
            if seen != self._seen:
                records, self._bad_lines, _ = lines_of(path.read_bytes())
                self._timeline, self._seen = Timeline(records), seen
        except FileNotFoundError:
            self._timeline, self._bad_lines, self._seen = Timeline(), {}, None
        except OSError as error:
            raise InputError(
                f"`folder` must be one that can be read. Received: {str(self.folder)!r} "
                f"({error.strerror}). Check its permissions."
            ) from error
        return self._timeline

    def _all(self) -> Iterable[Record]:
        timeline = self._now()
        return [*timeline.records(EPOCH), *timeline.records(STEP)]

    def _place(self, epoch: int | None, step: int | None) -> tuple[str, int]:
        if (epoch is None) == (step is None):
            raise InputError(
                "`epoch` or `step` must be given, and not both. "
                f"Received: epoch={epoch!r}, step={step!r}. Use `epoch=-1` for the last one."
            )
        at, value = (EPOCH, epoch) if step is None else (STEP, step)
        return at, self._number(at, value)

    def _number(self, at: str, value: Any) -> int:
        numbers = self._now().numbers(at)
        if isinstance(value, (int, np.integer)) and -len(numbers) <= value < 0:
            return numbers[int(value)]
        if value not in numbers:
            raise InputError(
                f"`{at}` must be one that is finished: {some(numbers)}. Received: {value!r}. "
                f"See `run.{at}s`."
            )
        return int(value)

    def _names(self, record: Record, kind: str) -> dict[str, tuple[int, ...]]:
        return record.arrays[kind].shapes if kind in record.arrays else {}

    def _shapes(self, at: str, number: int, kind: str) -> dict[str, tuple[int, ...]]:
        records = self._now().at(at, number)
        return {name: s for r in records for name, s in self._names(r, kind).items()}

    def _held(self, at: str, number: int, kind: str) -> list[ArrayFile]:
        """The files of a kind, one for each part that wrote it."""
        records = self._now().at(at, number)
        held = [record.arrays[kind] for record in records if kind in record.arrays]
        if not held:
            kinds = sorted({kind for record in records for kind in record.arrays})
            raise InputError(
                f"`kind` must be one of those kept of {at} {number}: {kinds}. "
                f"Received: {kind!r}. See `run.snapshots`."
            )
        return held

    def _read(
        self, at: str, number: int, kind: str, name: str | None = None
    ) -> dict[str, np.ndarray]:
        """Arrays by name, all or one; where several parts have the same, the last one counts."""
        found: dict[str, np.ndarray] = {}
        held = self._held(at, number, kind)
        for file in held:
            try:
                names = [each for each in file.shapes if name in (None, each)]
                found |= read_arrays(self.folder / file.file, names)
            except UNREADABLE as error:
                if self._held(at, number, kind) != held:
                    return self._read(at, number, kind, name)
                raise InputError(
                    f"The file of {at} {number} must be as it was written. Received: "
                    f"{str(self.folder / file.file)!r}, which is damaged "
                    f"({self._reason(file) or error}). Other epochs can be read; see `run.damaged`."
                ) from error
        return found

    def _reason(self, held: ArrayFile) -> str:
        """What is wrong with a file; empty for a sound one, which is not read again."""
        key = (held.file, held.size)
        reason = "" if key in self._sound else fault_of(self.folder / held.file, held)
        if not reason:
            self._sound.add(key)
        return reason
