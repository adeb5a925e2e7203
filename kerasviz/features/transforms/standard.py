"""The usual set of transforms, what else is taken for one, and how a sequence is applied."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from typing import Any

from kerasviz.errors import InputError
from kerasviz.features.transforms.affine import (
    Affine,
    compose,
    crop,
    flip,
    jitter,
    joined,
    pad,
    rotate,
    scale,
)
from kerasviz.probe.backend import sampling
from kerasviz.probe.backend.sampling import Draws

__all__ = ["apply", "crop", "flip", "standard", "to_transforms"]

standard: tuple[Affine, ...] = (
    pad(12),
    jitter(8),
    scale([1 + step / 50 for step in range(-5, 6)]),
    rotate([*range(-10, 11), 0, 0, 0, 0, 0]),
    jitter(4),
)


def to_transforms(given: Any, rank: int) -> list[Any]:
    """The transforms that a user's shorthand stands for.

    Args:
        given: None for the standard ones (without rotation where there are not two position axes),
            one transform, or a sequence of them: `Affine`s, functions `pictures -> pictures`, and
            tf-keras-vis's input modifiers.
        rank: Number of position axes of the picture; where there are none, nothing can be moved,
            and only the functions stay.

    Raises:
        InputError: Something that is none of these.
    """
    if given is None:
        given = [one for one in standard if rank == 2 or not one.description.startswith("rotate")]
    found = [_to_transform(one) for one in compose(given)]
    return [one for one in found if rank or not isinstance(one, Affine)]


def _to_transform(given: Any) -> Any:
    if isinstance(given, Affine):
        return given
    if type(given).__module__.startswith("tf_keras_vis"):
        return _of_tf_keras_vis(given)
    if callable(given) and not inspect.isclass(given):
        return given
    raise InputError(
        "`transforms` must be transforms of kv.transforms, functions of pictures, or input "
        f"modifiers of tf-keras-vis. Received: {given!r}. Call it with its settings, as "
        "`kv.transforms.jitter(8)`."
    )


def _of_tf_keras_vis(modifier: Any) -> Affine:
    kind = type(modifier).__name__
    if kind == "Jitter":
        return jitter(2 * modifier.jitter)
    if kind in ("Rotate", "Rotate2D") and tuple(modifier.axes) == (1, 2):
        return rotate([modifier.degree * step / 50 for step in range(-50, 51)])
    if kind == "Scale":
        span = modifier.high - modifier.low
        return scale([modifier.low + span * step / 100 for step in range(101)])
    raise InputError(
        "`transforms` takes tf-keras-vis's Jitter, Rotate2D and Scale. "
        f"Received: {kind}. Write it as a function of float32 pictures (num_images, …, channels)."
    )


def apply(transforms: Sequence[Any], pictures: Any, draws: Draws) -> Any:
    """The pictures (num_images, *positions, channels) after one random draw of the transforms."""
    sizes = pictures.shape[1:-1]
    for is_affine, group in itertools.groupby(transforms, lambda one: isinstance(one, Affine)):
        if is_affine:
            whole = joined(list(group))
            pictures = sampling.warp(pictures, whole.matrix(draws, sizes), whole.fill)
        else:
            for function in group:
                pictures = _checked(function(pictures), pictures, function)
    return pictures


def _checked(changed: Any, before: Any, function: Any) -> Any:
    if tuple(getattr(changed, "shape", ())) != tuple(before.shape):
        raise InputError(
            f"A transform must keep the shape {tuple(before.shape)}. Received: "
            f"{getattr(function, '__name__', function)!r} returned "
            f"{tuple(getattr(changed, 'shape', ()))}."
        )
    return changed
