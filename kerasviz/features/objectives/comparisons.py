"""Objectives that compare pictures with each other or with given ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError
from kerasviz.features.objectives.activity import LEAST_COSINE, TINY
from kerasviz.features.objectives.base import (
    Objective,
    Photos,
    Scene,
    common_count,
    mean_of_positions,
)

ops: Any = keras.ops
REACH = 4


def diversity(layer: str) -> Objective:
    """How alike the pictures are to the layer: subtract it, and they spread over what excites it.

    For each picture, the sum over all others of the cosine between their Gram matrices (which
    channels go together, wherever they are). In [0, num_images - 1] after a ReLU.

    Reference:
        Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017, section "Diversity".
    """

    def values(scene: Scene) -> Any:
        _check_several(scene, "diversity")
        grams = _flat(_gram(scene.features(layer)))
        grams = grams / ops.sqrt(ops.sum(ops.square(grams), axis=-1, keepdims=True) + TINY)
        alike = ops.matmul(grams, ops.transpose(grams))
        return ops.sum(alike, axis=-1) - ops.diagonal(alike)

    return Objective(f"diversity({layer})", values)


def alignment(layer: str, decay: float = 2.0) -> Objective:
    """Minus the mean squared difference to the neighbouring pictures in a layer: add it, and
    neighbours put the same thing in the same place.

    Args:
        layer: Address of the layer.
        decay: A neighbour one further off counts less by this factor; four are looked at.

    Reference:
        Mordvintsev et al., "Differentiable Image Parameterizations", Distill 2018, "Aligned
        Feature Visualization Interpolation".
    """

    def values(scene: Scene) -> Any:
        _check_several(scene, "alignment")
        features = _flat(scene.features(layer))
        total: Any = ops.zeros((scene.num_images,))
        for distance in range(1, min(REACH + 1, scene.num_images)):
            gap = ops.mean(ops.square(features[distance:] - features[:-distance]), axis=-1)
            weight = 0.5 / decay**distance
            left, right = ops.pad(gap, [(0, distance)]), ops.pad(gap, [(distance, 0)])
            total = total - weight * (left + right)
        return total

    return Objective(f"alignment({layer})", values)


def interpolation(one: Objective, other: Objective) -> Objective:
    """From one objective at the first picture to another at the last, in even steps."""

    def values(scene: Scene) -> Any:
        _check_several(scene, "interpolation")
        share = np.linspace(0.0, 1.0, scene.num_images, dtype="float32")
        return (1 - share) * one.values(scene) + share * other.values(scene)

    count = common_count([one.num_images, other.num_images])
    return Objective(f"from {one} to {other}", values, count, one.photos + other.photos)


def activation_difference(layers: str | Sequence[str], photos: Any = None) -> Objective:
    """Mean absolute difference of activations, summed over layers.

    Args:
        layers: Addresses of one or more layers.
        photos: (n, *positions, channels) as the model takes them, one for all or one per picture;
            None: each picture is compared with the next.
    """
    wanted = _addresses(layers)
    held = [] if photos is None else _held(wanted, photos)

    def values(scene: Scene) -> Any:
        total: Any = 0.0
        if not held:
            _check_several(scene, "activation_difference")
        for i, address in enumerate(wanted):
            features = scene.features(address)
            other = _beside(features, scene, held[i]) if held else ops.roll(features, -1, axis=0)
            total = total + mean_of_positions(ops.abs(features - other))
        return total

    return Objective(f"difference({', '.join(wanted)})", values, _count(held), tuple(held))


def inversion(layer: str, photos: Any) -> Objective:
    """Minus the squared distance to the activations of a photo, relative to their own square:
    the picture that the layer can't tell from the photo shows what the layer keeps of it.

    Args:
        layer: Address of the layer.
        photos: (n, *positions, channels) as the model takes them, one for all or one per picture.

    Returns:
        An `Objective`: 0 for a perfect inversion, -1 for no activation at all.

    Reference:
        Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR
        2015, equation 2.
    """
    (held,) = _held([layer], photos)

    def values(scene: Scene) -> Any:
        features = scene.features(layer)
        reference = _flat(_beside(features, scene, held))
        gap = ops.sum(ops.square(_flat(features) - reference), axis=-1)
        return -gap / (ops.sum(ops.square(reference), axis=-1) + TINY)

    return Objective(f"inversion of {layer}", values, _count([held]), (held,))


def caricature(layer: str, photos: Any, cosine_power: float = 1.0) -> Objective:
    """Dot product with the activations of a photo, position by position: the photo, exaggerated.

    Args:
        layer: Address of the layer.
        photos: (n, *positions, channels) as the model takes them, one for all or one per picture.
        cosine_power: As in `kv.objectives.direction`.

    Reference:
        Olah et al., Lucid, "Feature inversion and caricatures", 2018.
    """
    (held,) = _held([layer], photos)

    def values(scene: Scene) -> Any:
        features = scene.features(layer)
        reference = _beside(features, scene, held)
        product = ops.sum(features * reference, axis=-1)
        lengths = ops.sum(ops.square(features), axis=-1) * ops.sum(ops.square(reference), axis=-1)
        cosine = product / ops.sqrt(lengths + TINY)
        return mean_of_positions(product * ops.maximum(cosine, LEAST_COSINE) ** cosine_power)

    return Objective(f"caricature of {layer}", values, _count([held]), (held,))


def style(layers: str | Sequence[str], photos: Any) -> Objective:
    """Minus the mean absolute difference between Gram matrices, summed over layers: which channels
    go together is the photo's, where they are is free.

    Args:
        layers: Addresses of one or more layers.
        photos: (n, *positions, channels) as the model takes them, one for all or one per picture.

    Reference:
        Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR
        2016.
    """
    wanted = _addresses(layers)
    held = _held(wanted, photos)

    def values(scene: Scene) -> Any:
        total: Any = 0.0
        for address, photo in zip(wanted, held, strict=True):
            gap = _gram(scene.features(address)) - _gram(scene.reference(photo))
            total = total - mean_of_positions(ops.abs(gap))
        return total

    return Objective(f"style({', '.join(wanted)})", values, _count(held), tuple(held))


def _gram(features: Any) -> Any:
    """(n, channels, channels): mean over positions of the products of channels."""
    flat = ops.reshape(features, (features.shape[0], -1, features.shape[-1]))
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / flat.shape[1]


def _flat(tensor: Any) -> Any:
    return ops.reshape(tensor, (tensor.shape[0], -1))


def _addresses(layers: str | Sequence[str]) -> list[str]:
    return [layers] if isinstance(layers, str) else list(layers)


def _beside(features: Any, scene: Scene, photos: Photos) -> Any:
    """What the photos excite; raises where it has other positions than the pictures' features."""
    reference = scene.reference(photos)
    if tuple(reference.shape[1:]) != tuple(features.shape[1:]):
        raise InputError(
            f"`photos` must have the size of the pictures, as the layer {photos.layer!r} is "
            f"compared position by position: {tuple(features.shape[1:])}. Received: "
            f"{tuple(reference.shape[1:])}, for photos of shape {photos.inputs.shape}. Resize "
            "them, or pass an image of their size, as `kv.images.Fourier(size=…)`."
        )
    return reference


def _check_several(scene: Scene, objective: str) -> None:
    if scene.num_images < 2:
        raise InputError(
            f"`{objective}` compares pictures with each other. Received: one picture. "
            "Pass `num_images`."
        )


def _held(layers: Sequence[str], photos: Any) -> list[Photos]:
    try:
        array = np.asarray(photos, "float32")
    except (TypeError, ValueError) as error:
        raise InputError(
            "`photos` must be one array of numbers, for a model with one input. "
            f"Received: {type(photos).__name__}."
        ) from error
    if array.ndim < 2 or not len(array) or not np.isfinite(array).all():
        raise InputError(
            "`photos` must be a batch of finite inputs, as the model takes them. "
            f"Received: shape {array.shape}, {int((~np.isfinite(array)).sum())} values not "
            "finite. A single photo needs a batch axis: `photo[None]`."
        )
    return [Photos(layer, array) for layer in layers]


def _count(held: Sequence[Photos]) -> int | None:
    return len(held[0].inputs) if held and len(held[0].inputs) > 1 else None
