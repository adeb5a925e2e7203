"""How far the units in the middle of a layer can see, measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from kerasviz.errors import AddressError, MethodError
from kerasviz.probe.inputs import Batch
from kerasviz.probe.unit_gradients import REACH, CentreReader, Seen
from kerasviz.receptive_fields.blank_inputs import BlankInputs

OPEN_SIZES = (32, 64, 128, 256)
PROBES = 8
MOST_ROUNDS = 8
IDLE_ROUNDS = 2


@dataclasses.dataclass(frozen=True)
class Reach:
    """The box of input positions that change the middle position of a layer.

    Attributes:
        start: First position of the box, per axis.
        size: Positions of the box, per axis.
        input_size: Positions of the input, per axis.
    """

    start: tuple[int, ...]
    size: tuple[int, ...]
    input_size: tuple[int, ...]

    @property
    def is_cut(self) -> bool:
        """Whether the box touches the border of the input: the field may be larger."""
        ends = zip(self.start, self.size, self.input_size, strict=True)
        return any(start == 0 or start + size == total for start, size, total in ends)

    def with_effect(self, effect: np.ndarray) -> Reach:
        """The box that also holds all of `effect` that is not zero."""
        if not effect.any():
            return self
        mask = np.array(effect != 0)
        mask[self._slices] = True
        return box_of(mask)

    @property
    def _slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.size, strict=True))

    def crop(self, array: np.ndarray, first: int = 1) -> np.ndarray:
        """The box of an array whose axes from `first` on are the positions."""
        return array[(slice(None),) * first + self._slices]


def box_of(effect: np.ndarray) -> Reach:
    """The smallest box that holds all that is not zero; all of it where everything is."""
    whole = tuple(effect.shape)
    start, size = [], []
    for axis in range(effect.ndim):
        others = tuple(other for other in range(effect.ndim) if other != axis)
        places = np.flatnonzero(effect.any(axis=others))
        first, last = (places[0], places[-1]) if len(places) else (0, whole[axis] - 1)
        start.append(int(first))
        size.append(int(last - first) + 1)
    return Reach(tuple(start), tuple(size), whole)


def reach_on(reader: CentreReader, batches: Iterable[Batch]) -> Reach:
    """From the gradients of all units together.

    A single input does not show all that a unit can see (max pooling passes one position of each
    window, ReLUs shut), so inputs are added until the box has not grown twice in a row.

    Args:
        reader: Of the layer.
        batches: Inputs; no more are taken than needed.
    """
    most: np.ndarray | None = None
    idle, found = 0, None
    for batch in batches:
        effect = reader.asked(REACH, batch)["effect"]
        reader.check_finite(effect)
        most = effect if most is None else np.maximum(most, effect)
        before, found = found, box_of(most)
        idle = idle + 1 if found == before else 0
        if idle == IDLE_ROUNDS or found.size == found.input_size:
            break
    if found is None:
        raise MethodError("Expected inputs to measure on. Received: none. Give one or more.")
    return found


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """Inputs of a size at which fields can be measured, and what the layer reaches there.

    Attributes:
        inputs: Makes blank inputs.
        reach: What the middle position reaches.
        seen: What tracing taught.
    """

    inputs: BlankInputs
    reach: Reach
    seen: Seen


def stage(reader: CentreReader, size: int | None = None, seed: int = 0) -> Stage:
    """Measure the reach on noise.

    Where the model leaves sizes open, the smallest of `OPEN_SIZES` is taken at which the field does
    not touch the border; the largest where it always does.

    Args:
        reader: Of the layer.
        size: Positions along each open axis; None chooses.
        seed: Of the noise.
    """
    sizes = OPEN_SIZES if size is None else (size,)
    if not BlankInputs(reader, sizes[0]).is_open:
        return _stage_at(reader, sizes[0], seed)
    found: Stage | None = None
    for one in sizes:
        found = _attempt(reader, one, seed, one == sizes[-1]) or found
        if found is not None and not found.reach.is_cut:
            break
    return found if found is not None else _stage_at(reader, sizes[-1], seed)


def _attempt(reader: CentreReader, size: int, seed: int, is_last: bool) -> Stage | None:
    """A model may be unable to run on small inputs."""
    try:
        return _stage_at(reader, size, seed)
    except ValueError as error:
        if is_last or isinstance(error, (AddressError, MethodError)):
            raise
        return None


def _stage_at(reader: CentreReader, size: int, seed: int) -> Stage:
    inputs = BlankInputs(reader, size)
    batches = (inputs.noise(seed, turn * PROBES, PROBES) for turn in range(MOST_ROUNDS))
    return Stage(inputs, reach_on(reader, batches), reader.seen(inputs.noise(seed, 0, 1)))
