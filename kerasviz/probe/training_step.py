"""The mathematics of a model's training step, compiled for its time, applied to nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from kerasviz.errors import InputError, MethodError
from kerasviz.probe import failures
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import compiled, graph, op_owners, timed
from kerasviz.probe.backend.op_owners import Bounds, Owners
from kerasviz.probe.backend.timed import Timed
from kerasviz.probe.held_weights import held_weights
from kerasviz.probe.loss_gradients import loss_of, outputs_of
from kerasviz.probe.quiet import quiet
from kerasviz.probe.taps import Call, recording

ops: Any = keras.ops


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """A compiled step and what was learned while it was traced.

    Attributes:
        timed: Runs it.
        owners: Which part of the step an operation belongs to.
        calls: Every call of a layer whose operations are in the graph, in the order of return.
        in_loops: Addresses of calls inside loops, whose operations belong to the layer around.
    """

    timed: Timed
    owners: Owners
    calls: tuple[Call, ...]
    in_loops: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class WeightHolder:
    """A layer that holds trainable weights itself.

    Attributes:
        address: Of its first call.
        layer: The layer.
        variables: Its trainable weights.
    """

    address: str
    layer: Any
    variables: tuple[Any, ...]


class TrainingStep:
    """Compiles a model's training step on one batch, whole or with its first layers frozen.

    The step is that of Keras: forward in training mode, loss with regularization and `add_loss`,
    gradients, the optimizer's update. It reads the model's weights and writes to none of them: the
    update goes to a copy of the optimizer with copies of the weights; batch statistics, seed
    generators and metrics stay as they are. Metrics are left out. Nothing is jitted.

    Args:
        model: Any built Keras 3 model; not altered.
        batch: Inputs, targets, sample weights; None for those left out.
        trains: Whether there is more than a forward pass.
        loss: `(y, y_pred) -> values`, averaged, in place of the model's own.
    """

    def __init__(
        self,
        model: keras.Model,
        batch: tuple[Any, Any, Any],
        trains: bool,
        loss: Callable[..., Any] | None = None,
    ) -> None:
        probe_inputs.check_model(model)
        timed.check_devices()
        self.model, self.trains, self._loss = model, trains, loss
        self._structure = keras.tree.map_structure(_place_of, batch)
        flat = [value for value in keras.tree.flatten(batch) if value is not None]
        self._tensors = [compiled.as_tensor(value, _dtype(value)) for value in flat]

    @property
    def optimizer(self) -> Any:
        """The model's optimizer; None where it has none, or there is nothing to update."""
        return getattr(self.model, "optimizer", None) if self.trains else None

    def holders(self, calls: Sequence[Call]) -> list[WeightHolder]:
        """The layers that hold trainable weights themselves, in the order of their first call."""
        trainable = {id(variable) for variable in self.model.trainable_weights}
        found: dict[int, list[Any]] = {}
        for held in held_weights(self.model):
            if id(held.variable) in trainable:
                found.setdefault(id(held.layer), []).append(held.variable)
        first: dict[int, WeightHolder] = {}
        for call in calls:
            key = id(call.layer)
            if key in found and key not in first:
                first[key] = WeightHolder(call.address, call.layer, tuple(found[key]))
        return list(first.values())

    def compile(self, frozen: Sequence[WeightHolder] = ()) -> Step:
        """The step, taken as if `trainable` were False for these layers.

        Raises:
            InputError: The model failed on the batch.
            MethodError: No loss, nothing to train, or an optimizer that cannot be copied.
        """
        variables = self._variables(frozen)
        update = self._update(variables)
        found: dict[str, Any] = {}

        def step(*tensors: Any) -> list[Any]:
            rest = iter(tensors)
            batch = keras.tree.map_structure(
                lambda place: None if place is None else next(rest), self._structure
            )
            return self._compute(batch, variables, update, frozen, found)

        try:
            run = Timed(step, self._tensors, update.variables if update else ())
        except failures.ModelError as error:
            shapes = [tuple(tensor.shape) for tensor in self._tensors]
            raise InputError(
                f"`inputs` and `targets` must be a batch that '{self.model.name}' can be run on. "
                f"Received: {shapes}, on which it raised {type(error.__cause__).__name__}: "
                f"{failures.gist(error)} Give arrays as `fit` takes them."
            ) from error.__cause__
        return Step(run, found["owners"], found["calls"], found["in_loops"])

    def _variables(self, frozen: Sequence[WeightHolder]) -> list[Any]:
        if not self.trains:
            return []
        left_out = {id(variable) for holder in frozen for variable in holder.variables}
        found = [v for v in self.model.trainable_weights if id(v) not in left_out]
        if not found:
            raise MethodError(
                f"Expected a model with trainable weights. Received: '{self.model.name}', "
                "which has none. Set `trainable = True` on its layers."
            )
        return found

    def _update(self, variables: Sequence[Any]) -> _Update | None:
        return None if self.optimizer is None else _Update(self.optimizer, variables)

    def _compute(
        self,
        batch: Any,
        variables: Sequence[Any],
        update: _Update | None,
        frozen: Sequence[WeightHolder],
        found: dict[str, Any],
    ) -> list[Any]:
        model, (x, y, sample_weight) = self.model, batch
        names = frozenset(id(holder.layer) for holder in frozen)
        with quiet(model) as scope:
            scope.collect_losses = self.trains
            values = [graph.identity(ops.convert_to_tensor(v)) for v in variables]
            for variable, value in zip(variables, values, strict=True):
                scope.add_update((variable, value))
            forward = graph.position()
            with (
                recording(model, frozen=names) as recorder,
                compiled.inlined_functions(scope, recorder.mark),
            ):
                outputs = outputs_of(model, x, training=True)
            of_loss = graph.position()
            loss = self._loss_in(scope, (x, y, outputs, sample_weight)) if self.trains else None
            kept = {id(variable) for variable in variables}
            others = [v for v in model.variables if id(v) not in kept]
            changed = [scope.get_current_value(variable) for variable in others]
        loss = loss if update is None or loss is None else update.scaled(loss)
        backward = graph.position()
        by_weight = timed.gradients(loss, values) if self.trains else []
        of_update = graph.position()
        if update is not None:
            update.apply(by_weight, variables)
        bounds = Bounds(forward, of_loss, backward, of_update, graph.position())
        spans = op_owners.spans_here(recorder.calls)
        here = {address for _, _, address in spans}
        found["owners"] = Owners(bounds, spans)
        found["calls"] = tuple(call for call in recorder.calls if call.address in here)
        found["in_loops"] = tuple(c.address for c in recorder.calls if c.address not in here)
        results = [loss] if self.trains else keras.tree.flatten(outputs)
        kept_gradients = by_weight if update is None else []
        return timed.results([*results, *kept_gradients, *changed])

    def _loss_in(self, scope: Any, batch: tuple[Any, ...]) -> Any:
        with compiled.inlined_functions(scope, _nothing_to_undo):
            return loss_of(self.model, self._loss, batch, training=True)


