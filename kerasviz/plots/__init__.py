"""From arrays and explanations to matplotlib figures. Nothing here shows or saves anything."""

from kerasviz.plots.attention_weights import weight_comparison, weight_histograms
from kerasviz.plots.blending import blend, color_bar
from kerasviz.plots.channel_gradients import channel_boxes
from kerasviz.plots.feature_maps import (
    activation_atlas,
    activation_grid,
    channel_attribution,
    dataset_examples,
    neuron_groups,
    semantic_dictionary,
    spatial_attribution,
)
from kerasviz.plots.figures import to_png
from kerasviz.plots.gates import gate_statistics
from kerasviz.plots.grids import grid, plot_explanation
from kerasviz.plots.overlays import overlay
from kerasviz.plots.pictures import pictures

__all__ = [
    "activation_atlas",
    "activation_grid",
    "blend",
    "channel_attribution",
    "channel_boxes",
    "color_bar",
    "dataset_examples",
    "gate_statistics",
    "grid",
    "neuron_groups",
    "overlay",
    "pictures",
    "plot_explanation",
    "semantic_dictionary",
    "spatial_attribution",
    "to_png",
    "weight_comparison",
    "weight_histograms",
]
