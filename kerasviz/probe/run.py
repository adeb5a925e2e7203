"""One run of the user's model inside the graph that is being built."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasviz.errors import AddressError, MethodError
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import axes, compiled, graph, heads, rectifiers
from kerasviz.probe.quiet import quiet
from kerasviz.probe.taps import Call, Edit, Recorder, recording


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What one run left in the graph.

    Attributes:
        inputs: The input tensors, in the model's structure.
        outputs: The model's outputs, in the model's structure.
        heads: One `Head` per output tensor: the output and the same before softmax or sigmoid.
        output_names: A name per head.
        recorder: Every call of every layer.
        tape: A tape that watched the inputs, if there is one.
    """

    inputs: Any
    outputs: Any
    heads: Sequence[heads.Head]
    output_names: Sequence[str]
    recorder: Recorder
    tape: Any = None

    @property
    def input_names(self) -> list[str]:
        """A name per input tensor."""
        count = len(keras.tree.flatten(self.inputs))
        taken = probe_inputs.declared(self.recorder.model)
        return probe_inputs.input_names(taken, self.inputs, count)

    @property
    def named_inputs(self) -> dict[str, Any]:
        """The input tensors by name."""
        return dict(zip(self.input_names, keras.tree.flatten(self.inputs), strict=True))

    @functools.cached_property
    def _flows(self) -> dict[int, axes.Flow]:
        """For each input tensor, by `id`, where its axes go."""
        loops = {id(c.output): _loop(c) for c in self.calls if _is_loop(c)}
        return {id(x): axes.Flow(x, loops) for x in keras.tree.flatten(self.inputs)}

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
        for x in keras.tree.flatten(self.inputs):
            found = self.axes_of(call.output, x)
            if found is None:
                continue
            meanings = [axes.meaning(axis) for axis in found]
            for kind in (axes.CHANNEL, self.input_channel_axis(x)):
                if meanings.count(kind) == 1:
                    return meanings.index(kind)
        return call.layout.channel_axis(len(call.output.shape))

    def is_learned(self, call: Call, source: Any) -> bool:
        """Whether a layer's output holds features, not just the input put another way."""
        found = self.axes_of(call.output, source) or ()
        given = set(range(len(source.shape))) | {axes.NEW}
        return any(axes.meaning(axis) not in given for axis in found)

    @property
    def calls(self) -> Sequence[Call]:
        """Every call of every layer, in the order in which they returned."""
        return self.recorder.calls

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
        watched = {id(x) for x in keras.tree.flatten(self.inputs)}
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
) -> Run:
    """Run `model` in inference mode in the open graph and record every call.

    Args:
        model: The user's model; left as it was.
        inputs: Graph tensors in the model's structure.
        edits: Optional dict address → function of the layer's output.
        open_functions: Whether `tf.function`s inside layers are traced into this graph.
        tape: An open tape that watches the inputs, for `Run.gradients`.
    """
    opened = compiled.inlined_functions() if open_functions else contextlib.nullcontext()
    with quiet(model), opened, recording(model, edits) as recorder:
        outputs = model(inputs, **_inference(model))
    found = [heads.head(output) for output in keras.tree.flatten(outputs)]
    return Run(inputs, outputs, found, output_names(model, outputs), recorder, tape)


def _inference(model: keras.Model) -> dict[str, bool]:
    return {"training": False} if "training" in inspect.signature(model.call).parameters else {}


def output_names(model: keras.Model, outputs: Any) -> list[str]:
    """A name per output: dict keys, Keras's output names, or "0", "1", …"""
    flat = keras.tree.flatten(outputs)
    if isinstance(outputs, Mapping):
        return sorted(outputs)
    named = list(getattr(model, "output_names", None) or [])
    return named if len(named) == len(flat) else [str(i) for i in range(len(flat))]
