"""Keras callbacks: when, during `fit`, something is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasviz.lazy import lazily

if TYPE_CHECKING:
    from kerasviz.callbacks.channel_gradient_watcher import ChannelGradientWatcher
    from kerasviz.callbacks.distribution_watcher import DistributionWatcher
    from kerasviz.callbacks.explanation_watcher import ExplanationWatcher
    from kerasviz.callbacks.feature_watcher import FeatureWatcher
    from kerasviz.callbacks.gradient_watcher import GradientWatcher
    from kerasviz.callbacks.picture_snapshots import PictureSnapshots
    from kerasviz.callbacks.receptive_field_watcher import ReceptiveFieldWatcher
    from kerasviz.callbacks.training_watcher import TrainingWatcher
    from kerasviz.callbacks.watcher import Watcher

_HOMES = {
    "ChannelGradientWatcher": "channel_gradient_watcher",
    "DistributionWatcher": "distribution_watcher",
    "ExplanationWatcher": "explanation_watcher",
    "FeatureWatcher": "feature_watcher",
    "GradientWatcher": "gradient_watcher",
    "PictureSnapshots": "picture_snapshots",
    "ReceptiveFieldWatcher": "receptive_field_watcher",
    "TrainingWatcher": "training_watcher",
    "Watcher": "watcher",
}

__all__ = [
    "ChannelGradientWatcher",
    "DistributionWatcher",
    "ExplanationWatcher",
    "FeatureWatcher",
    "GradientWatcher",
    "PictureSnapshots",
    "ReceptiveFieldWatcher",
    "TrainingWatcher",
    "Watcher",
]

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
