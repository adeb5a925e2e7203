"""Gradients of a model's own loss by its weights, outside the training step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, KerasvizError, MethodError
from kerasviz.probe import containment, failures
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import compiled, graph
from kerasviz.probe.backend.compiled import Form
from kerasviz.probe.quiet import quiet
from kerasviz.probe.trainable import trainable_weights
from kerasviz.probe.watch import Watch

ops: Any = keras.ops


class LossGradients:
    """Differentiates the loss of a batch by every trainable weight, compiled once.

    The model's `compute_loss` is used, with its regularization and `add_loss`. Nothing in the
    model changes: batch statistics, seed generators, the loss's own metrics and the optimizer
    stay as they are, and no loss scaling is applied.

    Args:
        model: Any built Keras 3 model; not altered.
        training: Whether the model runs as in training (dropout, statistics of the batch).
        loss: `(y, y_pred) -> values`, averaged, in place of the model's own.
    """

    def __init__(
        self, model: keras.Model, training: bool, loss: Callable[..., Any] | None = None
    ) -> None:
        probe_inputs.check_model(model)
        self._model, self._training, self._loss = model, training, loss
        self._watch = Watch(model)
        self._compiled = compiled.Compiled(self._compute)

    @property
    def num_traces(self) -> int:
        """How many compiled functions are held."""
        return self._compiled.traces

    def __call__(
        self, x: Any, y: Any, sample_weight: Any = None
    ) -> tuple[float, dict[str, np.ndarray | None]]:
        """The loss of a batch, and its float32 gradient by each trainable weight.

        A weight that the loss does not depend on has None.

        Raises:
            InputError: The batch does not fit the model.
            MethodError: The model has no loss of its own, or nothing to train.
        """
        with self._compiled.lock:
            if self._watch.changed():
                self._compiled.clear()
        variables = trainable_weights(self._model)
        if not variables:
            raise MethodError(
                f"Expected a model with trainable weights. Received: '{self._model.name}', "
                "which has none. Set `trainable = True` on its layers."
            )
        key = tuple((address, id(variable)) for address, variable in variables.items())
        tensors, form = _formed((x, y, sample_weight))
        try:
            trace = self._compiled.trace(key, form, (), form_size(tensors))
        except failures.ModelError as error:
            raise InputError(
                f"`x` and `y` must be a batch that '{self._model.name}' can be trained on. "
                f"Received: {form.shapes}, on which it raised {type(error.__cause__).__name__}: "
                f"{failures.gist(error)} Give arrays as `fit` takes them."
            ) from error.__cause__
        found = {name: value.numpy() for name, value in trace(*tensors).items()}
        return float(found["loss"]), {address: found.get(f"by/{address}") for address in variables}

    def _compute(self, key: Any, inputs: Any, extras: Sequence[Any]) -> tuple[Any, None]:
        x, y, sample_weight = inputs
        model, variables = self._model, trainable_weights(self._model)
        with quiet(model) as scope, compiled.inlined_functions(scope, _nothing_to_undo):
            scope.collect_losses = True
            values = {a: graph.identity(ops.convert_to_tensor(v)) for a, v in variables.items()}
            for address, variable in variables.items():
                scope.add_update((variable, values[address]))
            outputs = outputs_of(model, x, self._training)
            value = loss_of(model, self._loss, (x, y, outputs, sample_weight), self._training)
            loss = ops.cast(value, "float32")
        found = graph.gradients(loss, list(values.values()), scale=self._scale())
        by = {f"by/{a}": g for a, g in zip(values, found, strict=True) if g is not None}
        return {"loss": loss, **by}, None

    def _scale(self) -> float:
        layers = containment.all_layers(self._model)
        is_half = any(getattr(layer, "compute_dtype", "") == "float16" for layer in layers)
        return graph.FLOAT16_SCALE if is_half else 1.0


def outputs_of(model: keras.Model, x: Any, training: bool) -> Any:
    """What a model makes of a batch, as in training or not.

    Raises:
        ModelError: The model failed on it.
    """
    try:
        parameters = inspect.signature(model.call).parameters
        return model(x, **({"training": training} if "training" in parameters else {}))
    except KerasvizError:
        raise
    except Exception as error:
        raise failures.ModelError(str(error)) from error


def loss_of(
    model: keras.Model, loss: Callable[..., Any] | None, batch: tuple[Any, ...], training: bool
) -> Any:
    """The loss of a batch: of a function, or the model's own with all that is added to it.

    Args:
        model: The model.
        loss: `(y, y_pred) -> values`, averaged; None: the model's own.
        batch: Inputs, targets, outputs and sample weights.
        training: Whether the model runs as in training.

    Raises:
        ModelError: The function failed.
        MethodError: The model has no loss of its own.
    """
    x, y, outputs, sample_weight = batch
    if loss is not None:
        try:
            return ops.mean(loss(y, outputs))
        except KerasvizError:
            raise
        except Exception as error:
            raise failures.ModelError(str(error)) from error
    takes = inspect.signature(model.compute_loss).parameters
    told = {"training": training} if "training" in takes else {}
    try:
        return model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight, **told)
    except Exception as error:
        raise MethodError(
            "Expected a model whose `compute_loss` gives the loss of a batch, as it does after "
            f"`compile(loss=...)`. Received: '{model.name}', which raised "
            f"{type(error).__name__}: {failures.gist(error)} Compile it with a loss, or pass "
            "`loss=`, a function of `(y, y_pred)`."
        ) from error


def form_size(tensors: Sequence[Any]) -> int | None:
    """Number of samples of a batch; None where there are no tensors."""
    return int(tensors[0].shape[0]) if tensors else None


def _formed(batch: Any) -> tuple[list[Any], Form]:
    """The tensors of nested arrays, and their form with an open batch axis."""
    structure = keras.tree.map_structure(lambda value: None if value is None else 0, batch)
    flat = [value for value in keras.tree.flatten(batch) if value is not None]
    tensors = [compiled.as_tensor(value, _dtype(value)) for value in flat]
    shapes = tuple((None, *tensor.shape[1:]) for tensor in tensors)
    return tensors, Form(structure, shapes, tuple(tensor.dtype.name for tensor in tensors))


def _dtype(value: Any) -> str:
    """As `fit` feeds it: floats as Keras's default, all else as it is."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    return keras.config.floatx() if "float" in dtype else dtype


def _nothing_to_undo() -> Callable[[], None]:
    return lambda: None
