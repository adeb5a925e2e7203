"""One run of the user's model inside the graph that is being built."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kerasviz.errors import AddressError, MethodError
from kerasviz.probe import inputs as probe_inputs
from kerasviz.probe.backend import compiled, graph, heads, rectifiers
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

    def input_channel_axis(self, tensor: Any) -> int:
        """Channel axis of an input, by the layout of the model's first convolution."""
        return self.recorder.first_layout.channel_axis(len(tensor.shape))

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
        open_functions: Refuse a `tf.function` that cannot be traced into this graph, where a rule
            has to see what is inside.
        tape: An open tape that watches the inputs, for `Run.gradients`.
    """
    with (
        quiet(model) as scope,
        recording(model, edits) as recorder,
        compiled.inlined_functions(scope, recorder.mark, required=open_functions),
    ):
        outputs = _call(model, inputs)
    found = [heads.head(output) for output in keras.tree.flatten(outputs)]
    return Run(inputs, outputs, found, output_names(model, outputs), recorder, tape)


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


def output_names(model: keras.Model, outputs: Any) -> list[str]:
    """A name per output: dict keys, Keras's output names, or "0", "1", …"""
    flat = keras.tree.flatten(outputs)
    if isinstance(outputs, Mapping):
        return sorted(outputs)
    named = list(getattr(model, "output_names", None) or [])
    return named if len(named) == len(flat) else [str(i) for i in range(len(flat))]
