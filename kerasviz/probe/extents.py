"""What each call of a model sees of one of its inputs, from one trace of the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasviz.errors import InputError, MethodError
from kerasviz.probe import failures
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import compiled, graph
from kerasviz.probe.backend.extent_flow import ExtentFlow, Followed, Lost, Recurrence
from kerasviz.probe.run import Run, run
from kerasviz.probe.taps import Call
from kerasviz.probe.wrapper import Wrapper

Sizes = int | Sequence[int] | Mapping[str, "int | Sequence[int]"] | None
_CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """What one call of a layer sees.

    Attributes:
        address: Our address of the call.
        kind: Name of the layer's class.
        shape: Shape of what it returned, without the batch axis; None for several tensors.
        seen: Per axis of positions of the input, what each element of the output sees.
        unit_axes: The axes of the output that tell units apart; channels are not among them.
        reason: Why nothing is known; "" where it is.
    """

    address: str
    kind: str
    shape: tuple[int, ...] | None
    seen: Followed = ()
    unit_axes: tuple[int, ...] = ()
    reason: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Sight:
    """What the calls of a model see.

    Attributes:
        input: Name of the input.
        size: Its sizes along its axes of positions.
        sites: One entry per call, in the order in which they returned.
    """

    input: str
    size: tuple[int, ...]
    sites: tuple[Site, ...]


class SightReader(Wrapper):
    """Traces a model for one sample, or the batch size that it declares, and follows what each
    call sees.

    Args:
        model: Any built Keras model.
        wanted: Which input: its name or index; None for the only one with positions.
    """

    def __init__(self, model: keras.Model, wanted: str | int | None = None) -> None:
        super().__init__(model)
        self._wanted = wanted

    def sight(self, input_size: Sizes = None, inputs: Any = None) -> Sight:
        """What is seen, at the sizes that the model declares, is given or `inputs` have.

        Raises:
            InputError: A size is not known or does not fit.
            MethodError: No input has positions, or several have.
        """
        if inputs is not None:
            forms = [self.batch(inputs, finite=False).form]
        elif self._taken is None:
            raise InputError(
                f"`inputs` must be given for '{self.model.name}', which does not say what it "
                "takes. Received: None. Pass a batch: `theoretical(model, inputs=images)`."
            )
        else:
            forms = [f for f in (self._taken.form, self._taken.token_form) if f is not None]
            forms = [_with_sizes(form, self._taken, input_size) for form in forms]
        size = probe_inputs.declared_batch_size(self.model) or 1
        return self.sight_at(*(form.of_size(size) for form in forms))

    def sight_at(self, *forms: compiled.Form) -> Sight:
        """What is seen of inputs of the first of these forms, of a known batch size, that fits."""
        for form in forms:
            with failures.blaming_inputs(self.model, self._taken, form):
                try:
                    sight: Sight = self._compiled.trace("sight", form, (), None).info
                    return sight
                except failures.ModelError:
                    if form is forms[-1]:
                        raise
        raise InputError("`inputs` must hold at least one tensor. Received: none. Pass a batch.")

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        """The `Sight`, learned while tracing; nothing is computed."""
        record = run(self.model, inputs, reader=_other_tensors)
        name, source = _chosen(record, self._wanted)
        axes = record.input_positions(source)
        recurrences = {k: v for call in record.calls for k, v in _recurrences(call).items()}
        flow = ExtentFlow(source, axes, recurrences)
        sites = tuple(_site(record, call, flow) for call in record.calls)
        return {}, Sight(name, tuple(source.shape[axis] for axis in axes), sites)


def _chosen(record: Run, wanted: str | int | None) -> tuple[str, Any]:
    tensors = record.input_tensors
    placed = [name for name, x in tensors.items() if record.input_positions(x)]
    if wanted is None and len(placed) != 1:
        raise MethodError(
            "Expected a model with one input that has positions, or `input_name`. Received: "
            f"{len(placed)} such inputs of '{record.recorder.model.name}'"
            + (
                f", {', '.join(map(repr, placed))}. Name one of them."
                if placed
                else ": all it takes is features, of which a unit can have no field."
            )
        )
    names = [*tensors]
    if wanted is None:
        name = placed[0]
    elif (
        isinstance(wanted, int)
        and not isinstance(wanted, bool)
        and -len(names) <= wanted < len(names)
    ):
        name = names[wanted]
    elif isinstance(wanted, str) and wanted in tensors:
        name = wanted
    else:
        raise InputError(
            f"`input_name` must be the name or the index of an input. Received: {wanted!r}. "
            f"There are: {', '.join(map(repr, names))}."
        )
    if name not in placed:
        raise MethodError(
            f"Expected an input that has positions. Received: {name!r}, which holds features only."
            + (
                f" Name another: {', '.join(map(repr, placed))}."
                if placed
                else " There is no other: this model has no receptive fields."
            )
        )
    return name, tensors[name]


def _site(record: Run, call: Call, flow: ExtentFlow) -> Site:
    kind, output = type(call.layer).__name__, call.output
    if not keras.ops.is_tensor(output):
        return Site(
            call.address, kind, None, reason="returns several tensors: see the layers in it"
        )
    shape = tuple(output.shape[1:])
    if not graph.is_here(output):
        return Site(call.address, kind, shape, reason="runs inside a loop: see the layer around it")
    found = flow.of(output)
    if found is None:
        return Site(call.address, kind, shape, reason="does not depend on the input")
    if isinstance(found, Lost):
        inner = record.innermost(found.place)
        where = f" in '{inner.address}'" if inner else ""
        return Site(call.address, kind, shape, reason=f"{found.reason}{where}")
    channel = record.channel_axis(call)
    if len(output.shape) > 2:
        found = tuple(extents.reduced([channel], keep=True) for extents in found)
    axes = tuple(
        axis
        for axis in range(len(output.shape))
        if any(extents.varies(axis) for extents in found) or (axis and axis != channel)
    )
    return Site(call.address, kind, shape, found, axes)


def _other_tensors(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    if not isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
        return ()
    flat = keras.tree.flatten((args, dict(kwargs)))
    return tuple(x for x in flat if keras.ops.is_tensor(x))[1:]


def _recurrences(call: Call) -> dict[int, Recurrence]:
    """What is known of the tensors that a recurrent layer with cells of Keras returned."""
    layer = call.layer
    both = isinstance(layer, keras.layers.Bidirectional)
    parts = [layer.forward_layer, layer.backward_layer] if both else [layer]
    if not all(isinstance(part, keras.layers.RNN) and _is_plain(part.cell) for part in parts):
        return {}
    tensors = [x for x in keras.tree.flatten(call.output) if graph.is_here(x)]
    return {
        id(x): Recurrence(
            call.source,
            call.read or (),
            not both and place == 0 and bool(layer.return_sequences),
            bool(not both and layer.go_backwards),
        )
        for place, x in enumerate(tensors)
    }


def _is_plain(cell: Any) -> bool:
    cells = cell.cells if isinstance(cell, keras.layers.StackedRNNCells) else [cell]
    return all(type(one) in _CELLS for one in cells)


def _with_sizes(
    form: compiled.Form, taken: probe_inputs.Declared, input_size: Sizes
) -> compiled.Form:
    """The form with the sizes that are left open filled in."""
    _check_names(taken, input_size)
    shapes = [
        _filled(slot, shape, input_size.get(slot.name))
        if isinstance(input_size, Mapping)
        else _filled(slot, shape, input_size)
        for slot, shape in zip(taken.slots, form.shapes, strict=True)
    ]
    return dataclasses.replace(form, shapes=tuple(shapes))


def _check_names(taken: probe_inputs.Declared, input_size: Sizes) -> None:
    names = [slot.name for slot in taken.slots]
    strange = (
        [name for name in input_size if name not in names]
        if isinstance(input_size, Mapping)
        else []
    )
    if strange:
        raise InputError(
            f"`input_size` must name inputs of the model. Received: {strange[0]!r}. "
            f"There are: {', '.join(map(repr, names))}."
        )


def _filled(slot: probe_inputs.Slot, shape: tuple[int | None, ...], size: Any) -> Any:
    if size is None:
        if None in shape[1:]:
            raise InputError(
                "`input_size` must be given where the model leaves sizes open. Received: None for "
                f"'{slot.name}' of shape {probe_inputs.shown(shape)}. Pass a whole number for each "
                "size that is open."
            )
        return shape
    sizes = _checked_sizes(size, shape)
    fitting = _candidates(shape, sizes, slot.is_sized)
    if not fitting:
        raise InputError(
            f"`input_size` must fit '{slot.name}' of shape {probe_inputs.shown(shape)}. Received: "
            f"{size!r}. Pass one size per axis of positions, or leave it out where all are fixed."
        )
    return fitting[0]


def _checked_sizes(size: Any, shape: tuple[int | None, ...]) -> list[int]:
    if isinstance(size, int) and not isinstance(size, bool):
        size = [size] * (shape[1:].count(None) or max(1, len(shape) - 2))
    sizes = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else []
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise InputError(
            "`input_size` must be a positive whole number, or one per axis of positions. "
            f"Received: {size!r}. Pass e.g. `input_size=(224, 224)`."
        )
    return sizes


def _candidates(
    shape: tuple[int | None, ...], sizes: list[int], is_sized: bool
) -> list[tuple[int | None, ...]]:
    """The shapes that these sizes can mean: of the open axes, or of all positions."""
    found = []
    if shape.count(None) - 1 == len(sizes):
        rest = iter(sizes)
        found.append((shape[0], *(next(rest) if n is None else n for n in shape[1:])))
    rank = len(shape)
    for first in (1, 2) if keras.config.image_data_format() == "channels_last" else (2, 1):
        last = first + len(sizes)
        if len(sizes) not in (rank - 2, rank - 1) or last > rank:
            continue
        new = (*shape[:first], *sizes, *shape[last:])
        agrees = all(old in (None, n) for old, n in zip(shape[1:], new[1:], strict=True))
        if None not in new[1:] and (agrees or not is_sized):
            found.append(new)
    return found
