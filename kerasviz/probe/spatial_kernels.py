"""Kernels with positions: what a convolution, or a dense layer after a Flatten, does where."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe import addresses
from kerasviz.probe.backend import flattening
from kerasviz.probe.held_weights import HeldWeight, held_weights
from kerasviz.probe.run import run
from kerasviz.probe.wrapper import Wrapper


def _layers(name: str, end: str = "") -> tuple[Any, ...]:
    names = [f"{name}{rank}D{end}" for rank in (1, 2, 3)]
    return tuple(getattr(keras.layers, one) for one in names if hasattr(keras.layers, one))


PLAIN = _layers("Conv")
TRANSPOSED = _layers("Conv", "Transpose")
DEPTHWISE = _layers("DepthwiseConv")
SEPARABLE = _layers("SeparableConv")
KNOWN = (*PLAIN, *TRANSPOSED, *DEPTHWISE, *SEPARABLE, keras.layers.Dense)


@dataclasses.dataclass(frozen=True, eq=False)
class SpatialKernel:
    """What a layer does at each position of its window.

    Attributes:
        address: Address of the layer.
        kind: "convolution", "grouped", "transposed", "depthwise", "separable" or "dense".
        values: (*window, inputs, neurons) of floating dtype. A grouped kernel is zero where a
            neuron does not read; a separable one is the product of its two; of a depthwise one
            the last axis is the depth multiplier; a dense one has the window of what was flattened.
    """

    address: str
    kind: str
    values: np.ndarray

    @property
    def window(self) -> tuple[int, ...]:
        """Size of the window."""
        return self.values.shape[:-2]


def convolution_kernels(model: keras.Model) -> Iterator[SpatialKernel]:
    """The kernel of every convolution that the model holds, one at a time, in that order.

    Raises:
        MethodError: A layer is quantized, or a weight is NaN or infinite.
    """
    for address, layer, held in _groups(model):
        if not isinstance(layer, keras.layers.Dense):
            yield _kernel(model, address, layer, held)


def spatial_kernel(model: keras.Model, layer: Any) -> SpatialKernel:
    """The kernel of one layer.

    Args:
        model: Any built Keras 3 model; not altered.
        layer: Address, layer object or index of a convolution or of a dense layer after a Flatten,
            of a wrapper around one, or the address of its kernel.

    Raises:
        AddressError: No such layer.
        MethodError: The layer has no kernel with positions, it is quantized, or a weight is NaN or
            infinite.
    """
    wanted = addresses.plain(addresses.to_address(model, layer))
    groups = _groups(model)
    places = [place for _, _, held in groups for place in held[0].addresses]
    exact = [one for one in groups if any(_is_of(held, wanted) for held in one[2])]
    found = exact or [one for one in groups if any(_is_below(held, wanted) for held in one[2])]
    if len(found) == 1:
        address, made_by, held = found[0]
        return _kernel(model, address, made_by, held)
    if not found and not addresses.is_held(model, wanted):
        raise addresses.not_found(wanted, [place.rsplit("/", 1)[0] for place in places])
    told = f"which holds {len(found)} such layers" if found else "which has no kernel of that kind"
    known = [address for address, _, _ in found or groups if address]
    named = ", ".join(map(repr, known[:3])) or "none: this model has no such layer"
    raise MethodError(
        "`layer` must be a convolution, or a dense layer that follows a Flatten. Received: "
        f"{wanted!r}, {told}. Name such as {named}."
    )


def _groups(model: keras.Model) -> list[tuple[str, Any, list[HeldWeight]]]:
    """Address, layer and kernels of each layer of a known kind."""
    found: dict[int, tuple[str, Any, list[HeldWeight]]] = {}
    for held in held_weights(model):
        if isinstance(held.layer, KNOWN) and held.role.endswith("kernel"):
            address = held.addresses[0].rpartition("/")[0]
            found.setdefault(id(held.layer), (address, held.layer, []))[2].append(held)
    return [*found.values()]


def _is_of(held: HeldWeight, wanted: str) -> bool:
    return any(wanted in (one, one.rpartition("/")[0]) for one in held.addresses)


def _is_below(held: HeldWeight, wanted: str) -> bool:
    return any(one.startswith(f"{wanted}/") for one in held.addresses)


def _kernel(
    model: keras.Model, address: str, layer: Any, held: Sequence[HeldWeight]
) -> SpatialKernel:
    arrays = []
    for one in held:
        arrays.append(one.values().reshape(tuple(one.variable.shape)))
        if not np.isfinite(arrays[-1]).all():
            raise MethodError(
                "Expected finite weights. Received: NaN or infinite ones in "
                f"'{one.addresses[0]}'. See `kv.weights.diagnose`."
            )
    kind, values = _read(model, address, layer, arrays)
    return SpatialKernel(address, kind, values)


def _read(
    model: keras.Model, address: str, layer: Any, arrays: Sequence[np.ndarray]
) -> tuple[str, np.ndarray]:
    kernel = arrays[0]
    if isinstance(layer, SEPARABLE):
        pointwise = arrays[1].reshape(*kernel.shape[-2:], -1)
        return "separable", np.einsum("...cj,cjo->...co", kernel, pointwise)
    if isinstance(layer, DEPTHWISE):
        return "depthwise", kernel
    if isinstance(layer, TRANSPOSED):
        return "transposed", np.swapaxes(kernel, -1, -2)
    if isinstance(layer, keras.layers.Dense):
        return "dense", _unflattened(model, address, layer, kernel)
    groups = layer.groups
    if groups == 1:
        return "convolution", kernel
    if kernel.shape[-2] == 1:
        return "depthwise", kernel.reshape(*kernel.shape[:-2], groups, -1)
    return "grouped", _widened(kernel, groups)


def _widened(kernel: np.ndarray, groups: int) -> np.ndarray:
    *window, inputs, neurons = kernel.shape
    wide = np.zeros((*window, groups, inputs, groups, neurons // groups), kernel.dtype)
    for group, part in enumerate(np.split(kernel, groups, axis=-1)):
        wide[..., group, :, group, :] = part
    return wide.reshape(*window, groups * inputs, neurons)


def _unflattened(model: keras.Model, address: str, layer: Any, kernel: np.ndarray) -> np.ndarray:
    found = None
    with contextlib.suppress(Exception):  # whatever the model's own code raises
        found = _Tracer(model).info(id(layer))
    if found is None:
        raise MethodError(
            "`layer` must be a convolution, or a dense layer that follows a Flatten of known size. "
            f"Received: {address!r}, a dense layer without positions. Choose a convolution."
        )
    sizes, channels = found
    return np.moveaxis(kernel.reshape(*sizes, kernel.shape[-1]), channels, -2)


class _Tracer(Wrapper):
    """Finds the sizes of what was flattened for the dense layer whose `id` is the key, and which of
    them counts channels."""

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        call = next((one for one in record.calls if id(one.layer) == key), None)
        before = None if call is None else flattening.flattened(call.source)
        if call is None or before is None:
            return {}, None
        axis = record.followed_channel_axis(before)
        if axis is None and not call.layout.channels_first:
            axis = len(before.shape) - 1
        return {}, None if not axis else (tuple(before.shape[1:]), axis - 1)
