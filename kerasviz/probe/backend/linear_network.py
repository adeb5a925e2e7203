"""The linear network that lies between two tensors of a traced model.

Everything on the way is built a second time, without biases: activations become the lines that
they stand for, max pooling becomes average pooling. A twin of it takes the magnitudes of all
weights, so that it adds up what the signs of the first let cancel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerasviz.probe.backend import curves, graph, lines, pointwise

COUNTS = graph.COUNTS | {"ZerosLike", "OnesLike"}
HALVES = (tf.float16.as_datatype_enum, tf.bfloat16.as_datatype_enum)


class NotLinearError(Exception):
    """An op that stands for no linear one.

    Args:
        op: The op.
        reason: What it does, in words.
    """

    def __init__(self, op: Any, reason: str) -> None:
        super().__init__(reason)
        self.op, self.reason = op, reason


@dataclasses.dataclass(frozen=True, eq=False)
class Twins:
    """A tensor of the linear network, and the same of its twin that takes magnitudes of weights."""

    signed: Any
    absolute: Any

    def both(self, function: Callable[[Any], Any]) -> Twins:
        """The same function of either."""
        return Twins(function(self.signed), function(self.absolute))


class LinearNetwork:
    """What leads from one tensor of the open graph to another, as a linear network.

    Args:
        source: Where it begins.
        target: Where it ends, which depends on `source`.
        inputs: Of the model: what depends on them is no weight.

    Attributes:
        starts: What the network and its twin are differentiated by, of the shape of `source`.
        ends: What they make of it, of the shape of `target`.
        activations: How many activations became lines.
        max_pools: How many max pools became average pools.

    Raises:
        NotLinearError: Something on the way stands for no linear op.
    """

    def __init__(self, source: Any, target: Any, inputs: Sequence[Any]) -> None:
        self.activations = self.max_pools = 0
        self._varying = _varying(inputs)
        self._pieces = pointwise.Pieces(source.graph, [source], lines.MEANING)
        self._pending: set[int] = set()
        zeros = _float(tf.zeros_like(source))
        self.starts = Twins(tf.identity(zeros), tf.identity(zeros))
        self._values: dict[int, Twins] = {id(source): self.starts}
        for op in graph.ops_between([target], [source]):
            self._visit(op)
        self.ends = self._value(target)

    def gradients(self, choose: Callable[[Any], Any]) -> Twins:
        """By either start, of what is chosen of either end."""
        total = choose(self.ends.signed) + choose(self.ends.absolute)
        return Twins(*graph.gradients(total, [self.starts.signed, self.starts.absolute]))

    def _visit(self, op: Any) -> None:
        if not any(self._depends(tensor) for tensor in op.inputs):
            return
        if self._is_curved(op):
            self._pending.add(id(op.outputs[0]))
        else:
            self._note(op)

    def _note(self, op: Any) -> None:
        """Build the linear op that stands for this one."""
        rule = _RULES.get(op.type)
        if rule is None:
            raise NotLinearError(op, f"{op.type} is not linear, nor a curve that has a line")
        for tensor, value in zip(op.outputs, rule(self, op), strict=False):
            if value is not None:
                self._values[id(tensor)] = value
                self._pending.discard(id(tensor))

    def _depends(self, tensor: Any) -> bool:
        return id(tensor) in self._values or id(tensor) in self._pending

    def _is_curved(self, op: Any) -> bool:
        """Whether the op is a part of what bends element by element from a tensor that is known."""
        if pointwise.operands(op, lines.MEANING) is None:
            return False
        if self._is_straight(op):
            return False
        return any(map(self._depends, self._pieces.dominators(op.outputs[0])))

    def _is_straight(self, op: Any) -> bool:
        """Whether the op is linear by itself, of tensors that are known."""
        if op.type not in _RULES or any(id(t) in self._pending for t in op.inputs):
            return False
        if op.type in ("SelectV2", "RealDiv"):
            weight = op.inputs[0 if op.type == "SelectV2" else 1]
            return id(weight) not in self._varying
        is_product = op.type == "Mul"
        return not is_product or sum(id(t) in self._varying for t in op.inputs) == 1

    def _value(self, tensor: Any) -> Twins:
        """What stands for a tensor; what bends is made a line now."""
        if id(tensor) in self._pending:
            self._resolve(tensor)
        return self._values[id(tensor)]

    def _resolve(self, tensor: Any) -> None:
        """Read what bends, up to a tensor, as a line from the nearest tensor that allows it."""
        for base in self._pieces.dominators(tensor):
            if self._depends(base) and self._is_line(tensor, base):
                return
        self._note(tensor.op)

    def _is_line(self, tensor: Any, base: Any) -> bool:
        piece = self._pieces.piece(tensor, base)
        slope = lines.slope(piece)
        if slope is None:
            return False
        try:
            value = self._value(base)
        except NotLinearError:
            return False
        self.activations += not curves.is_straight(piece.function(lines.SOME_WEIGHTS[0]))
        self._values[id(tensor)] = Twins(value.signed * slope, value.absolute * abs(slope))
        self._pending.discard(id(tensor))
        return True

    def _weight(self, op: Any, tensor: Any) -> Twins:
        """A tensor that multiplies, and its magnitudes."""
        if self._depends(tensor):
            raise NotLinearError(op, f"{op.type} multiplies two paths")
        if id(tensor) in self._varying:
            raise NotLinearError(op, f"{op.type} multiplies by what another path makes of an input")
        weight = _float(tensor)
        return Twins(weight, tf.abs(weight))

    def moved(self, op: Any) -> list[Any]:
        """The same op: constants that it adds, pads or joins change no gradient."""
        numbers = range(len(op.inputs))
        known = {n: self._value(op.inputs[n]) for n in numbers if self._depends(op.inputs[n])}

        def inputs(name: str) -> list[Any]:
            return [
                getattr(known[n], name) if n in known else _float(op.inputs[n]) for n in numbers
            ]

        results = zip(_again(op, inputs("signed")), _again(op, inputs("absolute")), strict=True)
        return [Twins(*pair) for pair in results]

    def added(self, op: Any) -> list[Any]:
        """A sum, without what is constant in it where that changes no shape."""
        known = [tensor for tensor in op.inputs if self._depends(tensor)]
        shape = op.outputs[0].shape
        keeps_shape = shape.is_fully_defined() and known[0].shape == shape
        if len(known) == 1 and (keeps_shape or op.type == "BiasAdd"):
            return [self._value(known[0])]
        return self.moved(op)

    def passed(self, op: Any) -> list[Any]:
        """Every output is the input of the same number."""
        pairs = zip(op.inputs, op.outputs, strict=False)
        return [self._value(t) if self._depends(t) else None for t, _ in pairs]

    def cast(self, op: Any) -> list[Any]:
        """The same numbers; half precision stays float32."""
        dtype = op.outputs[0].dtype
        wide = tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype
        return [self._value(op.inputs[0]).both(lambda x: tf.cast(x, wide))]

    def subtracted(self, op: Any) -> list[Any]:
        """A difference; magnitudes add up."""
        one, two = (self._value(t) if self._depends(t) else None for t in op.inputs)
        none = [tf.zeros_like(_float(t)) for t in op.inputs]
        first, second = (v or Twins(z, z) for v, z in zip((one, two), none, strict=True))
        return [Twins(first.signed - second.signed, first.absolute + second.absolute)]

    def negated(self, op: Any) -> list[Any]:
        """The negative; its magnitude stays."""
        value = self._value(op.inputs[0])
        return [Twins(-value.signed, value.absolute)]

    def weighted(self, op: Any) -> list[Any]:
        """A product of one path with weights, a convolution for one."""
        places = [n for n, tensor in enumerate(op.inputs) if self._depends(tensor)]
        if len(places) > 1 or (op.type == "RealDiv" and places != [0]):
            raise NotLinearError(op, f"{op.type} multiplies two paths")
        value = self._value(op.inputs[places[0]])
        given: dict[str, list[Any]] = {"signed": [], "absolute": []}
        for place, tensor in enumerate(op.inputs):
            is_weight = place not in places and tensor.dtype.is_floating
            twins = self._weight(op, tensor) if is_weight else Twins(tensor, tensor)
            twins = value if place in places else twins
            given["signed"].append(twins.signed)
            given["absolute"].append(twins.absolute)
        return [Twins(*(_again(op, inputs)[0] for inputs in given.values()))]

    def normalized(self, op: Any) -> list[Any]:
        """Batch normalization by fixed statistics."""
        if op.get_attr("is_training") or any(self._depends(t) for t in op.inputs[1:]):
            raise NotLinearError(op, "batch normalization by statistics of the batch multiplies")
        scale, variance = (self._weight(op, op.inputs[n]).signed for n in (1, 4))
        factor = scale * tf.math.rsqrt(variance + op.get_attr("epsilon"))
        if op.get_attr("data_format").startswith(b"NC"):
            factor = tf.reshape(factor, [-1] + [1] * (len(op.inputs[0].shape) - 2))
        value = self._value(op.inputs[0])
        return [Twins(value.signed * factor, value.absolute * tf.abs(factor))]

    def pooled(self, op: Any) -> list[Any]:
        """The mean of what a max pool looks at."""
        if op.get_attr("padding") == b"EXPLICIT":
            raise NotLinearError(op, "max pooling with explicit padding is not understood")
        self.max_pools += 1
        average = tf.raw_ops.AvgPool3D if op.type == "MaxPool3D" else tf.raw_ops.AvgPool
        settings = {name: op.get_attr(name) for name in ("ksize", "strides", "padding")}
        settings["data_format"] = op.get_attr("data_format").decode()
        settings["padding"] = settings["padding"].decode()
        value_name = "input" if op.type == "MaxPool3D" else "value"
        return [self._value(op.inputs[0]).both(lambda x: average(**{value_name: x}, **settings))]

    def averaged(self, op: Any) -> list[Any]:
        """The mean of what a maximum is taken over."""
        self.max_pools += 1
        axes, keep = op.inputs[1], op.get_attr("keep_dims")
        return [self._value(op.inputs[0]).both(lambda x: tf.reduce_mean(x, axes, keep))]

    def selected(self, op: Any) -> list[Any]:
        """`where` of a condition that no input changes."""
        if id(op.inputs[0]) in self._varying:
            raise NotLinearError(op, f"{op.type} chooses by what it finds in an input")
        return self.moved(op)


def _varying(inputs: Sequence[Any]) -> set[int]:
    """The tensors, by `id`, whose values depend on those of any input."""
    found = {id(x) for x in inputs}
    for op in tf.compat.v1.get_default_graph().get_operations():
        if op.type not in COUNTS and any(id(tensor) in found for tensor in op.inputs):
            found.update(map(id, op.outputs))
    return found


def _float(tensor: Any) -> Any:
    """Half precision as float32."""
    return tf.cast(tensor, tf.float32) if tensor.dtype in (tf.float16, tf.bfloat16) else tensor


def _again(op: Any, inputs: Sequence[Any]) -> list[Any]:
    """The results of the same op, in float32 where it was half precision."""
    attributes = {}
    for name, value in op.node_def.attr.items():
        if name.startswith("_"):
            continue
        kept = tf.compat.v1.AttrValue()
        kept.CopyFrom(value)
        if kept.type in HALVES:
            kept.type = tf.float32.as_datatype_enum
        attributes[name] = kept
    dtypes = [tf.float32 if t.dtype in (tf.float16, tf.bfloat16) else t.dtype for t in op.outputs]
    made = op.graph.create_op(op.type, list(inputs), dtypes, attrs=attributes)
    return list(made.outputs)


_RULES: dict[str, Callable[[LinearNetwork, Any], list[Any]]] = {
    "Cast": LinearNetwork.cast,
    "IdentityN": LinearNetwork.passed,
    "Sub": LinearNetwork.subtracted,
    "Neg": LinearNetwork.negated,
    "MaxPool": LinearNetwork.pooled,
    "MaxPool3D": LinearNetwork.pooled,
    "Max": LinearNetwork.averaged,
    "SelectV2": LinearNetwork.selected,
}
for _names, _rule in (
    (
        "Identity Reshape Squeeze ExpandDims Transpose Pad PadV2 MirrorPad ConcatV2 Pack Unpack "
        "Split SplitV StridedSlice Slice GatherV2 GatherNd BroadcastTo Tile Mean Sum AvgPool "
        "AvgPool3D SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace ReverseV2 Roll "
        "ResizeBilinear ResizeNearestNeighbor Cumsum EnsureShape",
        LinearNetwork.moved,
    ),
    ("AddV2 Add AddN BiasAdd", LinearNetwork.added),
    (
        "Mul RealDiv MatMul BatchMatMulV2 Einsum Conv2D Conv3D DepthwiseConv2dNative "
        "Conv2DBackpropInput Conv3DBackpropInputV2",
        LinearNetwork.weighted,
    ),
    ("FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3", LinearNetwork.normalized),
):
    _RULES |= dict.fromkeys(_names.split(), _rule)
