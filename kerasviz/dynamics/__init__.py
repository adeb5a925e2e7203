"""How a model got there: distributions of weights, features and gradients, and runs that keep them.

Statistics are `keras.Metric`s, exactly mergeable; tables come from data of any size; a run folder
keeps what training did, epoch by epoch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasviz.dynamics.absorption import ChannelGradients, channel_gradients
    from kerasviz.dynamics.comparison import compare_initializers
    from kerasviz.dynamics.comparison_result import Comparison, Measured
    from kerasviz.dynamics.distribution_reader import DistributionReader, WeightReader
    from kerasviz.dynamics.distribution_result import Distributions
    from kerasviz.dynamics.folder import Run
    from kerasviz.dynamics.metrics.histogram import Histogram
    from kerasviz.dynamics.metrics.moments import Moments
    from kerasviz.dynamics.metrics.quantiles import Quantiles
    from kerasviz.dynamics.tables import distributions, weight_distributions
    from kerasviz.dynamics.usual_initializers import standard_initializers
    from kerasviz.dynamics.writing import RunWriter

_HOMES = {
    "ChannelGradients": "absorption",
    "Comparison": "comparison_result",
    "DistributionReader": "distribution_reader",
    "Distributions": "distribution_result",
    "Histogram": "metrics.histogram",
    "Measured": "comparison_result",
    "Moments": "metrics.moments",
    "Quantiles": "metrics.quantiles",
    "Run": "folder",
    "RunWriter": "writing",
    "WeightReader": "distribution_reader",
    "channel_gradients": "absorption",
    "compare_initializers": "comparison",
    "distributions": "tables",
    "standard_initializers": "usual_initializers",
    "weight_distributions": "tables",
}

__all__ = [
    "ChannelGradients",
    "Comparison",
    "DistributionReader",
    "Distributions",
    "Histogram",
    "Measured",
    "Moments",
    "Quantiles",
    "Run",
    "RunWriter",
    "WeightReader",
    "channel_gradients",
    "compare_initializers",
    "distributions",
    "standard_initializers",
    "weight_distributions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
