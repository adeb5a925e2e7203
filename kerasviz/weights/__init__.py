"""What a model is made of: summaries, factors, banding and expanded weights, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.weights.bands import banding
    from kerasviz.weights.channel_circuit import Circuit
    from kerasviz.weights.circuits import circuit
    from kerasviz.weights.comparison import compare
    from kerasviz.weights.depth import WeightsByDepth, by_depth
    from kerasviz.weights.diagnosis import diagnose
    from kerasviz.weights.expanded import ExpandedWeights
    from kerasviz.weights.expansion import WeightExpander, expand
    from kerasviz.weights.factors import WeightFactors, factorize
    from kerasviz.weights.links import WeightConnections, connections
    from kerasviz.weights.peers import unusual
    from kerasviz.weights.positions import PositionWeights, position_weights
    from kerasviz.weights.spread import WeightDistribution, distribution
    from kerasviz.weights.summary import summarize

_HOMES = {
    "Circuit": "channel_circuit",
    "ExpandedWeights": "expanded",
    "PositionWeights": "positions",
    "WeightConnections": "links",
    "WeightDistribution": "spread",
    "WeightExpander": "expansion",
    "WeightFactors": "factors",
    "WeightsByDepth": "depth",
    "banding": "bands",
    "by_depth": "depth",
    "circuit": "circuits",
    "compare": "comparison",
    "connections": "links",
    "diagnose": "diagnosis",
    "distribution": "spread",
    "expand": "expansion",
    "factorize": "factors",
    "position_weights": "positions",
    "summarize": "summary",
    "unusual": "peers",
}

__all__ = [
    "Circuit",
    "ExpandedWeights",
    "PositionWeights",
    "WeightConnections",
    "WeightDistribution",
    "WeightExpander",
    "WeightFactors",
    "WeightsByDepth",
    "banding",
    "by_depth",
    "circuit",
    "compare",
    "connections",
    "diagnose",
    "distribution",
    "expand",
    "factorize",
    "position_weights",
    "summarize",
    "unusual",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
