"""Slow, separate derivations of what kerasviz computes: plain loops, no kerasviz, no graphs."""
