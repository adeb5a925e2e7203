"""What a picture shall do to a model: values that add, subtract and multiply.

`channel("mixed4d", 112) - 1e-2 * diversity("mixed4d")` is an objective; it has one value per
picture, which `kv.ActivationMaximization` makes larger. Numbers for channels, rows or classes can
be lists, one entry per picture, so that one run draws many features side by side. A regularizer is
an objective that one subtracts.
"""

from kerasviz.features.objectives.activity import (
    channel,
    class_score,
    cosine,
    direction,
    layer,
    neuron,
)
from kerasviz.features.objectives.base import Objective, Scene
from kerasviz.features.objectives.comparisons import (
    activation_difference,
    alignment,
    caricature,
    diversity,
    interpolation,
    inversion,
    style,
)
from kerasviz.features.objectives.regularizers import (
    blur,
    boundary_complexity,
    l1,
    l2,
    lp,
    opacity,
    total_variation,
)
from kerasviz.features.objectives.shorthand import to_objective

__all__ = [
    "Objective",
    "Scene",
    "activation_difference",
    "alignment",
    "blur",
    "boundary_complexity",
    "caricature",
    "channel",
    "class_score",
    "cosine",
    "direction",
    "diversity",
    "interpolation",
    "inversion",
    "l1",
    "l2",
    "layer",
    "lp",
    "neuron",
    "opacity",
    "style",
    "to_objective",
    "total_variation",
]
