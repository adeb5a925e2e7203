"""Tests of kerasviz.dynamics."""
