"""What a layer answers, channels last, for a batch or for a whole data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.features.images.value_range import ValueRange
from kerasviz.features.objectives.base import features_of
from kerasviz.probe import addresses
from kerasviz.probe.activations import check_called
from kerasviz.probe.backend import graph
from kerasviz.probe.inputs import Batch
from kerasviz.probe.run import Run, run
from kerasviz.probe.stream import Stream
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops


def spatial_features(record: Run, address: str) -> tuple[Any, Any]:
    """What a layer with positions returned: float32 (batch, *positions, channels), and the raw
    tensor, by which to differentiate.

    Raises:
        AddressError: No such layer.
        MethodError: Its output has no positions, or is not made of floats.
    """
    tensor = record.find(address).output
    if len(tensor.shape) < 3:
        raise MethodError(
            "`layer` must have an output of shape (batch, positions…, channels). Received: "
            f"{address!r}, whose output has shape {tuple(tensor.shape)}. Choose an earlier layer; "
            "see `kv.layers(model)`."
        )
    return features_of(record, address), tensor


def channels_last(tensor: Any, record: Run, address: str) -> Any:
    """(batch, *positions, channels) from a tensor that is laid out as a layer's output is."""
    return ops.moveaxis(tensor, record.channel_axis(record.find(address)), -1)


@dataclasses.dataclass(frozen=True)
class Pictured:
    """An input that can be shown beside what a layer makes of it.

    Attributes:
        index: Its place among the inputs.
        channel_axis: Where its channels are; None without any.
    """

    index: int
    channel_axis: int | None

    def of(self, batch: Batch) -> np.ndarray:
        """This input of a batch as (batch, *positions, channels)."""
        array = ops.convert_to_numpy(batch.flat[self.index])
        axis = self.channel_axis
        return array[..., None] if axis is None else np.moveaxis(array, axis, -1)


def pictured_input(record: Run, features: Any) -> Pictured | None:
    """The input that has the positions of a layer: the first with as many that the layer depends
    on; None where there is none (tokens, words)."""
    for index, tensor in enumerate(record.input_tensors.values()):
        same = len(record.input_positions(tensor)) == len(features.shape) - 2
        if same and features in graph.Below([tensor], differentiable=False):
            return Pictured(index, record.input_channel_axis(tensor))
    return None


class Reader(Wrapper):
    """A layer's output for a batch.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        layer: Address, layer object or index.

    Raises:
        AddressError: No such layer.
    """

    def __init__(self, model: keras.Model, layer: Any) -> None:
        super().__init__(model)
        self.address = addresses.to_address(model, layer)
        if self._taken is not None and not addresses.is_held(model, self.address):
            check_called(model, self.address)

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        features, raw = spatial_features(record, self.address)
        return {"features": features}, pictured_input(record, raw)

    def read(self, inputs: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """The layer's output (batch, *positions, channels) for one sample or a batch, and the
        input whose positions it has, channels last; None where there is none.

        Raises:
            InputError: Inputs that do not fit the model, none at all, or NaN.
            MethodError: A layer without positions, or one that answers NaN.
        """
        return self.read_batch(self.samples(inputs))

    def read_batch(self, batch: Batch) -> tuple[np.ndarray, np.ndarray | None]:
        """The same for a batch that `samples` or `one` made."""
        trace = self.traced("features", batch)
        features = self.evaluate_trace(trace, batch)["features"]
        check_finite(features, self.address)
        return features, None if trace.info is None else trace.info.of(batch)

    def samples(self, inputs: Any) -> Batch:
        """The inputs as a batch; a single sample gets a batch axis."""
        return self.batch(self._with_batch_axis(inputs))

    def one(self, inputs: Any) -> Batch:
        """The same for exactly one sample."""
        batch = self.samples(inputs)
        if batch.size != 1:
            raise InputError(
                f"`photo` must be one sample. Received: a batch of {batch.size}. "
                "Pass one of them: `photos[0]`."
            )
        return batch

    def _with_batch_axis(self, inputs: Any) -> Any:
        slots = self._taken.slots if self._taken is not None else ()
        arrays = [inputs] if len(slots) == 1 else keras.tree.flatten(inputs)
        if len(slots) == 1 and isinstance(inputs, (list, tuple, dict)):
            return inputs
        single = len(arrays) == len(slots) > 0 and all(
            len(getattr(array, "shape", ())) == len(slot.shape) - 1
            for array, slot in zip(arrays, slots, strict=True)
        )
        return keras.tree.map_structure(lambda x: x[None], inputs) if single else inputs


class LayerStream(Stream, Reader):
    """The same for a data set of any size."""


def check_finite(features: np.ndarray, address: str) -> None:
    """Refuse activations that no picture or map can be made of.

    Raises:
        MethodError: NaN or infinity.
    """
    bad = ~np.isfinite(features)
    if bad.any():
        raise MethodError(
            f"Expected finite activations of {address!r}. Received: {int(bad.sum())} values that "
            "are NaN or infinite. Look for them in the model's weights, or choose an earlier layer."
        )


def shown(picture: np.ndarray, value_range: Callable[[int], ValueRange]) -> np.ndarray:
    """A photo (…, channels) as the model takes it, in [0, 1] for the eye."""
    found = value_range(picture.shape[-1]).to_picture(picture.astype("float32"))
    return np.clip(found, 0.0, 1.0).astype("float32")
