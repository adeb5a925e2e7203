"""The convolutions of a graph: what each takes, returns and multiplies with, and where.

Every layer that convolves ends in one of five ops, with reshapes and paddings around it: a
dilated one on a CPU convolves interleaved pieces, one with one position axis convolves pictures
of height 1. They are brought to one form, in which an output position reads the input at
`stride * position + dilation * tap - before`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend.compiled import replacement

PLAIN = {"Conv2D", "Conv3D"}
DEPTHWISE = {"DepthwiseConv2dNative"}
TRANSPOSED = {"Conv2DBackpropInput", "Conv3DBackpropInputV2"}
_LOOKED_THROUGH = {"Cast", "Identity"}
_PADS = {"Pad", "PadV2"}


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """One axis of positions of a convolution.

    Attributes:
        taps: Size of the kernel.
        stride: Steps between output positions, in input positions (transposed: the other way).
        dilation: Steps between taps.
        before: Zeros added in front of the input; an int or a scalar tensor of the graph.
        source: The axis in the input tensor; None where that has none, for one of size 1.
        output: The same in the output tensor.
    """

    taps: int
    stride: int
    dilation: int
    before: Any
    source: int | None
    output: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution:
    """One convolution of the graph.

    Attributes:
        kind: "plain", "depthwise" or "transposed".
        source: The tensor that is convolved, before any padding of the layer's own.
        output: The result, before bias and activation.
        kernel: (taps, inputs of a channel, output channels), in the dtype of the computation.
        groups: Number of groups; each output channel sees the inputs of its group.
        axes: The axes of positions.
        channel_axis: Channel axis of `output`.
    """

    kind: str
    source: Any
    output: Any
    kernel: Any
    groups: int
    axes: tuple[Axis, ...]
    channel_axis: int

    def source_sizes(self) -> list[Any]:
        """Number of input positions along each axis, as known when the graph runs."""
        return [_size(self.source, axis.source) for axis in self.axes]

    def output_sizes(self) -> list[Any]:
        """Number of output positions along each axis, as known when the graph runs."""
        return [_size(self.output, axis.output) for axis in self.axes]


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """Where the graph convolves.

    Attributes:
        number: The number of the op in the graph.
        op_type: TensorFlow's name of the op.
        convolution: What it does; None where it is built in a way that is not understood.
    """

    number: int
    op_type: str
    convolution: Convolution | None


def sites() -> list[Site]:
    """Where the open graph convolves, in order."""
    operations = list(tf.compat.v1.get_default_graph().get_operations())
    kinds = PLAIN | DEPTHWISE | TRANSPOSED
    return [
        Site(number, op.type, _convolution(op))
        for number, op in enumerate(operations)
        if op.type in kinds
    ]


def _convolution(op: Any) -> Convolution | None:
    kind = _kind(op)
    source = op.inputs[2 if kind == "transposed" else 0]
    channels = channel_axis(op)
    if source.shape[channels] is None or None in op.inputs[1].shape:
        return None
    kernel = _kernel(op.inputs[1], kind)
    groups = source.shape[channels] // kernel.shape[1]
    walk = _Walk(source, op.outputs[0], position_axes(op, source), channels)
    if not walk.back() or not walk.forward():
        return None
    axes = tuple(walk.axes)
    output = replacement(walk.output)
    return Convolution(kind, walk.source, output, kernel, groups, axes, walk.channels)


def _kind(op: Any) -> str:
    if op.type in TRANSPOSED:
        return "transposed"
    return "depthwise" if op.type in DEPTHWISE else "plain"


def channel_axis(op: Any) -> int:
    """The axis of channels of a convolution or pooling."""
    is_first = op.get_attr("data_format").decode().startswith("NC")
    return 1 if is_first else len(op.outputs[0].shape) - 1


def _kernel(kernel: Any, kind: str) -> Any:
    sizes = kernel.shape.as_list()
    taps = math.prod(sizes[:-2])
    if kind == "depthwise":
        return tf.reshape(kernel, (taps, 1, sizes[-2] * sizes[-1]))
    flat = tf.reshape(kernel, (taps, *sizes[-2:]))
    return tf.transpose(flat, (0, 2, 1)) if kind == "transposed" else flat


def position_axes(op: Any, source: Any) -> list[Axis]:
    """The axes of positions of a convolution or pooling of `source`, as the op itself has them."""
    rank, channels = len(source.shape), channel_axis(op)
    positions = [axis for axis in range(1, rank) if axis != channels]
    taps = _taps(op, positions)
    strides = op.get_attr("strides")
    dilations = [1] * rank if "Pool" in op.type else op.get_attr("dilations")
    longer, shorter = source, op.outputs[0]
    if op.type in TRANSPOSED:
        longer, shorter = shorter, longer
    found = []
    for axis, count in zip(positions, taps, strict=True):
        stride, dilation = strides[axis], dilations[axis]
        reach = (count - 1) * dilation + 1
        before = _before(op, axis, longer, shorter, stride, reach)
        found.append(Axis(count, stride, dilation, before, axis, axis))
    return found


def _taps(op: Any, positions: Sequence[int]) -> list[int]:
    if "Pool" in op.type:
        sizes = op.get_attr("ksize")
        return [sizes[axis] for axis in positions]
    return list(op.inputs[1].shape.as_list()[:-2])


def _before(op: Any, axis: int, longer: Any, shorter: Any, stride: int, reach: int) -> Any:
    """Zeros in front of an axis, by TensorFlow's rule for "SAME"."""
    padding = op.get_attr("padding")
    if padding == b"EXPLICIT":
        return op.get_attr("explicit_paddings")[2 * axis]
    if padding == b"VALID":
        return 0
    total = (_size(shorter, axis) - 1) * stride + reach - _size(longer, axis)
    return max(total, 0) // 2 if isinstance(total, int) else tf.maximum(total, 0) // 2


