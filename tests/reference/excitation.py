"""The layers of RGB-D fusion and local excitation, and their network, forward in NumPy.

Everything is channels last. `weights` are a model's or layer's own, by their Keras paths below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference.convolution import convolve

Weights = Mapping[str, np.ndarray]


def weights_of(layer: Any) -> dict[str, np.ndarray]:
    """A layer's weights by their paths, without the name of the layer itself."""
    return {
        weight.path.split(f"{layer.name}/", 1)[-1]: np.asarray(weight, "float64")
        for weight in layer.weights
    }


def below(weights: Weights, name: str) -> dict[str, np.ndarray]:
    """The weights of one sub-layer."""
    return {
        path.removeprefix(f"{name}/"): value
        for path, value in weights.items()
        if path.startswith(f"{name}/")
    }


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def dense(x: np.ndarray, weights: Weights) -> np.ndarray:
    """Over the last axis; a 1x1 convolution is the same."""
    kernel = weights["kernel"]
    return x @ kernel.reshape(kernel.shape[-2:]) + weights["bias"]


def means(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1, x.shape[-1]).mean(axis=1)


def scaled(x: np.ndarray, gates: np.ndarray) -> np.ndarray:
    """Multiply channels by gates of shape (batch, channels)."""
    return np.stack([picture * gate for picture, gate in zip(x, gates, strict=True)])


def excitation(z: np.ndarray, first: Weights, second: Weights) -> np.ndarray:
    return sigmoid(dense(relu(dense(z, first)), second))


def squeeze_excitation(x: np.ndarray, weights: Weights, second_sigmoid: bool = True) -> np.ndarray:
    gates = excitation(means(x), below(weights, "fc1"), below(weights, "fc2"))
    return scaled(x, sigmoid(gates) if second_sigmoid else gates)


def strided_convolution(
    x: np.ndarray,
    weights: Weights,
    strides: Sequence[int] = (1, 1),
    dilation: Sequence[int] = (1, 1),
) -> np.ndarray:
    """Padding "same" as TensorFlow has it: windows start where they need the fewest zeros."""
    kernel = dilated(weights["kernel"], dilation)
    full = convolve(x, kernel, weights["bias"])
    return full[:, _kept(x, kernel, strides, 0), :][:, :, _kept(x, kernel, strides, 1)]


def dilated(kernel: np.ndarray, dilation: Sequence[int]) -> np.ndarray:
    """The kernel with zeros between its elements."""
    rows, columns = ((size - 1) * d + 1 for size, d in zip(kernel.shape, dilation, strict=False))
    spread = np.zeros((rows, columns, *kernel.shape[2:]))
    spread[:: dilation[0], :: dilation[1]] = kernel
    return spread


