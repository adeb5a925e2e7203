"""Compile once per kind of input, run many times."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasviz.errors import InputError, KerasvizError, MethodError, RewriteError, TargetError
from kerasviz.probe.backend.graph import TOLD
from kerasviz.probe.patches import Patch

LIMIT = 16
_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Form:
    """What a compiled function is compiled for.

    Attributes:
        structure: The nesting of the inputs, with 0 for each tensor and None for each left out.
        shapes: Static shape of each tensor, the batch axis open (None).
        dtypes: Dtype of each tensor.
    """

    structure: Any = dataclasses.field(hash=False)
    shapes: tuple[tuple[int | None, ...], ...]
    dtypes: tuple[str, ...]

    @property
    def is_sized(self) -> bool:
        """Whether the batch axis is fixed."""
        return any(shape[0] is not None for shape in self.shapes)

    def of_size(self, size: int | None) -> Form:
        """The same for batches of one size only."""
        return dataclasses.replace(self, shapes=tuple((size, *s[1:]) for s in self.shapes))

    def specs(self) -> list[Any]:
        """Placeholders for the tensors."""
        return [tf.TensorSpec(s, d) for s, d in zip(self.shapes, self.dtypes, strict=True)]

    def packed(self, tensors: Sequence[Any]) -> Any:
        """The tensors in the structure."""
        rest = iter(tensors)
        return keras.tree.map_structure(lambda x: None if x is None else next(rest), self.structure)


def form_of(tensors: Sequence[Any]) -> Form:
    """The shapes and dtypes of tensors, as far as they are known."""
    shapes = tuple(static_shape(tensor) or () for tensor in tensors)
    return Form([0] * len(tensors), shapes, tuple(tensor.dtype.name for tensor in tensors))


class Compiled:
    """A graph function of nested inputs, traced once per structure, dtype and non-batch shape.

    The batch axis is left open, so that batches of any size, the short last one among them, use
    the same trace. At most `LIMIT` traces are kept (the least recently used goes), so that memory
    stays flat whatever is asked for.

    Args:
        function: `(key, inputs, extras) -> (tensors, info)`, where `tensors` is a flat dict of
            what is computed and `info` a dict of what was learned while tracing.
        is_apart: Whether the function stays one function where a graph calls it, however often,
            and is optimized once, not as a part of that graph.
        is_optimized: Whether TensorFlow optimizes the graph before its second run. That takes
            longer than many runs of a large graph whose tensors are all asked for.
    """

    def __init__(
        self,
        function: Callable[[Any, Any, Any], tuple[dict[str, Any], Any]],
        is_apart: bool = False,
        is_optimized: bool = True,
    ) -> None:
        self._function, self._is_apart, self._is_optimized = function, is_apart, is_optimized
        self._traces: collections.OrderedDict[Hashable, Trace] = collections.OrderedDict()
        self._sized: collections.OrderedDict[Hashable, None] = collections.OrderedDict()
        self.lock = threading.RLock()

    @property
    def traces(self) -> int:
        """Number of traces held now."""
        return len(self._traces)

    def clear(self) -> None:
        """Forget all traces."""
        with self.lock:
            self._traces.clear()
            self._sized.clear()

    @property
    def latest_info(self) -> Any:
        """What the most recently used trace taught; None before the first."""
        return next(reversed(self._traces.values())).info if self._traces else None

    def trace(self, key: Hashable, form: Form, extras: Sequence[Any], size: int | None) -> Trace:
        """The compiled function for this kind of input; nothing is run.

        Args:
            key: Hashable description of what is computed.
            form: Structure, shapes and dtypes of the inputs.
            extras: Further tensors, or specs, whose sizes all stay open.
            size: Number of samples, for models that cannot be traced with an open batch axis.
        """
        kinds = tuple((e.dtype.name, len(e.shape)) for e in extras)
        with self.lock:
            if (key, form, kinds) in self._sized:
                form = form.of_size(size)
            identity: Any = (key, form, kinds)
            if identity not in self._traces:
                identity = self._add(key, form, kinds, extras, size)
            self._traces.move_to_end(identity)
            return self._traces[identity]

    def _add(self, key: Any, form: Form, kinds: Any, extras: Any, size: int | None) -> Any:
        try:
            self._traces[(key, form, kinds)] = self._traced(key, form, extras)
        except KerasvizError:
            raise
        except Exception:
            if size is None or form.is_sized:
                raise
            sized = form.of_size(size)
            self._traces[(key, sized, kinds)] = self._traced(key, sized, extras)
            self._sized[(key, form, kinds)] = None
            form = sized
        for kept in (self._traces, self._sized):
            while len(kept) > LIMIT:
                kept.popitem(last=False)
        return key, form, kinds

    def _traced(self, key: Any, form: Form, extras: Any) -> Trace:
        return Trace(self._function, key, form, extras, self._is_apart, self._is_optimized)


class Trace:
    """One concrete function with what was learned while tracing it."""

    def __init__(
        self,
        function: Any,
        key: Any,
        form: Form,
        extras: Any,
        is_apart: bool = False,
        is_optimized: bool = True,
    ) -> None:
        self.info: Any = None
        self._is_plain, self._is_optimized = True, is_optimized
        specs = form.specs()
        extra_specs = [tf.TensorSpec([None] * len(e.shape), e.dtype) for e in extras]

        def flat_function(*tensors: Any) -> Any:
            packed = form.packed(tensors[: len(specs)])
            outputs, self.info = function(key, packed, tensors[len(specs) :])
            return outputs

        self._concrete = tf.function(
            flat_function,
            input_signature=specs + extra_specs,
            autograph=False,
            experimental_attributes={"_noinline": True} if is_apart else None,
        ).get_concrete_function()

    def __call__(self, *tensors: Any) -> dict[str, Any]:
        """Run on the flat input tensors, followed by the extras.

        Raises:
            InputError: Values that an op of the model refuses, such as ids beyond an embedding.
            TargetError: A target whose size, known only now, does not fit.
            MethodError: Another size, known only now, that does not fit the method.
        """
        try:
            if self._is_plain:
                self._is_plain = not self._is_optimized
                with unoptimized():
                    return self._concrete(*tensors)
            return self._concrete(*tensors)
        except tf.errors.InvalidArgumentError as error:
            ours = str(error).split(TOLD)[1:2]
            if ours:
                kind = MethodError if ours[0].startswith("Expected") else TargetError
                raise kind(ours[0]) from None
            raise InputError(
                "`inputs` must hold values that the model can compute with. Received: values on "
                f"which it failed: {_gist(error)}. Look for ids that an embedding does not have, "
                "and for lengths that differ; `model(inputs)` fails likewise."
            ) from error


def _gist(error: Any) -> str:
    """What an op says, without the lines about where it stands."""
    lines = error.message.split(" [[")[0].strip().splitlines() or ["no message"]
    return str(lines[-1] if lines[0].startswith("Graph execution error") else lines[0]).strip()


@contextlib.contextmanager
def unoptimized() -> Iterator[None]:
    """Within this context TensorFlow runs new functions without optimizing their graphs.

    Optimizing takes longer than running once; a function that runs a second time is optimized
    then. The setting is put back as it was when the last thread leaves.
    """
    token = object()
    try:
        with _lock:
            if not _unoptimized:
                options = tf.config.optimizer.get_experimental_options()
                _before["off"] = options.get("disable_meta_optimizer", False)
            _unoptimized.add(token)
            _switch_optimizer()
        yield
    finally:
        with _lock:
            _unoptimized.discard(token)
            _switch_optimizer()


_unoptimized: set[object] = set()
_before = {"off": False}


def _switch_optimizer() -> None:
    off = bool(_unoptimized) or _before["off"]
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": off})


def is_dense(value: Any) -> bool:
    """Whether a TensorFlow value is a plain tensor of real numbers, or of text."""
    if not isinstance(value, (tf.Tensor, tf.Variable)):
        return False
    kind = value.dtype
    return kind.is_floating or kind.is_integer or kind.is_bool or kind == tf.string


def is_text(value: Any) -> bool:
    """Whether a TensorFlow value is a plain tensor of text."""
    return isinstance(value, tf.Tensor) and value.dtype == tf.string


def static_shape(tensor: Any) -> tuple[int | None, ...] | None:
    """What the graph knows of a tensor's shape; None where not even the rank."""
    return None if tensor.shape.rank is None else tuple(tensor.shape)


