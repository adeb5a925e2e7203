"""What a model is made of: summaries, factors, banding and expanded weights, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.weights.bands import banding
    from kerasviz.weights.comparison import compare
    from kerasviz.weights.depth import WeightsByDepth, by_depth
    from kerasviz.weights.diagnosis import diagnose
    from kerasviz.weights.expanded import ExpandedWeights
    from kerasviz.weights.expansion import WeightExpander, expand
    from kerasviz.weights.factors import WeightFactors, factorize
    from kerasviz.weights.peers import unusual
    from kerasviz.weights.spread import WeightDistribution, distribution
    from kerasviz.weights.summary import summarize

_HOMES = {
    "ExpandedWeights": "expanded",
    "WeightExpander": "expansion",
    "WeightDistribution": "spread",
    "WeightFactors": "factors",
    "WeightsByDepth": "depth",
    "banding": "bands",
    "by_depth": "depth",
    "compare": "comparison",
    "diagnose": "diagnosis",
    "expand": "expansion",
    "distribution": "spread",
    "factorize": "factors",
    "summarize": "summary",
    "unusual": "peers",
}

__all__ = [
    "ExpandedWeights",
    "WeightDistribution",
    "WeightExpander",
    "WeightFactors",
    "WeightsByDepth",
    "banding",
    "by_depth",
    "compare",
    "diagnose",
    "distribution",
    "expand",
    "factorize",
    "summarize",
    "unusual",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
