"""Layers of RGB-D fusion and local excitation."""