def shaped(tensor: Any, shape: Sequence[int | None]) -> Any:
    """A graph tensor that is of that shape, or fails when the graph is run."""
    return tf.ensure_shape(tensor, shape)


def cast(tensor: Any, dtype: str) -> Any:
    """A tensor of that dtype, in the open graph; "" leaves it as it is."""
    tensor = tf.convert_to_tensor(tensor)
    return tensor if not dtype or tensor.dtype.name == dtype else tf.cast(tensor, dtype)


def as_tensor(array: Any, dtype: str) -> Any:
    """An eager tensor of that dtype."""
    if tf.is_tensor(array):
        return array if array.dtype.name == dtype else tf.cast(array, dtype)
    return tf.convert_to_tensor(np.asarray(array, dtype=_numpy_dtype(dtype)), dtype=dtype)


def as_array(tensor: Any) -> np.ndarray:
    """The values of an eager tensor; text as an array of `str`."""
    array = tensor.numpy()
    return np.char.decode(array.astype("S"), "utf-8", "replace") if is_text(tensor) else array


def _numpy_dtype(dtype: str) -> Any:
    return tf.as_dtype(dtype).as_numpy_dtype


def spec(shape: Sequence[int | None], dtype: str) -> Any:
    """A placeholder for a tensor of that shape and dtype."""
    return tf.TensorSpec(shape, dtype)


