"""Record, or edit, what the layers of a model return while it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import keras

from kerasviz.errors import AddressError, MethodError
from kerasviz.probe import addresses, containment
from kerasviz.probe.backend import graph
from kerasviz.probe.patches import Patch

Edit = Callable[[Any], Any]
Reader = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a convolution laid out its tensor: which axis is the channel axis."""

    channels_first: bool
    spatial_rank: int

    def channel_axis(self, rank: int) -> int:
        """Channel axis of a tensor of that rank that follows this layout."""
        return max(1, rank - self.spatial_rank - 1) if self.channels_first else rank - 1

    def unit_axis(self, rank: int) -> int:
        """The same for an output: the last axis where it has no room for these positions."""
        return self.channel_axis(rank) if rank > self.spatial_rank + 1 else rank - 1


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of one layer (or operation) while the model ran.

    Attributes:
        address: Our address of the call site.
        layer: The layer or operation that was called.
        output: What it returned: a tensor or a nested structure of tensors.
        layout: Layout of the last convolution up to here.
        is_leaf: Whether it called no other layer.
        source: The first tensor that it took.
        read: What the run's reader made of the layer and its arguments before it was called.
        span: The operations of the open graph that it made, as the numbers of the first and of
            the one after the last.
    """

    address: str
    layer: Any
    output: Any
    layout: Layout
    is_leaf: bool
    source: Any = None
    read: Any = None
    span: tuple[int, int] = (0, 0)


class Recorder:
    """Collects the calls of a model's layers in the order in which they return."""

    def __init__(
        self,
        model: keras.Model,
        edits: Mapping[str, Edit] | None = None,
        reader: Reader | None = None,
        batch_statistics: bool = False,
        frozen: Collection[int] = (),
    ) -> None:
        self.model = model
        self.reader = reader
        self.batch_statistics = batch_statistics
        self.frozen = frozen
        self.calls: list[Call] = []
        self.edits = dict(edits or {})
        self.layout = Layout(keras.config.image_data_format() == "channels_first", 2)
        self.first_layout = self.layout
        self._layout_is_known = False
        self._frames: list[_Frame] = []

    def find(self, address: str) -> Call:
        """The call at that address; raises `AddressError` with the closest ones otherwise."""
        for call in self.calls:
            if call.address == address:
                return call
        called = {addresses.plain(call.address) for call in self.calls}
        if addresses.plain(address) not in called and addresses.is_held(self.model, address):
            raise AddressError(
                f"`layer` must be a layer that the model calls. Received: {address!r}, which the "
                "model holds but does not call by itself in inference (a wrapper such as "
                "TimeDistributed may run it inside: use the wrapper's address). "
                "See `kv.layers(model)`."
            )
        raise addresses.not_found(address, [call.address for call in self.calls])

    def mark(self) -> Callable[[], None]:
        """Remember what was recorded so far; calling the result forgets what came later."""
        frame = self._frames[-1]
        counts, calls, edits = dict(frame.counts), len(self.calls), dict(self.edits)
        layouts = self.layout, self.first_layout, self._layout_is_known

        def undo() -> None:
            frame.counts, self.edits = counts, edits
            del self.calls[calls:]
            self.layout, self.first_layout, self._layout_is_known = layouts

        return undo

    def call(self, original: Callable[..., Any], layer: Any, args: Any, kwargs: Any) -> Any:
        """Run one layer, remember what it returned, and hand on the (edited) result."""
        if not self._frames:
            if layer is not self.model:
                return original(layer, *args, **kwargs)
            return self._enter(layer, "", original, args, kwargs)[0]
        address = self._frames[-1].address_of(layer)
        read = self._read(layer, args, kwargs)
        if self.batch_statistics and isinstance(layer, keras.layers.BatchNormalization):
            args, kwargs = _on_batch_statistics(layer, address, args, kwargs)
        if id(layer) in self.frozen and isinstance(layer, keras.layers.BatchNormalization):
            args, kwargs = _in_training(args, kwargs, False)
        start = graph.position()
        output, is_leaf = self._enter(layer, address + "/", original, args, kwargs)
        self._learn_layout(layer)
        output = _own_tensor(output, args)
        if address in self.edits:
            output = _masked_as(output, self.edits.pop(address)(output))
        source = next((t for t in keras.tree.flatten(args) if keras.ops.is_tensor(t)), None)
        span = (start, graph.position())
        self.calls.append(Call(address, layer, output, self.layout, is_leaf, source, read, span))
        return output

    def _read(self, layer: Any, args: Any, kwargs: Any) -> Any:
        """What the reader makes of a call to come; what it calls itself is not recorded."""
        if self.reader is None:
            return None
        outer = _active.recorder
        try:
            _active.recorder = None
            return self.reader(layer, args, kwargs)
        finally:
            _active.recorder = outer

    def _learn_layout(self, layer: Any) -> None:
        found = _layout_of(layer)
        if found is not None and not self._layout_is_known:
            self.first_layout, self._layout_is_known = found, True
        self.layout = found or self.layout

    def _enter(
        self, layer: Any, prefix: str, original: Callable[..., Any], args: Any, kwargs: Any
    ) -> tuple[Any, bool]:
        frame = _Frame(layer, prefix)
        self._frames.append(frame)
        try:
            return original(layer, *args, **kwargs), not frame.counts
        finally:
            self._frames.pop()


