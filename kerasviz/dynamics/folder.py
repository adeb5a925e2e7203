"""Reading a run's folder, also while a training is writing it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerasviz.dynamics.array_files import UNREADABLE, read_array
from kerasviz.dynamics.manifest import read_manifest
from kerasviz.dynamics.records import EPOCH, JOURNAL, STEP, ArrayFile, Record, Timeline, lines_of
from kerasviz.dynamics.stacking import Stack
from kerasviz.errors import InputError

HISTOGRAMS = "histograms"
EDGES, COUNTS = "/edges", "/counts"
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
        return self._frame(EPOCH)

    @property
    def step_scalars(self) -> pd.DataFrame:
        """The numbers kept within epochs: index step."""
        return self._frame(STEP)

    @property
    def snapshots(self) -> pd.DataFrame:
        """A row for each epoch and step that a part wrote: at, epoch, step, part, time, kinds."""
        rows = [
            (r.at, r.epoch, r.step, r.part, pd.Timestamp(r.time), tuple(r.arrays))
            for r in self._all()
        ]
        columns = ["at", "epoch", "step", "part", "time", "kinds"]
        return pd.DataFrame(rows, columns=columns).astype({"step": "Int64"})

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
        names = [name for name in self.scalars if name.startswith(f"{group}/")]
        split = [name[len(group) + 1 :].rpartition("/") for name in names]
        keys = [(address, statistic) for address, _, statistic in split]
        if not keys:
            known = sorted({name.partition("/")[0] for name in self.scalars if "/" in name})
            raise InputError(
                f"`group` must be one of {known}. Received: {group!r}. See `run.scalars.columns`."
            )
        numbers = self.scalars[names]
        numbers.columns = pd.MultiIndex.from_tuples(keys, names=["layer", None])
        table = numbers.stack("layer", future_stack=True)
        order = list(dict.fromkeys(statistic for _, statistic in keys))
        if epoch is None:
            return table[order]
        return table[order].loc[self._number(EPOCH, epoch)]

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
        held = self._held(at, number, kind)
        return {name: self._read(at, number, kind, name) for name in held}

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
                f"`name` must be one of the arrays of `kind` {kind!r}: {_some(known)}. "
                f"Received: {name!r}. The kinds are {self.kinds}."
            )
        return Stack(
            list(found), list(found.values()), lambda number: self._read(at, number, kind, name)
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
            kind: {name: read_array(self.folder / held.file, name) for name in held.shapes}
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

    def _frame(self, at: str) -> pd.DataFrame:
        timeline = self._now()
        rows: dict[int, dict[str, float]] = {number: {} for number in timeline.numbers(at)}
        for record in timeline.records(at):
            rows[record.number] |= record.scalars
        columns = list(dict.fromkeys(name for row in rows.values() for name in row))
        values = [[row.get(name, np.nan) for name in columns] for row in rows.values()]
        index = pd.Index(list(rows), name=at, dtype="int64")
        return pd.DataFrame(values, index=index, columns=columns, dtype="float64")

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
                f"`{at}` must be one that is finished: {_some(numbers)}. Received: {value!r}. "
                f"See `run.{at}s`."
            )
        return int(value)

    def _names(self, record: Record, kind: str) -> dict[str, tuple[int, ...]]:
        return record.arrays[kind].shapes if kind in record.arrays else {}

    def _shapes(self, at: str, number: int, kind: str) -> dict[str, tuple[int, ...]]:
        records = self._now().at(at, number)
        return {name: s for r in records for name, s in self._names(r, kind).items()}

    def _held(self, at: str, number: int, kind: str) -> dict[str, ArrayFile]:
        """The file of each array of a kind; of several parts the last one counts."""
        records = [r for r in self._now().at(at, number) if kind in r.arrays]
        if not records:
            kinds = sorted({k for r in self._now().at(at, number) for k in r.arrays})
            raise InputError(
                f"`kind` must be one of those kept of {at} {number}: {kinds}. "
                f"Received: {kind!r}. See `run.snapshots`."
            )
        return {name: r.arrays[kind] for r in records for name in r.arrays[kind].shapes}

    def _read(self, at: str, number: int, kind: str, name: str) -> np.ndarray:
        held = self._held(at, number, kind)[name]
        try:
            return read_array(self.folder / held.file, name)
        except UNREADABLE as error:
            if self._held(at, number, kind).get(name) != held:
                return self._read(at, number, kind, name)
            raise InputError(
                f"The file of {at} {number} must be as it was written. Received: "
                f"{str(self.folder / held.file)!r}, which is damaged "
                f"({self._reason(held) or error}). Other epochs can be read; see `run.damaged`."
            ) from error

    def _reason(self, held: ArrayFile) -> str:
        """What is wrong with a file; empty for a sound one, which is not read again."""
        key = (held.file, held.size)
        reason = "" if key in self._sound else _check(self.folder / held.file, held)
        if not reason:
            self._sound.add(key)
        return reason


def paired(arrays: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Edges and counts by the name that both begin with."""
    names = [name.removesuffix(EDGES) for name in arrays if name.endswith(EDGES)]
    return {
        name: (arrays[name + EDGES], arrays[name + COUNTS])
        for name in names
        if name + COUNTS in arrays
    }


def _check(path: Path, held: ArrayFile) -> str:
    try:
        size = path.stat().st_size
        if size != held.size:
            return f"{size} of {held.size} bytes"
        for name in held.shapes:
            read_array(path, name)
    except FileNotFoundError:
        return "is missing"
    except UNREADABLE as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _some(values: list[Any], most: int = 8) -> str:
    if len(values) <= most:
        return str(values)
    return f"{values[: most - 1]} and {len(values) - most + 1} more"
