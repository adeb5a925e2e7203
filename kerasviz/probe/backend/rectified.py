"""Which tensors of the open graph go into a ReLU and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasviz.probe.backend import graph, rectifiers


def only_rectified(
    tensors: Sequence[Any], outputs: Sequence[Any], inputs: Sequence[Any]
) -> set[int]:
    """The tensors, by `id`, of which all that is used is what a ReLU or ReLU6 leaves of them.

    Args:
        tensors: To ask about, in the open graph.
        outputs: Of the model.
        inputs: Of the model.

    Raises:
        RewriteError: The model's weights decide whether something is a rectifier.
    """
    found = rectifiers.find(graph.ops_between(outputs, inputs), inputs).rectifiers
    sources = [one.piece.source for one in found if _is_zero_below(one.shape)]
    rectified = set()
    for tensor in tensors:
        used = tensor
        while len(used.consumers()) == 1 and used.consumers()[0].type in graph.MOVES:
            used = used.consumers()[0].outputs[0]
        is_source = any(used is source or tensor is source for source in sources)
        if is_source and len(used.consumers()) == 1:
            rectified.add(id(tensor))
    return rectified


def _is_zero_below(shape: Any) -> bool:
    return shape.below is not None and not np.any(shape.below) and not np.any(shape.threshold)
