"""DeconvNet: the network run backwards, with a ReLU on the way down as there was on the way up."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.attribution.explainer import no_dependence
from kerasviz.attribution.saliency import Saliency
from kerasviz.errors import AddressError, MethodError
from kerasviz.probe import addresses
from kerasviz.probe.backend import compiled
from kerasviz.probe.run import Run, run
from kerasviz.probe.wrapper import Wrapper

ops: Any = keras.ops


NO_SWITCHES = "; no max pooling on the way: the map depends on the class only, not on the input"


class DeconvNet(Saliency):
    """The input gradient under the deconvolution rule: at each ReLU only positive signals pass,
    g·(g > 0), whether or not the ReLU was open; a leaky ReLU leaks. Max pooling sends the signal
    back to where the maximum was (the switches), convolutions are transposed.

    Args:
        model: Any built Keras 3 model that has ReLUs.
        layer, target, labels, reduction, normalize, name: See `Saliency`.

    Returns:
        See `Saliency`. `reconstruct` gives the paper's picture of one activation of any layer.

    Raises:
        MethodError: The model has no ReLU; use `Saliency`.
        RewriteError: A ReLU cannot be reached; see `GuidedSaliency`.

    Reference:
        Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks", section 2.1.

    Example:

    ```python
    deconvnet = kv.DeconvNet(model)
    maps = deconvnet(images)
    pictures = deconvnet.reconstruct(images, layer="block_3/expand_relu", channel=7)
    ```
    """

    title = "DeconvNet"
    open_functions = True
    by_tape = False

    def gradients(self, record: Run, score: Any, sources: Sequence[Any]) -> tuple[list[Any], str]:
        found, coverage = record.ruled_gradients(score, sources, "deconvolution")
        return found, f"{coverage}{NO_SWITCHES if coverage.otherwise_linear else ''}"

    def reconstruct(
        self, images: Any, layer: Any, channel: int, position: Sequence[int] | None = None
    ) -> np.ndarray:
        """Project one activation back to the input, all others of its layer set to zero.

        Args:
            images: A batch in the model's own structure; one input.
            layer: Address, layer object or index of the layer that holds the activation.
            channel: Its channel.
            position: Its position in the layer, (row, column) for pictures; None = each image's
                strongest.

        Returns:
            Signed float32 array of the shape of `images`: the pattern that excites the activation.
            All zero where the activation is zero.

        Raises:
            AddressError: The layer, channel or position does not exist.
            MethodError: The model has several inputs.
        """
        return self._reconstruction.pictures(
            images, addresses.to_address(self.model, layer), channel, position
        )

    @property
    def _reconstruction(self) -> _Reconstruction:
        if not hasattr(self, "_reconstructions"):
            self._reconstructions = _Holder(_Reconstruction(self.model))
        return self._reconstructions.held


class _Holder:
    """Keeps a wrapper out of Keras's layer tracking."""

    def __init__(self, held: _Reconstruction) -> None:
        self.held = held


class _Reconstruction(Wrapper):
    """One trace per layer; channel and position are fed."""

    def pictures(
        self, images: Any, address: str, channel: int, position: Sequence[int] | None
    ) -> np.ndarray:
        """Signed pictures of the shape of the images; see `DeconvNet.reconstruct`."""
        batch = self.batch(images)
        feeds = [_integers("channel", [channel]), _integers("position", position or [])]
        trace = self.traced(
            (address, position is not None), batch, [compiled.spec_of(feed) for feed in feeds]
        )
        _check_unit(address, trace.info, int(feeds[0][0]), position)
        tensors = [compiled.as_tensor(feed, "int32") for feed in feeds]
        return self.evaluate_trace(trace, batch, tensors)["pictures"]

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        address, positioned = key
        if len(keras.tree.flatten(inputs)) > 1:
            raise MethodError(
                "Expected a model with one input for a reconstruction. Received: several. "
                "Use `DeconvNet(model)(inputs)`, which gives a map per input."
            )
        record = run(self.model, inputs, open_functions=True)
        call = record.find(address)
        source = keras.tree.flatten(record.inputs)[0]
        axis = record.channel_axis(call)
        kept = _kept(call.output, axis, feeds[0], feeds[1] if positioned else None)
        gradients, _ = record.ruled_gradients(
            call.output, [source], "deconvolution", seed=kept, required=False
        )
        if gradients[0] is None:
            raise no_dependence("the input")
        sizes = list(call.output.shape)[1:]
        return {"pictures": gradients[0]}, (sizes.pop(axis - 1), tuple(sizes))


def _integers(name: str, values: Sequence[int]) -> np.ndarray:
    try:
        return np.array([operator.index(value) for value in values], "int32")
    except TypeError:
        raise AddressError(f"`{name}` must hold whole numbers. Received: {values!r}.") from None


def _check_unit(address: str, info: Any, channel: int, position: Sequence[int] | None) -> None:
    """Refuse a channel or position that the layer does not have."""
    channels, sizes = info
    if channel < 0 or (channels is not None and channel >= channels):
        raise AddressError(
            f"`channel` must be from 0 to {channels - 1} for {address!r}. Received: {channel}."
        )
    if position is None:
        return
    fits = len(position) == len(sizes) and all(
        p >= 0 and (size is None or p < size) for p, size in zip(position, sizes, strict=True)
    )
    if not fits:
        raise AddressError(
            f"`position` must lie within {sizes} for {address!r}. Received: {tuple(position)}."
        )


def _kept(activation: Any, channel_axis: int, channel: Any, position: Any) -> Any:
    """The activation with everything but one channel's one position set to zero."""
    maps = ops.take(activation, channel[0], axis=channel_axis)
    only = _at_maximum(maps) if position is None else _at(maps, position)
    line = _line(ops.shape(activation)[channel_axis], channel[0], activation.dtype)
    rank = len(activation.shape)
    channel_only = ops.reshape(line, [-1 if a == channel_axis else 1 for a in range(rank)])
    return activation * ops.expand_dims(only, channel_axis) * channel_only


def _line(size: Any, place: Any, dtype: Any) -> Any:
    """1 at one place of a line, 0 elsewhere."""
    return ops.cast(ops.arange(size) == place, dtype)


def _at_maximum(maps: Any) -> Any:
    """1 at the (first) maximum of each sample, 0 elsewhere."""
    flat = ops.reshape(maps, (ops.shape(maps)[0], -1))
    only = ops.one_hot(ops.argmax(flat, axis=1), ops.shape(flat)[1], dtype=maps.dtype)
    return ops.reshape(only, ops.shape(maps))


def _at(maps: Any, position: Any) -> Any:
    """1 at one position of every sample, 0 elsewhere."""
    only, rank = ops.ones_like(maps), len(maps.shape)
    for axis in range(1, rank):
        line = _line(ops.shape(maps)[axis], position[axis - 1], maps.dtype)
        only = only * ops.reshape(line, [-1 if a == axis else 1 for a in range(rank)])
    return only
