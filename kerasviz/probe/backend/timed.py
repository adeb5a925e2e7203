"""Compiled functions that are run for their time, and TensorFlow's own record of one run."""

from __future__ import annotations

import pathlib
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasviz.errors import MethodError
from kerasviz.probe.backend.trace_files import Event, host_events

MARK = "kerasviz_timed_run"
GRADIENTS = "kerasviz_gradients"


class Timed:
    """A function of fixed tensors, compiled once, run to be timed.

    Args:
        function: What is compiled: takes the tensors, returns tensors.
        tensors: What it is run on.
        own: Keras variables that nothing else needs: their memory is given back with this object.
    """

    def __init__(
        self, function: Callable[..., Any], tensors: Sequence[Any], own: Sequence[Any] = ()
    ) -> None:
        self._tensors = list(tensors)
        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in self._tensors]
        self._concrete = tf.function(
            function, input_signature=specs, autograph=False
        ).get_concrete_function()
        weakref.finalize(self, _empty, [variable.value for variable in own]).atexit = False

    def __call__(self) -> float:
        """Run once; how many seconds it took."""
        start = time.perf_counter()
        outputs = self._concrete(*self._tensors)
        for tensor in tf.nest.flatten(outputs)[:1]:
            tensor.numpy()
        return time.perf_counter() - start

    def recorded(self, count: int) -> list[Event]:
        """Run `count` times under TensorFlow's profiler; everything that ran meanwhile.

        Each run lies within an event named `MARK`.

        Raises:
            MethodError: Another profile is being taken in this process.
        """
        options = tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=2, python_tracer_level=0, device_tracer_level=0
        )
        with tempfile.TemporaryDirectory(prefix="kerasviz") as folder:
            try:
                tf.profiler.experimental.start(folder, options=options)
            except tf.errors.OpError as error:
                raise MethodError(
                    "Expected that no other profile is being taken. Received: TensorFlow's "
                    "profiler, which is running already and can be used once at a time. Stop it "
                    "first (`tf.profiler.experimental.stop()`, or `profile_batch=0` of "
                    "`TensorBoard`)."
                ) from error
            try:
                for number in range(count):
                    with tf.profiler.experimental.Trace(MARK, step_num=number):
                        self()
            finally:
                tf.profiler.experimental.stop()
            files = sorted(pathlib.Path(folder).rglob("*.xplane.pb"))
            return [event for file in files for event in host_events(file.read_bytes())]


def _empty(variables: Sequence[Any]) -> None:
    """Give back the memory of variables that a graph may hold for ever.

    TensorFlow keeps every graph with a custom gradient in it, such as that of an optimizer's update
    or of a swish, and with it each variable that is used there.
    """
    with tf.init_scope():
        for variable in variables:
            nothing = tf.zeros([0], variable.dtype)
            tf.raw_ops.AssignVariableOp(resource=variable.handle, value=nothing)


def check_devices() -> None:
    """Refuse what the record of the processor's threads does not tell of.

    Raises:
        MethodError: TensorFlow computes on a GPU or TPU, or on several replicas.
    """
    others = [d.name for kind in ("GPU", "TPU") for d in tf.config.list_logical_devices(kind)]
    if others:
        raise MethodError(
            "Expected TensorFlow on the processor, whose operations are timed one by one. "
            f"Received: {others[0]}, where they run behind the processor's back. Hide it with "
            "`tf.config.set_visible_devices([], 'GPU')` before TensorFlow starts, or use "
            "TensorBoard's profiler."
        )
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise MethodError(
            f"Expected one device. Received: a distribution strategy of {replicas}. Call it "
            "outside of the strategy's scope."
        )


def gradients(y: Any, xs: Sequence[Any]) -> list[Any]:
    """∂y/∂x for each x, None where y does not depend on x; all operations named `GRADIENTS/…`."""
    return list(tf.gradients(y, list(xs), name=GRADIENTS))


def held_copy(variable: Any) -> Any:
    """A Keras variable of its own with the same value, dtype and constraint."""
    copy = keras.Variable(
        tf.identity(variable.value), dtype=variable.dtype, name=variable.name, trainable=True
    )
    copy.constraint = variable.constraint
    if getattr(variable, "overwrite_with_gradient", False):
        copy.overwrite_with_gradient = True
    return copy


def results(values: Sequence[Any]) -> list[Any]:
    """The tensors among some values; of a sparse gradient what is not zero."""
    found = [v.values if isinstance(v, tf.IndexedSlices) else v for v in values if v is not None]
    return [tf.convert_to_tensor(value) for value in found]
