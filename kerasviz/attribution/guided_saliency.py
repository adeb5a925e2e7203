"""Guided saliency: saliency in which only positive signals pass each ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasviz.attribution.saliency import Saliency
from kerasviz.probe.run import Run


class GuidedSaliency(Saliency):
    """Guided backpropagation: at each ReLU the signal passes where the ReLU was open and the signal
    from above is positive, g·(g > 0)·(y > 0).

    Every ReLU between the score and the input is reached, however the model spells it, or an error
    is raised; `explain(...).coverage` says "rewrote n of n". For a leaky ReLU with slope a the rule
    is its own derivative times max(g, 0).

    Args:
        model: Any built Keras 3 model that has ReLUs.
        layer, target, labels, reduction, normalize, name: See `Saliency`.

    Returns:
        See `Saliency`.

    Raises:
        MethodError: The model has no ReLU; use `Saliency`.
        RewriteError: A ReLU cannot be reached (inside a recurrent loop, `jit_compile`d function or
            custom gradient).

    Reference:
        Springenberg et al. 2014, "Striving for Simplicity", section 3.4.

    Example:

    ```python
    why = kv.GuidedSaliency(model).explain(images)
    why.coverage                                    # "rewrote 35 of 35 ReLU"
    ```
    """

    title = "Guided saliency"
    open_functions = True
    by_tape = False

    def gradients(self, record: Run, score: Any, sources: Sequence[Any]) -> tuple[list[Any], str]:
        found, coverage = record.ruled_gradients(score, sources, "guided")
        return found, str(coverage)
