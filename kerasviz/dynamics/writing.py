"""Writing a run's folder: one finished epoch or step at a time, each whole or not at all."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasviz.dynamics.array_files import checked_arrays
from kerasviz.dynamics.manifest import now, plain
from kerasviz.dynamics.place import check_clash, check_past, join, leave
from kerasviz.dynamics.records import EPOCH, STEP, ArrayFile, Record, checked_kind, checked_scalars
from kerasviz.errors import OutputError
from kerasviz.probe.settings import whole

Arrays = Mapping[str, Mapping[str, Any]]
PART = "training"


class RunWriter:
    """Writes what a training did into a folder that `Run` reads, also while it is written.

    An epoch is finished when `write_epoch` has returned: a process killed at any moment, also in
    the middle of a write, leaves a folder that opens and holds every finished epoch. A failed
    write leaves the folder as it was, and the next one may succeed.

    A run goes on when its folder is opened again. An epoch that is written again replaces the
    earlier one, and takes with it the later epochs and steps of the past that it leaves. A
    training that begins again where the run began is refused while later epochs are there, unless
    `overwrite` says that they may go.

    Writers in one process may share a folder if each is another `part`; `Run` puts what they
    wrote of an epoch together. A second writer of the same part takes over from the first, which
    can't write any more. A writer in another process is refused.

    Args:
        folder: A new or empty folder (other folders may be in it), or one of a run.
        manifest: What to say about the run: `"model"`, its name, and any settings that JSON can
            hold, kept under the name of the part.
        part: Who writes, when several do.
        keep: How many files of each kind of arrays to keep, for epochs and for steps; older ones
            are removed when a new one is finished. None: all.
        overwrite: Whether a training that begins again may replace the finished one.
        tensorboard: A folder in which to write the same as event files for TensorBoard.

    Raises:
        InputError: A setting that makes no sense, or a folder written by a newer kerasviz.
        OutputError: A folder that can't be written, holds something else, or is being written by
            another process.

    Example:

    ```python
    with kv.dynamics.RunWriter("runs/by-hand", manifest={"model": model.name}) as writer:
        for epoch in range(3):
            counts, edges = np.histogram(np.random.default_rng(epoch).normal(size=1000), bins=20)
            writer.write_epoch(
                epoch,
                scalars={"loss": 1.0 / (1 + epoch), "weights/encoder/conv/std": 0.1 * epoch},
                arrays={"histograms": {"weights/conv/edges": edges, "weights/conv/counts": counts}},
            )
    ```
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        manifest: Mapping[str, Any] | None = None,
        *,
        part: str = PART,
        keep: int | None = None,
        overwrite: bool = False,
        tensorboard: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder = _local(folder)
        self.part = checked_kind(part)
        self.keep = None if keep is None else whole(keep, "keep")
        self.overwrite = overwrite
        said = plain(dict(manifest or {}))
        self._place = join(self.folder, said, self.part, self)
        self._events = None if tensorboard is None else _events(tensorboard)
        self._finalizer = weakref.finalize(self, leave, self._place, self.part, id(self))

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self._finalizer.alive else "closed"
        return f"RunWriter({str(self.folder)!r}, part {self.part!r}, {state})"

    @property
    def epochs(self) -> list[int]:
        """The finished epochs that the folder holds."""
        return self._place.journal.timeline.numbers(EPOCH)

    def close(self) -> None:
        """Let others write the folder; nothing is lost without it."""
        self._finalizer()
        if self._events is not None:
            self._events.close()

    def write_epoch(
        self,
        epoch: int,
        scalars: Mapping[str, Any] | None = None,
        arrays: Arrays | None = None,
        step: int | None = None,
    ) -> None:
        """Write an epoch; it is finished when this returns.

        Args:
            epoch: Its number, from 0 on.
            scalars: Numbers by name, such as "loss" or "weights/encoder/conv/mean" (group,
                address, statistic); NaN and infinity are kept.
            arrays: Arrays by kind and name. Of the kinds that `Run` and TensorBoard understand,
                "histograms" holds "…/edges" (bins + 1,) and "…/counts" (bins,), "explanations"
                maps (n, height, width), "pictures" (n, height, width, channels) in [0, 1].
            step: How many training steps were done by its end.

        Raises:
            InputError: Names or values that can't be kept, or that another part has written.
            OutputError: The folder can't be written; it is as it was before.
        """
        number = whole(epoch, "epoch", 0)
        steps = None if step is None else whole(step, "step", 0)
        self._write(Record(EPOCH, number, steps, self.part, now(), *_checked(scalars)), arrays)

    def write_step(
        self,
        step: int,
        scalars: Mapping[str, Any] | None = None,
        arrays: Arrays | None = None,
        *,
        epoch: int,
    ) -> None:
        """Write what was seen in the middle of an epoch.

        Args:
            step: How many training steps were done, counted through all epochs.
            scalars: As in `write_epoch`.
            arrays: As in `write_epoch`.
            epoch: The epoch that the step is in.

        Raises:
            InputError: Names or values that can't be kept, or that another part has written.
            OutputError: The folder can't be written; it is as it was before.
        """
        steps, number = whole(step, "step", 0), whole(epoch, "epoch", 0)
        self._write(Record(STEP, number, steps, self.part, now(), *_checked(scalars)), arrays)

    def _write(self, record: Record, arrays: Arrays | None) -> None:
        held = {
            checked_kind(kind): checked_arrays(kind, named)
            for kind, named in (arrays or {}).items()
        }
        with self._place.mutex:
            self._check_open()
            check_past(self._place, record, self.overwrite)
            check_clash(self._place, record, held)
            self._place.commit(record, held, self.keep)
        if self._events is not None:
            self._events.write(record, held)

    def _check_open(self) -> None:
        if self._finalizer.alive and self._place.is_held_by(self.part, id(self)):
            return
        raise OutputError(
            "`RunWriter` must be open to write. Received: one that was closed, or whose part "
            f"{self.part!r} of {str(self.folder)!r} another writer has taken over. "
            "Make a new one, or choose another folder or part."
        )


def _events(folder: str | os.PathLike[str]) -> Any:
    from kerasviz.dynamics.tensorboard import EventWriter

    return EventWriter(folder)


def _local(folder: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(folder):
        raise OutputError(
            f"`folder` must be on this machine. Received: {os.fspath(folder)!r}. "
            "Write to a local folder and copy it when the training is done."
        )
    return Path(folder)


def _checked(scalars: Mapping[str, Any] | None) -> tuple[dict[str, float], dict[str, ArrayFile]]:
    return checked_scalars(scalars), {}
