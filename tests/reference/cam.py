"""Class activation maps by hand: the Dense weights of a class times the pooled activations."""

from __future__ import annotations

import numpy as np

from tests.models import Case
from tests.reference.gradcam import channels_last
from tests.reference.intercept import activation_and_gradient, resolve
from tests.reference.scores import Index, index_of, num_samples, sample_of, unit_score


def cam(case: Case, index: Index) -> np.ndarray:
    """sum_k w_k A_k at the size of `case.layer`: signed, without bias, not scaled.

    Args:
        case: A case with a `head`.
        index: The unit that is explained, for all samples or for each.

    Returns:
        Float64, shape `(batch, *spatial)`.
    """
    kernel, _ = head_weights(case)
    maps = []
    for i, activation in enumerate(activations(case)):
        total = np.zeros(activation.shape[:-1])
        for k in range(activation.shape[-1]):
            total += float(kernel[k, index_of(index, i)]) * activation[..., k]
        maps.append(total)
    return np.stack(maps)


def head_weights(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Kernel `(channels, units)` and bias `(units,)` of the Dense head."""
    if case.head is None:
        raise ValueError(f"{case.name!r} must have a GAP head.")
    return tuple(resolve(case.model, case.head).layer.get_weights())


def activations(case: Case) -> np.ndarray:
    """What `case.layer` returns, shape `(batch, *spatial, channels)`."""
    volumes = []
    for i in range(num_samples(case)):
        activation, _ = activation_and_gradient(
            case.model,
            sample_of(case.inputs, i),
            case.layer,
            lambda outputs: unit_score(case, outputs, 0),
        )
        volumes.append(channels_last(case, case.layer, activation[0]))
    return np.stack(volumes)
