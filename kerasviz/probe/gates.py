"""Where a model multiplies features by a bounded factor that it computes: its gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from kerasviz.errors import InputError
from kerasviz.probe.backend import gate_parts, gates
from kerasviz.probe.run import Run, run
from kerasviz.probe.serial_depth import Paths
from kerasviz.probe.taps import Call
from kerasviz.probe.wrapper import Wrapper


@dataclasses.dataclass(frozen=True, eq=False)
class Gate:
    """One gate of a model.

    Attributes:
        address: Address of the call in which the product is computed; a second gate in the same
            call is "address:2". The model's name where its own `call` computes it.
        source: Address of the call in which the gate is computed, or the model's name.
        kind: "channel" (one value a channel), "position" (one value a position), or "both".
        shape: Static shape of the gate, the batch axis open; axes of size 1 are those along which
            it does not differ.
        channel_axis: Which of its axes counts the channels.
        bounds: The least and the largest value that it can have.
        variables: The model's variables that are used for this gate only.
        parts: Further variables, of whose last axis some entries, told by number, are.
        layer: What computes the product; None where that is no layer or operation.
        tensor: The gate itself, in the graph in which it was found.
    """

    address: str
    source: str
    kind: str
    shape: tuple[int | None, ...]
    channel_axis: int
    bounds: tuple[float, float]
    variables: tuple[Any, ...]
    parts: tuple[tuple[Any, tuple[int, ...]], ...] = ()
    layer: Any = None
    tensor: Any = None


def find(record: Run) -> list[Gate]:
    """The gates of a run, in the order of their products."""
    outputs = [x for x in keras.tree.flatten(record.outputs) if keras.ops.is_tensor(x)]
    found = gates.factors(outputs, [*record.input_tensors.values()])
    handles = {id(gates.handle(one)): one for one in record.recorder.model.variables}
    taken: dict[str, int] = {}
    result = []
    for factor in found:
        call = record.innermost(factor.product_place)
        if call is not None and isinstance(call.layer, keras.layers.TimeDistributed):
            continue  # one step of a loop, with the steps in front of the batch
        address = record.recorder.model.name if call is None else call.address
        taken[address] = taken.get(address, 0) + 1
        axis = _channel_axis(record, call, factor.product)
        source = record.innermost(factor.place)
        result.append(
            Gate(
                address=address if taken[address] == 1 else f"{address}:{taken[address]}",
                source=record.recorder.model.name if source is None else source.address,
                kind=_kind(factor.gate.shape, factor.product.shape, axis),
                shape=(None, *factor.gate.shape[1:]),
                channel_axis=axis,
                bounds=factor.bounds,
                variables=_in_order(handles, factor.handles),
                parts=_parts(handles, factor.parts),
                layer=None if call is None else call.layer,
                tensor=factor.gate,
            )
        )
    return result


def _in_order(known: dict[int, Any], handles: Sequence[Any]) -> tuple[Any, ...]:
    """The model's variables of these handles, in the model's order."""
    wanted = {id(one) for one in handles}
    return tuple(variable for key, variable in known.items() if key in wanted)


def _parts(
    known: dict[int, Any], parts: Sequence[gate_parts.Part]
) -> tuple[tuple[Any, tuple[int, ...]], ...]:
    """The model's variables of these parts, in the model's order."""
    units = {id(part.handle): part.units for part in parts}
    return tuple((variable, units[key]) for key, variable in known.items() if key in units)


def gates_of(model: keras.Model, inputs: Any = None) -> list[Gate]:
    """The gates of a model, without their tensors; nothing is computed.

    Args:
        model: Any built Keras 3 model; not altered.
        inputs: A batch, needed only for models that do not say what they take.

    Raises:
        InputError: The model does not say what it takes and no `inputs` came.
    """
    finder = _Finder(model)
    if inputs is not None:
        found = finder.traced("gates", finder.batch(inputs)).info
    else:
        found = finder.info("gates")
    if found is None:
        raise InputError(
            f"`inputs` must be given for '{model.name}', which does not say what it takes. "
            "Received: None. Pass a batch: `inputs=images`."
        )
    return list(found[0])


def gates_and_paths(model: keras.Model) -> tuple[list[Gate], Paths] | None:
    """The gates of a model and the paths through it, from one run; nothing is computed.

    Returns:
        None where the model does not say what it takes.
    """
    found: tuple[list[Gate], Paths] | None = _Finder(model).info("gates")
    return found


class _Finder(Wrapper):
    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        record = run(self.model, inputs)
        found = [dataclasses.replace(gate, tensor=None) for gate in find(record)]
        return {}, (found, Paths(record))


def _channel_axis(record: Run, call: Call | None, product: Any) -> int:
    rank = len(product.shape)
    if call is None:
        return record.recorder.layout.unit_axis(rank)
    if call.output is product:
        return record.channel_axis(call)
    return call.layout.unit_axis(rank)


def _kind(gate: Any, product: Any, channel_axis: int) -> str:
    """Along which axes a gate differs; an axis of size 1 in both counts as channels."""
    differs = [axis for axis in range(1, len(gate)) if gate[axis] != 1]
    by_channel = channel_axis in differs
    by_position = any(axis != channel_axis for axis in differs)
    if by_channel and by_position:
        return "both"
    return "position" if by_position else "channel"
