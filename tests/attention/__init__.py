"""Tests of kerasviz.attention."""
