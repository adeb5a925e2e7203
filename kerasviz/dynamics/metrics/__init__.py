"""Statistics as Keras metrics."""
