"""What a visualizer answers: pictures, and where they came from."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = "kerasviz visualization"
VERSION = 1
_DAMAGED = (zipfile.BadZipFile, zlib.error)
ARRAYS = ("pictures", "display", "values", "history")
FEWEST_STEPS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Visualization:
    """Pictures that a model was asked for.

    Args:
        pictures: (num_images, *positions, channels) as the model takes them; for a model with
            several inputs those of the first one that was drawn.
        display: The same in [0, 1], RGB, channels last; with a last channel of opacity where the
            image had one.
        values: (num_images,) the objective without regularizers of the finished pictures, as the
            model answers them.
        history: (steps, num_images) the objective at each step, under the transforms and with
            regularizers.
        names: What each picture shows.
        parameters: All settings, as JSON can hold them.
        provenance: Versions, model, time.
    """

    pictures: np.ndarray
    display: np.ndarray
    values: np.ndarray
    history: np.ndarray
    names: tuple[str, ...]
    parameters: dict[str, Any]
    provenance: dict[str, Any]

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.display.shape[1:-1]))
        return f"Visualization({self.parameters['objective']}, {len(self)} of {shape})"

    def plot(self, **kwargs: Any) -> Figure:
        """The pictures side by side, each with its name and value; see `kv.plots.pictures`."""
        from kerasviz.plots import pictures

        titles = [f"{n}\n{v:.3g}" for n, v in zip(self.names, self.values, strict=True)]
        settings: dict[str, Any] = {"titles": titles, "opacity": self.opacity}
        return pictures(self.display, **(settings | kwargs))

    @property
    def diagnosis(self) -> tuple[str, ...]:
        """For each picture why it must not be believed, or ""."""
        return tuple(map(_diagnosis, np.transpose(self.history)))

    @property
    def opacity(self) -> bool:
        """Whether the last channel of `display` is opacity."""
        return self.display.size != self.pictures.size

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write arrays and settings into one `.npz` file, without pickle.

        Raises:
            OutputError: The file can't be written.
        """
        words = {
            "format": FORMAT,
            "version": VERSION,
            "names": self.names,
            "parameters": self.parameters,
            "provenance": self.provenance,
        }
        buffer = io.BytesIO()
        arrays = {name: getattr(self, name) for name in ARRAYS}
        np.savez_compressed(buffer, words=np.asarray(json.dumps(words)), **arrays)
        return write_atomically(path, lambda file: file.write(buffer.getvalue()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Visualization:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing, damaged, or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                words = json.loads(str(file["words"]))
                arrays = {name: file[name] for name in ARRAYS}
            if words["format"] != FORMAT or words["version"] > VERSION:
                raise ValueError(f"it holds {words['format']!r}, version {words['version']}")
            return cls(
                **arrays,
                names=tuple(words["names"]),
                parameters=words["parameters"],
                provenance=words["provenance"],
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, *_DAMAGED) as error:
            raise InputError(
                f"`path` must be a file that `Visualization.save` wrote. Received: {str(path)!r} "
                f"({error})."
            ) from error


def _diagnosis(values: np.ndarray) -> str:
    """An objective that stands still: the last quarter of its steps are one number."""
    last = values[-max(FEWEST_STEPS, len(values) // 4) :]
    if len(last) < FEWEST_STEPS or np.ptp(last) > 0:
        return ""
    return (
        f"The objective stood still at {last[-1]:.3g}: no gradient reached the picture, as "
        "behind a ReLU that is shut. Try another seed, more `redirected_steps`, or the layer "
        "before the ReLU."
    )
