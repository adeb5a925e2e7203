"""kerasviz shows what a Keras model looks at, looks for, is made of, and how it got there.

Nothing heavy is imported until it is used: `import kerasviz` costs no TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasviz import (
        attention,
        callbacks,
        dynamics,
        errors,
        plots,
        receptive_fields,
        report,
        samples,
        studies,
        targets,
        weights,
    )
    from kerasviz.attribution.attention_rollout import AttentionRollout
    from kerasviz.attribution.cam import CAM
    from kerasviz.attribution.deconvnet import DeconvNet
    from kerasviz.attribution.explanation import Explanation
    from kerasviz.attribution.grad_cam import GradCAM
    from kerasviz.attribution.guided_saliency import GuidedSaliency
    from kerasviz.attribution.saliency import Saliency
    from kerasviz.dynamics.timing import profile
    from kerasviz.features import images, objectives, transforms
    from kerasviz.features.activation_atlas import ActivationAtlas
    from kerasviz.features.activation_grid import ActivationGrid
    from kerasviz.features.activation_maximization import ActivationMaximization
    from kerasviz.features.attribution_channel import AttributionChannel
    from kerasviz.features.attribution_spatial import AttributionSpatial
    from kerasviz.features.dataset_examples import dataset_examples
    from kerasviz.features.neuron_groups import NeuronGroups
    from kerasviz.features.semantic_dictionary import semantic_dictionary
    from kerasviz.features.visualization import Visualization
    from kerasviz.probe.activations import Activations, activations, layers

__version__ = "0.1.0"

_MEMBERS = {
    "ActivationAtlas": "kerasviz.features.activation_atlas",
    "ActivationGrid": "kerasviz.features.activation_grid",
    "AttributionChannel": "kerasviz.features.attribution_channel",
    "AttributionSpatial": "kerasviz.features.attribution_spatial",
    "NeuronGroups": "kerasviz.features.neuron_groups",
    "dataset_examples": "kerasviz.features.dataset_examples",
    "semantic_dictionary": "kerasviz.features.semantic_dictionary",
    "ActivationMaximization": "kerasviz.features.activation_maximization",
    "Activations": "kerasviz.probe.activations",
    "AttentionRollout": "kerasviz.attribution.attention_rollout",
    "CAM": "kerasviz.attribution.cam",
    "DeconvNet": "kerasviz.attribution.deconvnet",
    "Explanation": "kerasviz.attribution.explanation",
    "GradCAM": "kerasviz.attribution.grad_cam",
    "GuidedSaliency": "kerasviz.attribution.guided_saliency",
    "Saliency": "kerasviz.attribution.saliency",
    "Visualization": "kerasviz.features.visualization",
    "activations": "kerasviz.probe.activations",
    "layers": "kerasviz.probe.activations",
    "profile": "kerasviz.dynamics.timing",
}
_MODULES = {
    "attention": "kerasviz.attention",
    "callbacks": "kerasviz.callbacks",
    "dynamics": "kerasviz.dynamics",
    "errors": "kerasviz.errors",
    "images": "kerasviz.features.images",
    "objectives": "kerasviz.features.objectives",
    "plots": "kerasviz.plots",
    "receptive_fields": "kerasviz.receptive_fields",
    "report": "kerasviz.report",
    "samples": "kerasviz.samples",
    "studies": "kerasviz.studies",
    "targets": "kerasviz.targets",
    "transforms": "kerasviz.features.transforms",
    "weights": "kerasviz.weights",
}

__all__ = [
    "CAM",
    "ActivationAtlas",
    "ActivationGrid",
    "ActivationMaximization",
    "Activations",
    "AttentionRollout",
    "AttributionChannel",
    "AttributionSpatial",
    "DeconvNet",
    "Explanation",
    "GradCAM",
    "GuidedSaliency",
    "NeuronGroups",
    "Saliency",
    "Visualization",
    "activations",
    "attention",
    "callbacks",
    "dataset_examples",
    "dynamics",
    "errors",
    "images",
    "layers",
    "objectives",
    "plots",
    "profile",
    "receptive_fields",
    "report",
    "samples",
    "semantic_dictionary",
    "studies",
    "targets",
    "transforms",
    "weights",
]


def __getattr__(name: str) -> Any:
    if name in _MEMBERS:
        return getattr(importlib.import_module(_MEMBERS[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'kerasviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
