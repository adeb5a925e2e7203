"""A `keras.Model` that wraps the user's model and computes something about it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NoReturn

import keras
import numpy as np

from kerasviz.errors import InputError, KerasvizError, MethodError
from kerasviz.probe import failures
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import compiled, graph
from kerasviz.probe.watch import Watch


class Wrapper(keras.Model):
    """Base of explainers and taps: Keras's verbs around one compiled graph function.

    A direct call and `predict` run the same compiled function, whose batch axis is open, so that
    neither a new batch size nor the short last batch traces anything anew. Inside a graph (a
    distribution strategy's `predict`, `export`) the computation becomes part of that graph.

    A subclass implements `compute`.

    Args:
        model: The built Keras model to look at. It is not cloned and not altered.
        name: Optional Keras name.
    """

    def __init__(self, model: keras.Model, name: str | None = None) -> None:
        probe_inputs.check_model(model)
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise MethodError(
                f"`name` must be a string without '/', or None. Received: {name!r}. Choose another."
            )
        super().__init__(name=name, autocast=False, dtype="float32")
        self.built = True
        self.model = model
        self.jit_compile = False
        self._watch = Watch(model)
        self._compiled = compiled.Compiled(self.compute)
        self._batches = _Batches()
        self.refresh()

    def compute(self, key: Any, inputs: Any, feeds: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        """What to compute in the graph: a dict of tensors, and what was learned on the way.

        Args:
            key: Hashable description of what is asked, as given to `traced`.
            inputs: Graph tensors in the model's structure.
            feeds: Graph tensors fed beside the inputs.
        """
        raise NotImplementedError

    def refresh(self) -> None:
        """Forget what was traced, and look at the model anew.

        A change of the model's layers, of their variables (`quantize`, `enable_lora`), activations
        or other plain attributes is noticed at the next call. What lies deeper, in objects or
        global variables that a `call` reads, is not: call this after it has changed.
        """
        self._taken = probe_inputs.declared(self.model)
        self._compiled.clear()
        if self._has_replicas:
            self.predict_function: Any = None

    def _follow(self) -> None:
        """Start anew if the model has changed since the last call."""
        with self._compiled.lock:
            if self._watch.changed():
                self.refresh()

    def batch(self, inputs: Any, finite: bool = True) -> probe_inputs.Batch:
        """The inputs, checked against the model as it is now."""
        self._follow()
        return probe_inputs.batch(self._taken, inputs, finite)

    def evaluate_on(self, key: Hashable, inputs: Any) -> dict[str, np.ndarray]:
        """Check the inputs, run the compiled function and return its arrays."""
        batch = self.batch(inputs)
        return self.evaluate_trace(self.traced(key, batch), batch)

    def traced(
        self, key: Hashable, batch: probe_inputs.Batch, feeds: Sequence[Any] = ()
    ) -> compiled.Trace:
        """The compiled function for this kind of batch; nothing is run."""
        with failures.blaming_inputs(self.model, self._taken, batch.form):
            return self._compiled.trace(key, batch.form, feeds, batch.size)

    @staticmethod
    def evaluate_trace(
        trace: compiled.Trace, batch: probe_inputs.Batch, feeds: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """Run a compiled function on a batch."""
        return {name: value.numpy() for name, value in trace(*batch.flat, *feeds).items()}

    def info(self, key: Hashable, feeds: Sequence[Any] = ()) -> Any:
        """What tracing teaches, without running anything; None where the inputs are not known.

        The trace is kept and serves the first call, where the model says all sizes.
        """
        self._follow()
        if self._taken is None:
            return None
        form, tokens = self._taken.form, self._taken.token_form
        with failures.blaming_inputs(self.model, self._taken, form):
            try:
                return self._compiled.trace(key, form, feeds, None).info
            except failures.ModelError:
                if tokens is None:
                    raise
                return self._compiled.trace(key, tokens, feeds, None).info

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Keras's `predict`: arrays, or anything that yields batches, of any size.

        Raises:
            InputError: Arrays that do not fit the model, or data without a single batch.
        """
        return self._gone_through(super().predict, x, kwargs)

    def _gone_through(self, verb: Callable[..., Any], x: Any, kwargs: Mapping[str, Any]) -> Any:
        """One of Keras's verbs over a data set, with our errors."""
        self._batches.count = 0
        data = probe_inputs.rows(self._taken, x)
        try:
            return verb(data, **kwargs)
        except KerasvizError:
            raise
        except (ValueError, TypeError, AttributeError, UnboundLocalError, StopIteration) as error:
            if self._batches.count or self._has_replicas:
                raise
            told = f"on which Keras raised before the first batch: {failures.gist(error)}"
            if isinstance(error, (UnboundLocalError, StopIteration)):
                told = "which yielded none."
            raise InputError(
                "`x` must be arrays, or a data set or generator that yields at least one batch. "
                f"Received: {type(x).__name__}, {told} Pass `(inputs,)` batches of equal rank."
            ) from error

    def computed_in_graph(
        self, key: Any, inputs: Any, feeds: Sequence[Any]
    ) -> tuple[dict[str, Any], Any, list[Any]]:
        """`compute` as part of the caller's graph, and the input tensors it was computed on.

        The inputs are checked as far as the graph knows them: structure, rank, sizes, dtype.
        """
        packed = probe_inputs.in_graph(self._taken, inputs)
        tensors = [x for x in keras.tree.flatten(packed) if x is not None]
        with failures.blaming_inputs(self.model, self._taken, compiled.form_of(tensors)):
            found, info = self.compute(key, packed, feeds)
        return found, info, tensors

    @property
    def trainable(self) -> bool:
        """Whether the wrapped model is trainable; set it there."""
        return self.model.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._refuse("trainable")

    def _refuse(self, verb: str) -> NoReturn:
        raise MethodError(
            f"Expected a verb that leaves the explained model as it is. Received: `{verb}` of "
            f"'{self.name}', which has no weights of its own and would alter '{self.model.name}'. "
            f"Use `{verb}` of the model itself."
        )

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for an explainer: it has nothing to train."""
        self._refuse("fit")

    def train_on_batch(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for an explainer: it has nothing to train."""
        self._refuse("train_on_batch")

    def quantize(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for an explainer: quantize the model."""
        self._refuse("quantize")

    def set_weights(self, weights: Any) -> NoReturn:
        """Not for an explainer: set those of the model."""
        self._refuse("set_weights")

    def load_weights(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not for an explainer: load those of the model."""
        self._refuse("load_weights")

    @property
    def _has_replicas(self) -> bool:
        return bool(self.distribute_strategy.num_replicas_in_sync > 1)

    def make_predict_function(self, force: bool = False) -> Any:
        """Keras's hook: without a distribution strategy, batches go to the compiled function."""
        self._follow()
        if self._has_replicas:
            return super().make_predict_function(force)
        self.predict_function = self._predict_batch
        return self.predict_function

    def _predict_batch(self, data: Any) -> Any:
        self._batches.count += 1
        return self.predict_step(data[0])

    def predict_step(self, data: Any) -> Any:
        """One batch of `predict`, as tensors, which Keras joins."""
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return keras.tree.map_structure(keras.ops.convert_to_tensor, self(x))

    @property
    def latest_info(self) -> Any:
        """What the most recently used trace taught; None before the first."""
        self._follow()
        return self._compiled.latest_info

    @property
    def num_traces(self) -> int:
        """How many compiled functions are held; a new batch size adds none."""
        return self._compiled.traces

    @property
    def in_graph(self) -> bool:
        """Whether the caller is building a graph."""
        return graph.in_graph()


class _Batches:
    """How many batches `predict` has begun."""

    count = 0
