"""From arrays and explanations to matplotlib figures. Nothing here shows or saves anything."""

from kerasviz.plots.blending import blend, color_bar
from kerasviz.plots.figures import to_png
from kerasviz.plots.grids import grid, plot_explanation
from kerasviz.plots.overlays import overlay
from kerasviz.plots.pictures import pictures

__all__ = ["blend", "color_bar", "grid", "overlay", "pictures", "plot_explanation", "to_png"]
