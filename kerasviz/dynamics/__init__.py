"""How a model got there: distributions of weights, features and gradients, and runs that keep them.

Statistics are `keras.Metric`s, exactly mergeable; tables come from data of any size; a run folder
keeps what training did, epoch by epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.dynamics.absorption import ChannelGradients, channel_gradients
    from kerasviz.dynamics.advising import Advice, advice
    from kerasviz.dynamics.comparison import compare_initializers
    from kerasviz.dynamics.comparison_result import Comparison, Measured
    from kerasviz.dynamics.distribution_reader import DistributionReader, WeightReader
    from kerasviz.dynamics.distribution_result import Distributions
    from kerasviz.dynamics.folder import Run
    from kerasviz.dynamics.gradient_reader import GradientReader, Gradients
    from kerasviz.dynamics.map_stability import stability
    from kerasviz.dynamics.metrics.histogram import Histogram
    from kerasviz.dynamics.metrics.moments import Moments
    from kerasviz.dynamics.metrics.quantiles import Quantiles
    from kerasviz.dynamics.tables import distributions, weight_distributions
    from kerasviz.dynamics.timing import profile
    from kerasviz.dynamics.timing_result import Profile
    from kerasviz.dynamics.timing_sweep import LayerSweep, sweep_layer
    from kerasviz.dynamics.updates import UpdateReader
    from kerasviz.dynamics.usual_initializers import standard_initializers
    from kerasviz.dynamics.writing import RunWriter

_HOMES = {
    "Advice": "advising",
    "ChannelGradients": "absorption",
    "Comparison": "comparison_result",
    "DistributionReader": "distribution_reader",
    "Distributions": "distribution_result",
    "GradientReader": "gradient_reader",
    "Gradients": "gradient_reader",
    "Histogram": "metrics.histogram",
    "LayerSweep": "timing_sweep",
    "Measured": "comparison_result",
    "Moments": "metrics.moments",
    "Profile": "timing_result",
    "Quantiles": "metrics.quantiles",
    "Run": "folder",
    "RunWriter": "writing",
    "UpdateReader": "updates",
    "WeightReader": "distribution_reader",
    "advice": "advising",
    "channel_gradients": "absorption",
    "compare_initializers": "comparison",
    "distributions": "tables",
    "profile": "timing",
    "stability": "map_stability",
    "standard_initializers": "usual_initializers",
    "sweep_layer": "timing_sweep",
    "weight_distributions": "tables",
}

__all__ = [
    "Advice",
    "ChannelGradients",
    "Comparison",
    "DistributionReader",
    "Distributions",
    "GradientReader",
    "Gradients",
    "Histogram",
    "LayerSweep",
    "Measured",
    "Moments",
    "Profile",
    "Quantiles",
    "Run",
    "RunWriter",
    "UpdateReader",
    "WeightReader",
    "advice",
    "channel_gradients",
    "compare_initializers",
    "distributions",
    "profile",
    "stability",
    "standard_initializers",
    "sweep_layer",
    "weight_distributions",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
