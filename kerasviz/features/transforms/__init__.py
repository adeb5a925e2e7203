"""Random changes of the picture before each step, for `kv.ActivationMaximization(transforms=…)`.

A picture that has to excite the unit wherever it lies, at any size and slightly turned, can't rely
on single pixels. All are drawn anew at every step, from the seed; one draw for all pictures.

A sequence of transforms is applied in order. Neighbouring affine ones are joined into one, so that
the picture is resampled once, at its own size. A plain function `pictures -> pictures` on float32
(num_images, *positions, channels) in [0, 1] can stand among them.

Reference:
    Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017, section
    "Transformation Robustness".
"""

from kerasviz.features.transforms.affine import (
    Affine,
    compose,
    crop,
    flip,
    jitter,
    pad,
    rotate,
    scale,
)
from kerasviz.features.transforms.standard import apply, standard, to_transforms

__all__ = [
    "Affine",
    "apply",
    "compose",
    "crop",
    "flip",
    "jitter",
    "pad",
    "rotate",
    "scale",
    "standard",
    "to_transforms",
]