def _kept(x: np.ndarray, kernel: np.ndarray, strides: Sequence[int], axis: int) -> slice:
    """The positions of a convolution of stride 1 that one with strides computes."""
    size, extent, stride = x.shape[1 + axis], kernel.shape[axis], strides[axis]
    zeros = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return slice(extent // 2 - zeros // 2, None, stride)


def doubled(x: np.ndarray, weights: Weights) -> np.ndarray:
    """A transposed convolution 3x3, stride 2, "same": each value adds a kernel to the output."""
    kernel = weights["kernel"]
    batch, height, width, _ = x.shape
    full = np.zeros((batch, 2 * height + 1, 2 * width + 1, kernel.shape[2]))
    for row in range(height):
        for column in range(width):
            stamp = np.einsum("bc,yxoc->byxo", x[:, row, column], kernel)
            full[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += stamp
    return full[:, :-1, :-1] + weights["bias"]


def normalized(x: np.ndarray, weights: Weights) -> np.ndarray:
    """Batch normalization with the moving statistics."""
    scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + 1e-3)
    return (x - weights["moving_mean"]) * scale + weights["beta"]


def resplacement_block(
    x: np.ndarray,
    weights: Weights,
    dilation: Sequence[int] = (1, 1),
    strides: Sequence[int] = (1, 1),
    skip: bool = False,
    second_sigmoid: bool = True,
) -> np.ndarray:
    branches = []
    for name, title, rates in (("local", "fully_local", (1, 1)), ("semi", "semi_local", dilation)):
        if not below(weights, f"{name}_conv_1"):
            continue
        y = strided_convolution(x, below(weights, f"{name}_conv_1"), (strides[0], 1), (rates[0], 1))
        y = relu(normalized(y, below(weights, f"{name}_bn_1")))
        y = strided_convolution(y, below(weights, f"{name}_conv_2"), (1, strides[1]), (1, rates[1]))
        y = relu(normalized(y, below(weights, f"{name}_bn_2")))
        excited = below(weights, title)
        branches.append(squeeze_excitation(y, excited, second_sigmoid) if excited else y)
    joined = np.concatenate(branches, axis=-1)
    return relu(joined + x if skip else joined)


def encoder_fusion(
    rgb: np.ndarray, depth: np.ndarray, weights: Weights
) -> tuple[np.ndarray, np.ndarray]:
    u = relu(dense(np.concatenate([rgb, depth], axis=-1), below(weights, "aggregate")))
    v = relu(dense(u, below(weights, "reduce")))
    weighted = sigmoid(dense(v, below(weights, "gate"))) * depth
    return rgb + weighted, weighted


def squeeze_excitation_fusion(rgb: np.ndarray, depth: np.ndarray, weights: Weights) -> np.ndarray:
    return squeeze_excitation(rgb, below(weights, "rgb"), False) + squeeze_excitation(
        depth, below(weights, "depth"), False
    )


def complementary_fusion(rgb: np.ndarray, depth: np.ndarray, weights: Weights) -> np.ndarray:
    rgb_gate = sigmoid(dense(means(rgb), below(weights, "rgb_gate")))
    depth_gate = sigmoid(dense(means(depth), below(weights, "depth_gate")))
    return scaled(rgb, rgb_gate) + scaled(depth, depth_gate)


def separation_aggregation_gate(
    rgb: np.ndarray, depth: np.ndarray, weights: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z = np.concatenate([means(rgb), means(depth)], axis=-1)
    of_depth = excitation(z, below(weights, "depth_fc1"), below(weights, "depth_fc2"))
    of_rgb = excitation(z, below(weights, "rgb_fc1"), below(weights, "rgb_fc2"))
    separated = [rgb + scaled(depth, of_depth), depth + scaled(rgb, of_rgb)]
    logits = dense(np.concatenate(separated, axis=-1), below(weights, "aggregate"))
    gates = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    fused = gates[..., :1] * rgb + gates[..., 1:] * depth
    return relu((rgb + fused) / 2), relu((depth + fused) / 2), fused


def grasp_network(
    images: np.ndarray,
    weights: Weights,
    blocks: Sequence[int],
    dilation_rates: Sequence[int],
    max_depth: float = 800.0,
    depth_scale: float = 1000.0,
) -> dict[str, np.ndarray]:
    """The network with the encoder fusion, for sizes that are multiples of 4."""
    encoded = []
    for modality in ("rgb", "depth"):
        x = images[..., :3]
        if modality == "depth":
            x = np.clip(images[..., 3:], 0, max_depth) / depth_scale
        x = strided_convolution(x, below(weights, f"{modality}_stem"), (2, 2))
        number = 0
        for module, count in enumerate(blocks):
            for block in range(count):
                number += 1
                x = resplacement_block(
                    x,
                    below(weights, f"{modality}_block_{number}"),
                    (dilation_rates[module],) * 2,
                    skip=module == 0 or block > 0,
                )
            if module == 0:
                corners = [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
                x = np.max(corners, axis=0)
        encoded.append(x)
    x = np.concatenate(encoder_fusion(*encoded, below(weights, "fusion")), axis=-1)
    for number in (1, 2):
        x = doubled(x, below(weights, f"up_{number}"))
        x = relu(normalized(x, below(weights, f"up_bn_{number}")))
    return {head: _head(x, head, weights) for head in ("grip", "horizontal", "vertical")}


def _head(x: np.ndarray, head: str, weights: Weights) -> np.ndarray:
    x = strided_convolution(x, below(weights, f"{head}_conv_1"))
    x = relu(normalized(x, below(weights, f"{head}_bn")))
    x = strided_convolution(x, below(weights, f"{head}_conv_2"))
    if head == "grip":
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    return np.tanh(x)
