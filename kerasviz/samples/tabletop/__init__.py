"""Objects on a table below an RGB-D camera: what stands there, what light and sensor make of it."""