def spec_of(array: np.ndarray) -> Any:
    """A placeholder for arrays like this one, of any size."""
    return tf.TensorSpec([None] * array.ndim, array.dtype)


Mark = Callable[[], Callable[[], None]]
_inlining = threading.local()
_REPLACED = "kerasviz/replaced"


@contextlib.contextmanager
def inlined_functions(scope: Any, mark: Mark, required: bool = False) -> Iterator[None]:
    """Within this context a `tf.function` called in this thread is traced into the open graph.

    What the function itself has cached is neither used nor added to: a trace made here, where
    nothing may change, would serve the user's training later. As across the border of a real
    `tf.function`, arrays become tensors and masks stay behind.

    A function whose Python cannot run as it is, because it branches on tensors, becomes a new
    function inside the graph; and so does one with a convolution that only XLA computes.

    Args:
        scope: The open `keras.StatelessScope`.
        mark: Remembers what a failed attempt would leave behind; calling its result undoes that.
        required: Raise for a function that cannot be opened: a rule has to see the ReLU inside.
    """
    outer = getattr(_inlining, "settings", None)
    with _function_calls.on():
        try:
            _inlining.settings = (scope, mark, required)
            yield
        finally:
            _inlining.settings = outer


def _inlining_call(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        settings = getattr(_inlining, "settings", None)
        if settings is None or tf.executing_eagerly():
            return original(self, *args, **kwargs)
        scope, mark, required = settings
        given, named = _signed(self, args), keras.tree.map_structure(_crossing, kwargs)
        undo, state = mark(), dict(scope.state_mapping)
        number = len(_operations())
        try:
            outputs = self.python_function(*given, **named)
            if any(_needs_xla(operation) for operation in _operations()[number:]):
                undo()
                seen, outputs = outputs, original(_copy(self, state, True), *given, **named)
                _replace(seen, outputs)
        except KerasvizError:
            raise
        except Exception as error:
            if required:
                _refuse_closed(self, error)
                raise
            undo()
            scope.state_mapping = state
            outputs = original(_copy(self, state), *given, **named)
        return keras.tree.map_structure(_returned, outputs)

    return call


def _signed(function: Any, args: Sequence[Any]) -> list[Any]:
    """The arguments as they arrive inside, by the function's signature where it has one."""
    specs = [*(function.input_signature or ()), *[None] * len(args)]
    return [
        keras.tree.map_structure(_crossing, arg)
        if tf.is_tensor(arg) or not isinstance(spec, tf.TensorSpec)
        else tf.convert_to_tensor(arg, spec.dtype)
        for arg, spec in zip(args, specs, strict=False)
    ]


def _crossing(value: Any) -> Any:
    """A value as it arrives on the other side of a function's border."""
    if isinstance(value, (np.ndarray, np.generic)):
        return tf.convert_to_tensor(value)
    return tf.identity(value) if hasattr(value, "_keras_mask") else value


def _returned(value: Any) -> Any:
    return tf.convert_to_tensor(value) if isinstance(value, (int, float)) else _crossing(value)


def replacement(tensor: Any) -> Any:
    """What is computed in place of a tensor of a graph; most are computed themselves."""
    pairs = tensor.graph.get_collection(_REPLACED)
    return next((new for old, new in pairs if old is tensor), tensor)


def _replace(seen: Any, computed: Any) -> None:
    graph = tf.compat.v1.get_default_graph()
    for pair in zip(keras.tree.flatten(seen), keras.tree.flatten(computed), strict=True):
        graph.add_to_collection(_REPLACED, pair)


def _operations() -> list[Any]:
    return list(tf.compat.v1.get_default_graph().get_operations())


def _needs_xla(operation: Any) -> bool:
    """Whether this is a grouped convolution over three axes, which Keras leaves to XLA on a CPU."""
    if operation.type != "Conv3D" or tf.config.list_logical_devices("GPU"):
        return False
    is_first = operation.get_attr("data_format") == b"NCDHW"
    return operation.inputs[0].shape[1 if is_first else 4] != operation.inputs[1].shape[3]


def _copy(function: Any, state: dict[int, Any], jit_compile: bool | None = None) -> Any:
    """A new function of the same Python, whose updates of variables stay inside."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with keras.StatelessScope() as inner:
            inner.state_mapping.update(state)
            return function.python_function(*args, **kwargs)

    return tf.function(run, jit_compile=jit_compile)


def _refuse_closed(function: Any, error: Exception) -> None:
    if isinstance(error, TypeError):
        raise RewriteError(
            "Expected a `tf.function` whose Python runs as it is. Received: "
            f"'{getattr(function, '__name__', function)}', which branches on tensors, so that no "
            "rule can reach the ReLU inside. Use `kv.Saliency`, or `tf.cond`/`tf.where` in its "
            "place."
        ) from error


_function_calls = Patch(type(tf.function(lambda: None)), "__call__", _inlining_call)
