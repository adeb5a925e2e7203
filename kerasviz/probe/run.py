"""One run of the user's model inside the graph that is being built."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasviz.errors import AddressError, KerasvizError, MethodError
from kerasviz.probe import failures, structures
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import axes, compiled, graph, heads, rectifiers
from kerasviz.probe.backend.heads import Head
from kerasviz.probe.quiet import quiet
from kerasviz.probe.taps import Call, Edit, Reader, Recorder, recording


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What one run left in the graph.

    Attributes:
        inputs: The input tensors, in the model's structure.
        outputs: The model's outputs, in the model's structure.
        heads: One `Head` per output that is a tensor of numbers: itself and before softmax or
            sigmoid.
        head_paths: The keys, fields and positions that lead to each head in the outputs.
        recorder: Every call of every layer.
        tape: A tape that watched the inputs, if there is one.
    """

    inputs: Any
    outputs: Any
    heads: Sequence[Head]
    head_paths: Sequence[structures.Path]
    recorder: Recorder
    tape: Any = None

    @property
    def input_tensors(self) -> dict[str, Any]:
        """The input tensors by name; an optional input that was left out is not among them."""
        taken = probe_inputs.declared(self.recorder.model)
        names = probe_inputs.names_of(taken, self.inputs)
        tensors = zip(names, keras.tree.flatten(self.inputs), strict=True)
        return {name: tensor for name, tensor in tensors if tensor is not None}

    @property
    def output_names(self) -> list[str]:
        """A name per head: its path in the outputs ("boxes/0"), in a list what Keras calls it."""
        if self._keras_names and all(_is_position(path) for path in self.head_paths):
            return self._keras_names
        return [structures.path_name(path) or "0" for path in self.head_paths]

    @property
    def _keras_names(self) -> list[str]:
        """What Keras calls the outputs of a functional model; empty for other models."""
        named = isinstance(self.recorder.model, (keras.Function, keras.Sequential))
        names = getattr(self.recorder.model, "output_names", None) if named else None
        names = [*map(str, names or ())]
        return names if len(names) == len(self.heads) else []

    def heads_called(self, output: Any) -> list[Head]:
        """The heads that an index, a name, a part of a path or Keras's name stands for.

        One, unless nothing or several go by it.
        """
        if self._is_index(output):
            within = -len(self.heads) <= output < len(self.heads)
            return [self.heads[output]] if within else []
        whole = [
            (name, *(path if len(path) == 1 else ()))
            for name, path in zip(self.output_names, self.head_paths, strict=True)
        ]
        for known in (whole, self.head_paths, [(name,) for name in self._keras_names]):
            found = [h for h, own in zip(self.heads, known, strict=False) if output in own]
            if found:
                return found
        return []

    def _is_index(self, output: Any) -> bool:
        keyed = isinstance(self.outputs, Mapping) and any(isinstance(k, int) for k in self.outputs)
        return isinstance(output, int) and not keyed

    @property
    def linear_outputs(self) -> Any:
        """The model's outputs in its structure, each before its softmax or sigmoid."""
        linear = {id(head.output): head.linear for head in self.heads}
        return keras.tree.map_structure(lambda x: linear.get(id(x), x), self.outputs)

    @functools.cached_property
    def _flows(self) -> dict[int, axes.Flow]:
        """For each input tensor, by `id`, where its axes go."""
        loops = {id(c.output): _loop(c) for c in self.calls if _is_loop(c)}
        return {id(x): axes.Flow(x, loops) for x in self.input_tensors.values()}

    def input_channel_axis(self, tensor: Any) -> int | None:
        """Channel axis of an input: the one that the first layer to look at channels takes as such.

        Where no layer tells, inputs of four axes and more have channels where the model's
        convolutions have theirs, and shorter ones have none but a last axis of size 1.
        """
        found, rank = self._flows[id(tensor)].channel, len(tensor.shape)
        if isinstance(found, int):
            return found
        if rank > 2 and tensor.shape[-1] == 1:
            return rank - 1
        if found is None:
            return None
        return self.recorder.first_layout.channel_axis(rank) if rank > 3 else None

    def input_positions(self, tensor: Any) -> tuple[int, ...]:
        """The axes of an input that are neither batch nor channels."""
        channel = self.input_channel_axis(tensor)
        return tuple(axis for axis in range(1, len(tensor.shape)) if axis != channel)

    def axes_of(self, tensor: Any, source: Any) -> axes.Axes | None:
        """Where the axes of a tensor come from in an input; None when it does not depend on it."""
        return self._flows[id(source)].axes(tensor)

    def channel_axis(self, call: Call) -> int:
        """Channel axis of a single-tensor output."""
        found = self.followed_channel_axis(call.output)
        return call.layout.channel_axis(len(call.output.shape)) if found is None else found

    def followed_channel_axis(self, tensor: Any) -> int | None:
        """Where the channels of an input went, or of what was made of it; None if not known."""
        for x in self.input_tensors.values():
            found = self.axes_of(tensor, x)
            if found is None:
                continue
            meanings = [axes.meaning(axis) for axis in found]
            for kind in (axes.CHANNEL, self.input_channel_axis(x)):
                if meanings.count(kind) == 1:
                    return meanings.index(kind)
        return None

    def is_learned(self, call: Call, source: Any) -> bool:
        """Whether a layer's output holds features, not just the input put another way."""
        found = self.axes_of(call.output, source) or ()
        given = set(range(len(source.shape))) | {axes.NEW}
        return any(axes.meaning(axis) not in given for axis in found)

    @property
    def calls(self) -> Sequence[Call]:
        """Every call of every layer, in the order in which they returned."""
        return self.recorder.calls

    def innermost(self, place: int) -> Call | None:
        """The call of the innermost layer that added the op of that number to the graph."""
        around = [call for call in self.calls if call.span[0] <= place < call.span[1]]
        return max(around, key=lambda call: call.span[0], default=None)

    def find(self, address: str) -> Call:
        """The call at that address, whose output is one tensor of this graph.

        Raises:
            AddressError: No such call, or several tensors, or a tensor inside a loop.
        """
        call = self.recorder.find(address)
        if not graph.is_here(call.output):
            raise AddressError(
                f"`layer` must have one output tensor. Received: {address!r}, which returns "
                "several, or runs inside a loop. Name the layer around it or after it."
            )
        return call

    def gradients(self, y: Any, xs: Sequence[Any], seed: Any = None) -> list[Any]:
        """∂Σy/∂x for each x, float32; None where y does not depend on x."""
        watched = {id(x) for x in self.input_tensors.values()}
        tape = self.tape if all(id(x) in watched for x in xs) else None
        return graph.gradients(y, xs, seed, self._scale(), tape)

    def ruled_gradients(
        self,
        y: Any,
        xs: Sequence[Any],
        rule: rectifiers.Rule,
        seed: Any = None,
        required: bool = True,
    ) -> tuple[list[Any], rectifiers.Coverage]:
        """The same with every ReLU between under `rule`; raises if one is required but missing."""
        found, coverage = rectifiers.gradients(y, xs, rule, seed, self._scale())
        if required and not coverage.total:
            raise MethodError(
                f"Expected a model with ReLU for the {rule} rule. Received: none between the score "
                f"and the input ({coverage}), so the result would be the plain gradient. "
                "Use `kv.Saliency`."
            )
        return found, coverage

    def _scale(self) -> float:
        tensors = [t for call in self.calls for t in keras.tree.flatten(call.output)]
        return graph.precision_scale(t for t in tensors if keras.ops.is_tensor(t))


