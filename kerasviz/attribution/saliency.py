"""Saliency: the gradient of the score by the input."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras

from kerasviz.attribution import maps
from kerasviz.attribution.explainer import Explainer, RawMap, RawMaps, no_dependence
from kerasviz.attribution.spatial import inputs_of
from kerasviz.errors import MethodError
from kerasviz.probe.backend import graph
from kerasviz.probe.run import Run
from kerasviz.probe.taps import Call
from kerasviz.probe.targets import Score

ops: Any = keras.ops
Reduction = Literal["max", "mean", "norm"]
_REDUCTIONS: Mapping[str, Any] = {
    "max": lambda g, axis: ops.max(ops.abs(g), axis=axis),
    "mean": lambda g, axis: ops.mean(ops.abs(g), axis=axis),
    "norm": lambda g, axis: ops.sqrt(ops.sum(ops.square(g), axis=axis)),
}


@dataclasses.dataclass(frozen=True, eq=False)
class _Source:
    """One input, as the tensors whose gradients add up to its own, and its channel axis.

    For a layer that was asked for: its output instead, and why it stands for this input.
    """

    name: str
    tensors: Sequence[Any]
    channel_axis: int | None
    reason: str = ""


class Saliency(Explainer):
    """How much the score changes with each input position: |∂score/∂input|.

    Args:
        model: Any built Keras 3 model.
        layer: None = the input; an address takes the gradient by that layer's output instead (for
            models of tokens: the embedding).
        target: See `Explainer`.
        labels: See `Explainer`.
        reduction: How the channels of a position become one number: "max" (the paper's), "mean"
            or "norm" of the absolute gradient; None keeps the signed gradient of every channel.
        normalize: See `Explainer`.
        name: Optional Keras name.

    Returns:
        See `Explainer`; with `reduction=None` maps have the shape of the input and lie in [-1, 1].

    Reference:
        Simonyan, Vedaldi & Zisserman 2013, "Deep Inside Convolutional Networks", section 3.1.

    Example:

    ```python
    maps = kv.Saliency(model)(images)              # (batch, height, width)
    ```
    """

    title = "Saliency"
    no_layer = "by the input"
    by_tape = True

    def __init__(
        self,
        model: keras.Model,
        layer: Any = None,
        target: Any = None,
        labels: Sequence[str] | None = None,
        reduction: Reduction | None = "max",
        normalize: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(model, layer, target, labels, normalize, name)
        if reduction is not None and reduction not in list(_REDUCTIONS):
            raise MethodError(
                f"`reduction` must be one of {list(_REDUCTIONS)} or None. Received: {reduction!r}."
            )
        self._reduction = reduction

    @property
    def parameters(self) -> dict[str, Any]:
        own = {"reduction": self._reduction, "signed": self._reduction is None}
        return super().parameters | own

    def gradients(self, record: Run, score: Any, sources: Sequence[Any]) -> tuple[list[Any], str]:
        """Gradients of the score by each source, and the coverage of the rule used."""
        return record.gradients(score, sources), ""

    def raw_maps(self, record: Run, score: Score) -> RawMaps:
        sources = self._sources(record)
        flat = [tensor for source in sources for tensor in source.tensors]
        if not flat:
            raise no_dependence("a float input")
        gradients, coverage = self.gradients(record, score.value, flat)
        found, rest = {}, list(gradients)
        for source in sources:
            parts = [g for g in rest[: len(source.tensors)] if g is not None]
            rest = rest[len(source.tensors) :]
            if parts:
                found[source.name] = self._raw_map(sum(parts[1:], parts[0]), source)
        if not found:
            raise no_dependence(self.address or "an input")
        return RawMaps(found, coverage)

    def _sources(self, record: Run) -> list[_Source]:
        """What the gradient is taken by; integer pictures by the floats made of them."""
        if self.address is not None:
            return self._layer_sources(record, record.find(self.address))
        return [
            _Source(
                name,
                graph.float_casts(x),
                record.input_channel_axis(x) if len(x.shape) > 2 else None,
            )
            for name, x in record.input_tensors.items()
        ]

    def _layer_sources(self, record: Run, call: Call) -> list[_Source]:
        axis = record.channel_axis(call) if len(call.output.shape) > 2 else None
        inputs = inputs_of(record, call)
        reason = "the layer asked for"
        if len(inputs) > 1:
            reason += f", which mixes the inputs {', '.join(inputs)}: one map for all of them"
        return [_Source(name, [call.output], axis, reason) for name in inputs]

    def _raw_map(self, gradient: Any, source: _Source) -> RawMap:
        axis = source.channel_axis
        if self._reduction is None or axis is None:
            values = gradient if self._reduction is None else ops.abs(gradient)
        else:
            values = _REDUCTIONS[self._reduction](gradient, axis)
        return RawMap(
            values,
            {"gradient": maps.largest(gradient)},
            self.address or "",
            tuple(values.shape[1:]),
            source.reason,
        )
