"""Compile once per kind of input, run many times."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasviz.errors import KerasvizError, RewriteError

LIMIT = 16


class Compiled:
    """A graph function of nested inputs, traced once per structure, dtype and non-batch shape.

    The batch axis is left open, so that batches of any size, the short last one among them, use
    the same trace. At most `LIMIT` traces are kept (the least recently used goes), so that memory
    stays flat whatever is asked for.

    Args:
        function: `(key, inputs, extras) -> (tensors, info)`, where `tensors` is a flat dict of
            what is computed and `info` a dict of what was learned while tracing.
    """

    def __init__(self, function: Callable[[Any, Any, Any], tuple[dict[str, Any], Any]]) -> None:
        self._function = function
        self._traces: collections.OrderedDict[Hashable, Trace] = collections.OrderedDict()
        self._lock = threading.RLock()

    @property
    def traces(self) -> int:
        """Number of traces held now."""
        return len(self._traces)

    @property
    def latest_info(self) -> Any:
        """What the most recently used trace taught; None before the first."""
        return next(reversed(self._traces.values())).info if self._traces else None

    def trace(
        self, key: Hashable, inputs: Any, extras: Sequence[Any], shapes: Sequence[Any]
    ) -> Trace:
        """The compiled function for this kind of input; nothing is run.

        Args:
            key: Hashable description of what is computed.
            inputs: Nested tensors or `tf.TensorSpec`s.
            extras: Further tensors, whose sizes all stay open.
            shapes: Static shape to compile for, one per input tensor.
        """
        flat = keras.tree.flatten(inputs)
        dtypes = tuple(tf.as_dtype(t.dtype).name for t in [*flat, *extras])
        structure = repr(keras.tree.map_structure(lambda _: 0, inputs))
        identity = (key, structure, dtypes, tuple(tuple(s) for s in shapes))
        with self._lock:
            if identity not in self._traces:
                self._traces[identity] = self._new(key, inputs, extras, shapes)
                while len(self._traces) > LIMIT:
                    self._traces.popitem(last=False)
            self._traces.move_to_end(identity)
            return self._traces[identity]

    def _new(self, key: Hashable, inputs: Any, extras: Any, shapes: Sequence[Any]) -> Trace:
        try:
            return Trace(self._function, key, inputs, extras, shapes)
        except KerasvizError:
            raise
        except Exception:
            sizes = {t.shape[0] for t in keras.tree.flatten(inputs)}
            if None in sizes or any(s[0] is not None for s in shapes):
                raise
            exact = [
                [t.shape[0], *s[1:]]
                for t, s in zip(keras.tree.flatten(inputs), shapes, strict=True)
            ]
            return Trace(self._function, key, inputs, extras, exact)


class Trace:
    """One concrete function with what was learned while tracing it."""

    def __init__(
        self, function: Any, key: Any, inputs: Any, extras: Any, shapes: Sequence[Any]
    ) -> None:
        self.info: Any = None
        self._is_new = True
        flat = keras.tree.flatten(inputs)
        specs = [tf.TensorSpec(s, t.dtype) for s, t in zip(shapes, flat, strict=True)]
        extra_specs = [tf.TensorSpec([None] * len(e.shape), e.dtype) for e in extras]

        def flat_function(*tensors: Any) -> Any:
            packed = keras.tree.pack_sequence_as(inputs, tensors[: len(specs)])
            outputs, self.info = function(key, packed, tensors[len(specs) :])
            return outputs

        self._concrete = tf.function(
            flat_function, input_signature=specs + extra_specs, autograph=False
        ).get_concrete_function()

    def __call__(self, inputs: Any, extras: Sequence[Any]) -> dict[str, Any]:
        tensors = (*keras.tree.flatten(inputs), *extras)
        if self._is_new:
            self._is_new = False
            with unoptimized():
                return self._concrete(*tensors)
        return self._concrete(*tensors)


@contextlib.contextmanager
def unoptimized() -> Iterator[None]:
    """Within this context TensorFlow runs new functions without optimizing their graphs.

    Optimizing takes longer than running once; a function that runs a second time is optimized
    then. The setting is put back as it was.
    """
    before = tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})


def as_tensor(array: Any, dtype: str) -> Any:
    """An eager tensor of that dtype."""
    if tf.is_tensor(array):
        return tf.cast(array, dtype)
    return tf.convert_to_tensor(np.asarray(array, dtype=_numpy_dtype(dtype)), dtype=dtype)


def _numpy_dtype(dtype: str) -> Any:
    return tf.as_dtype(dtype).as_numpy_dtype


def spec(shape: Sequence[int | None], dtype: str) -> Any:
    """A placeholder for a tensor of that shape and dtype."""
    return tf.TensorSpec(shape, dtype)


_FUNCTION = type(tf.function(lambda: None))
_inlining = threading.local()
_original_call: Any = None
_users = 0
_lock = threading.Lock()


@contextlib.contextmanager
def inlined_functions() -> Iterator[None]:
    """Within this context a `tf.function` called by a layer is traced into the open graph.

    A rule has to see the ReLU inside; what the function itself has cached is neither used nor
    added to. Functions compiled by XLA stay as they are.
    """
    global _users, _original_call
    with _lock:
        _users += 1
        if _users == 1:
            _original_call = _FUNCTION.__call__
            _FUNCTION.__call__ = _inline
    outer = getattr(_inlining, "on", False)
    _inlining.on = True
    try:
        yield
    finally:
        _inlining.on = outer
        with _lock:
            _users -= 1
            if _users == 0:
                _FUNCTION.__call__ = _original_call


def _inline(self: Any, *args: Any, **kwargs: Any) -> Any:
    if not getattr(_inlining, "on", False) or getattr(self, "_jit_compile", None):
        return _original_call(self, *args, **kwargs)
    try:
        return self.python_function(*args, **kwargs)
    except tf.errors.OperatorNotAllowedInGraphError as error:
        raise RewriteError(
            "Expected a `tf.function` whose Python runs as it is. Received: "
            f"'{getattr(self, '__name__', self)}', which branches on tensors, so that no rule can "
            "reach the ReLU inside. Use `kv.Saliency`, or `tf.cond`/`tf.where` in its place."
        ) from error
