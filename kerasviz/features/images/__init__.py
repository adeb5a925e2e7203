"""Ways to spell a picture by weights, for `kv.ActivationMaximization(image=…)`.

How a picture is parameterized decides what gradient ascent finds: the mathematics of the objective
is the same, but steps in another basis prefer other pictures.

Reference:
    Mordvintsev et al., "Differentiable Image Parameterizations", Distill 2018,
    https://distill.pub/2018/differentiable-parameterizations
"""

from kerasviz.features.images.base import Image
from kerasviz.features.images.compositional import CPPN
from kerasviz.features.images.fourier import Fourier
from kerasviz.features.images.low_resolution import Laplacian, LowResolution
from kerasviz.features.images.pixels import Pixels
from kerasviz.features.images.value_range import ValueRange

__all__ = ["CPPN", "Fourier", "Image", "Laplacian", "LowResolution", "Pixels", "ValueRange"]