class _Update:
    """A copy of an optimizer, with copies of the weights that it changes."""

    def __init__(self, optimizer: Any, variables: Sequence[Any]) -> None:
        try:
            self._optimizer = _copied(optimizer)
        except Exception as error:
            raise MethodError(
                "Expected an optimizer that its `get_config` can make a copy of, so that yours "
                f"stays as it is. Received: '{type(optimizer).__name__}', which raised "
                f"{type(error).__name__}: {failures.gist(error)} Give it `get_config`, or compile "
                "the model with another one."
            ) from error
        self._copies = {id(v): timed.held_copy(v) for v in variables}
        self._optimizer.build(list(self._copies.values()))

    @property
    def variables(self) -> list[Any]:
        """All that it holds: the copies, and what the optimizer notes of each."""
        return [*self._copies.values(), *self._optimizer.variables]

    def scaled(self, loss: Any) -> Any:
        """The loss as the optimizer wants it differentiated."""
        return self._optimizer.scale_loss(loss)

    def apply(self, by_weight: Sequence[Any], variables: Sequence[Any]) -> None:
        """Change the copies by the gradients."""
        pairs = [
            (gradient, self._copies[id(variable)])
            for gradient, variable in zip(by_weight, variables, strict=True)
            if gradient is not None
        ]
        if not pairs:
            raise MethodError(
                "Expected a loss that depends on the weights. Received: one that depends on none "
                "of those that can be trained. See `model.trainable_weights`."
            )
        self._optimizer.apply(*map(list, zip(*pairs, strict=True)))


def _copied(optimizer: Any) -> Any:
    config = dict(optimizer.get_config())
    if isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = 1e-3
    return type(optimizer).from_config(config)


def _place_of(value: Any) -> Any:
    return None if value is None else 0


def _dtype(value: Any) -> str:
    """As `fit` feeds it: floats as Keras's default, all else as it is."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    return keras.config.floatx() if "float" in dtype else dtype


def _nothing_to_undo() -> Callable[[], None]:
    return lambda: None
