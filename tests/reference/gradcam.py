"""Grad-CAM with a loop over samples and a loop over channels."""

from __future__ import annotations

import functools

import numpy as np

from tests.models import Case
from tests.reference.intercept import activation_and_gradient
from tests.reference.resize import divide_by_maximum, upsample
from tests.reference.scores import Index, index_of, num_samples, sample_of, unit_score

ORDERS = ("paper", "channelwise")


def gradcam(case: Case, index: Index, order: str = "paper", layer: str | None = None) -> np.ndarray:
    """Grad-CAM maps at the size of the layer, before any scaling.

    Args:
        case: The model and its inputs.
        index: The unit that is explained, for all samples or for each.
        order: "paper": ReLU(sum_k w_k A_k). "channelwise": mean_k ReLU(w_k A_k).
        layer: Address; `case.layer` if None. If it is `case.tokens.layer`, the tokens are laid
            out as the grid of patches, without the prefix tokens.

    Returns:
        Float64, shape `(batch, *spatial)`.
    """
    layer = layer or case.layer
    maps = []
    for i in range(num_samples(case)):
        score = functools.partial(unit_score, case, index=index_of(index, i))
        arrays = activation_and_gradient(case.linear_model, sample_of(case.inputs, i), layer, score)
        activation, gradient = (channels_last(case, layer, array[0]) for array in arrays)
        maps.append(combine(activation, gradient, order))
    return np.stack(maps)


def gradcam_maps(
    case: Case,
    index: Index,
    order: str = "paper",
    layer: str | None = None,
    size: tuple[int, ...] | None = None,
) -> np.ndarray:
    """`gradcam`, interpolated to `size` and divided by each map's maximum.

    Args:
        case: The model and its inputs.
        index: The unit that is explained, for all samples or for each.
        order: As for `gradcam`.
        layer: As for `gradcam`.
        size: Spatial shape of the maps; that of the first spatial input if None.

    Returns:
        Float64 in [0, 1], shape `(batch, *size)`.
    """
    size = size or next(known for known in case.input_sizes if known)
    return divide_by_maximum(upsample(gradcam(case, index, order, layer), size))


def channels_last(case: Case, layer: str, array: np.ndarray) -> np.ndarray:
    """One sample's activation as `(*spatial, channels)`."""
    if case.tokens and layer == case.tokens.layer:
        return array[case.tokens.num_prefix :].reshape(*case.tokens.grid, array.shape[-1])
    return np.moveaxis(array, 0, -1) if case.channel_axis == 1 else array


def combine(activation: np.ndarray, gradient: np.ndarray, order: str = "paper") -> np.ndarray:
    """One sample's map from its activation and gradient, each `(*spatial, channels)`."""
    total = np.zeros(activation.shape[:-1])
    num_channels = activation.shape[-1]
    for k in range(num_channels):
        weight = np.mean(gradient[..., k], dtype="float64")
        weighted = weight * activation[..., k]
        if order == "channelwise":
            weighted = np.maximum(weighted, 0) / num_channels
        total += weighted
    return np.maximum(total, 0)
