"""The middle position of a layer differentiated by what an earlier layer returned."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import MethodError
from kerasviz.probe import addresses
from kerasviz.probe.activations import check_called
from kerasviz.probe.backend import compiled, graph, tiling
from kerasviz.probe.backend.linear_network import LinearNetwork, NotLinearError
from kerasviz.probe.inputs import Batch, declared_batch_size
from kerasviz.probe.path_windows import Box, Window, window_between
from kerasviz.probe.run import Run, run
from kerasviz.probe.stream import Stream
from kerasviz.probe.taps import Call

ops: Any = keras.ops

WINDOW, LINES, TRUE = "window", "lines", "true"


@dataclasses.dataclass(frozen=True)
class Learned:
    """What tracing teaches.

    Attributes:
        sources: Channels of the earlier layer.
        targets: Channels of the later layer.
        window: What is seen, where that was asked for.
        activations: Activations that were read as lines.
        max_pools: Max pools that were read as means.
    """

    sources: int
    targets: int
    window: Window | None = None
    activations: int = 0
    max_pools: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class _Ends:
    """Two tensors of one run, with their channel axes."""

    source: Any
    source_axis: int
    target: Any
    target_axis: int

    @property
    def counts(self) -> tuple[int, int]:
        return self.source.shape[self.source_axis], self.target.shape[self.target_axis]

    @property
    def source_positions(self) -> list[int]:
        return [a for a in range(1, len(self.source.shape)) if a != self.source_axis]

    @property
    def target_positions(self) -> list[int]:
        return [a for a in range(1, len(self.target.shape)) if a != self.target_axis]

    def chosen(self, target: Any, units: Any) -> Any:
        """(batch,) of a tensor like the target: unit n of sample n, in the middle."""
        rows = ops.moveaxis(target, self.target_axis, -1)
        for _ in self.target_positions:
            rows = ops.take(rows, ops.shape(rows)[1] // 2, axis=1)
        return ops.take_along_axis(rows, units[:, None], axis=1)[:, 0]

    def cut(self, gradient: Any, box: Box | None) -> Any:
        """(batch, channels, *window) of a tensor like the source."""
        first = ops.moveaxis(gradient, self.source_axis, 1)
        for axis, (start, size) in enumerate(box or ()):
            first = ops.take(first, ops.arange(start, start + size), axis=axis + 2)
        return first


class PathReader(Stream):
    """Gradients of the middle position of a layer by what an earlier layer returned.

    Of an axis of n positions the middle one is number n // 2.

    Args:
        model: Any built Keras 3 model; not cloned, not altered.
        source: The earlier layer: address, layer object or index; or the name of an input, its
            `InputLayer` or index.
        target: The later layer.
        held: Layers whose output is held fixed, so that paths through them do not count.

    Raises:
        AddressError: No such layer.
        MethodError: The model runs on batches of one size only.
    """

    def __init__(
        self, model: keras.Model, source: Any, target: Any, held: Sequence[Any] = ()
    ) -> None:
        super().__init__(model)
        self.held = tuple(addresses.to_address(model, layer) for layer in held)
        _check_open(model)
        given = _layer_of(model, source)
        is_input = isinstance(given, keras.layers.InputLayer)
        self.source = given.output.name if is_input else addresses.to_address(model, source)
        self.target = addresses.to_address(model, target)
        names = [slot.name for slot in self._taken.slots] if self._taken is not None else None
        for address in (self.source, self.target):
            is_known = names is None or (address == self.source and address in names)
            if not is_known and not addresses.is_held(model, address):
                check_called(model, address)

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        """`key` is one of the constants above, and the box to which gradients are cut.

        WINDOW: nothing is computed, the `Window` is learned. The others take (n,) numbers of
        channels of the later layer. LINES, for n samples: `signed` and `absolute`
        (n, channels, *window) of the linear network that lies between. TRUE: `signed` and
        `absolute`, summed over the batch, of the model itself.
        """
        kind, box = key
        if kind == TRUE:
            return self._true(inputs, feeds[0], box)
        record = self._run(inputs, open_functions=False)
        ends = self._ends(record)
        self._check_precision(record, ends)
        if kind == WINDOW:
            return {}, Learned(*ends.counts, self._window(ends))
        network = self._network(record, ends)
        found = network.gradients(lambda end: ends.chosen(end, feeds[0]))
        learned = Learned(*ends.counts, None, network.activations, network.max_pools)
        values = {"signed": found.signed, "absolute": found.absolute}
        return {name: ends.cut(value, box) for name, value in values.items()}, learned

    def _true(self, inputs: Any, units: Any, box: Box | None) -> tuple[dict[str, Any], Any]:
        times = ops.shape(units)[0]
        repeated = keras.tree.map_structure(
            lambda x: x if x is None else tiling.repeated(x, times), inputs
        )
        record = self._run(repeated)
        ends = self._ends(record)
        batch = next(x for x in keras.tree.flatten(inputs) if x is not None)
        number = tiling.tiled(units, ops.shape(batch)[0])
        values = ends.chosen(ops.cast(ends.target, "float32"), number)
        gradient = record.gradients(values, [ends.source])[0]
        folded = tiling.folded(ends.cut(gradient, box), times)
        found = {"signed": ops.sum(folded, axis=0), "absolute": ops.sum(ops.abs(folded), axis=0)}
        return found, Learned(*ends.counts)

    def _run(self, inputs: Any, **settings: Any) -> Run:
        held: dict[str, Any] = dict.fromkeys(self.held, keras.ops.stop_gradient)
        return run(self.model, inputs, edits=held, **settings)

    def _ends(self, record: Run) -> _Ends:
        for address in self.held:
            record.find(address)
        target = record.find(self.target)
        source, source_axis = self._source(record)
        self._check_kind("target", target.output)
        found = _Ends(source, source_axis, target.output, record.channel_axis(target))
        self._check_order(found)
        return found

    def _source(self, record: Run) -> tuple[Any, int]:
        given = record.input_tensors.get(self.source)
        if given is None or any(call.address == self.source for call in record.calls):
            call = record.find(self.source)
            self._check_kind("source", call.output)
            return call.output, record.channel_axis(call)
        axis, casts = record.input_channel_axis(given), graph.float_casts(given)
        if axis is None or len(given.shape) < 3 or len(casts) != 1:
            raise MethodError(
                "`source` must be numbers that have channels and positions. Received: the input "
                f"{self.source!r} of shape {tuple(given.shape)}, {given.dtype.name}. "
                "Name the first layer after it."
            )
        return casts[0], axis

    def _check_kind(self, name: str, output: Any) -> None:
        address = getattr(self, name)
        if len(output.shape) < 3 or not graph.is_float(output):
            raise MethodError(
                f"`{name}` must be a layer with channels and positions. Received: {address!r}, "
                f"which returns {tuple(output.shape)}, {output.dtype.name}. Name an earlier layer, "
                "before positions are pooled or flattened."
            )

    def _check_order(self, ends: _Ends) -> None:
        if ends.source is not ends.target and ends.target in graph.Below([ends.source]):
            return
        is_same = ends.source is ends.target
        swapped = not is_same and ends.source in graph.Below([ends.target])
        way_out = "Swap the two." if swapped else "Name two layers of which one leads to the other."
        raise MethodError(
            "`target` must depend on `source` by a path that has gradients. Received: "
            f"{self.source!r} and {self.target!r}, which does not. {way_out}"
        )

    def _check_precision(self, record: Run, ends: _Ends) -> None:
        between = {id(op) for op in graph.ops_between([ends.target], [ends.source])}
        operations = list(ends.target.graph.get_operations())
        for call in record.calls:
            mode = getattr(call.layer, "quantization_mode", None)
            if mode and any(id(op) in between for op in operations[slice(*call.span)]):
                raise MethodError(
                    "Expected weights as floating-point numbers. Received: "
                    f"{call.address!r}, quantized to {mode}. Expand the model as it was before "
                    "`quantize`."
                )

    def _network(self, record: Run, ends: _Ends) -> LinearNetwork:
        try:
            return LinearNetwork(ends.source, ends.target, [*record.input_tensors.values()])
        except NotLinearError as error:
            operations = list(error.op.graph.get_operations())
            place = next(n for n, op in enumerate(operations) if op is error.op)
            call: Call | None = record.innermost(place)
            where = call.address if call else error.op.name
            raise MethodError(
                "Expected layers that are linear but for activations and pooling between "
                f"{self.source!r} and {self.target!r}. Received: {where!r}, in which "
                f"{error.reason}. Pass `examples=`, images over which the true gradients are "
                "averaged."
            ) from error

    def _window(self, ends: _Ends) -> Window:
        positions = ends.source_positions, ends.target_positions
        return window_between(ends.source, ends.target, positions, ends.target_axis, self.target)

    def window(self, batch: Batch) -> Window:
        """What is seen of the earlier layer for inputs of the form of this batch.

        Raises:
            MethodError: The layers do not follow one another, or have no positions.
        """
        form = batch.form.of_size(1) if not batch.form.is_sized else batch.form
        found: Learned = self._compiled.trace((WINDOW, None), form, (), 1).info
        return found.window  # type: ignore[return-value]

    def learned(self, kind: str, box: Box | None, batch: Batch) -> Learned:
        """What tracing teaches; nothing is run."""
        found: Learned = self._trace(kind, box, batch).info
        return found

    def asked(self, kind: str, box: Box | None, batch: Batch, units: np.ndarray) -> dict[str, Any]:
        """Run the function of that kind, see `compute`."""
        feeds = (compiled.as_tensor(np.asarray(units), "int32"),)
        return self.evaluate_trace(self._trace(kind, box, batch), batch, feeds)

    def _trace(self, kind: str, box: Box | None, batch: Batch) -> compiled.Trace:
        return self.traced((kind, box), batch, (compiled.spec((None,), "int32"),))


def _check_open(model: keras.Model) -> None:
    fixed = declared_batch_size(model)
    if fixed:
        raise MethodError(
            f"Expected a model that runs on batches of any size. Received: '{model.name}', which "
            f"runs on {fixed} samples only. Build it without `batch_size`."
        )


def _layer_of(model: keras.Model, layer: Any) -> Any:
    is_index = isinstance(layer, int) and not isinstance(layer, bool)
    held = model.layers
    return held[layer] if is_index and -len(held) <= layer < len(held) else layer
