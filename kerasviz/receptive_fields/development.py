"""How the fields of a layer came about: snapshots of a training, read one at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasviz.errors import InputError
from kerasviz.probe.settings import whole
from kerasviz.receptive_fields.kept import STEP, Snapshots, kept_places
from kerasviz.receptive_fields.snapshots import KIND, MAPS, UNITS, WORDS, fields_of, words_of
from kerasviz.receptive_fields.unit_fields import UnitFields

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SOME = 6


@dataclasses.dataclass(frozen=True)
class Outline:
    """What a snapshot is of, without its maps.

    Attributes:
        units: Numbers of the units.
        start: First position of the maps, per axis.
        input_size: Positions of the input, per axis.
        size: Positions of the maps, per axis.
    """

    units: tuple[int, ...]
    start: tuple[int, ...]
    input_size: tuple[int, ...]
    size: tuple[int, ...]


class Development:
    """The fields of a layer over a training, as a `ReceptiveFieldWatcher` kept them.

    `development[i]` are the `UnitFields` of the i-th snapshot, read when they are asked for; a
    damaged file is left out. All have the same box: where a layer saw more later on, earlier maps
    are 0 there, as they were.

    Args:
        run: A `kv.dynamics.Run`.
        layer: Address of the layer.

    Attributes:
        unit: "epochs", or "steps" of a run in which no epoch was kept.
        numbers: Finished epochs, or steps done, by the time of each snapshot; 0 is before
            training.
        units: (units,) their numbers.

    Raises:
        InputError: The run has no such layer, or snapshots that do not go together.

    Example:

    ```python
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(len(images)) % model.output_shape[-1]
    watcher = kv.callbacks.ReceptiveFieldWatcher("runs/seen", layers=["encoder/conv"])
    model.fit(images, labels, epochs=2, callbacks=[watcher], verbose=0)
    development = kv.receptive_fields.Development(kv.dynamics.Run("runs/seen"), "encoder/conv")
    print(development.numbers, development[0].maps.shape)
    print(development.table().groupby("epochs").mean())
    ```
    """

    def __init__(self, run: Snapshots, layer: str) -> None:
        self.run, self.layer = run, layer
        self.unit, self._places = kept_places(run, layer)
        self._stacks = {
            at: {
                name: run.stack(KIND, f"{layer}/{name}", steps=at == STEP)
                for name in (MAPS, UNITS, WORDS)
            }
            for at in {place.at for place in self._places}
        }
        self._start, self._size = self._box()
        self.units = self._read(-1).units

    @property
    def numbers(self) -> tuple[int, ...]:
        """Finished epochs, or steps, by the time of each snapshot."""
        return tuple(place.count for place in self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        numbers = self.numbers
        return (
            f"Development({self.layer!r}, {len(self.units)} units, {len(self)} snapshots of "
            f"{numbers[0]} to {numbers[-1]} {self.unit})"
        )

    def __iter__(self) -> Iterator[UnitFields]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> UnitFields:
        found = self._read(index)
        before = [a - b for a, b in zip(found.start, self._start, strict=True)]
        after = [n - b - s for n, b, s in zip(self._size, before, found.size, strict=True)]
        margins = [(0, 0), *zip(before, after, strict=True), (0, 0)]
        if found.maps.ndim < 3 or not any(map(any, margins)):
            return found
        return dataclasses.replace(found, maps=np.pad(found.maps, margins), start=self._start)

    def some(self, count: int) -> list[int]:
        """Indices of so many snapshots, evenly spaced, the first and the last among them."""
        places = np.linspace(0, len(self) - 1, min(count, len(self))).round()
        return [int(place) for place in np.unique(places)]

    def table(self, fits: int = 0) -> pd.DataFrame:
        """The development in numbers.

        Args:
            fits: At how many snapshots, evenly spaced, to say what `describe` says of the maps;
                that takes some hundredths of a second a unit each.

        Returns:
            Index (epochs or steps, unit):

            - `peak`: largest magnitude of the map; `strength`: the same as a share of the
              strongest unit at that time.
            - `with_previous`, `with_last`: cosine of the map with that of the snapshot before, and
              of the last one, in [-1, 1]; NaN where one of them is 0 everywhere.
            - with `fits`, also the columns of `kv.receptive_fields.describe`, and `error`: the
              unexplained variance of the better fit; NaN at other snapshots.

        Raises:
            InputError: `fits` is no whole number, or maps of a shape that can't be described.
        """
        import pandas as pd

        chosen = set(self.some(whole(fits, "fits", 0)) if fits else ())
        last, previous, parts = self[-1], None, []
        for place in range(len(self)):
            now = self[place]
            part = pd.DataFrame(
                {
                    "peak": now.peaks,
                    "strength": now.strength,
                    "with_previous": np.nan if previous is None else cosines(previous, now),
                    "with_last": cosines(now, last),
                }
            )
            if place in chosen:
                part = part.join(_described(now).reset_index(drop=True))
            parts.append(part)
            previous = now
        table = pd.concat(parts, keys=self.numbers)
        keys = [(count, int(unit)) for count in self.numbers for unit in self.units]
        table.index = pd.MultiIndex.from_tuples(keys, names=[self.unit, "unit"])
        return table

    def plot(
        self,
        numbers: Sequence[int] | None = None,
        units: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> Figure:
        """A row for each time, a column for each unit.

        Args:
            numbers: Finished epochs (or steps) to draw; None: six, evenly spaced.
            units: Numbers of the units; None: the twelve that are strongest at the end.
            **kwargs: `title` of `kv.plots.field_development`.

        Raises:
            InputError: No snapshot of that number, or no such unit.
        """
        from kerasviz.plots.developing_fields import field_development

        places = self.some(SOME) if numbers is None else [self._index(n) for n in numbers]
        shown, last = [self[place] for place in places], self[-1]
        columns = self._strongest(last) if units is None else [self._column(u) for u in units]
        words = [f"{self.unit[:-1]} {self.numbers[place]}" for place in places]
        similar = [_mean(cosines(one, last)) for one in shown]
        settings = {"title": f"{self.layer}: how its fields developed"} | kwargs
        return field_development(
            [one.display[columns] for one in shown],
            [one.strength[columns] for one in shown],
            self.units[columns],
            words,
            similar,
            **settings,
        )

    def _read(self, index: int) -> UnitFields:
        place = self._places[index]
        found = {}
        for name, stack in self._stacks[place.at].items():
            found[name] = stack[stack.numbers.index(place.number)]
        return fields_of(found)

    def _box(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The smallest box that holds those of all snapshots; no maps are read for it."""
        first, *_ = found = [self._outline(index) for index in range(len(self))]
        for one in found:
            if (one.units, one.input_size) != (first.units, first.input_size):
                raise InputError(
                    "`run` must hold the same units on inputs of one size. Received: "
                    f"{len(first.units)} units on {first.input_size} and {len(one.units)} on "
                    f"{one.input_size}. Watch with the same `units` and `size` when you go on."
                )
        starts = np.array([one.start for one in found], int)
        ends = starts + np.array([one.size for one in found], int)
        start, end = starts.min(axis=0), ends.max(axis=0)
        return tuple(map(int, start)), tuple(map(int, end - start))

    def _outline(self, index: int) -> Outline:
        place = self._places[index]
        stacks = self._stacks[place.at]
        at = stacks[UNITS].numbers.index(place.number)
        words = words_of(stacks[WORDS][at])
        units = tuple(stacks[UNITS][at].tolist())
        size = tuple(stacks[MAPS].shapes[at][1:-1])
        return Outline(units, words["start"], words["input_size"], size)

    def _index(self, number: int) -> int:
        if number not in self.numbers:
            raise InputError(
                f"`numbers` must be {self.unit} of which there is a snapshot: "
                f"{list(self.numbers)}. Received: {number!r}. Choose among those."
            )
        return self.numbers.index(number)

    def _column(self, unit: int) -> int:
        places = np.flatnonzero(self.units == unit)
        if not len(places):
            raise InputError(
                f"`units` must be numbers of those that were kept: {self.units.tolist()}. "
                f"Received: {unit!r}. Choose among those."
            )
        return int(places[0])

    def _strongest(self, fields: UnitFields) -> list[int]:
        chosen = np.argsort(-fields.strength, kind="stable")[: 2 * SOME]
        return sorted(int(place) for place in chosen)


def cosines(one: UnitFields, other: UnitFields) -> np.ndarray:
    """(units,) cosine of the maps of the same unit; NaN where one of them is 0 everywhere."""
    a, b = (np.asarray(x.maps, "float64").reshape(len(x), -1) for x in (one, other))
    a, b = (x / np.where(m > 0, m, 1.0) for x in (a, b) for m in [np.abs(x).max(1, keepdims=True)])
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found = (a * b).sum(axis=1) / np.where(sizes > 0, sizes, np.nan)
    return np.asarray(np.clip(found, -1.0, 1.0))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _described(fields: UnitFields) -> pd.DataFrame:
    from kerasviz.receptive_fields.description import describe

    found = describe(fields)
    return found.assign(error=found[["gabor_error", "dog_error"]].min(axis=1))
