"""What a picture shall not be: objectives to subtract. All look at the picture in [0, 1], as it is
before the transforms, and are means, so that their weight does not depend on its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasviz.errors import InputError, MethodError
from kerasviz.features.objectives.base import Objective, Scene, mean_of_positions

ops: Any = keras.ops
TINY = 1e-8


def l1(constant: float = 0.5) -> Objective:
    """Mean absolute distance to a grey of that brightness."""
    return _of_pictures(f"l1({constant:g})", lambda x: mean_of_positions(ops.abs(x - constant)))


def l2(constant: float = 0.5) -> Objective:
    """Root of the mean squared distance to a grey of that brightness."""

    def values(pictures: Any) -> Any:
        return ops.sqrt(mean_of_positions(ops.square(pictures - constant)) + TINY)

    return _of_pictures(f"l2({constant:g})", values)


def lp(p: float = 6.0, constant: float = 0.5) -> Objective:
    """(mean |x - constant|^p)^(1/p): large p punishes only what sticks out."""
    if not p >= 1:
        raise InputError(f"`p` must be at least 1. Received: {p!r}.")

    def values(pictures: Any) -> Any:
        away = ops.abs(pictures - constant) + TINY
        unit = ops.stop_gradient(ops.max(away))
        return unit * ops.power(mean_of_positions(ops.power(away / unit, p)), 1.0 / p)

    return _of_pictures(f"l{p:g}({constant:g})", values)


def total_variation(beta: float = 1.0) -> Objective:
    """Mean over positions and channels of (Σ squared differences to the next positions)^(β/2).

    Args:
        beta: 1 keeps edges, 2 blurs them too.

    Reference:
        Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", CVPR
        2015, equation 3.
    """

    return _of_pictures(f"total_variation({beta:g})", lambda x: variation(x, beta))


def variation(pictures: Any, beta: float) -> Any:
    """(num_images,): the total variation of float pictures, per position and channel."""
    rank = len(pictures.shape) - 2
    squares: Any = ops.zeros_like(pictures)
    for axis in range(1, rank + 1):
        size = pictures.shape[axis]
        ahead = ops.take(pictures, range(1, size), axis=axis)
        here = ops.take(pictures, range(size - 1), axis=axis)
        margins = [(0, 0)] * (rank + 2)
        margins[axis] = (0, 1)
        squares = squares + ops.pad(ops.square(ahead - here), margins)
    if beta == 2.0:
        return mean_of_positions(squares)
    return mean_of_positions(ops.power(squares + TINY, beta / 2))


def boundary_complexity(width: int = 20, constant: float = 0.5) -> Objective:
    """Detail and departure from grey within `width` pixels of the edge: subtract it, and the
    picture keeps to the middle.

    Args:
        width: Width of the frame, in pixels.
        constant: Brightness of the grey.
    """

    def values(pictures: Any) -> Any:
        frame = _frame(tuple(pictures.shape[1:-1]), width)
        detail = ops.square(_blurred(pictures) - pictures)
        away = ops.square(pictures - constant)
        return mean_of_positions((detail + 0.8 * away) * frame)

    return _of_pictures(f"boundary_complexity({width})", values)


def blur() -> Objective:
    """Half the mean squared distance to a blurred copy, which itself is not differentiated:
    subtract it, and each step blurs a little."""

    def values(pictures: Any) -> Any:
        blurred = ops.stop_gradient(_blurred(pictures))
        return 0.5 * mean_of_positions(ops.square(pictures - blurred))

    return _of_pictures("blur()", values)


def opacity() -> Objective:
    """Mean of the opacity channel, in [0, 1], of an image with `alpha=True`: with
    `goal * (1 - opacity())` all that the goal does not need becomes transparent.

    Reference:
        Mordvintsev et al., "Differentiable Image Parameterizations", Distill 2018, "Feature
        Visualization with Transparency".
    """

    def values(scene: Scene) -> Any:
        if scene.opacity is None:
            raise MethodError(
                "`opacity` needs an image with an opacity channel. Received: one without. "
                "Pass `image=kv.images.Fourier(alpha=True)`."
            )
        return scene.opacity

    return Objective("opacity()", values)


def _of_pictures(description: str, function: Callable[[Any], Any]) -> Objective:
    return Objective(description, lambda scene: scene.over_pictures(function))


def _frame(sizes: tuple[int, ...], width: int) -> np.ndarray:
    frame = np.ones(sizes, "float32")
    frame[tuple(slice(width, max(width, size - width)) for size in sizes)] = 0.0
    return frame[None, ..., None]


def _blurred(pictures: Any, width: int = 5) -> Any:
    """Mean over `width` positions along each axis; at the edges over those that exist."""
    rank = len(pictures.shape) - 2
    for axis in range(1, rank + 1):
        pooled = ops.moveaxis(pictures, axis, -2)
        shape = ops.shape(pooled)
        rows = ops.reshape(pooled, (-1, shape[-2], shape[-1]))
        rows = ops.average_pool(rows, width, strides=1, padding="same", data_format="channels_last")
        pictures = ops.moveaxis(ops.reshape(rows, shape), -2, axis)
    return pictures
