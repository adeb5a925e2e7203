"""One training of the study of receptive fields, and the folder that keeps those that ended."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerasviz.errors import InputError, KerasvizWarning, OutputError
from kerasviz.probe import saving


@dataclasses.dataclass(frozen=True, eq=False)
class FieldTraining:
    """What one training of one variant gave.

    Args:
        asked: All that decides the result.
        history: Name of a metric → its values, one an epoch.
        scores: Name of a metric → its value on validation data.
        conv_1: (units, height, width, colours) fields of this layer; None where not asked for.
        bottleneck: Likewise.
        mid: Likewise.
        last: Likewise.
    """

    asked: dict[str, Any]
    history: dict[str, Any]
    scores: dict[str, float]
    conv_1: np.ndarray | None = None
    bottleneck: np.ndarray | None = None
    mid: np.ndarray | None = None
    last: np.ndarray | None = None


class KeptTrainings:
    """A folder with a file a training, so that a study that was interrupted goes on.

    Args:
        folder: Made where it does not exist; None: nothing is kept.

    Raises:
        OutputError: The folder can't be made.
    """

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._is_full = False
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"`folder` must be a folder that can be made. Received: {str(folder)!r} "
                    f"({error.strerror or error}). Choose one that you may write to."
                ) from error

    def found_or(
        self, asked: dict[str, Any], train: Callable[[], FieldTraining]
    ) -> tuple[FieldTraining, bool]:
        """The training that was kept, or a new one, and whether it was kept.

        A file that is damaged counts as none. Where a new one can't be written, a warning says so
        once, and the study goes on.
        """
        if self._folder is None:
            return train(), False
        asked = json.loads(json.dumps(asked, default=float))
        path = self._folder / f"{digest_of(json.dumps(asked, sort_keys=True).encode())}.npz"
        known = _read(path)
        if known is not None:
            return known, True
        made = _plain(train(), asked)
        self._keep(made, path)
        return made, False

    def _keep(self, made: FieldTraining, path: Path) -> None:
        try:
            saving.save(made, path)
        except OutputError as error:
            if not self._is_full:
                warnings.warn(
                    f"The study goes on, but a training could not be kept: {error}",
                    KerasvizWarning,
                    stacklevel=2,
                )
            self._is_full = True


def _plain(made: FieldTraining, asked: dict[str, Any]) -> FieldTraining:
    """With numbers that JSON takes."""
    history = {name: [float(x) for x in values] for name, values in made.history.items()}
    return dataclasses.replace(made, asked=asked, history=history)


def digest_of(*parts: Any) -> str:
    """A short name for bytes and arrays."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:20]


def _read(path: Path) -> FieldTraining | None:
    if not path.exists():
        return None
    try:
        return saving.load(FieldTraining, path)
    except InputError:
        return None