def _size(tensor: Any, axis: int | None) -> Any:
    """The size of an axis: an int where it is known, else a scalar tensor."""
    if axis is None:
        return 1
    size = tensor.shape[axis]
    return tf.shape(tensor)[axis] if size is None else size


class _Walk:
    """From a convolution op to the tensors around it that have the layer's own positions."""

    def __init__(self, source: Any, output: Any, axes: list[Axis], channels: int) -> None:
        self.source = source
        self.output = output
        self.axes = axes
        self.channels = channels
        self._is_interleaved = False

    def back(self) -> bool:
        """Through paddings and interleaving; whether all of it was understood."""
        while self.source.op.type in {*_LOOKED_THROUGH, *_PADS, "SpaceToBatchND", "ExpandDims"}:
            op = self.source.op
            if op.type in _PADS:
                self._shift(op.inputs[1], 0)
            elif op.type == "SpaceToBatchND" and not self._interleave(op):
                return False
            elif op.type == "ExpandDims" and not self._drop_source(op):
                break
            self.source = op.inputs[0]
        return True

    def forward(self) -> bool:
        """Back to whole pictures where interleaved pieces were convolved."""
        while self._is_interleaved:
            consumers = self.output.consumers()
            if len(consumers) != 1:
                return False
            op = consumers[0]
            if op.type == "BatchToSpaceND":
                self._is_interleaved = False
            elif op.type == "Squeeze":
                self._drop_outputs(op)
            elif op.type not in _LOOKED_THROUGH:
                return False
            self.output = op.outputs[0]
        return True

    def _interleave(self, op: Any) -> bool:
        blocks = tf.get_static_value(op.inputs[1])
        simple = all(a.stride == 1 and isinstance(a.before, int) for a in self.axes)
        if blocks is None or not simple or self._is_interleaved:
            return False
        self.axes = [
            dataclasses.replace(a, dilation=a.dilation * _block(blocks, a.source))
            for a in self.axes
        ]
        self._shift(op.inputs[2], 1)
        self._is_interleaved = True
        return True

    def _shift(self, paddings: Any, first: int) -> None:
        """Add the zeros that paddings, whose row 0 is for axis `first`, put in front."""
        known = tf.get_static_value(paddings)
        rows = len(known) if known is not None else paddings.shape[0]
        for n, axis in enumerate(self.axes):
            if axis.source is not None and axis.source - first < rows:
                row = axis.source - first
                added = int(known[row, 0]) if known is not None else paddings[row, 0]
                self.axes[n] = dataclasses.replace(axis, before=axis.before + added)

    def _drop_source(self, op: Any) -> bool:
        place = tf.get_static_value(op.inputs[1])
        if place is None:
            return False
        place = int(place) % len(self.source.shape)
        if place not in [a.source for a in self.axes]:
            return False
        self.axes = [dataclasses.replace(a, source=_without(a.source, [place])) for a in self.axes]
        return True

    def _drop_outputs(self, op: Any) -> None:
        rank = len(self.output.shape)
        places = [place % rank for place in op.get_attr("squeeze_dims")]
        self.axes = [dataclasses.replace(a, output=_without(a.output, places)) for a in self.axes]
        self.channels -= sum(place < self.channels for place in places)


def _block(blocks: Any, axis: int | None) -> int:
    if axis is None or axis > len(blocks):
        return 1
    return int(blocks[axis - 1])


def _without(axis: int | None, places: Sequence[int]) -> int | None:
    """Where an axis is once others are gone; None for one that is gone itself."""
    if axis is None or axis in places:
        return None
    return axis - sum(place < axis for place in places)
