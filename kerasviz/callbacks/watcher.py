"""The base of all watchers: when to look, where to write, and what to do when something fails."""

from __future__ import annotations

import contextlib
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.callbacks.observing import Observer, Seen, together
from kerasviz.dynamics.folder import Run
from kerasviz.dynamics.writing import RunWriter
from kerasviz.errors import InputError, KerasvizWarning, OutputError


class Watcher(keras.callbacks.Callback):
    """Writes what observers see during `fit` into a run's folder.

    Nothing in the training changes: weights, optimizer, metrics, compiled functions and global
    random states are the same with and without it. An error inside is told once, by a
    `KerasvizWarning`, and the training goes on: an observer that failed stands down, a write that
    failed is tried again at the next time.

    What the model was before its first step is kept as a step of its own (step 0). A training that
    is resumed (`fit(initial_epoch=...)`, `BackupAndRestore`) goes on in the same run.

    Args:
        folder: The run's folder; several watchers of one training may share it.
        observers: What to look at.
        part: Name of what this watcher writes, different for those that share a folder.
        every: "epoch", or a number of batches; with `steps_per_execution` it is looked at the end
            of the execution in which that number is reached.
        strict: Whether an error inside stops the training.
        overwrite: Whether a training that begins again may replace the run in the folder.
        keep: How many files of arrays of each kind to keep. None: all.
        tensorboard: A folder in which to write the same as event files for TensorBoard.

    Raises:
        InputError: Settings that make no sense.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        observers: Sequence[Observer],
        part: str,
        *,
        every: str | int = "epoch",
        strict: bool = False,
        overwrite: bool = False,
        keep: int | None = None,
        tensorboard: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.part = os.fspath(folder), part
        self.every, self.strict = _every(every), strict
        self._observers = list(observers)
        self._options: dict[str, Any] = {
            "overwrite": overwrite,
            "keep": keep,
            "tensorboard": tensorboard,
        }
        self._writer: RunWriter | None = None
        self._active: list[Observer] = []
        self._told: set[str] = set()
        self._has_begun = False
        self._epoch = self._steps = self._since = self._first = 0
        self._is_read = False
        self._began = self._spent = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Keras's hook: open the folder."""
        self._close()
        self._active, self._told, self._has_begun = list(self._observers), set(), False
        self._steps = self._since = 0
        with self._guarded(), self._silently():
            self._writer = RunWriter(
                self.folder, manifest=self._manifest(), part=self.part, **self._options
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Keras's hook: before the first epoch, keep what the model is."""
        self._epoch = epoch
        self._began, self._spent = time.perf_counter(), 0.0
        if self._is_on() and not self._has_begun and self.model.built:
            with self._silently():
                self._begin()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keras's hook: let observers see the last two steps before each time of looking."""
        self._first = batch
        self._is_read = self._has_begun and self._comes_soon(batch)
        if self._is_on() and self._has_begun:
            with self._silently():
                if self._is_read:
                    self._each(lambda observer: observer.before_step())
                else:
                    self._each(lambda observer: observer.skip_step())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keras's hook: look, when enough batches were seen."""
        done = min(batch + 1, self.params.get("steps") or batch + 1) - self._first
        self._steps, self._since = self._steps + done, self._since + done
        if not self._is_on():
            return
        with self._silently():
            if self._is_read:
                self._each(lambda observer: observer.after_step())
            if isinstance(self.every, int) and self._since >= self.every:
                self._since = 0
                self._keep(logs or {}, at_epoch=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keras's hook: look at the end of the epoch."""
        if self._is_on() and self.every == "epoch":
            with self._silently():
                self._keep(logs or {}, at_epoch=True)

    def on_train_end(self, logs: Any = None) -> None:
        """Keras's hook: let others write the folder."""
        self._close()

    @property
    def is_standing_down(self) -> bool:
        """Whether errors have ended the watching of this training."""
        return not self._is_on()

    def _is_on(self) -> bool:
        return self._writer is not None and bool(self._active)

    def _manifest(self) -> dict[str, Any]:
        observed = {observer.name: observer.settings() for observer in self._observers}
        return {"model": self.model.name, "every": self.every, "observes": observed}

    def _comes_soon(self, batch: int) -> bool:
        """Whether one of the next two executions ends in looking; of a data set of unknown size,
        whether this is one of the first two of an epoch."""
        two = 2 * int(getattr(self.model, "steps_per_execution", 1) or 1)
        if isinstance(self.every, int):
            return self.every - self._since <= two
        steps = self.params.get("steps")
        return batch < two if steps is None else steps - batch <= two

    def _begin(self) -> None:
        self._has_begun = True
        self._each(lambda observer: observer.begin(self.model))
        with self._guarded():
            if self._goes_on():
                return
            self._write(together(self._each(lambda o: o.start())), at_epoch=False)

    def _goes_on(self) -> bool:
        """Whether this watcher has written earlier epochs of this training, and goes on."""
        run = Run(self.folder)
        mine = [r for at in ("epoch", "step") for r in run.records(at) if r.part == self.part]
        if any(record.epoch < self._epoch for record in mine):
            self._each(lambda observer: observer.resume(run))
            return True
        if any(record.epoch > self._epoch for record in mine) and not self._options["overwrite"]:
            raise OutputError(
                f"`folder` must be of this training. Received: {self.folder!r}, which holds later "
                f"epochs of a run, for a training that begins at epoch {self._epoch}. Choose "
                "another folder, or replace that run with `overwrite=True`."
            )
        return False

    def _keep(self, logs: Mapping[str, Any], at_epoch: bool) -> None:
        if not self._has_begun:
            self._begin()
        seen = together(self._each(lambda observer: observer.look(self._logs(logs))))
        if not self._active:
            return
        try:
            self._write(seen, at_epoch)
        except OutputError as error:
            if self.strict:
                raise
            self._tell(f"could not write: {_gist(error)} It tries again at the next time.")

    def _logs(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """The logs, with how long the epoch took so far, with and without watching."""
        took = time.perf_counter() - self._began
        return {**logs, "seconds": took, "watching_seconds": self._spent}

    def _write(self, seen: Seen, at_epoch: bool) -> None:
        step = self._step()
        if self._writer is None:
            return
        if at_epoch:
            self._writer.write_epoch(self._epoch, seen.scalars, seen.arrays, step=step)
        else:
            self._writer.write_step(step, seen.scalars, seen.arrays, epoch=self._epoch)

    def _step(self) -> int:
        """Training steps done, by the optimizer, which a checkpoint brings back."""
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        if iterations is None:
            return self._steps
        return int(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(iterations)))

    def _each(self, look: Callable[[Observer], Any]) -> list[Any]:
        """What each observer answers; one that fails stands down."""
        answers = []
        for observer in list(self._active):
            try:
                answers.append(look(observer))
            except Exception as error:
                if self.strict:
                    raise
                self._active.remove(observer)
                self._tell(f"'{observer.name}' stands down: {_gist(error)}")
        return answers

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Within this context an error ends the watching, not the training."""
        try:
            yield
        except Exception as error:
            if self.strict:
                raise
            self._active = []
            self._close()
            self._tell(f"stands down: {_gist(error)}")

    @contextlib.contextmanager
    def _silently(self) -> Iterator[None]:
        """Within this context random numbers drawn from global states are given back."""
        began = time.perf_counter()
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            self._spent += time.perf_counter() - began

    def _tell(self, what: str) -> None:
        """Say it once in a training."""
        if what not in self._told:
            self._told.add(what)
            message = f"{type(self).__name__} {what} The training goes on; `strict=True` raises."
            warnings.warn(message, KerasvizWarning, stacklevel=2)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _every(value: Any) -> str | int:
    is_number = isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value > 0
    if value != "epoch" and not is_number:
        raise InputError(
            f'`every` must be "epoch" or a number of batches from 1 on. Received: {value!r}.'
        )
    return int(value) if is_number else "epoch"


def _gist(error: BaseException) -> str:
    """The error's type and first line, as a sentence."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0].strip().rstrip('.')}."
