"""A weight as a matrix from what it reads to what it gives."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from kerasviz.probe.held_weights import HeldWeight

TRANSPOSED = tuple(
    getattr(keras.layers, f"Conv{rank}DTranspose")
    for rank in (1, 2, 3)
    if hasattr(keras.layers, f"Conv{rank}DTranspose")
)
DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
VECTORS = ("bias", "gamma", "beta", "moving_mean", "moving_variance")


def is_depthwise(held: HeldWeight) -> bool:
    """Whether each input channel has filters of its own."""
    return held.role == "depthwise_kernel" or (
        isinstance(held.layer, DEPTHWISE) and held.role == "kernel"
    )


def is_kernel(held: HeldWeight) -> bool:
    """Whether the columns of the unfolded weight are filters."""
    return held.role.endswith("kernel") and len(held.variable.shape) > 1


def unfolded(held: HeldWeight, array: np.ndarray) -> np.ndarray | None:
    """The matrices that a weight acts with: (groups, inputs, outputs).

    A convolution's kernel has positions × input channels for rows and output channels for columns,
    (k·k·c_in, c_out), also where it is transposed. Where an output sees a part of the inputs only
    there are several matrices, the blocks of a block-diagonal one: one a group of a grouped
    convolution, one an input channel of a depthwise one. `EinsumDense` (the projections of
    attention) has the axes that its equation sums over for rows. All others have their last axis
    for columns: recurrent kernels (inputs, gates × units), embeddings (tokens, channels).

    Args:
        held: The weight.
        array: Its values, in its shape.

    Returns:
        A view where the order of the axes allows; None for what is no matrix: biases and scales.
    """
    shape = array.shape
    if len(shape) < 2 or not array.size or held.role in VECTORS:
        return None
    axes = [*range(len(shape))]
    if is_depthwise(held):
        return _ordered(array, [axes[-2]], axes[:-2], [axes[-1]])
    if isinstance(held.layer, TRANSPOSED) and held.role == "kernel":
        return _ordered(array, [], [*axes[:-2], axes[-1]], [axes[-2]])
    groups = getattr(held.layer, "groups", 1)
    if groups > 1 and held.role == "kernel":
        array = array.reshape(*shape[:-1], groups, shape[-1] // groups)
        return _ordered(array, [len(shape) - 1], axes[:-1], [len(shape)])
    if isinstance(held.layer, keras.layers.EinsumDense) and held.role == "kernel":
        return _ordered(array, [], *_einsum_axes(held.layer.equation))
    return _ordered(array, [], axes[:-1], axes[-1:])


def _einsum_axes(equation: str) -> tuple[list[int], list[int]]:
    """The axes of a kernel that are summed over, and those that are left."""
    kernel, output = equation.split(",")[1].split("->")
    letters = kernel.strip().replace("...", "")
    inputs = [axis for axis, letter in enumerate(letters) if letter not in output]
    return inputs, [axis for axis, letter in enumerate(letters) if letter in output]


def _ordered(
    array: np.ndarray, groups: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]
) -> np.ndarray:
    sizes = [
        int(np.prod([array.shape[axis] for axis in axes])) for axes in (groups, inputs, outputs)
    ]
    return array.transpose([*groups, *inputs, *outputs]).reshape(sizes)