class _Frame:
    """The children called so far within one call of one layer."""

    def __init__(self, layer: Any, prefix: str) -> None:
        self.prefix = prefix
        self.names = containment.child_names(layer)
        self.counts: dict[int, int] = {}

    def address_of(self, child: Any) -> str:
        count = self.counts[id(child)] = self.counts.get(id(child), 0) + 1
        if id(child) not in self.names:
            self.names[id(child)] = self._stranger(child)
        name = self.names[id(child)]
        return self.prefix + (name if count == 1 else f"{name}@{count}")

    def _stranger(self, child: Any) -> str:
        taken = sum(name.split("~")[0] == child.name for name in self.names.values())
        return containment.sibling_name(child.name, taken + 1)


def _layout_of(layer: Any) -> Layout | None:
    layer = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
    data_format = getattr(layer, "data_format", None)
    if data_format not in ("channels_first", "channels_last"):
        return None
    rank = getattr(layer, "rank", None) or getattr(layer, "pool_dimensions", None)
    spec = getattr(getattr(layer, "input_spec", None), "ndim", None)
    spatial = rank if isinstance(rank, int) else (spec - 2 if spec else 2)
    return Layout(data_format == "channels_first", spatial)


def _on_batch_statistics(layer: Any, address: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a batch normalization, with training on."""
    if not layer.trainable:
        raise MethodError(
            "`batch_statistics` needs batch normalization that Keras lets use them. Received: "
            f"{address!r}, which is frozen (`trainable` is False) and so keeps to its moving "
            "statistics. Set `trainable = True`, or leave `batch_statistics` out."
        )
    return _in_training(args, kwargs, True)


def _in_training(args: Any, kwargs: Any, training: bool) -> tuple[Any, Any]:
    """The arguments of a batch normalization, with training on or off."""
    named = {**dict(zip(("training", "mask"), args[1:], strict=False)), **kwargs}
    return args[:1], named | {"training": training}


def _own_tensor(output: Any, args: Any) -> Any:
    """A layer that returns its input unchanged still gets a tensor of its own to be tapped."""
    if any(output is arg for arg in args) and keras.ops.is_tensor(output):
        return _masked_as(output, graph.identity(output))
    return output


def _masked_as(before: Any, after: Any) -> Any:
    """`after`, which stands for `before`, with its masks where it has none of its own."""
    olds, news = keras.tree.flatten(before), keras.tree.flatten(after)
    for old, new in zip(olds, news, strict=False):
        mask = getattr(old, "_keras_mask", None)
        if mask is not None and keras.ops.is_tensor(new) and not hasattr(new, "_keras_mask"):
            new._keras_mask = mask
    return after


_active = threading.local()


@contextlib.contextmanager
def recording(
    model: keras.Model,
    edits: Mapping[str, Edit] | None = None,
    reader: Reader | None = None,
    batch_statistics: bool = False,
    frozen: Collection[int] = (),
) -> Iterator[Recorder]:
    """Within this context, calls of `model` in this thread are recorded and edited.

    Keras's `Layer.__call__` and `Operation.__call__` are wrapped for as long as any thread is
    inside; no layer object is touched. Other threads and other models pass straight through.

    Args:
        model: The model whose calls are recorded.
        edits: Optional dict address → function of the layer's output that returns what the rest
            of the model shall see instead.
        reader: Optional function of each layer, its arguments and keyword arguments before it is
            called, whose result is kept in its `Call`.
        batch_statistics: Let batch normalization use the statistics of the batch.
        frozen: `id` of layers that are taken as not trainable: batch normalization among them
            keeps to its moving statistics.

    Yields:
        The `Recorder`.

    Raises:
        AddressError: An edit's address was never called.
        MethodError: A batch normalization that is frozen shall use the statistics of the batch.
    """
    outer = getattr(_active, "recorder", None)
    recorder = Recorder(model, edits, reader, batch_statistics, frozen)
    with contextlib.ExitStack() as stack:
        for patch in _patches:
            stack.enter_context(patch.on())
        try:
            _active.recorder = recorder
            yield recorder
        finally:
            _active.recorder = outer
    for address in recorder.edits:
        recorder.find(address)


def _hooked(kind: type, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = getattr(_active, "recorder", None)
        inner = kind is keras.Operation and isinstance(self, keras.Layer)
        if recorder is None or inner:
            return original(self, *args, **kwargs)
        return recorder.call(original, self, args, kwargs)

    return call


def _plain(original: Callable[..., Any]) -> Callable[..., Any]:
    """Rematerialization saves memory in training and hides what a layer computes: leave it out."""

    @functools.wraps(original)
    def rematerialized_call(self: Any, layer_call: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_active, "recorder", None) is None:
            return original(self, layer_call, *args, **kwargs)
        return layer_call

    return rematerialized_call


_patches = [
    Patch(kind, "__call__", functools.partial(_hooked, kind))
    for kind in (keras.Layer, keras.Operation)
]
_patches += [
    Patch(keras.Layer, name, _plain)
    for name in ("rematerialized_call",)
    if name in vars(keras.Layer)
]
