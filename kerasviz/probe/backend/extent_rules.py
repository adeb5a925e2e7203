"""What each operation of a graph does to what its elements see of an input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kerasviz.probe.backend import constants, extent_moves, extent_sums
from kerasviz.probe.backend.extent_given import Given, NotFollowedError, broadcast
from kerasviz.probe.backend.extents import Extents, hull

Rule = Callable[[Any, Given], "Extents | list[Extents] | None"]


def apply(op: Any, given: Given) -> list[Extents]:
    """What the outputs of an operation see.

    Args:
        op: The operation; all shapes are known.
        given: What its inputs see, None for those that do not depend on the input.

    Raises:
        NotFollowedError: The operation is not understood.
    """
    rule = RULES.get(op.type)
    if rule is None:
        raise NotFollowedError(f"the operation {op.type} is not understood")
    if not _keeps_zeros(op, given) and any(e is not None and e.zero is not None for e in given):
        raise NotFollowedError(
            f"the operation {op.type} after attention with a mask is not understood"
        )
    found = rule(op, given)
    if found is None:
        raise NotFollowedError(f"what the operation {op.type} takes is known only when it runs")
    return found if isinstance(found, list) else [found] * len(op.outputs)


def _keeps_zeros(op: Any, given: Given) -> bool:
    """Whether what is zero whatever the input is stays so."""
    is_scaled = op.type == "Mul" or (op.type == "RealDiv" and given[1] is None)
    return (is_scaled and given.count(None) == 1) or op.type in _KEEP_ZEROS


def _combined(op: Any, given: Given) -> Extents:
    """Element by element, with broadcasting."""
    known = [extents for extents in given if extents is not None]
    found = known[0] if len(known) == 1 else hull(*known)
    return broadcast(found, tuple(op.outputs[0].shape))


def _selected(op: Any, given: Given) -> Extents:
    """`where`; of a condition that never changes only the chosen side is seen."""
    condition = constants.computed(op.inputs[0]) if op.type == "SelectV2" else None
    if condition is None:
        return _combined(op, given)
    shape = tuple(op.outputs[0].shape)
    sides = [Extents.blind(shape) if e is None else broadcast(e, shape) for e in given[1:]]
    both = hull(*sides)
    ends = np.where(condition, sides[0].ends, sides[1].ends)
    return Extents(ends, shape, both.steps)


def _reread(op: Any, given: Given) -> Extents | None:
    """`Bitcast` of numbers as others of the same size."""
    return _combined(op, given) if op.inputs[0].shape == op.outputs[0].shape else None


def _each(op: Any, given: Given) -> list[Extents]:
    """`IdentityN`: every output is an input."""
    pairs = zip(given, op.inputs, strict=True)
    return [extents or Extents.blind(tuple(tensor.shape)) for extents, tensor in pairs]


_PRODUCTS = "MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3"
_KEEP_ZEROS = {"Einsum", "Identity", "StopGradient", "Cast", "Transpose", *_PRODUCTS.split()}
RULES: dict[str, Rule] = {
    "Transpose": extent_moves.transposed,
    "ExpandDims": extent_moves.expanded,
    "Squeeze": extent_moves.squeezed,
    "Reshape": extent_moves.reshaped,
    "Slice": extent_moves.sliced,
    "StridedSlice": extent_moves.strided,
    "ConcatV2": extent_moves.concatenated,
    "Pack": extent_moves.stacked,
    "Unpack": extent_moves.unstacked,
    "Einsum": extent_sums.summed,
    "OneHot": extent_moves.one_hot,
    "ReverseV2": extent_moves.flipped,
    "Roll": extent_moves.rolled,
    "Tile": extent_moves.tiled,
    "Cumprod": extent_sums.accumulated,
    "Cumsum": extent_sums.accumulated,
    "TopKV2": extent_sums.ranked,
    "Bitcast": _reread,
    "SelectV2": _selected,
    "IdentityN": _each,
    "SpaceToBatchND": extent_moves.interleaved,
    "BatchToSpaceND": extent_moves.put_together,
}
_COMBINED = (
    "Abs Acos Acosh Add AddN AddV2 Asin Asinh Atan Atan2 Atanh BiasAdd BitwiseAnd BitwiseOr "
    "BitwiseXor BroadcastTo Cast Ceil CheckNumerics ClipByValue Cos Cosh Digamma Div DivNoNan Elu "
    "EnsureShape Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual "
    "Identity Inv Invert IsFinite IsInf IsNan LeakyRelu LeftShift Less LessEqual Lgamma Log Log1p "
    "LogicalAnd LogicalNot LogicalOr MatrixBandPart Maximum Minimum Mod Mul MulNoNan Neg "
    "NextAfter NotEqual Pow PreventGradient RealDiv Reciprocal Relu Relu6 RightShift Rint Round "
    "Rsqrt Select Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square SquaredDifference "
    "StopGradient Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlog1py Xlogy"
)
for _names, _rule in (
    (_COMBINED, _combined),
    ("Mean Sum Max Min Prod All Any ArgMax ArgMin EuclideanNorm", extent_sums.reduced),
    ("Softmax LogSoftmax", extent_sums.along_last),
    ("Split SplitV", extent_moves.split),
    ("GatherV2 ResourceGather", extent_moves.looked_up),
    (_PRODUCTS, extent_sums.multiplied),
    ("FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3", extent_sums.normalized),
    ("Pad PadV2 MirrorPad", extent_moves.padded),
    ("ResizeBilinear ResizeNearestNeighbor ResizeBicubic", extent_sums.resized),
    ("SpaceToDepth DepthToSpace", extent_moves.depth_to_space),
    (
        "Conv2D Conv3D DepthwiseConv2dNative Conv2DBackpropInput Conv3DBackpropInputV2 "
        "AvgPool AvgPool3D MaxPool MaxPool3D",
        extent_sums.windowed,
    ),
):
    RULES |= dict.fromkeys(_names.split(), _rule)
