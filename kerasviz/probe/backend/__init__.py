"""Gradients and compilation: the only files of kerasviz that import tensorflow."""
