"""How far the units in the middle of a layer can see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from kerasviz.errors import AddressError, MethodError
from kerasviz.probe.blank_inputs import BlankInputs
from kerasviz.probe.extents import SightReader, Site
from kerasviz.probe.inputs import Batch, declared_batch_size
from kerasviz.probe.unit_gradients import REACH, CentreReader, Seen
from kerasviz.receptive_fields.boxes import middle

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
        reason: Why the box is measured, and may be too small; "" where it is exact.
    """

    start: tuple[int, ...]
    size: tuple[int, ...]
    input_size: tuple[int, ...]
    reason: str = ""

    @property
    def is_cut(self) -> bool:
        """Whether the box touches the border of the input: the field may be larger."""
        ends = zip(self.start, self.size, self.input_size, strict=True)
        return any(start == 0 or start + size == total for start, size, total in ends)

    @property
    def source(self) -> str:
        """Where the box comes from, in words."""
        return f"measured: {self.reason}" if self.reason else "theoretical"

    def crop(self, array: np.ndarray, first: int = 1) -> np.ndarray:
        """The box of an array whose axes from `first` on are the positions."""
        box = tuple(slice(a, a + n) for a, n in zip(self.start, self.size, strict=True))
        return array[(slice(None),) * first + box]


def box_of(effect: np.ndarray, reason: str = "") -> Reach:
    """The smallest box that holds all that is not zero; all of it where everything is.

    Args:
        effect: (*positions).
        reason: Why it is taken, see `Reach`.
    """
    whole = tuple(effect.shape)
    start, size = [], []
    for axis in range(effect.ndim):
        others = tuple(other for other in range(effect.ndim) if other != axis)
        places = np.flatnonzero(effect.any(axis=others))
        first, last = (places[0], places[-1]) if len(places) else (0, whole[axis] - 1)
        start.append(int(first))
        size.append(int(last - first) + 1)
    return Reach(tuple(start), tuple(size), whole, reason)


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


class ReachFinder:
    """What the middle position of a layer can see, by the graph of the model.

    Args:
        reader: Of the layer.
        key: What the reader is asked for, so that nothing else need be traced.
    """

    def __init__(self, reader: CentreReader, key: str) -> None:
        self._reader, self._key = reader, key
        self._sights: dict[int, SightReader] = {}

    def stage(self, size: int | None = None) -> Stage:
        """Blank inputs, and what is seen of them.

        Where the model leaves sizes open, the smallest of `OPEN_SIZES` is taken at which the field
        does not touch the border; the largest where it always does.

        Args:
            size: Positions along each open axis; None chooses.
        """
        sizes = OPEN_SIZES if size is None else (size,)
        if not BlankInputs(self._reader, sizes[0]).is_open:
            sizes = sizes[:1]
        found: tuple[BlankInputs, Reach] | None = None
        for one in sizes:
            found = self._attempt(one, one == sizes[-1]) or found
            if found is not None and not found[1].is_cut:
                break
        inputs, reach = found  # type: ignore[misc]
        return Stage(inputs, reach, self.seen(inputs.constant(0.0)))

    def _attempt(self, size: int, is_last: bool) -> tuple[BlankInputs, Reach] | None:
        """None where the model cannot run on so small inputs."""
        inputs = BlankInputs(self._reader, size)
        try:
            return inputs, self.reach(inputs.constant(0.0), lambda: self._measured(inputs))
        except ValueError as error:
            if is_last or isinstance(error, (AddressError, MethodError)):
                raise
            return None

    def seen(self, batch: Batch) -> Seen:
        """What tracing teaches about batches of this kind."""
        return self._reader.seen(self._key, batch)

    def reach(self, batch: Batch, effect: Callable[[], np.ndarray]) -> Reach:
        """What is seen of inputs of this size.

        Args:
            batch: The inputs.
            effect: Gives the (*positions) magnitudes of gradients, where the graph does not tell.

        Raises:
            MethodError: The layer mixes samples, or the model runs on one batch size only.
        """
        index = self._index(batch)
        if index is None:
            return Reach((), (), ())
        site, size = self._site(batch, index)
        if not site.reason and 0 in site.unit_axes:
            raise MethodError(
                "Expected a layer that keeps samples apart. Received: "
                f"{self._reader.address!r}, whose batch axis holds positions of the input as well. "
                "Name the layer around it."
            )
        box = None if site.reason else middle(site)
        if box is None:
            return box_of(effect(), site.reason or "it sees padding or constants only")
        start = tuple(part.start for part in box)
        return Reach(start, tuple(part.stop - part.start for part in box), size)

    def _index(self, batch: Batch) -> int | None:
        """Place of the input among all; None where it has no positions."""
        shapes = batch.form.shapes
        if len(shapes) == 1 and len(shapes[0]) > 2:
            return 0
        seen = self.seen(batch)
        return seen.index if seen.rank else None

    def _site(self, batch: Batch, index: int) -> tuple[Site, tuple[int, ...]]:
        model, address = self._reader.model, self._reader.address
        if index not in self._sights:
            self._sights[index] = SightReader(model, index)
        fixed = declared_batch_size(model) or 0
        try:
            sight = self._sights[index].sight_at(batch.form.of_size(fixed + 1))
        except Exception as error:
            if not fixed:
                raise
            raise MethodError(
                f"Expected a model that runs on batches of any size. Received: '{model.name}', "
                f"which runs on {fixed} samples only. Build it without `batch_size`."
            ) from error
        site = next((site for site in sight.sites if site.address == address), None)
        return site or Site(address, "", None, reason="its address is another"), sight.size

    def _measured(self, inputs: BlankInputs) -> np.ndarray:
        """Gradients of all units together, on noise.

        A single input does not show all that a unit can see (max pooling passes one position of
        each window, ReLUs shut), so inputs are added until the box has not grown twice in a row.
        """
        most: np.ndarray = np.zeros(())
        idle, found = 0, None
        for turn in range(MOST_ROUNDS):
            batch = inputs.noise(0, turn * PROBES, PROBES)
            effect = self._reader.asked(REACH, batch)["effect"]
            self._reader.check_finite(effect)
            most = np.maximum(most, effect)
            before, found = found, box_of(most)
            idle = idle + 1 if found == before else 0
            if idle == IDLE_ROUNDS or found.size == found.input_size:
                break
        return most


class StageKeeper:
    """Finds the stage for a layer once, and again when the model has changed.

    Args:
        reader: Of the layer.
        key: What the reader is asked for.
        size: Positions along open axes; None chooses.
    """

    def __init__(self, reader: CentreReader, key: str, size: int | None) -> None:
        self._reader, self._size = reader, size
        self._finder = ReachFinder(reader, key)
        self._stage: Stage | None = None

    def stage(self) -> Stage:
        """Inputs, and what the layer reaches in them."""
        if self._stage is None or self._reader.latest_info is None:
            self._stage = self._finder.stage(self._size)
        return self._stage
