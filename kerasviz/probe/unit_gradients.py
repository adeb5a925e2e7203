"""The units in the middle of a layer: what they answer, and their gradients by an input."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe.activations import check_called
from kerasviz.probe.backend import compiled, graph, tiling
from kerasviz.probe.inputs import Batch
from kerasviz.probe.run import Run, run
from kerasviz.probe.stream import Stream

ops: Any = keras.ops

BYTE_MIDDLE = 127.5
VALUES, UNITS, EFFECT, REACH = "values", "units", "effect", "reach"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What tracing teaches.

    Attributes:
        input_name: The input by which the units are differentiated.
        index: Its place among the input tensors.
        channel_axis: Its channel axis; None without any.
        rank: Number of its axes of positions.
        num_units: Units of the layer: its channels.
    """

    input_name: str
    index: int
    channel_axis: int | None
    rank: int
    num_units: int

    def noise_of(self, batch: Batch) -> np.ndarray:
        """(batch, *positions, colours) of this input of a batch, about zero: bytes are pictures
        about their middle."""
        array = ops.convert_to_numpy(batch.flat[self.index])
        if array.dtype == np.uint8:
            array = array.astype("float32") - BYTE_MIDDLE
        return self.channels_last(array)

    def channels_last(self, array: np.ndarray) -> np.ndarray:
        """(batch, *positions, colours) from values of the input."""
        axis = self.channel_axis
        return array[..., None] if axis is None else np.moveaxis(array, axis, -1)


