"""Input gradients of the network in `SPELLINGS`, backwards by hand, under a rule for rectifiers."""

from __future__ import annotations

import numpy as np

from tests.models import Case, Rectifier, two_convolution_weights
from tests.reference.convolution import convolve, convolve_transposed, max_pool, unpool
from tests.reference.scores import Index, index_of

RULES = ("plain", "guided", "deconvolution")


def rectify(x: np.ndarray, rectifier: Rectifier) -> np.ndarray:
    """The rectifier's output."""
    below = rectifier.negative_slope * (x - rectifier.threshold)
    return np.where(x >= rectifier.threshold, np.minimum(x, rectifier.maximum), below)


def backward(gradient: np.ndarray, x: np.ndarray, rectifier: Rectifier, rule: str) -> np.ndarray:
    """What a rule hands back through a rectifier with input `x`.

    "plain" is f'(x) g; "guided" is f'(x) max(g, 0); "deconvolution" applies to the gradient what
    the rectifier applies to signals: g where g > 0, negative_slope g elsewhere.
    """
    if rule == "deconvolution":
        return np.where(gradient > 0, gradient, rectifier.negative_slope * gradient)
    rising = (x > rectifier.threshold) & (x < rectifier.maximum)
    slope = np.where(rising, 1.0, np.where(x <= rectifier.threshold, rectifier.negative_slope, 0.0))
    return slope * (np.maximum(gradient, 0) if rule == "guided" else gradient)


def input_gradient(case: Case, index: Index, rule: str) -> np.ndarray:
    """The gradient of a logit with respect to the image, under a rule.

    Args:
        case: A case of `SPELLINGS` or `EXTRA_SPELLINGS`.
        index: The unit that is explained, for all samples or for each.
        rule: "plain", "guided" or "deconvolution".

    Returns:
        Float64, shape `(batch, 10, 8, 3)`.
    """
    return image_gradient(case.inputs, case.rectifiers, index, rule)


def image_gradient(
    images: np.ndarray, rectifiers: tuple[Rectifier, ...], index: Index, rule: str
) -> np.ndarray:
    """`input_gradient` for any images and any two rectifiers."""
    weights = two_convolution_weights()
    first, second = rectifiers
    before_1 = convolve(images, weights.kernel_1, weights.bias_1)
    pooled, switches = max_pool(rectify(before_1, first))
    before_2 = convolve(pooled, weights.kernel_2, weights.bias_2)
    rows = [weights.head_kernel[:, index_of(index, i)] for i in range(len(images))]
    gradient = np.stack(rows).reshape(before_2.shape).astype("float64")
    gradient = backward(gradient, before_2, second, rule)
    gradient = unpool(convolve_transposed(gradient, weights.kernel_2), switches)
    gradient = backward(gradient, before_1, first, rule)
    return convolve_transposed(gradient, weights.kernel_1)


def pre_activations(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """What the two rectifiers receive."""
    weights = two_convolution_weights()
    before_1 = convolve(case.inputs, weights.kernel_1, weights.bias_1)
    pooled, _ = max_pool(rectify(before_1, case.rectifiers[0]))
    return before_1, convolve(pooled, weights.kernel_2, weights.bias_2)


def saliency(case: Case, index: Index, rule: str) -> np.ndarray:
    """The largest absolute value of `input_gradient` over the channels, `(batch, 10, 8)`."""
    return np.abs(input_gradient(case, index, rule)).max(axis=-1)
