"""From arrays and explanations to matplotlib figures. Nothing here shows or saves anything."""

from kerasviz.plots.attention_heads import attention_maps, head_similarity, heads_by_depth
from kerasviz.plots.attention_impact import simulations
from kerasviz.plots.attention_sweep import sweep
from kerasviz.plots.attention_weights import weight_comparison, weight_histograms
from kerasviz.plots.blending import blend, color_bar
from kerasviz.plots.channel_gradients import channel_boxes
from kerasviz.plots.developing_fields import field_development
from kerasviz.plots.distributions import distribution_ridges
from kerasviz.plots.expanded_weights import expanded_weights
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
from kerasviz.plots.fitted_fields import field_fits
from kerasviz.plots.gates import gate_statistics
from kerasviz.plots.grids import grid, plot_explanation
from kerasviz.plots.initializers import initializer_histograms
from kerasviz.plots.kernel_bands import weight_banding
from kerasviz.plots.kernel_factors import weight_factors
from kerasviz.plots.modalities import modalities
from kerasviz.plots.overlays import overlay
from kerasviz.plots.pictures import pictures
from kerasviz.plots.receptive_fields import receptive_field
from kerasviz.plots.rgbd import rgbd_scenes
from kerasviz.plots.rose import orientations
from kerasviz.plots.step_times import freezing_curve, layer_sweep, step_bars, step_sizes
from kerasviz.plots.training_run import training_run
from kerasviz.plots.unit_fields import effective_field, unit_fields
from kerasviz.plots.variant_fields import field_rows
from kerasviz.plots.variant_measures import variant_measures
from kerasviz.plots.viewport import viewport
from kerasviz.plots.weight_circuit import weight_circuit
from kerasviz.plots.weight_connections import weight_connections
from kerasviz.plots.weight_positions import weight_positions
from kerasviz.plots.weights import weight_changes, weight_distribution

__all__ = [
    "activation_atlas",
    "activation_grid",
    "attention_maps",
    "blend",
    "channel_attribution",
    "channel_boxes",
    "color_bar",
    "dataset_examples",
    "distribution_ridges",
    "effective_field",
    "expanded_weights",
    "field_development",
    "field_fits",
    "field_rows",
    "freezing_curve",
    "gate_statistics",
    "grid",
    "head_similarity",
    "heads_by_depth",
    "initializer_histograms",
    "layer_sweep",
    "modalities",
    "neuron_groups",
    "orientations",
    "overlay",
    "pictures",
    "plot_explanation",
    "receptive_field",
    "rgbd_scenes",
    "semantic_dictionary",
    "simulations",
    "spatial_attribution",
    "step_bars",
    "step_sizes",
    "sweep",
    "to_png",
    "training_run",
    "unit_fields",
    "variant_measures",
    "viewport",
    "weight_banding",
    "weight_changes",
    "weight_circuit",
    "weight_comparison",
    "weight_connections",
    "weight_distribution",
    "weight_factors",
    "weight_histograms",
    "weight_positions",
]
