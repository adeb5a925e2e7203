"""The only room that reaches inside a model: addresses, taps, rewrites, targets, gradients."""