def _is_loop(call: Call) -> bool:
    kinds = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)
    return isinstance(call.layer, kinds) and graph.is_here(call.output)


def _loop(call: Call) -> axes.Loop:
    is_recurrent = not isinstance(call.layer, keras.layers.TimeDistributed)
    layer = call.layer if is_recurrent else call.layer.layer
    is_first = getattr(layer, "data_format", None) == "channels_first"
    channel_axis = 2 if is_first else len(call.source.shape) - 1
    return axes.Loop(call.source, channel_axis, is_recurrent)


def run(
    model: keras.Model,
    inputs: Any,
    edits: Mapping[str, Edit] | None = None,
    open_functions: bool = False,
    tape: Any = None,
    reader: Reader | None = None,
    batch_statistics: bool = False,
) -> Run:
    """Run `model` in inference mode in the open graph and record every call.

    Args:
        model: The user's model; left as it was.
        inputs: Graph tensors in the model's structure.
        edits: Optional dict address → function of the layer's output.
        open_functions: Refuse a `tf.function` that cannot be traced into this graph, where a rule
            has to see what is inside.
        tape: An open tape that watches the inputs, for `Run.gradients`.
        reader: What looks at each layer and its arguments before it is called; what it returns is
            kept as `Call.read`.
        batch_statistics: Let batch normalization use the statistics of the batch, as in training;
            all else stays in inference, and the moving statistics stay as they are.
    """
    with (
        quiet(model) as scope,
        recording(model, edits, reader, batch_statistics) as recorder,
        compiled.inlined_functions(scope, recorder.mark, required=open_functions),
    ):
        outputs = _outputs(model, inputs)
    outputs = keras.tree.map_structure(heads.in_this_graph, outputs)
    places = zip(structures.paths(outputs), keras.tree.flatten(outputs), strict=True)
    tensors = {path: output for path, output in places if heads.is_head(output)}
    found = [heads.head(output, recorder.layout.unit_axis) for output in tensors.values()]
    return Run(inputs, outputs, found, list(tensors), recorder, tape)


def _outputs(model: keras.Model, inputs: Any) -> Any:
    try:
        return _call(model, inputs)
    except KerasvizError:
        raise
    except Exception as error:
        raise failures.ModelError(str(error)) from error


def _call(model: keras.Model, inputs: Any) -> Any:
    parameters = inspect.signature(model.call).parameters
    _check_one_argument(model, parameters)
    try:
        return model(inputs, **({"training": False} if "training" in parameters else {}))
    except (AttributeError, NotImplementedError) as error:
        if "numpy" not in str(error):
            raise
        raise MethodError(
            "Expected a model that also runs inside a `tf.function`, as in `model.predict`. "
            f"Received: '{model.name}', which takes the values of a tensor to NumPy: "
            f"{str(error).strip().splitlines()[0]}. Use `keras.ops` in its place."
        ) from error


def _check_one_argument(model: keras.Model, parameters: Mapping[str, inspect.Parameter]) -> None:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        parameter
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty
        and name not in ("training", "mask")
        and parameter.kind in (*positional, inspect.Parameter.KEYWORD_ONLY)
    ]
    if len(needed) > 1 or any(p.kind not in positional for p in needed):
        raise MethodError(
            "Expected a model whose `call` takes all inputs as its first argument. Received: "
            f"{[parameter.name for parameter in needed]} as the arguments of '{model.name}'. "
            "Let `call` take a list or a dict of them, as `model.predict` needs it too."
        )


def _is_position(path: structures.Path) -> bool:
    return not path or (len(path) == 1 and isinstance(path[0], int))