class CentreReader(Stream):
    """What the middle position of a layer answers, and its gradients by one input.

    Of an axis of n positions the middle one is number n // 2. A layer without positions has units
    only.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        layer: Address, layer object or index.
        wanted: Name or index of the input; None: the first with positions that the layer depends
            on, else the first.

    Raises:
        AddressError: No such layer.
    """

    def __init__(self, model: keras.Model, layer: Any, wanted: str | int | None = None) -> None:
        super().__init__(model)
        self.address = addresses.to_address(model, layer)
        self._input = wanted
        if self._taken is not None and not addresses.is_held(model, self.address):
            check_called(model, self.address)

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        """`key` is one of the constants above; all but VALUES and REACH take (units,) numbers.

        VALUES: (batch, units) `values`. UNITS: `gradients` (units, *positions, colours), summed
        over the batch, `values` (batch, units), and `effect` (*positions): the magnitudes of the
        gradients, averaged over colours, summed over batch and units. EFFECT: `effect` of the sum
        of these units. REACH: `effect` of all units with weights of both signs, the largest of the
        batch.
        """
        if key == UNITS:
            return self._units(inputs, feeds[0])
        record = run(self.model, inputs)
        rows = self._rows(record)
        weights = _weights(key, rows, feeds)
        gradient, seen = self._gradient(record, ops.sum(rows * weights), rows)
        if key == VALUES:
            return {"values": rows}, seen
        magnitudes = ops.mean(ops.abs(gradient), axis=-1)
        reduce = ops.max if key == REACH else ops.sum
        return {"effect": reduce(magnitudes, axis=0)}, seen

    def _units(self, inputs: Any, units: Any) -> tuple[dict[str, Any], Any]:
        times = ops.shape(units)[0]
        repeated = keras.tree.map_structure(
            lambda x: x if x is None else tiling.repeated(x, times), inputs
        )
        record = run(self.model, repeated)
        rows = self._rows(record)
        batch = next(x for x in keras.tree.flatten(inputs) if x is not None)
        number = tiling.tiled(units, ops.shape(batch)[0])
        values = ops.take_along_axis(rows, number[:, None], axis=1)[:, 0]
        gradient, seen = self._gradient(record, values, rows)
        folded = tiling.folded(gradient, times)
        found = {
            "gradients": ops.sum(folded, axis=0),
            "effect": ops.sum(ops.mean(ops.abs(gradient), axis=-1), axis=0),
            "values": tiling.folded(values, times),
        }
        return found, seen

    def _rows(self, record: Run) -> Any:
        """float32 (batch, units): the middle position of the layer."""
        call = record.find(self.address)
        features = call.output
        if not graph.is_real(features):
            raise MethodError(
                "`layer` must answer with numbers. Received: "
                f"{self.address!r}, whose output is {features.dtype}. Choose another layer."
            )
        rank = len(features.shape)
        if rank > 2:
            features = ops.moveaxis(features, record.channel_axis(call), -1)
            for _ in range(rank - 2):
                features = ops.take(features, ops.shape(features)[1] // 2, axis=1)
        elif rank == 1:
            features = features[:, None]
        return ops.cast(features, "float32")

    def _gradient(self, record: Run, score: Any, rows: Any) -> tuple[Any, Seen]:
        """(batch, *positions, colours) of the chosen input, and which that is."""
        sources = [graph.float_casts(x) for x in record.input_tensors.values()]
        flat = iter(record.gradients(score, [x for casts in sources for x in casts]))
        found = [[g for g in [next(flat) for _ in casts] if g is not None] for casts in sources]
        index = self._chosen(record, [bool(parts) for parts in found])
        name, tensor = list(record.input_tensors.items())[index]
        axis = _channel_axis(record, tensor)
        rank = len(tensor.shape) - (1 if axis is None else 2)
        gradient = sum(found[index][1:], found[index][0])
        gradient = gradient[..., None] if axis is None else ops.moveaxis(gradient, axis, -1)
        return gradient, Seen(name, index, axis, rank, rows.shape[-1])

    def _chosen(self, record: Run, is_connected: Sequence[bool]) -> int:
        names = list(record.input_tensors)
        if self._input is not None and self._input not in (*names, *range(len(names))):
            raise InputError(
                f"`input` must be one of {names}, or an index. Received: {self._input!r}. "
                "Name an input of the model, or leave it out."
            )
        able = [
            index
            for index, is_on_path in enumerate(is_connected)
            if is_on_path and self._input in (None, names[index], index)
        ]
        if not able:
            what = "an input" if self._input is None else f"the input {self._input!r}"
            raise MethodError(
                f"`layer` must have a gradient by {what}. Received: {self.address!r}, which does "
                "not depend on it, or only through whole numbers (ids, text). Choose another layer "
                "or input; of a model of words, the part after its embedding."
            )
        tensors = list(record.input_tensors.values())
        return min(able, key=lambda i: (not _has_positions(record, tensors[i]), i))

    def middle(self, batch: Batch) -> np.ndarray:
        """(batch, units) float32 answers of the middle position."""
        values: np.ndarray = self.evaluate_trace(self.traced(VALUES, batch), batch)["values"]
        return values

    def seen(self, key: str, batch: Batch) -> Seen:
        """What tracing the function of that key teaches; nothing is run."""
        feeds = (compiled.spec((None,), "int32"),) if key in (UNITS, EFFECT) else ()
        found: Seen = self.traced(key, batch, feeds).info
        return found

    def asked(
        self, key: str, batch: Batch, units: Sequence[int] | np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Run the function of that key; see `compute`."""
        feeds = () if units is None else (compiled.as_tensor(np.asarray(units), "int32"),)
        return self.evaluate_trace(self.traced(key, batch, feeds), batch, feeds)

    def check_finite(self, values: np.ndarray) -> None:
        """Refuse NaN and infinity.

        Raises:
            MethodError: There is one.
        """
        count = int((~np.isfinite(values)).sum())
        if count:
            raise MethodError(
                f"Expected finite answers and gradients of {self.address!r}. Received: {count} "
                "values that are NaN or infinite. Look for them in the model's weights, or choose "
                "an earlier layer."
            )


def _weights(key: str, rows: Any, feeds: Sequence[Any]) -> Any:
    """(units,) upstream gradient at the middle position."""
    count = rows.shape[-1]
    if key == EFFECT:
        return ops.sum(ops.one_hot(feeds[0], count, dtype="float32"), axis=0)
    return ops.convert_to_tensor(np.cos(1.0 + 2.4 * np.arange(count)).astype("float32"))


def _channel_axis(record: Run, tensor: Any) -> int | None:
    axis = record.input_channel_axis(tensor)
    return axis if axis is not None and axis < len(tensor.shape) else None


def _has_positions(record: Run, tensor: Any) -> bool:
    return len(tensor.shape) - (_channel_axis(record, tensor) is not None) > 1
